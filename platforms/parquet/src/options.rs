//! What a bulk run is given, and what it tells.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rufous_core::{BatchId, Format, Plan, SourcePartition};
use rufous_store_api::{Archive, GenerationStore, Manifest, ManifestLog, Window};

use crate::input::InputFile;
use crate::progress::Progress;

/// Where a source's records come from.
#[derive(Clone)]
pub enum BulkInput {
    /// The job's own archive: hand-over by offsets, exact (section 10 of the protocol).
    Archive {
        /// The archive.
        archive: Arc<dyn Archive>,
        /// How its values are written.
        format: Format,
        /// How the log is cut.
        cut_spec: String,
    },
    /// Parquet files, taken whole: a bounded input without a live part (P8a).
    Parquet(Vec<InputFile>),
    /// Files of lines, taken whole: text, JSON or CSV, as they are, or packed when their names end in `.gz` or `.zst`. Each
    /// line is the record that a live run over the file makes of it.
    Files {
        /// The files, in the order in which they are read.
        files: Vec<InputFile>,
        /// How their records are written.
        format: Format,
    },
}

impl BulkInput {
    /// Parquet files.
    pub fn parquet<F: Into<InputFile>>(files: impl IntoIterator<Item = F>) -> Self {
        Self::Parquet(files.into_iter().map(Into::into).collect())
    }
    /// Files of lines.
    pub fn files<F: Into<InputFile>>(files: impl IntoIterator<Item = F>, format: Format) -> Self {
        Self::Files {
            files: files.into_iter().map(Into::into).collect(),
            format,
        }
    }
    /// Whether it is taken whole, and has no live part.
    pub fn is_bounded(&self) -> bool {
        !matches!(self, Self::Archive { .. })
    }
}

/// Up to where all sinks have what was made of the records, by partition. It is asked right before a generation is published: marks
/// only grow, but for a sink that was given up and is taken up again, whose mark may lie far behind.
#[derive(Clone)]
pub struct WrittenTo(Arc<dyn Fn() -> Option<BTreeMap<SourcePartition, u64>> + Send + Sync>);

impl WrittenTo {
    /// What this says whenever it is asked; `None`: nobody knows now.
    pub fn asking(ask: impl Fn() -> Option<BTreeMap<SourcePartition, u64>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
    /// Just this.
    pub fn known(written: BTreeMap<SourcePartition, u64>) -> Self {
        Self::asking(move || Some(written.clone()))
    }
    pub(crate) fn now(&self) -> Option<BTreeMap<SourcePartition, u64>> {
        (self.0)()
    }
}

impl fmt::Debug for WrittenTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenTo")
    }
}

/// How a run works.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Threads; 0: as many as there are cores.
    pub threads: usize,
    /// Bytes of memory: sums that outgrow it go to files and are added up from there.
    pub memory: usize,
    /// Where those files are, in a directory of the run's own that is deleted at its end.
    pub spill_dir: PathBuf,
    /// Covers batches below this one; `None`: all that are sealed.
    pub until: Option<BatchId>,
    /// Of bounded inputs only the records whose event time is inside; `None`: all.
    pub window: Option<Window>,
    /// Stops after about so many records, at the end of a batch: a long history is covered by several runs, each of which is
    /// published and never done again. `None`: all at once.
    pub part_rows: Option<u64>,
    /// So many generations before the new one stay available for a rollback, and their batches for comparisons: cells
    /// that they need are not dropped (P23). With 0 the live part may drop at once what is published.
    pub keep: u64,
    /// Of a job with sinks: up to where all of them have what was made of the records. The drop permission comes so far and no further
    /// (O25). `None`: it is not known, and the permission stays where it is.
    pub written_to: Option<WrittenTo>,
    /// At most so many records a second, so that others have the machine, too.
    pub rate: Option<u64>,
    /// How many manifests there were when the files of bounded inputs were listed. A run that finds more does not know which
    /// files those had: it ends with `TryAgain` and does not take them for gone. `None`: the list is as new as the run.
    pub listed_at: Option<u64>,
    /// Set from outside: the run ends with an error of kind `Closed` and publishes nothing.
    pub stop: Arc<AtomicBool>,
    /// Tells others how far the run is.
    pub progress: Arc<Progress>,
    /// Counts bad records (that cannot be decoded, or make the job's functions panic) and goes on. Live, such records may go
    /// to dead letters as well; in bulk they are only left out, and the answers are the same.
    pub skip_bad: bool,
    /// The same for single sources, by name.
    pub skip_bad_of: BTreeMap<String, bool>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            memory: 1 << 30,
            spill_dir: std::env::temp_dir(),
            until: None,
            window: None,
            part_rows: None,
            keep: 1,
            written_to: None,
            rate: None,
            listed_at: None,
            stop: Arc::default(),
            progress: Arc::default(),
            skip_bad: false,
            skip_bad_of: BTreeMap::new(),
        }
    }
}

impl BatchOptions {
    /// Threads of a run.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
    pub(crate) fn skips(&self, source: &str) -> bool {
        self.skip_bad_of.get(source).copied().unwrap_or(self.skip_bad)
    }
}

/// A bulk run of a job.
pub struct BatchRun<'a> {
    /// The job.
    pub plan: &'a Plan,
    /// One input a source.
    pub inputs: BTreeMap<String, BulkInput>,
    /// The job's manifests.
    pub manifests: &'a dyn ManifestLog,
    /// The job's generations.
    pub generations: &'a dyn GenerationStore,
    /// How it works.
    pub options: BatchOptions,
}

/// What a run did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchReport {
    /// The manifest that is current now.
    pub manifest: Manifest,
    /// Whether this run published it; if not, there was nothing new.
    pub published: bool,
    /// Records read.
    pub records: u64,
    /// Bad records that were skipped.
    pub bad: u64,
    /// Of the records read those outside the run's window. How many were not even read depends on what files note of them.
    pub outside: u64,
    /// Keys in the run's delta, per store.
    pub keys: BTreeMap<String, u64>,
    /// Records in the run's files, per sink that is a part of the generation.
    pub written: BTreeMap<String, u64>,
    /// Per partition the batch that is open and so not covered.
    pub open: BTreeMap<SourcePartition, BatchId>,
    /// What was not read again, or why everything was: a line each.
    pub notes: Vec<String>,
}
