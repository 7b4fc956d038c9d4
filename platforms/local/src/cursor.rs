//! Where one partition is read.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use rufous_core::{RecordBatch, Result};

use crate::packed::Packed;
use crate::plain::Plain;
use crate::split::Rules;

/// A partition that is assigned.
pub(crate) struct Cursor {
    pub(crate) partition: u32,
    reader: Reader,
}

enum Reader {
    Plain(Plain),
    Packed(Box<Packed>),
}

impl Cursor {
    pub(crate) fn plain(partition: u32, reader: Plain) -> Self {
        Self {
            partition,
            reader: Reader::Plain(reader),
        }
    }
    pub(crate) fn packed(partition: u32, reader: Packed) -> Self {
        Self {
            partition,
            reader: Reader::Packed(Box::new(reader)),
        }
    }
    /// The start of the next record.
    pub(crate) fn position(&self) -> u64 {
        match &self.reader {
            Reader::Plain(r) => r.position(),
            Reader::Packed(r) => r.position(),
        }
    }
    pub(crate) fn file(&self) -> Arc<File> {
        match &self.reader {
            Reader::Plain(r) => r.file.clone(),
            Reader::Packed(r) => r.file.clone(),
        }
    }
    /// The file's name, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.reader {
            Reader::Plain(r) => r.path.clone(),
            Reader::Packed(r) => r.path.clone(),
        }
    }
    pub(crate) fn renamed(&mut self, path: PathBuf) {
        match &mut self.reader {
            Reader::Plain(r) => r.path = path,
            Reader::Packed(r) => r.path = path,
        }
    }
    /// The next records; `false` when there are none now.
    pub(crate) fn fill(&mut self, rules: &Rules, into: &mut RecordBatch) -> Result<bool> {
        match &mut self.reader {
            Reader::Plain(r) => r.fill(rules, into),
            Reader::Packed(r) => r.fill(rules, into),
        }
    }
    /// Whether the file still begins as it did.
    pub(crate) fn check(&mut self) -> Result<()> {
        match &mut self.reader {
            Reader::Plain(r) => r.check(),
            Reader::Packed(_) => Ok(()),
        }
    }
}
