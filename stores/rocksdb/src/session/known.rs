//! What snapshots of one state of the database have in common: read by one of them, and known to the others.
//!
//! Most reads find the state that the read before them found, since many come between two commits. Which state a snapshot shows is told by
//! the number of the last write: it grows with each one, and flushes and compactions leave it as it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use rocksdb::DB;
use rufous_core::{BatchId, Result, SourcePartition};
use rufous_store_api::ProgressRows;

use crate::database::lock;
use crate::layout::Row;

/// A state of one opened database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64);

impl Version {
    pub(super) fn of(db: &DB) -> Self {
        Self(db.latest_sequence_number())
    }
}

/// The progress rows of a store in a state, and the batches of its cells.
pub(super) struct Known {
    pub(super) rows: ProgressRows,
    /// As many as rows.
    pub(super) lanes: Vec<u64>,
    batches: OnceLock<Vec<BatchId>>,
}

impl Known {
    pub(super) fn new(rows: Vec<(SourcePartition, Row)>) -> Self {
        Self {
            lanes: rows.iter().map(|(_, row)| row.lane).collect(),
            rows: rows.into_iter().map(|(p, row)| (p, row.progress)).collect(),
            batches: OnceLock::new(),
        }
    }

    /// All batches that have rows, ascending: by `read`, once.
    pub(super) fn batches(&self, read: impl FnOnce() -> Result<Vec<BatchId>>) -> Result<&[BatchId]> {
        match self.batches.get() {
            Some(batches) => Ok(batches),
            None => {
                let found = read()?;
                Ok(self.batches.get_or_init(|| found))
            }
        }
    }
}

/// What is known of the newest state that was asked for, by store. It belongs to one opened database.
#[derive(Default)]
pub(crate) struct Memo(Mutex<Option<(Version, HashMap<String, Arc<Known>>)>>);

impl Memo {
    pub(super) fn get(&self, version: Version, store: &str) -> Option<Arc<Known>> {
        match &*lock(&self.0) {
            Some((of, stores)) if *of == version => stores.get(store).cloned(),
            _ => None,
        }
    }

    /// Keeps what was read in a state; what is known of an older one is forgotten.
    pub(super) fn put(&self, version: Version, store: &str, known: &Arc<Known>) {
        let mut kept = lock(&self.0);
        match &mut *kept {
            Some((of, _)) if *of > version => return,
            Some((of, stores)) if *of == version => {
                stores.insert(store.into(), known.clone());
                return;
            }
            _ => {}
        }
        *kept = Some((version, HashMap::from([(store.into(), known.clone())])));
    }
}
