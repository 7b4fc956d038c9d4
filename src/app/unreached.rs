//! Places that could not be opened, for one who goes on all the same: they answer everything by why.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use rufous_place::{Encode, Listed, Open, Pending, Place, Steps};

use super::state::{Found, Memory, Opened, StatePlace};
use crate::core::{Error, ErrorKind, Result};
use crate::store_api::{RealtimeReader, TableReader, TableStore, Until};

/// The error that opening ended with.
#[derive(Debug)]
pub(super) struct Unreached {
    kind: ErrorKind,
    message: String,
    repair: Option<String>,
}

impl Unreached {
    pub(super) fn by(e: &Error) -> Self {
        Self {
            kind: e.kind(),
            message: e.message().to_string(),
            repair: e.repair().map(str::to_string),
        }
    }
    fn why<T>(&self) -> Result<T> {
        let e = Error::new(self.kind, self.message.clone());
        Err(match &self.repair {
            Some(repair) => e.repaired_by(repair.clone()),
            None => e,
        })
    }
}

impl Place for Unreached {
    fn show(&self, path: &str) -> String {
        path.into()
    }
    fn is_far(&self) -> bool {
        true
    }
    fn clock(&self) -> Result<Option<SystemTime>> {
        self.why()
    }
    fn check(&self) -> Result<()> {
        self.why()
    }
    fn read(&self, _: &str) -> Result<Option<Bytes>> {
        self.why()
    }
    fn open(&self, _: &str) -> Result<Option<Box<dyn Open>>> {
        self.why()
    }
    fn read_range(&self, _: &str, _: Range<u64>) -> Result<Option<Bytes>> {
        self.why()
    }
    fn size(&self, _: &str) -> Result<Option<u64>> {
        self.why()
    }
    fn begin(&self, _: &str, _: &'static Steps) -> Result<Box<dyn Pending>> {
        self.why()
    }
    fn put(&self, _: &str, _: Encode<'_>) -> Result<()> {
        self.why()
    }
    fn create(&self, _: &str, _: Vec<u8>) -> Result<bool> {
        self.why()
    }
    fn dirs(&self, _: &str) -> Result<Vec<String>> {
        self.why()
    }
    fn list(&self, _: &str) -> Result<Vec<Listed>> {
        self.why()
    }
    fn delete(&self, _: &str) -> Result<bool> {
        self.why()
    }
}

impl StatePlace for Unreached {
    fn show(&self, namespace: &str) -> String {
        format!("namespace {namespace}")
    }
    fn is_shared(&self) -> bool {
        false
    }
    fn open(&self, _: &str, _: Memory) -> Result<Opened> {
        self.why()
    }
    fn read(&self, _: &str, _: &Until) -> Result<Option<Arc<dyn RealtimeReader>>> {
        self.why()
    }
    fn rebuild(&self, _: &str, _: bool) -> Result<Option<String>> {
        self.why()
    }
    fn namespaces(&self) -> Result<Vec<Found>> {
        self.why()
    }
    fn discard(&self, _: &str) -> Result<bool> {
        self.why()
    }
    fn tables(&self, _: &[&str], _: Memory) -> Result<Arc<dyn TableStore>> {
        self.why()
    }
    fn read_tables(&self) -> Result<Option<Box<dyn TableReader>>> {
        self.why()
    }
}
