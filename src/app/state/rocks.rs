//! RocksDB below the data directory: one process writes, others read through it or from its files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Alone, Found, Memory, Opened, StatePlace, Whose};
use crate::core::{Error, Result};
use crate::store_api::{RealtimeReader, TableReader, TableStore, Until};
use crate::store_rocksdb::damage::{set_aside, suspect};
use crate::store_rocksdb::discard::{discard, discarded};
use crate::store_rocksdb::owner::Owner;
use crate::store_rocksdb::{RocksOptions, RocksReader, RocksStore, RocksTables, RocksTablesReader};

/// How long a process that is about to end is waited for.
const OWNER_WAIT: Duration = Duration::from_millis(500);

pub(super) struct Rocks(pub(super) Whose);

impl Rocks {
    fn dir(&self, namespace: &str) -> PathBuf {
        self.0.layout.realtime(&self.0.job, namespace)
    }
}

impl StatePlace for Rocks {
    fn show(&self, namespace: &str) -> String {
        self.dir(namespace).display().to_string()
    }
    fn is_shared(&self) -> bool {
        false
    }
    fn open(&self, namespace: &str, memory: Memory) -> Result<Opened> {
        let options = RocksOptions {
            memory: memory.store,
            ..RocksOptions::default()
        };
        let store = Arc::new(RocksStore::open(
            &self.dir(namespace),
            namespace,
            &self.0.stores,
            options,
        )?);
        Ok(Opened {
            store: store.clone(),
            serve: Box::new(move || store.serve()),
        })
    }
    fn read(&self, namespace: &str, _: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        // Nobody is waited for until a snapshot is taken.
        let reader = RocksReader::find(&self.dir(namespace), namespace, &self.0.stores)?;
        Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
    }
    fn alone(&self, namespace: &str) -> Result<Option<Alone>> {
        let dir = self.dir(namespace);
        if !dir.exists() {
            return Ok(None);
        }
        Ok(Some(Box::new(Owner::take(&dir, OWNER_WAIT)?)))
    }
    fn rebuild(&self, namespace: &str, delete: bool) -> Result<Option<String>> {
        let dir = self.dir(namespace);
        let mark = suspect(&dir)?;
        let Some(aside) = set_aside(&dir)? else {
            return Ok(None);
        };
        let damage = mark.map_or_else(String::new, |mark| format!("it was damaged: {}\n", mark.reason));
        Ok(Some(if delete {
            std::fs::remove_dir_all(&aside).map_err(|e| Error::io("cannot delete", &aside, e))?;
            format!("{damage}deleted the realtime state {}", dir.display())
        } else {
            let aside = aside.display();
            format!("{damage}the realtime state is kept in {aside}; delete it when all is well")
        }))
    }
    fn namespaces(&self) -> Result<Vec<Found>> {
        let found = discarded(&self.dir(""))?;
        let all = found
            .into_iter()
            .map(|(name, bytes, whole)| Found { name, bytes, whole });
        // What was set aside has a dot in its name; people delete it.
        Ok(all.filter(|found| !found.whole || !found.name.contains('.')).collect())
    }
    fn discard(&self, name: &str) -> Result<bool> {
        discard(&self.dir(name))
    }
    fn tables(&self, names: &[&str], memory: Memory) -> Result<Arc<dyn TableStore>> {
        let dir = self.0.layout.tables(&self.0.job);
        Ok(Arc::new(RocksTables::open(&dir, names, memory.tables)?))
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        let reader = RocksTablesReader::open(&self.0.layout.tables(&self.0.job))?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn TableReader>))
    }
}
