//! PostgreSQL: rows per key, partition and batch, which several processes write.

use std::sync::Arc;

use super::server::Kind;
use super::{Found, Whose};
use crate::app::settings::RealtimeSettings;
use crate::core::{Result, Timestamp};
use crate::store_api::{NamespaceOf, RealtimeReader, RealtimeStore, TableReader, TableStore, Until};
use crate::store_postgres::{PostgresOptions, PostgresRealtime, PostgresTables, clock, discard, options};

pub(super) struct Postgres {
    url: String,
    options: PostgresOptions,
}

impl Kind for Postgres {
    fn new(url: &str, settings: &RealtimeSettings) -> Result<(Self, String)> {
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
            connect_timeout: settings.connect_timeout(default.connect_timeout),
            statement_timeout: settings.answer_timeout(default.statement_timeout),
            ..default
        };
        let location = options::shown(url, &options)?;
        let url = url.into();
        Ok((Self { url, options }, location))
    }
    fn clock(&self) -> Result<Timestamp> {
        clock::clock(&self.url, &self.options)
    }
    fn open(&self, of: NamespaceOf<'_>, whose: &Whose) -> Result<Arc<dyn RealtimeStore>> {
        let store = PostgresRealtime::open(&self.url, &self.options, of, &whose.stores)?;
        Ok(Arc::new(store))
    }
    fn read(&self, of: NamespaceOf<'_>, whose: &Whose, until: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        let reader = PostgresRealtime::reader(&self.url, &self.options, of, &whose.stores, until)?;
        Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
    }
    fn namespaces(&self, whose: &Whose) -> Result<Vec<Found>> {
        let found = discard::namespaces(&self.url, &self.options, &whose.job, whose.layout.instance())?;
        let whole = |(name, bytes)| Found {
            name,
            bytes,
            whole: true,
        };
        Ok(found.into_iter().map(whole).collect())
    }
    fn discard(&self, of: NamespaceOf<'_>) -> Result<bool> {
        discard::discard(&self.url, &self.options, of)
    }
    fn tables(&self, whose: &Whose) -> Result<Arc<dyn TableStore>> {
        let tables = PostgresTables::open(&self.url, &self.options, &whose.job, whose.layout.instance())?;
        Ok(Arc::new(tables))
    }
    fn read_tables(&self, whose: &Whose) -> Result<Option<Box<dyn TableReader>>> {
        let reader = PostgresTables::reader(&self.url, &self.options, &whose.job, whose.layout.instance())?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn TableReader>))
    }
}
