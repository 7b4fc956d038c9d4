//! What the tests of runs share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use rufous_core::{Store, StoreFace, key};
use rufous_store_api::{GenerationStore, RunFile, StoreGeneration};
use rufous_store_offline::Generations;

pub(crate) const COUNTS: Store<String, u64> = Store::new("counts");

/// What a run or a generation holds.
pub(crate) type Pairs = BTreeMap<Vec<u8>, u64>;

pub(crate) fn face() -> StoreFace {
    StoreFace::of(COUNTS)
}

pub(crate) fn key(text: &str) -> Vec<u8> {
    key::to_bytes(text)
}

/// Keys with gaps: `step` says which.
pub(crate) fn pairs(n: u64, step: u64) -> Pairs {
    (0..n)
        .map(|i| (key(&format!("key-{:07}", i * step)), i + step))
        .collect()
}

pub(crate) fn write(g: &Generations, pairs: &Pairs) -> Option<RunFile> {
    let mut w = g.begin_run(&face()).unwrap();
    for (k, v) in pairs {
        w.push(k, &v.to_le_bytes()).unwrap();
    }
    w.finish().unwrap()
}

/// Everything under `prefix`; each key once and in order, or the test fails.
pub(crate) fn scan(g: &Generations, generation: &StoreGeneration, prefix: &[u8]) -> rufous_core::Result<Pairs> {
    let mut seen = Pairs::new();
    g.scan(&face(), generation, prefix, &mut |k, v| {
        assert!(
            seen.last_key_value().is_none_or(|(last, _)| last.as_slice() < k),
            "keys ascend"
        );
        seen.insert(k.to_vec(), u64::from_le_bytes(v.try_into().unwrap()));
        Ok(())
    })?;
    Ok(seen)
}

/// A generation of one run, and where its file lies.
pub(crate) struct One {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) generation: StoreGeneration,
    pub(crate) path: PathBuf,
    pub(crate) pairs: Pairs,
    pub(crate) bytes: Vec<u8>,
}

impl One {
    pub(crate) fn new(pairs: Pairs) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = write(&Generations::new(dir.path()), &pairs).unwrap();
        let path = dir.path().join("counts").join(&run.path);
        let bytes = std::fs::read(&path).unwrap();
        Self {
            dir,
            generation: StoreGeneration {
                runs: vec![run],
                ..Default::default()
            },
            path,
            pairs,
            bytes,
        }
    }
    /// Other bytes in the file, and nothing kept open.
    pub(crate) fn with(&self, bytes: &[u8]) -> Generations {
        std::fs::write(&self.path, bytes).unwrap();
        Generations::new(self.dir.path())
    }
}

/// A small generator, so that a failing case can be run again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}
