//! The runs of a job's stores, added up.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::{Error, Result, StoreFace};
use rufous_place::{Local, Place};
use rufous_store_api::{
    Entries, GenerationStore, KeyRange, Manifest, RunFile, RunWriter, SinkGeneration, StoreGeneration,
};

use crate::checked::Named;
use crate::hold::Hold;
use crate::key_range::{apart, outside, range};
use crate::run::{Cache, Reader, Scan, Writer};

/// Open runs that are kept; one costs a file handle and its top.
const OPEN_RUNS: usize = 256;
/// What indexes and filters of all runs together may hold, unless it is said.
const CACHE: usize = 64 << 20;
/// Where the directories of sinks are. A store may have the name of a sink, or this one: its directory holds files alone.
pub(crate) const SINKS: &str = "sinks/";

/// The generations of a job: one directory a store.
///
/// Runs stay open between reads, the least recently used of them is closed when there are too many. A deleted file is
/// closed when the next run is opened. A run whose key range does not hold a key is not opened for it.
///
/// Who writes runs holds what [`gc`](crate::gc) would take, from the first run on until the value is dropped, or until an hour
/// after its last write: use one value for what is published together, and drop it then.
pub struct Generations {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) dir: String,
    cache: Arc<Cache>,
    open: Mutex<OpenRuns>,
    /// While runs are written that no manifest names yet.
    hold: Mutex<Option<Arc<Hold>>>,
}

#[derive(Default)]
struct OpenRuns {
    /// Each with the time of its last use.
    readers: HashMap<String, (Arc<Reader>, u64)>,
    /// Counts uses.
    now: u64,
}

impl Generations {
    /// In this directory, which the first run creates.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(Local::new(dir)), "")
    }

    /// In the directory `dir` of a place.
    pub fn on(place: Arc<dyn Place>, dir: &str) -> Self {
        Self {
            place,
            dir: if dir.is_empty() {
                String::new()
            } else {
                format!("{dir}/")
            },
            cache: Arc::new(Cache::new(CACHE)),
            open: Mutex::default(),
            hold: Mutex::default(),
        }
    }

    /// What indexes and filters that are kept in memory may hold (64 MiB). Less makes reads ask for them again.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache = Arc::new(Cache::new(bytes));
        self
    }

    /// How many blocks of entries point reads have read.
    pub fn blocks_read(&self) -> u64 {
        self.cache.blocks()
    }

    pub(crate) fn path(&self, store: &str, run: &RunFile) -> Result<String> {
        self.path_of("store", "", store, run)
    }

    pub(crate) fn sink_path(&self, sink: &str, run: &RunFile) -> Result<String> {
        self.path_of("sink", SINKS, sink, run)
    }

    fn path_of(&self, what: &str, below: &str, name: &str, run: &RunFile) -> Result<String> {
        // A manifest is checked by its checksum, but a name from a file must not lead out of the directory.
        if run.path.is_empty() || run.path.contains(['/', '\\', '\0']) || run.path.starts_with('.') {
            let why = "which is no file name: restore the manifest from a copy";
            return Err(Error::corrupt(format!(
                "{what} `{name}`: the manifest names a run `{}`, {why}",
                run.path
            )));
        }
        Ok(format!("{}{below}{name}/{}", self.dir, run.path))
    }

    /// Opens the runs and deltas of a generation afresh: whether they are there, as long as they were, and begin and end as
    /// the manifest says.
    ///
    /// # Errors
    /// As [`verify`](GenerationStore::verify).
    pub fn check(&self, store: &str, generation: &StoreGeneration) -> Result<()> {
        self.each(store, generation, |_, _| Ok(()))
    }

    /// The same of a sink.
    ///
    /// # Errors
    /// As [`verify_records`](GenerationStore::verify_records).
    pub fn check_sink(&self, sink: &str, generation: &SinkGeneration) -> Result<()> {
        generation.files.iter().try_for_each(|file| {
            let path = self.sink_path(sink, &file.file)?;
            Reader::open(&*self.place, &path, &file.file, &self.cache).map(drop)
        })
    }

    /// The files that a rollback to a manifest needs: no delta.
    pub(crate) fn named<'m>(&self, manifest: &'m Manifest) -> Result<Vec<Named<'m>>> {
        let mut named = Vec::new();
        for (store, generation) in &manifest.stores {
            let of = format!("store `{store}`");
            for run in &generation.runs {
                let path = self.path(store, run).map_err(|e| e.at(&of))?;
                let of = of.clone();
                named.push(Named { of, path, run });
            }
        }
        for (sink, generation) in &manifest.sinks {
            let of = format!("sink `{sink}`");
            for run in generation.files.iter().map(|file| &file.file) {
                let path = self.sink_path(sink, run).map_err(|e| e.at(&of))?;
                let of = of.clone();
                named.push(Named { of, path, run });
            }
        }
        Ok(named)
    }

    /// Opens the files that a rollback to a manifest needs: whether they are there, as long as they were, and begin and end as it
    /// says. [`Checked`](crate::Checked) does it of many.
    ///
    /// # Errors
    /// As [`verify`](GenerationStore::verify), with the store or sink.
    pub fn check_files(&self, manifest: &Manifest) -> Result<()> {
        let opened = |file: Named<'_>| self.open_once(&file.path, file.run).map_err(|e| e.at(file.of));
        self.named(manifest)?.into_iter().try_for_each(opened)
    }

    /// Opens a file afresh.
    pub(crate) fn open_once(&self, path: &str, run: &RunFile) -> Result<()> {
        Reader::open(&*self.place, path, run, &self.cache).map(drop)
    }

    fn each(
        &self,
        store: &str,
        generation: &StoreGeneration,
        f: impl Fn(Reader, &RunFile) -> Result<()>,
    ) -> Result<()> {
        let delta = generation.delta.iter().filter(|delta| !generation.runs.contains(delta));
        // A kept handle would not notice that the file has another length, or is gone.
        generation.runs.iter().chain(delta).try_for_each(|run| {
            let path = self.path(store, run)?;
            f(Reader::open(&*self.place, &path, run, &self.cache)?, run)
        })
    }

    fn lock(&self) -> MutexGuard<'_, OpenRuns> {
        // Nothing that holds the lock leaves the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self, store: &StoreFace, run: &RunFile) -> Result<Arc<Reader>> {
        self.reader_of(self.path(store.name, run)?, run)
    }

    fn reader_of(&self, path: String, run: &RunFile) -> Result<Arc<Reader>> {
        {
            let mut open = self.lock();
            open.now += 1;
            let now = open.now;
            if let Some((reader, used)) = open.readers.get_mut(&path).filter(|(reader, _)| reader.is(run)) {
                *used = now;
                return Ok(reader.clone());
            }
        }
        // Opened without the lock: other runs are read meanwhile. Two who open the same one both may; one is kept.
        let reader = Arc::new(Reader::open(&*self.place, &path, run, &self.cache)?);
        let mut open = self.lock();
        open.readers.retain(|_, (reader, _)| !reader.is_deleted());
        while open.readers.len() >= OPEN_RUNS {
            let oldest = open
                .readers
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(path, _)| path.clone());
            oldest.and_then(|path| open.readers.remove(&path));
        }
        let now = open.now;
        open.readers.insert(path, (reader.clone(), now));
        Ok(reader)
    }
}

/// Adds up the values of one key, oldest run first.
fn add(store: &StoreFace, parts: &[Vec<u8>], sum: &mut Vec<u8>) -> Result<()> {
    sum.clear();
    let undecodable = |e| {
        Error::corrupt(format!(
            "store `{}`: a published value is not of its type: {e}",
            store.name
        ))
    };
    store
        .value
        .sum(&mut parts.iter().map(Vec::as_slice), sum)
        .map_err(undecodable)?;
    Ok(())
}

/// A key, the place of its run, and its value there: the least key first, then the oldest run.
type Head = Reverse<(Vec<u8>, usize, Vec<u8>)>;

/// The runs of a generation side by side, as far as `within` says.
struct Merge<W> {
    scans: Vec<Scan>,
    heads: BinaryHeap<Head>,
    within: W,
    /// Buffers of values that were passed on.
    spare: Vec<Vec<u8>>,
}

impl<W: Fn(&[u8]) -> bool> Merge<W> {
    /// Of scans that stand before their first entry.
    fn of(scans: Vec<Scan>, within: W) -> Result<Self> {
        let mut merge = Self {
            scans,
            heads: BinaryHeap::new(),
            within,
            spare: Vec::new(),
        };
        for run in 0..merge.scans.len() {
            merge.pull((Vec::new(), run, Vec::new()))?;
        }
        Ok(merge)
    }

    /// Takes the next entry of a run into the buffers of its last one.
    fn pull(&mut self, (mut key, run, mut value): (Vec<u8>, usize, Vec<u8>)) -> Result<()> {
        if let Some((k, v)) = self.scans[run].next_entry()?
            && (self.within)(k)
        {
            key.clear();
            key.extend_from_slice(k);
            value.clear();
            value.extend_from_slice(v);
            self.heads.push(Reverse((key, run, value)));
        }
        Ok(())
    }

    /// The next key and its values.
    fn next(&mut self, key: &mut Vec<u8>, parts: &mut Vec<Vec<u8>>) -> Result<bool> {
        self.spare.append(parts);
        while let Some(Reverse((head, ..))) = self.heads.peek()
            && (parts.is_empty() || head == key)
            && let Some(Reverse((mut head, run, value))) = self.heads.pop()
        {
            std::mem::swap(key, &mut head);
            parts.push(value);
            let spare = self.spare.pop().unwrap_or_default();
            self.pull((head, run, spare))?;
        }
        Ok(!parts.is_empty())
    }
}

impl Generations {
    /// Begins a run in a directory.
    fn begin(&self, name: &str) -> Result<Box<dyn RunWriter>> {
        let hold = {
            let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
            match &*hold {
                Some(hold) if !hold.is_dead() => hold.clone(),
                _ => hold.insert(Arc::new(Hold::take(&self.place, &self.dir)?)).clone(),
            }
        };
        hold.renew()?;
        let dir = format!("{}{name}", self.dir);
        Ok(Box::new(Writer::create(&self.place, &dir, hold)?))
    }
}

impl GenerationStore for Generations {
    fn begin_run(&self, store: &StoreFace) -> Result<Box<dyn RunWriter>> {
        self.begin(store.name)
    }

    fn get(&self, store: &StoreFace, generation: &StoreGeneration, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by(|a, b| keys[*a].cmp(&keys[*b]));
        let sorted: Vec<&[u8]> = order.iter().map(|i| keys[*i].as_slice()).collect();
        let mut parts: Vec<Vec<Vec<u8>>> = vec![Vec::new(); keys.len()];
        for run in &generation.runs {
            let within = range(&sorted, run).map_err(|e| e.at(format_args!("store `{}`", store.name)))?;
            if within.is_empty() {
                continue;
            }
            let order = &order[within.clone()];
            self.reader(store, run)?
                .get_sorted(&sorted[within], &mut |n, value| parts[order[n]].push(value.to_vec()))?;
        }
        let mut sum = Vec::new();
        parts
            .into_iter()
            .map(|mut parts| match parts.len() {
                0 | 1 => Ok(parts.pop()),
                _ => add(store, &parts, &mut sum).map(|()| Some(sum.clone())),
            })
            .collect()
    }

    fn scan(
        &self,
        store: &StoreFace,
        generation: &StoreGeneration,
        prefix: &[u8],
        f: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut scans = Vec::new();
        for run in &generation.runs {
            if !outside(prefix, run).map_err(|e| e.at(format_args!("store `{}`", store.name)))? {
                scans.push(self.reader(store, run)?.scan(prefix));
            }
        }
        let mut merge = Merge::of(scans, |key: &[u8]| key.starts_with(prefix))?;
        let (mut key, mut parts, mut sum) = (Vec::new(), Vec::new(), Vec::new());
        while merge.next(&mut key, &mut parts)? {
            if let [one] = parts.as_slice() {
                f(&key, one)?;
            } else {
                add(store, &parts, &mut sum)?;
                f(&key, &sum)?;
            }
        }
        Ok(())
    }

    fn ranges(
        &self,
        store: &StoreFace,
        generation: &StoreGeneration,
        ranges: &[KeyRange],
        f: &mut dyn FnMut(usize, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut key, mut parts, mut sum) = (Vec::new(), Vec::new(), Vec::new());
        for (place, range) in ranges.iter().enumerate() {
            let mut scans = Vec::new();
            for run in &generation.runs {
                if !apart(range, run).map_err(|e| e.at(format_args!("store `{}`", store.name)))? {
                    scans.push(self.reader(store, run)?.scan_near(&range.start));
                }
            }
            if let [scan] = scans.as_mut_slice() {
                while let Some((key, value)) = scan.next_entry()?
                    && *key < *range.end
                {
                    f(place, key, value)?;
                }
                continue;
            }
            let mut merge = Merge::of(scans, |key: &[u8]| *key < *range.end)?;
            while merge.next(&mut key, &mut parts)? {
                if let [one] = parts.as_slice() {
                    f(place, &key, one)?;
                } else {
                    add(store, &parts, &mut sum)?;
                    f(place, &key, &sum)?;
                }
            }
        }
        Ok(())
    }

    /// # Errors
    /// `CorruptData` that names the first file that is not what the manifest says; `TryAgain` when one is gone.
    fn verify(&self, store: &StoreFace, generation: &StoreGeneration) -> Result<()> {
        self.each(store.name, generation, |reader, run| reader.verify(run))
    }

    fn begin_records(&self, sink: &str) -> Result<Box<dyn RunWriter>> {
        self.begin(&format!("{SINKS}{sink}"))
    }

    fn entries<'a>(&'a self, sink: &str, run: &RunFile, from: &[u8]) -> Result<Box<dyn Entries + 'a>> {
        Ok(Box::new(self.reader_of(self.sink_path(sink, run)?, run)?.scan(from)))
    }

    /// # Errors
    /// As [`verify`](GenerationStore::verify).
    fn verify_records(&self, sink: &str, run: &RunFile) -> Result<()> {
        let path = self.sink_path(sink, run)?;
        // A kept handle would not notice that the file has another length, or is gone.
        Reader::open(&*self.place, &path, run, &self.cache)?.verify(run)
    }
}

#[cfg(test)]
mod tests {
    use rufous_core::Store;

    use super::*;

    /// Handles are bounded, a run that was closed is opened again, and a deleted file is not held.
    #[test]
    fn open_runs_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = StoreFace::of(Store::<String, u64>::new("counts"));
        let g = Generations::new(dir.path());
        let mut generation = StoreGeneration::default();
        for i in 0..OPEN_RUNS as u64 + 10 {
            let mut run = g.begin_run(&store).unwrap();
            run.push(b"k\0", &i.to_le_bytes()).unwrap();
            generation.runs.extend(run.finish().unwrap());
        }
        let sum: u64 = (0..OPEN_RUNS as u64 + 10).sum();
        for _ in 0..2 {
            let got = g.get(&store, &generation, &[b"k\0".to_vec()]).unwrap();
            assert_eq!(got, [Some(sum.to_le_bytes().to_vec())]);
            assert_eq!(g.lock().readers.len(), OPEN_RUNS);
        }
        let last = generation.runs.split_off(OPEN_RUNS + 9);
        assert!(g.cache.bytes() > 200 * OPEN_RUNS);
        for run in &generation.runs {
            std::fs::remove_file(dir.path().join("counts").join(&run.path)).unwrap();
        }
        let mut run = g.begin_run(&store).unwrap();
        run.push(b"k\0", &1u64.to_le_bytes()).unwrap();
        let fresh = StoreGeneration {
            runs: last.into_iter().chain(run.finish().unwrap()).collect(),
            ..Default::default()
        };
        g.get(&store, &fresh, &[b"k\0".to_vec()]).unwrap();
        assert_eq!(g.lock().readers.len(), 2);
    }
}
