//! The archive of a log: Parquet files of raw records, and an index that alone says what they hold (P17-P19).
//!
//! ```text
//! <dir>/index/<partition>/<n>.json                                    n = 0, 1, 2 ...; created once, never changed
//! <dir>/files/<partition>/batch=<batch>/<from>-<to>-<unique>.parquet  one offset range of one batch
//! ```
//!
//! A file is written under a temporary name, synced and renamed; it counts from the moment an index entry names it. The
//! entry is created exclusively, so of several archivers that run by accident one wins and the others go on after it.
//! What the losers wrote is an orphan: [`ParquetArchive::sweep`] deletes it.
//!
//! Any Parquet reader can open the files. Their columns are `_offset`, `_timestamp`, `key`, `value`, `headers` and
//! `_heartbeat`; a null value and an empty one stay different.
//!
//! Modules in reading order: `index` (entries, their text and what must hold of them), `columns` (records to and from
//! arrow arrays), `write`, `read`, `sweep`.
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
mod index;
mod read;
mod sweep;
mod write;

use std::fs;
use std::io::ErrorKind as Io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Error, RecordBatch, Result};
use rufous_store_api::exclusive::{create, sync_dir};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};

/// What to do when the archive is damaged.
const REPAIR: &str =
    "restore it from a copy of the data directory, or archive the source again under another --instance";

/// The archive of one source in one directory.
#[derive(Clone, Debug)]
pub struct ParquetArchive {
    dir: PathBuf,
    source: String,
}

impl ParquetArchive {
    /// The archive of `source` in `dir`. Nothing is created before the first write; a missing directory is an empty
    /// archive.
    ///
    /// # Errors
    /// `InvalidRequest` when `dir` is a file or must not be read.
    pub fn open(dir: &Path, source: &str) -> Result<Self> {
        match fs::read_dir(dir) {
            Ok(_) => {}
            Err(e) if e.kind() == Io::NotFound => {}
            Err(e) => return Err(Error::io("cannot open archive", dir, e).at(format_args!("source `{source}`"))),
        }
        Ok(Self {
            dir: dir.into(),
            source: source.into(),
        })
    }

    /// Deletes files below the archive that no index entry names and that were last changed more than `older_than` ago,
    /// and says which: what losers of a commit and crashed processes leave (P19). An archiver commits a file within
    /// minutes of writing it; with `older_than` above that (a day is usual) a sweep may run beside archivers.
    ///
    /// # Errors
    /// `CorruptData` when an index is damaged: nothing at all is deleted then. Otherwise when files cannot be listed or
    /// deleted.
    pub fn sweep(&self, older_than: Duration) -> Result<Vec<PathBuf>> {
        sweep::sweep(self, older_than)
    }

    fn index_dir(&self, partition: u32) -> PathBuf {
        self.dir.join("index").join(partition.to_string())
    }

    fn index_path(&self, partition: u32, number: u64) -> PathBuf {
        self.index_dir(partition).join(format!("{number}.json"))
    }

    /// Entry `number`, checked by itself; `None`: there is none.
    fn entry(&self, partition: u32, number: u64) -> Result<Option<IndexEntry>> {
        let path = self.index_path(partition, number);
        match fs::read(&path) {
            Ok(bytes) => index::parse(&bytes)
                .map(Some)
                .map_err(|why| self.damaged_entry(partition, number, &why)),
            Err(e) if e.kind() == Io::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot read index entry", &path, e).at(self.place(partition))),
        }
    }

    fn place(&self, partition: u32) -> String {
        format!("archive of source `{}`, partition {partition}", self.source)
    }

    fn damaged_entry(&self, partition: u32, number: u64, why: &str) -> Error {
        let path = self.index_path(partition, number);
        Error::corrupt(format!(
            "{}: index entry {}: {why}; {REPAIR}",
            self.place(partition),
            path.display()
        ))
    }

    /// Where a file lies. A path that leaves the archive is damage.
    fn file_path(&self, partition: u32, file: &ArchivedFile) -> Result<PathBuf> {
        let below = Path::new(&file.path);
        if below.as_os_str().is_empty() || !below.components().all(|c| matches!(c, Component::Normal(_))) {
            let place = self.place(partition);
            return Err(Error::corrupt(format!(
                "{place}: the file name `{}` leads out of the archive; {REPAIR}",
                file.path
            )));
        }
        Ok(self.dir.join(below))
    }

    /// Creates a directory below the archive and makes every name on the way durable. Names that exist are synced too:
    /// who created them may not have come to it yet.
    fn create_dir(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot create", dir, e))?;
        for d in dir.ancestors().skip(1) {
            sync_dir(d)?;
            if d == self.dir {
                return d
                    .parent()
                    .filter(|p| !p.as_os_str().is_empty())
                    .map_or(Ok(()), sync_dir);
            }
        }
        Ok(())
    }
}

impl Archive for ParquetArchive {
    fn source(&self) -> &str {
        &self.source
    }

    fn partitions(&self) -> Result<Vec<u32>> {
        let dir = self.dir.join("index");
        let fail = |e| Error::io("cannot list", &dir, e).at(format_args!("archive of source `{}`", self.source));
        let names = match fs::read_dir(&dir) {
            Ok(names) => names,
            Err(e) if e.kind() == Io::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(fail(e)),
        };
        let mut partitions = Vec::new();
        for name in names {
            let name = name.map_err(fail)?;
            let number = name.file_name().to_str().and_then(|n| n.parse::<u32>().ok());
            // A directory without entries is what a crash before the first commit leaves.
            partitions.extend(number.filter(|p| self.index_path(*p, 0).exists()));
        }
        partitions.sort_unstable();
        partitions.dedup();
        Ok(partitions)
    }

    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
        let mut last = match from.checked_sub(1) {
            Some(before) => self.entry(partition, before)?,
            None => None,
        };
        let mut entries = Vec::new();
        for number in from.. {
            let Some(entry) = self.entry(partition, number)? else {
                // One more look: numbers have no gaps, unless somebody deleted or lost an entry.
                let after = number.saturating_add(1);
                if self.index_path(partition, after).exists() && !self.index_path(partition, number).exists() {
                    return Err(self.damaged_entry(
                        partition,
                        number,
                        &format!("it is missing, but entry {after} exists"),
                    ));
                }
                break;
            };
            match last.as_ref().or(entries.last()) {
                Some(before) => {
                    index::follows(before, &entry).map_err(|why| self.damaged_entry(partition, number, &why))?
                }
                None if number == 0 => {}
                None => {
                    return Err(self.damaged_entry(
                        partition,
                        number - 1,
                        &format!("it is missing, but entry {number} exists"),
                    ));
                }
            }
            last = None;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile> {
        write::write(self, partition, batch, range, records).map_err(|e| e.at(self.place(partition)))
    }

    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> Result<bool> {
        let bug = |why: &str| {
            Error::bug(format!(
                "{}: entry {number} must not be committed: {why}",
                self.place(partition)
            ))
        };
        index::check(entry).map_err(|why| bug(&why))?;
        let text = index::text(entry).map_err(|e| bug("it has no JSON form").caused_by(e))?;
        if let Some(before) = number.checked_sub(1) {
            let before = self
                .entry(partition, before)?
                .ok_or_else(|| bug("the entry before it does not exist"))?;
            index::follows(&before, entry).map_err(|why| bug(&why))?;
        }
        let path = self.index_path(partition, number);
        self.create_dir(&self.index_dir(partition))
            .and_then(|()| {
                if !kept(Rule::ExclusiveIndex) {
                    return fs::write(&path, &text)
                        .map(|()| true)
                        .map_err(|e| Error::io("cannot write", &path, e));
                }
                create(&path, text.as_bytes())
            })
            .map_err(|e| e.at(self.place(partition)))
    }

    fn read(&self, partition: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        read::read(self, partition, file, f)
    }
}
