//! A binary without RocksDB: what others wrote below the data directory is not passed over.

use std::path::Path;
use std::sync::Arc;

use super::{Found, Memory, Opened, StatePlace, Whose};
use crate::core::{Error, Result};
use crate::store_api::{RealtimeReader, TableReader, TableStore, Until};

pub(super) struct Without(pub(super) Whose);

fn lacks(what: &str) -> Error {
    Error::invalid(format!(
        "{what}: this binary was built without the feature `rocksdb`, and no server is named for the realtime state (`--realtime URL`)"
    ))
}

fn absent(dir: &Path) -> Result<()> {
    if dir.exists() {
        return Err(lacks(&format!(
            "{} cannot be read, and without it answers would be partial",
            dir.display()
        )));
    }
    Ok(())
}

impl StatePlace for Without {
    fn show(&self, namespace: &str) -> String {
        self.0.layout.realtime(&self.0.job, namespace).display().to_string()
    }
    fn is_shared(&self) -> bool {
        false
    }
    fn open(&self, _: &str, _: Memory) -> Result<Opened> {
        Err(lacks("there is no store for the realtime state"))
    }
    fn read(&self, namespace: &str, _: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        absent(&self.0.layout.realtime(&self.0.job, namespace))?;
        Ok(None)
    }
    fn rebuild(&self, _: &str, _: bool) -> Result<Option<String>> {
        Err(lacks("there is no realtime state"))
    }
    fn namespaces(&self) -> Result<Vec<Found>> {
        Ok(Vec::new())
    }
    fn discard(&self, _: &str) -> Result<bool> {
        Ok(false)
    }
    fn tables(&self, names: &[&str], _: Memory) -> Result<Arc<dyn TableStore>> {
        Err(lacks(&format!("sink `{}` is bound to a table", names.join("`, `"))))
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        absent(&self.0.layout.tables(&self.0.job))?;
        Ok(None)
    }
}
