//! Manifests and generations in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rufous_core::{Error, Result, StoreFace};
use rufous_store_api::{
    Entries, GenerationStore, Manifest, ManifestLog, Published, RunFile, RunWriter, StoreGeneration,
};
use xxhash_rust::xxh3::xxh3_64;

/// Manifests in a map. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryManifests {
    manifests: Arc<Mutex<BTreeMap<u64, Manifest>>>,
}

impl ManifestLog for MemoryManifests {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        Ok(self
            .manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .cloned())
    }
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        let manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(manifests.range(at_least..).next_back().map(|(_, m)| m.clone()))
    }
    fn publish(&self, manifest: &Manifest) -> Result<Published> {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if manifests.contains_key(&manifest.number) {
            return Ok(Published::Conflict);
        }
        manifests.insert(manifest.number, manifest.clone());
        Ok(Published::Done)
    }
}

/// One run: all pairs end to end, and where each value lies.
#[derive(Clone, Default)]
struct Run {
    bytes: Vec<u8>,
    values: BTreeMap<Vec<u8>, Range<usize>>,
}

#[derive(Default)]
struct Runs {
    by_path: BTreeMap<(String, String), Run>,
    count: u64,
}

/// Generations whose runs are byte strings in a map. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryGenerations {
    runs: Arc<Mutex<Runs>>,
}

impl MemoryGenerations {
    fn run(&self, store: &StoreFace, file: &RunFile) -> Result<Run> {
        self.run_of("store", store.name, store.name, file)
    }

    fn run_of(&self, what: &str, name: &str, below: &str, file: &RunFile) -> Result<Run> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let run = runs.by_path.get(&(below.to_string(), file.path.clone())).cloned();
        run.ok_or_else(|| {
            Error::corrupt(format!(
                "{what} `{name}`: run {} is missing: run the batch job again in full",
                file.path
            ))
        })
    }

    /// Changes a byte of a run, for tests of what notices it. `false`: there is no such byte.
    pub fn damage(&self, store: &str, path: &str, at: usize) -> bool {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let run = runs.by_path.get_mut(&(store.to_string(), path.to_string()));
        run.and_then(|r| r.bytes.get_mut(at)).map(|b| *b ^= 0x55).is_some()
    }
}

fn add(store: &StoreFace, parts: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut sum = Vec::new();
    store
        .value
        .sum(&mut parts.iter().map(Vec::as_slice), &mut sum)
        .map_err(|e| Error::corrupt(format!("store `{}`: {e}", store.name)))?;
    Ok(sum)
}

impl GenerationStore for MemoryGenerations {
    fn begin_run(&self, store: &StoreFace) -> Result<Box<dyn RunWriter>> {
        Ok(Box::new(Writer {
            runs: self.runs.clone(),
            below: store.name.into(),
            run: Run::default(),
        }))
    }

    fn get(&self, store: &StoreFace, generation: &StoreGeneration, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut parts = vec![Vec::new(); keys.len()];
        for file in &generation.runs {
            let run = self.run(store, file)?;
            for (key, parts) in keys.iter().zip(&mut parts) {
                parts.extend(run.values.get(key).map(|at| run.bytes[at.clone()].to_vec()));
            }
        }
        parts
            .iter()
            .map(|p| {
                if p.is_empty() {
                    Ok(None)
                } else {
                    add(store, p).map(Some)
                }
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
        let mut parts: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for file in &generation.runs {
            let run = self.run(store, file)?;
            for (key, at) in run.values.iter().filter(|(k, _)| k.starts_with(prefix)) {
                parts
                    .entry(key.clone())
                    .or_default()
                    .push(run.bytes[at.clone()].to_vec());
            }
        }
        for (key, parts) in parts {
            f(&key, &add(store, &parts)?)?;
        }
        Ok(())
    }

    fn verify(&self, store: &StoreFace, generation: &StoreGeneration) -> Result<()> {
        for file in generation.runs.iter().chain(&generation.delta) {
            let run = self.run(store, file)?;
            if described(&file.path, &run) != *file {
                return Err(Error::corrupt(format!(
                    "store `{}`: run {} is not what the manifest says: run the batch job again in full",
                    store.name, file.path
                )));
            }
        }
        Ok(())
    }

    fn begin_records(&self, sink: &str) -> Result<Box<dyn RunWriter>> {
        Ok(Box::new(Writer {
            runs: self.runs.clone(),
            below: of_sink(sink),
            run: Run::default(),
        }))
    }

    fn entries<'a>(&'a self, sink: &str, file: &RunFile, from: &[u8]) -> Result<Box<dyn Entries + 'a>> {
        let run = self.run_of("sink", sink, &of_sink(sink), file)?;
        let left = run.values.range(from.to_vec()..);
        let mut left: Vec<_> = left
            .map(|(k, at)| (k.clone(), run.bytes[at.clone()].to_vec()))
            .collect();
        left.reverse();
        Ok(Box::new(Pairs { left, now: None }))
    }

    fn verify_records(&self, sink: &str, file: &RunFile) -> Result<()> {
        if described(&file.path, &self.run_of("sink", sink, &of_sink(sink), file)?) == *file {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "sink `{sink}`: run {} is not what the manifest says: run the batch job again in full",
            file.path
        )))
    }
}

/// Where the runs of a sink are: no store has such a name.
fn of_sink(sink: &str) -> String {
    format!("sinks/{sink}")
}

/// The pairs of a run, the next one last.
struct Pairs {
    left: Vec<(Vec<u8>, Vec<u8>)>,
    now: Option<(Vec<u8>, Vec<u8>)>,
}

impl Entries for Pairs {
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.now = self.left.pop();
        Ok(self.now.as_ref().map(|(k, v)| (k.as_slice(), v.as_slice())))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn described(path: &str, run: &Run) -> RunFile {
    let key = |k: Option<(&Vec<u8>, &Range<usize>)>| k.map_or(String::new(), |(k, _)| hex(k));
    RunFile {
        path: path.into(),
        bytes: run.bytes.len() as u64,
        checksum: format!("{:016x}", xxh3_64(&run.bytes)),
        keys: run.values.len() as u64,
        first_key: key(run.values.first_key_value()),
        last_key: key(run.values.last_key_value()),
    }
}

struct Writer {
    runs: Arc<Mutex<Runs>>,
    /// Where it will be: the name of a store, or a sink's.
    below: String,
    run: Run,
}

impl RunWriter for Writer {
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self
            .run
            .values
            .last_key_value()
            .is_some_and(|(last, _)| last.as_slice() >= key)
        {
            return Err(Error::bug(format!("`{}`: the keys of a run must ascend", self.below)));
        }
        for field in [key, value] {
            self.run.bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
            self.run.bytes.extend_from_slice(field);
        }
        let end = self.run.bytes.len();
        self.run.values.insert(key.to_vec(), end - value.len()..end);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<Option<RunFile>> {
        if self.run.values.is_empty() {
            return Ok(None);
        }
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.count += 1;
        let path = format!("{:08}.run", runs.count);
        let file = described(&path, &self.run);
        runs.by_path.insert((self.below, path), self.run);
        Ok(Some(file))
    }
}
