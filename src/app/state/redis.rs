//! Redis: the owner of a partition merges, one script checks and writes.

use std::sync::Arc;
use std::time::Duration;

use super::{Found, Memory, Opened, StatePlace, Whose, nothing_aside};
use crate::app::settings::RealtimeSettings;
use crate::core::{Result, Timestamp};
use crate::store_api::{RealtimeReader, TableReader, TableStore};
use crate::store_redis::{RedisOptions, RedisRealtime, RedisTables};

pub(super) struct Redis {
    whose: Whose,
    url: String,
    /// Without the password.
    location: String,
    options: RedisOptions,
}

impl Redis {
    pub(super) fn new(whose: Whose, url: &str, settings: &RealtimeSettings) -> Result<Self> {
        let said = [
            ("schema", settings.schema.is_some()),
            ("connections", settings.connections.is_some()),
        ];
        settings.check_unsaid("Redis", &said)?;
        let default = RedisOptions::default();
        let options = RedisOptions {
            connect_timeout: settings
                .connect_timeout_ms
                .map_or(default.connect_timeout, Duration::from_millis),
            response_timeout: settings
                .answer_timeout_ms
                .map_or(default.response_timeout, Duration::from_millis),
            accept_volatile: settings.accept_volatile,
            root_certificates: settings.root_certificates.clone(),
            ..default
        };
        Ok(Self {
            location: crate::store_redis::shown(url, &options)?,
            whose,
            url: url.into(),
            options,
        })
    }
}

impl StatePlace for Redis {
    fn show(&self, namespace: &str) -> String {
        format!("namespace {namespace} of job `{}` in {}", self.whose.job, self.location)
    }
    fn clock(&self) -> Result<Option<Timestamp>> {
        crate::store_redis::clock(&self.url, &self.options).map(Some)
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn open(&self, namespace: &str, _: Memory) -> Result<Opened> {
        let Whose { job, layout, stores } = &self.whose;
        let store = RedisRealtime::open(&self.url, &self.options, job, layout.instance(), namespace, stores)?;
        Ok(Opened {
            store: Arc::new(store),
            // Whoever reads asks the server.
            serve: Box::new(|| Ok(())),
        })
    }
    fn read(&self, namespace: &str) -> Result<Option<Arc<dyn RealtimeReader>>> {
        let Whose { job, layout, stores } = &self.whose;
        let reader = RedisRealtime::reader(&self.url, &self.options, job, layout.instance(), namespace, stores)?;
        Ok(reader.map(Arc::from))
    }
    fn rebuild(&self, namespace: &str, delete: bool) -> Result<Option<String>> {
        if !delete {
            return Err(nothing_aside(&self.show(namespace)));
        }
        let deleted = self.discard(namespace)?;
        Ok(deleted.then(|| format!("deleted the realtime state, {}", self.show(namespace))))
    }
    fn namespaces(&self) -> Result<Vec<Found>> {
        let Whose { job, layout, .. } = &self.whose;
        let found = RedisRealtime::namespaces(&self.url, &self.options, job, layout.instance())?;
        // Redis does not say what keys take without looking at each.
        let whole = |name| Found {
            name,
            bytes: 0,
            whole: true,
        };
        Ok(found.into_iter().map(whole).collect())
    }
    fn discard(&self, name: &str) -> Result<bool> {
        let Whose { job, layout, .. } = &self.whose;
        RedisRealtime::delete(&self.url, &self.options, job, layout.instance(), name)
    }
    fn tables(&self, _: &[&str], _: Memory) -> Result<Arc<dyn TableStore>> {
        let Whose { job, layout, .. } = &self.whose;
        Ok(Arc::new(RedisTables::open(
            &self.url,
            &self.options,
            job,
            layout.instance(),
        )?))
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        let Whose { job, layout, .. } = &self.whose;
        RedisTables::open_reader(&self.url, &self.options, job, layout.instance()).map(Some)
    }
}
