//! PostgreSQL: rows per key, partition and batch, which several processes write.

use std::sync::Arc;
use std::time::Duration;

use super::{Found, Memory, Opened, StatePlace, Whose, nothing_aside};
use crate::app::settings::RealtimeSettings;
use crate::core::{Result, Timestamp};
use crate::store_api::{RealtimeReader, TableReader, TableStore};
use crate::store_postgres::{PostgresOptions, PostgresRealtime, PostgresTables, clock, discard, options};

pub(super) struct Postgres {
    whose: Whose,
    url: String,
    /// Without the password.
    location: String,
    options: PostgresOptions,
}

impl Postgres {
    pub(super) fn new(whose: Whose, url: &str, settings: &RealtimeSettings) -> Result<Self> {
        let said = [
            ("accept_volatile", settings.accept_volatile),
            ("root_certificates", settings.root_certificates.is_some()),
        ];
        settings.check_unsaid("PostgreSQL", &said)?;
        let default = PostgresOptions::default();
        let options = PostgresOptions {
            schema: settings.schema.clone().unwrap_or(default.schema.clone()),
            connections: settings
                .connections
                .map_or(default.connections, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            connect_timeout: settings
                .connect_timeout_ms
                .map_or(default.connect_timeout, Duration::from_millis),
            statement_timeout: settings
                .answer_timeout_ms
                .map_or(default.statement_timeout, Duration::from_millis),
            ..default
        };
        Ok(Self {
            location: options::shown(url, &options)?,
            whose,
            url: url.into(),
            options,
        })
    }
}

impl StatePlace for Postgres {
    fn show(&self, namespace: &str) -> String {
        format!("namespace {namespace} of job `{}` in {}", self.whose.job, self.location)
    }
    fn clock(&self) -> Result<Option<Timestamp>> {
        clock::clock(&self.url, &self.options).map(Some)
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn open(&self, namespace: &str, _: Memory) -> Result<Opened> {
        let Whose { job, layout, stores } = &self.whose;
        let store = PostgresRealtime::open(&self.url, &self.options, job, layout.instance(), namespace, stores)?;
        Ok(Opened {
            store: Arc::new(store),
            // Whoever reads asks the server.
            serve: Box::new(|| Ok(())),
        })
    }
    fn read(&self, namespace: &str) -> Result<Option<Arc<dyn RealtimeReader>>> {
        let Whose { job, layout, stores } = &self.whose;
        let reader = PostgresRealtime::reader(&self.url, &self.options, job, layout.instance(), namespace, stores)?;
        Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
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
        let found = discard::namespaces(&self.url, &self.options, job, layout.instance())?;
        let whole = |(name, bytes)| Found {
            name,
            bytes,
            whole: true,
        };
        Ok(found.into_iter().map(whole).collect())
    }
    fn discard(&self, name: &str) -> Result<bool> {
        let Whose { job, layout, .. } = &self.whose;
        discard::discard(&self.url, &self.options, job, layout.instance(), name)
    }
    fn tables(&self, _: &[&str], _: Memory) -> Result<Arc<dyn TableStore>> {
        let Whose { job, layout, .. } = &self.whose;
        let tables = PostgresTables::open(&self.url, &self.options, job, layout.instance())?;
        Ok(Arc::new(tables))
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        let Whose { job, layout, .. } = &self.whose;
        let reader = PostgresTables::reader(&self.url, &self.options, job, layout.instance())?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn TableReader>))
    }
}
