//! An archive in memory: what the archiver writes, without files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rufous_core::{BatchId, Error, RecordBatch, Result};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};

#[derive(Default)]
struct Held {
    index: BTreeMap<u32, Vec<IndexEntry>>,
    files: BTreeMap<String, RecordBatch>,
}

/// The archive of one source.
pub(super) struct Kept {
    source: String,
    held: Mutex<Held>,
}

impl Kept {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.to_string(),
            held: Mutex::default(),
        }
    }
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive for Kept {
    fn source(&self) -> &str {
        &self.source
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        Ok(self.held().index.keys().copied().collect())
    }
    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
        let entries = self.held().index.get(&partition).cloned().unwrap_or_default();
        Ok(entries.into_iter().skip(from as usize).collect())
    }
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile> {
        let mut file = RecordBatch {
            partition,
            next: range.end,
            ..RecordBatch::default()
        };
        for (from, entries) in records {
            for e in &from.entries[entries.clone()] {
                let value = from.value(e).map(|v| file.push_bytes(v));
                file.entries.push(rufous_core::Entry {
                    value: value.unwrap_or(rufous_core::Span::NONE),
                    ..*e
                });
            }
        }
        let archived = ArchivedFile {
            path: format!("{partition}/{}/{}-{}", batch.0, range.start, range.end),
            batch,
            from: range.start,
            to: range.end,
            rows: file.entries.len() as u64,
            bytes: 1_000,
            checksum: "0".repeat(16),
        };
        self.held().files.insert(archived.path.clone(), file);
        Ok(archived)
    }
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> Result<bool> {
        let mut held = self.held();
        let entries = held.index.entry(partition).or_default();
        let free = entries.len() as u64 == number;
        if free {
            entries.push(entry.clone());
        }
        Ok(free)
    }
    fn read(&self, _: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let records = self.held().files.get(&file.path).cloned();
        f(&records.ok_or_else(|| Error::corrupt(format!("there is no file {}", file.path)))?)
    }
}
