//! The files of a generation: immutable sorted runs of (key, value).

use rufous_core::{Reach, Result, StoreFace};

use crate::manifest::{RunFile, StoreGeneration};
use crate::realtime::{KeyRange, shared_prefix, within};

/// Where the generations of a job's stores live.
pub trait GenerationStore: Send + Sync {
    /// Begins a run. Nothing is visible before a manifest names it; a run that is dropped unfinished leaves nothing.
    ///
    /// # Errors
    /// When it cannot be created.
    fn begin_run(&self, store: &StoreFace) -> Result<Box<dyn RunWriter>>;

    /// For each key, in order, its value in the generation: the sum over its runs, `None` when surely absent.
    ///
    /// # Errors
    /// `CorruptData` that names the file when a run is torn or altered; `TryAgain` when it is gone, for a newer manifest may
    /// have replaced it (P25).
    fn get(&self, store: &StoreFace, generation: &StoreGeneration, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Calls `f` with every key that begins with `prefix` and its value, in key order.
    ///
    /// # Errors
    /// The first error of `f`, or as [`get`](Self::get).
    fn scan(
        &self,
        store: &StoreFace,
        generation: &StoreGeneration,
        prefix: &[u8],
        f: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()>;

    /// Calls `f` with every key that lies in one of `ranges` and its value, with the place of the range, in key order. The ranges
    /// ascend and share no key.
    ///
    /// # Errors
    /// The first error of `f`, or as [`get`](Self::get).
    fn ranges(
        &self,
        store: &StoreFace,
        generation: &StoreGeneration,
        ranges: &[KeyRange],
        f: &mut dyn FnMut(usize, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        for (place, range) in ranges.iter().enumerate() {
            self.scan(store, generation, shared_prefix(range), &mut |key, value| {
                if within(range, key) {
                    f(place, key, value)
                } else {
                    Ok(())
                }
            })?;
        }
        Ok(())
    }

    /// Reads every byte of the generation's files and compares checksums and counts.
    ///
    /// # Errors
    /// `CorruptData` that names the first file that is not what the manifest says.
    fn verify(&self, store: &StoreFace, generation: &StoreGeneration) -> Result<()>;

    /// Begins a run of a sink, for [`RecordWriter`](crate::records::RecordWriter).
    ///
    /// # Errors
    /// As [`begin_run`](Self::begin_run).
    fn begin_records(&self, sink: &str) -> Result<Box<dyn RunWriter>>;

    /// The entries of a run of a sink, from the first key on that is not below `from`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn entries<'a>(&'a self, sink: &str, run: &RunFile, from: &[u8]) -> Result<Box<dyn Entries + 'a>>;

    /// Reads every byte of a run of a sink and compares checksums and counts.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    fn verify_records(&self, sink: &str, run: &RunFile) -> Result<()>;
}

/// A run in key order.
pub trait Entries {
    /// The next key and value.
    ///
    /// # Errors
    /// As [`GenerationStore::get`].
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>>;
}

/// A run that is being written.
pub trait RunWriter {
    /// Appends a pair. Keys must ascend strictly.
    ///
    /// # Errors
    /// When it cannot be written, or keys do not ascend (a bug).
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    /// Syncs the file and gives it its final name. `None` when no pair was pushed: an empty run has no file.
    ///
    /// # Errors
    /// When it cannot be synced.
    fn finish(self: Box<Self>) -> Result<Option<RunFile>>;
}

/// What [`merge_runs`] made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedRuns {
    /// The runs that may take the place of those that were merged: one, or none.
    pub runs: Vec<RunFile>,
    /// How many keys were left out because they have no meaning any more.
    pub forgotten: u64,
}

/// Adds up the runs of a generation into one, which a next manifest of at least this reach may name in their place. What has no
/// meaning any more at that reach is left out. A read costs a block a run, so more than 8 are worth it. A single run is
/// returned as it is. The old files stay (P25).
///
/// # Errors
/// As [`GenerationStore::scan`] and [`RunWriter`]; nothing is left behind then.
pub fn merge_runs(
    generations: &dyn GenerationStore,
    store: &StoreFace,
    generation: &StoreGeneration,
    reach: &Reach,
) -> Result<MergedRuns> {
    if let [] | [_] = generation.runs.as_slice() {
        return Ok(MergedRuns {
            runs: generation.runs.clone(),
            forgotten: 0,
        });
    }
    let forgetter = store.forgetter(reach)?;
    let mut forgotten = 0;
    let mut writer = generations.begin_run(store)?;
    generations.scan(store, generation, &[], &mut |key, value| match &forgetter {
        Some(forgetter) if forgetter.forgets(key, value)? => {
            forgotten += 1;
            Ok(())
        }
        _ => writer.push(key, value),
    })?;
    Ok(MergedRuns {
        runs: writer.finish()?.into_iter().collect(),
        forgotten,
    })
}
