//! The archive of a log: Parquet files of raw records, and an index that alone says what they hold (P17-P19).
//!
//! ```text
//! index/<partition>/<n>.json                                    n = 0, 1, 2 ...; created once, never changed
//! files/<partition>/batch=<batch>/<from>-<to>-<unique>.parquet  one offset range of one batch
//! ```
//!
//! An archive lies in a directory ([`ParquetArchive::open`]), in a bucket (`ParquetArchive::at`, feature `s3`) or in any
//! other [`object_store`] ([`ParquetArchive::on`]), with the same names and bytes in each. A file is whole and durable before
//! an index entry names it, and counts from that moment. The entry is created exclusively (a hard link; a conditional put),
//! so of several archivers that run by accident one wins and the others go on after it. What the losers wrote is an
//! orphan: [`ParquetArchive::sweep`] deletes it.
//!
//! Calls block, and may come from inside an async runtime: an object store is spoken to by a thread of its own. It asks
//! three times; what then still fails is of kind `TryAgain`.
//!
//! Any Parquet reader can open the files. Their columns are `_offset`, `_timestamp`, `key`, `value`, `headers` and
//! `_heartbeat`; a null value and an empty one stay different.
//!
//! Modules in reading order: `index` (entries, their text and what must hold of them), `entries` (the numbered entries of a
//! partition), `columns` (records to and from arrow arrays), `write`, `read`, `sweep`. Directory and object store are the crate `rufous-place`.
//!
//! ```
//! use rufous_core::{BatchId, Entry, RecordBatch};
//! use rufous_store_api::{Archive, IndexEntry, archive::INDEX_FORMAT};
//! use rufous_store_archive::ParquetArchive;
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let archive = ParquetArchive::open(dir.path(), "clicks")?;
//! let mut records = RecordBatch::default();
//! let hello = records.push_bytes(b"hello");
//! records.entries.push(Entry::plain(7, hello));
//!
//! let file = archive.write(0, BatchId(3), 0..10, &[(&records, 0..1)])?;
//! let entry = IndexEntry {
//!     format: INDEX_FORMAT,
//!     from: 0,
//!     to: 10,
//!     batch_before: BatchId::MIN,
//!     cuts: vec![(BatchId(3), 0)],
//!     files: vec![file],
//!     hole: None,
//!     topic_id: "t".into(),
//!     leader_epoch: -1,
//!     cut_spec: "cut/1".into(),
//! };
//! assert!(archive.commit(0, 0, &entry)?);
//! assert!(!archive.commit(0, 0, &entry)?, "number 0 is taken");
//!
//! let index = archive.index(0, 0)?;
//! archive.read(0, &index[0].files[0], &mut |r| {
//!     assert_eq!(r.value(&r.entries[0]), Some(&b"hello"[..]));
//!     Ok(())
//! })?;
//! # Ok::<(), rufous_core::Error>(())
//! ```
#![forbid(unsafe_code)]

mod columns;
mod entries;
mod index;
mod read;
mod sweep;
mod write;

#[cfg(feature = "s3")]
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use rufous_core::{BatchId, Error, RecordBatch, Result};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};

pub use rufous_place::object_store;
use rufous_place::object_store::ObjectStore;
pub use sweep::Orphan;

use rufous_place::{Local, Place, Remote};

/// What to do when the archive is damaged.
const REPAIR: &str =
    "restore it from a copy of the data directory, or archive the source again under another --instance";

/// The archive of one source.
#[derive(Clone, Debug)]
pub struct ParquetArchive {
    place: Arc<dyn Place>,
    source: String,
}

impl ParquetArchive {
    /// The archive of `source` in the directory `dir`. Nothing is created before the first write; a missing directory is an
    /// empty archive.
    ///
    /// # Errors
    /// `InvalidRequest` when `dir` is a file or must not be read.
    pub fn open(dir: &Path, source: &str) -> Result<Self> {
        let local = Local::open(dir).map_err(|e| e.at(format_args!("source `{source}`")))?;
        Ok(Self::new(Arc::new(local), source))
    }

    /// The archive of `source` below `prefix` of an object store that creates objects conditionally. `name` is how messages
    /// call the store: "s3://bucket".
    ///
    /// # Errors
    /// `InvalidRequest` when the prefix cannot be one.
    pub fn on(store: Arc<dyn ObjectStore>, name: &str, prefix: &str, source: &str) -> Result<Self> {
        let remote = Remote::new(store, name, prefix).map_err(|e| e.at(format_args!("source `{source}`")))?;
        Ok(Self::new(Arc::new(remote), source))
    }

    /// The archive of `source` at `url`: `s3://BUCKET/PREFIX`. Endpoint, credentials and region come from `options`, then
    /// from the usual variables (`AWS_ENDPOINT`, `AWS_ACCESS_KEY_ID`, `AWS_REGION` ...).
    ///
    /// # Errors
    /// `InvalidRequest` when the URL or an option is wrong. The store itself is not spoken to yet.
    #[cfg(feature = "s3")]
    pub fn at(url: &str, options: &BTreeMap<String, String>, source: &str) -> Result<Self> {
        let remote =
            rufous_place::s3::open(url, options, "archive").map_err(|e| e.at(format_args!("source `{source}`")))?;
        Ok(Self::new(Arc::new(remote), source))
    }

    fn new(place: Arc<dyn Place>, source: &str) -> Self {
        Self {
            place,
            source: source.into(),
        }
    }

    /// Files below the archive that no index entry names and that were last changed more than `older_than` ago: what losers
    /// of a commit and crashed processes leave (P19), in order of their names.
    ///
    /// # Errors
    /// `CorruptData` when an index is damaged: what is an orphan is unknown then. Otherwise when files cannot be listed.
    pub fn orphans(&self, older_than: Duration) -> Result<Vec<Orphan>> {
        sweep::orphans(self, older_than)
    }

    /// Deletes the [`orphans`](Self::orphans), and says which they were. An archiver commits a file within minutes of writing
    /// it, or within six hours when it has to wait for space: after those it writes the file anew. With `older_than` above
    /// that (a day is usual) a sweep may run beside archivers.
    ///
    /// # Errors
    /// As `orphans`: nothing at all is deleted then. Otherwise when files cannot be deleted.
    pub fn sweep(&self, older_than: Duration) -> Result<Vec<Orphan>> {
        sweep::sweep(self, older_than)
    }

    /// For messages.
    fn whose(&self, partition: u32) -> String {
        format!("archive of source `{}`, partition {partition}", self.source)
    }

    /// A path that leaves the archive is damage.
    fn file_path<'a>(&self, partition: u32, file: &'a ArchivedFile) -> Result<&'a str> {
        let below = Path::new(&file.path);
        if below.as_os_str().is_empty() || !below.components().all(|c| matches!(c, Component::Normal(_))) {
            let whose = self.whose(partition);
            return Err(Error::corrupt(format!(
                "{whose}: the file name `{}` leads out of the archive; {REPAIR}",
                file.path
            )));
        }
        Ok(&file.path)
    }
}

impl Archive for ParquetArchive {
    fn source(&self) -> &str {
        &self.source
    }

    fn check(&self) -> Result<()> {
        self.place
            .check()
            .map_err(|e| e.at(format_args!("archive of source `{}`", self.source)))
    }

    fn is_far(&self) -> bool {
        self.place.is_far()
    }

    fn partitions(&self) -> Result<Vec<u32>> {
        entries::partitions(self)
    }

    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
        entries::index(self, partition, from)
    }

    fn entry(&self, partition: u32, number: u64) -> Result<Option<IndexEntry>> {
        entries::entry(self, partition, number)
    }

    fn last(&self, partition: u32, from: u64) -> Result<Option<(u64, IndexEntry)>> {
        entries::last(self, partition, from)
    }

    fn find(&self, partition: u32, offset: u64) -> Result<u64> {
        entries::find(self, partition, offset)
    }

    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile> {
        write::write(self, partition, batch, range, records).map_err(|e| e.at(self.whose(partition)))
    }

    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> Result<bool> {
        entries::commit(self, partition, number, entry)
    }

    fn read(&self, partition: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        read::read(self, partition, file, f)
    }
}
