//! Redis: the owner of a partition merges, one script checks and writes.

use std::sync::Arc;

use super::server::Kind;
use super::{Found, Whose};
use crate::app::settings::RealtimeSettings;
use crate::core::{Result, Timestamp};
use crate::store_api::{NamespaceOf, RealtimeReader, RealtimeStore, TableReader, TableStore, Until};
use crate::store_redis::{RedisOptions, RedisRealtime, RedisTables};

pub(super) struct Redis {
    url: String,
    options: RedisOptions,
}

impl Kind for Redis {
    fn new(url: &str, settings: &RealtimeSettings) -> Result<(Self, String)> {
        let said = [
            ("schema", settings.schema.is_some()),
            ("connections", settings.connections.is_some()),
        ];
        settings.check_unsaid("Redis", &said)?;
        let default = RedisOptions::default();
        let options = RedisOptions {
            connect_timeout: settings.connect_timeout(default.connect_timeout),
            response_timeout: settings.answer_timeout(default.response_timeout),
            accept_volatile: settings.accept_volatile,
            root_certificates: settings.root_certificates.clone(),
            ..default
        };
        let location = crate::store_redis::shown(url, &options)?;
        let url = url.into();
        Ok((Self { url, options }, location))
    }
    fn clock(&self) -> Result<Timestamp> {
        crate::store_redis::clock(&self.url, &self.options)
    }
    fn open(&self, of: NamespaceOf<'_>, whose: &Whose) -> Result<Arc<dyn RealtimeStore>> {
        let store = RedisRealtime::open(&self.url, &self.options, of, &whose.stores)?;
        Ok(Arc::new(store))
    }
    fn read(&self, of: NamespaceOf<'_>, whose: &Whose, until: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        let reader = RedisRealtime::reader(&self.url, &self.options, of, &whose.stores, until)?;
        Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
    }
    fn namespaces(&self, whose: &Whose) -> Result<Vec<Found>> {
        let found = RedisRealtime::namespaces(&self.url, &self.options, &whose.job, whose.layout.instance())?;
        // Redis does not say what keys take without looking at each.
        let whole = |name| Found {
            name,
            bytes: 0,
            whole: true,
        };
        Ok(found.into_iter().map(whole).collect())
    }
    fn discard(&self, of: NamespaceOf<'_>) -> Result<bool> {
        RedisRealtime::delete(&self.url, &self.options, of)
    }
    fn tables(&self, whose: &Whose) -> Result<Arc<dyn TableStore>> {
        let tables = RedisTables::open(&self.url, &self.options, &whose.job, whose.layout.instance())?;
        Ok(Arc::new(tables))
    }
    fn read_tables(&self, whose: &Whose) -> Result<Option<Box<dyn TableReader>>> {
        RedisTables::open_reader(&self.url, &self.options, &whose.job, whose.layout.instance()).map(Some)
    }
}
