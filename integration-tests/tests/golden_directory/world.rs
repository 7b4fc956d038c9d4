//! The job, and a data directory of it: live state, archive, generations, a rollback, and a line that is staged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, ClientParts};
use rufous::core::{Format, Plan, SourcePartition};
use rufous::prelude::*;
use rufous::store_api::{
    GenerationStore, Layout, Manifest, ManifestLog, Published, RealtimeReader, StoreGeneration, Until,
};
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput, backfill};
use rufous_realtime::{Archiver, ArchiverOptions, BoundLog, Metrics, Stream, StreamOptions};
use rufous_store_archive::ParquetArchive;
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::{RocksOptions, RocksStore};

use crate::oracle::Sums;
use crate::topic::Topic;

pub(crate) const EVENTS: Source<str> = Source::new("events").batches(Batcher::of_hours(1));
pub(crate) const COUNTS: Store<String, u64> = Store::new("counts");
pub(crate) const MOST: Store<String, Max<u64>> = Store::new("most");
pub(crate) const USERS: Store<(String, u32), BTreeSet<String>> = Store::new("users");
/// The line that is staged and not current.
pub(crate) const LINE: &str = "staged";

pub(crate) fn plan() -> Result<Plan> {
    fn parts(line: &str) -> Option<(&str, &str, u64)> {
        let mut parts = line.split(' ');
        Some((parts.next()?, parts.next()?, parts.next()?.parse().ok()?))
    }
    let counts = EVENTS.read().keyed(|line, out| {
        if let Some((word, ..)) = parts(line) {
            out.emit(word, 1);
        }
    });
    let most = EVENTS.read().keyed(|line, out| {
        if let Some((word, _, number)) = parts(line) {
            out.emit(word, Max::of(number));
        }
    });
    let users = EVENTS.read().keyed(|line, out| {
        if let Some((word, user, number)) = parts(line) {
            out.emit((word, (number % 4) as u32), BTreeSet::from([user.to_string()]));
        }
    });
    let tails = (
        counts.sum_by_key(COUNTS),
        most.sum_by_key(MOST),
        users.sum_by_key(USERS),
    );
    Ok(Job::new("golden", tails).plan()?)
}

/// A data directory, and how its parts are opened.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) layout: Layout,
    pub(crate) manifests: Manifests,
    pub(crate) line: Manifests,
    pub(crate) generations: Generations,
    pub(crate) archive: Arc<ParquetArchive>,
}

impl World {
    pub(crate) fn new(data: &Path) -> Result<Self> {
        let (plan, layout) = (plan()?, Layout::new(data, "main")?);
        Ok(Self {
            manifests: Manifests::new(layout.manifests(plan.job())),
            line: Manifests::new(layout.line(plan.job(), LINE)),
            generations: Generations::new(layout.offline(plan.job())),
            archive: Arc::new(ParquetArchive::open(&layout.archive("events"), "events")?),
            layout,
            plan,
        })
    }
    pub(crate) fn realtime_dir(&self) -> PathBuf {
        self.layout.realtime(self.plan.job(), self.plan.fingerprint())
    }
    pub(crate) fn realtime(&self) -> Result<Arc<RocksStore>> {
        Ok(Arc::new(RocksStore::open(
            &self.realtime_dir(),
            self.plan.fingerprint(),
            self.plan.stores(),
            RocksOptions::default(),
        )?))
    }
    /// Live to the end of the topic, and archived.
    pub(crate) fn stream(&self, end: u64) -> Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let stream = Stream {
            plan: &self.plan,
            logs: vec![BoundLog::new("events", Topic::until(end))],
            store: self.realtime()?,
            manifests: &self.manifests,
            generations: None,
            metrics: Arc::new(Metrics::default()),
            options: StreamOptions {
                until_end: true,
                commit_interval: Duration::from_secs(60),
                stop: stop.clone(),
                ..StreamOptions::default()
            },
        };
        stream.run()?;
        let archiver = Archiver {
            face: &self.plan.sources()[0],
            log: Topic::until(end),
            archive: self.archive.clone(),
            start: self.manifests.get(0)?.context("the first manifest")?.frontier,
            metrics: Arc::default(),
            options: ArchiverOptions {
                until_end: true,
                interval: Duration::from_secs(60),
                stop,
                ..ArchiverOptions::default()
            },
        };
        archiver.run()?;
        Ok(())
    }
    fn inputs(&self) -> BTreeMap<String, BulkInput> {
        let input = BulkInput::Archive {
            archive: self.archive.clone(),
            format: Format::Text,
            cut_spec: self.plan.sources()[0].cut_spec(true).text(),
        };
        BTreeMap::from([("events".to_string(), input)])
    }
    pub(crate) fn batch(&self, manifests: &Manifests, part_rows: Option<u64>) -> Result<Option<Manifest>> {
        self.run(self.inputs(), manifests, part_rows)
    }
    /// A generation of files that are taken whole (P8a).
    pub(crate) fn bounded(&self, files: &[PathBuf]) -> Result<Option<Manifest>> {
        let input = BulkInput::files(files.iter().map(PathBuf::as_path), Format::Text);
        self.run(BTreeMap::from([("events".to_string(), input)]), &self.manifests, None)
    }
    fn run(
        &self,
        inputs: BTreeMap<String, BulkInput>,
        manifests: &Manifests,
        part_rows: Option<u64>,
    ) -> Result<Option<Manifest>> {
        let run = BatchRun {
            plan: &self.plan,
            inputs,
            manifests,
            generations: &self.generations,
            options: BatchOptions {
                threads: 1,
                part_rows,
                ..BatchOptions::default()
            },
        };
        let report = run.run()?;
        Ok(report.published.then_some(report.manifest))
    }
    pub(crate) fn roll_back(&self, to: u64) -> Result<Manifest> {
        let current = self.manifests.newest(0)?.context("published")?;
        let target = self.manifests.get(to)?.context("kept")?;
        let manifest = target.rolled_back(&current, Timestamp(1_700_000_000_000));
        ensure!(self.manifests.publish(&manifest)? == Published::Done);
        Ok(manifest)
    }
    /// All that a data directory has: offsets below 52 are live, below 39 archived and below 36 or so published.
    pub(crate) fn fill(&self) -> Result<()> {
        for end in [13, 26, 39] {
            self.stream(end)?;
            ensure!(self.batch(&self.manifests, None)?.is_some(), "nothing new at {end}");
        }
        self.roll_back(2)?;
        ensure!(
            self.batch(&self.manifests, None)?.is_some(),
            "nothing new after a rollback"
        );
        backfill::begin(
            &self.plan,
            &self.inputs(),
            self.manifests.newest(0)?.as_ref(),
            &self.line,
            LINE,
            Timestamp(1_700_000_000_000),
        )?;
        while self.batch(&self.line, Some(40))?.is_some() {}
        self.stream(52)
    }
    pub(crate) fn client(&self) -> Result<Client> {
        let store = self.realtime()?;
        Ok(Client::new(ClientParts {
            job: self.plan.job().into(),
            manifests: Arc::new(Manifests::new(self.layout.manifests(self.plan.job()))),
            generations: Arc::new(Generations::new(self.layout.offline(self.plan.job()))),
            realtime: Arc::new(move |_: &str, _: &Until| Ok(Some(store.clone() as Arc<dyn RealtimeReader>))),
        }))
    }
    /// Every merged answer, the lost range accepted.
    pub(crate) fn answers(&self) -> Result<Sums> {
        let client = self.client()?;
        let counts = client.store(COUNTS)?.accept_holes().under(())?;
        let most = client.store(MOST)?.accept_holes().under(())?;
        let users = client.store(USERS)?.accept_holes().under(())?;
        fn value<K, V>((key, answer): (K, rufous::client::Answer<V>)) -> Option<(K, V)> {
            Some((key, answer.value?))
        }
        Ok(Sums {
            counts: counts.into_iter().filter_map(value).collect(),
            most: most
                .into_iter()
                .filter_map(value)
                .filter_map(|(k, v)| Some((k, *v.get()?)))
                .collect(),
            users: users.into_iter().filter_map(value).collect(),
        })
    }
    /// What a generation holds alone: keys and values in canonical bytes, by store.
    pub(crate) fn offline(&self, manifest: &Manifest) -> Result<BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>> {
        let mut all = BTreeMap::new();
        for face in self.plan.stores() {
            let generation: &StoreGeneration = manifest.stores.get(face.name).context("a store")?;
            self.generations.verify(face, generation)?;
            let mut pairs = Vec::new();
            self.generations.scan(face, generation, &[], &mut |k, v| {
                pairs.push((k.to_vec(), v.to_vec()));
                Ok(())
            })?;
            all.insert(face.name.to_string(), pairs);
        }
        Ok(all)
    }
    /// Progress rows and cells, in canonical bytes.
    pub(crate) fn live(&self) -> Result<Vec<String>> {
        let (store, mut lines) = (self.realtime()?, Vec::new());
        let snapshot = store.snapshot()?;
        for face in self.plan.stores() {
            for (p, row) in snapshot.partitions(face.name)?.iter() {
                lines.push(format!("{} {p} {}", face.name, serde_json::to_string(row)?));
            }
            snapshot.scan(face.name, &[], &Default::default(), &mut |key, cell| {
                lines.push(format!(
                    "{} {key:?} {} {:?} {:?}",
                    face.name, cell.partition, cell.batch, cell.value
                ));
                Ok(())
            })?;
        }
        Ok(lines)
    }
}

pub(crate) fn events(p: u32) -> SourcePartition {
    SourcePartition::new("events", p)
}

/// Every directory and file below `from`, again below `to`.
pub(crate) fn copy(from: &Path, to: &Path, keep: &dyn Fn(&str) -> bool) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy(&path, &to.join(&name), keep)?;
        } else if keep(&name.to_string_lossy()) {
            std::fs::copy(&path, to.join(&name))?;
        }
    }
    Ok(())
}
