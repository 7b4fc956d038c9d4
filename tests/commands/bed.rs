//! A directory with a job's data, and its program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rufous::Codec;
use rufous::core::key::to_bytes;
use rufous::core::{BatchId, Cut, Frontier, Plan, SourcePartition, StoreFace, Timestamp};
use rufous::store_api::{GenerationStore, Layout, Manifest, ManifestLog, StoreGeneration};
use rufous_store_offline::{Generations, Manifests};
use serde_json::Value;

use crate::words::{Args, BY_LENGTH, COUNTS, words};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_job-of-tests");

/// What a job's generation has: words and how often, in the order of keys.
pub(crate) const WORDS: [(&str, u64); 4] = [("be", 2), ("not", 1), ("or", 1), ("to", 2)];
/// Words of a length, the same way.
pub(crate) const LENGTHS: [(u32, u64); 2] = [(2, 5), (3, 1)];

pub(crate) struct Bed(tempfile::TempDir);

/// What a program said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(out: &Output) -> Self {
        Self {
            code: out.status.code(),
            out: String::from_utf8_lossy(&out.stdout).into_owned(),
            err: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
    /// Lines of output, each an object.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let object = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(value.is_object(), "{line}");
            value
        };
        self.out.lines().map(object).collect()
    }
    /// The error, which is one object.
    pub(crate) fn error(&self) -> Value {
        let lines: Vec<_> = self.err.lines().collect();
        let [one] = &lines[..] else {
            panic!("one line of error: {}", self.err);
        };
        let value: Value = serde_json::from_str(one).unwrap_or_else(|e| panic!("{e}: {one}"));
        value["error"].clone()
    }
}

pub(crate) fn plan() -> Plan {
    // As the program resolves them: a part of the fingerprint.
    words(&Args { min_len: 1 }).arguments("min_len=1").plan().unwrap()
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        std::fs::write(bed.path("lines.txt"), "to be or\nnot to be\n").unwrap();
        bed
    }
    /// With two generations, of which the second covers batch 3 of the one partition.
    pub(crate) fn published() -> Self {
        let bed = Self::new();
        let plan = plan();
        let layout = Layout::new(&bed.path("data"), "main").unwrap();
        let generations = Generations::new(layout.offline("words"));
        let write = |face: StoreFace, pairs: Vec<(Vec<u8>, Vec<u8>)>| {
            let mut run = generations.begin_run(&face).unwrap();
            for (key, value) in &pairs {
                run.push(key, value).unwrap();
            }
            StoreGeneration {
                schema: face.schema(),
                runs: run.finish().unwrap().into_iter().collect(),
                ..StoreGeneration::default()
            }
        };
        let counts = WORDS.iter().map(|(word, n)| (to_bytes(word), n.to_bytes())).collect();
        let lengths = LENGTHS.iter().map(|(len, n)| (to_bytes(len), n.to_bytes())).collect();
        let stores = BTreeMap::from([
            ("counts".to_string(), write(StoreFace::of(COUNTS), counts)),
            ("by-length".to_string(), write(StoreFace::of(BY_LENGTH), lengths)),
        ]);
        let manifests = bed.manifests();
        for number in 0..2 {
            let cut = Cut {
                batch: BatchId(2 + number),
                cut: 9 * number as u64,
                batch_before: BatchId(1 + number),
            };
            let manifest = Manifest {
                format: 1,
                number: number as u64,
                job: "words".into(),
                line: "main".into(),
                fingerprint: plan.fingerprint().into(),
                cut_specs: BTreeMap::from([("lines".to_string(), plan.sources()[0].cut_spec(false).text())]),
                realtime_namespace: Some(plan.fingerprint().into()),
                stores: stores.clone(),
                frontier: Frontier(BTreeMap::from([(SourcePartition::new("lines", 0), cut)])),
                drop_before: BTreeMap::new(),
                holes: Vec::new(),
                input: Vec::new(),
                created_at: Timestamp(1_000 * number),
                covered_until: format!("batch {}", 2 + number),
                window: None,
                not_repeatable: Vec::new(),
                sinks: BTreeMap::new(),
            };
            manifests.publish(&manifest).unwrap();
        }
        bed
    }
    pub(crate) fn manifests(&self) -> Manifests {
        Manifests::new(Layout::new(&self.path("data"), "main").unwrap().manifests("words"))
    }
    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }
    pub(crate) fn settings(&self, text: &str) {
        std::fs::write(self.path("rufous.toml"), text).unwrap();
    }
    /// Nothing of ours in the environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RUFOUS_") {
                command.env_remove(name);
            }
        }
        command.args(args).current_dir(self.dir());
        command
    }
    pub(crate) fn says(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }
}
