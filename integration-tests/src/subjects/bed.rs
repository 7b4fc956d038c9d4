//! A job's state, and what is done to it: streams, publishes, reads, over any number of sources and stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rufous_core::testing::{Answers, Case, SinkPort, SourceInput};
use rufous_core::{BatchId, Error, Format, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput, WrittenTo, backfill};
use rufous_realtime::{Archiver, ArchiverOptions, BoundLog, Log, Metrics, Stream, StreamOptions, StreamReport};
use rufous_store_api::Archive;

use super::listed::Listed;
use super::place::Place;
use crate::run::{GoesBack, State};

/// The plan of a case and its state.
pub(super) struct Bed {
    pub(super) plan: Plan,
    pub(super) state: State,
    /// Where its sinks are.
    pub(super) places: Vec<(SinkPort, Place)>,
}

/// The archives of all sources by name, with the format of their records.
pub(super) type Archives = BTreeMap<String, (Arc<dyn Archive>, Format)>;

/// A directory that is gone with the value; in memory where the system has such a place: thousands of small files are
/// synced here, and loss of power is none of the catalogue's business.
pub(super) fn scratch() -> Result<tempfile::TempDir> {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).map_err(|e| outside(e.into()))
}

/// What helpers of tests report is no error of the product.
pub(super) fn outside(e: anyhow::Error) -> Error {
    e.downcast::<Error>().unwrap_or_else(|e| Error::bug(format!("{e:#}")))
}

/// The input of a source.
pub(super) fn input<'a>(case: &'a Case, source: &str) -> Result<&'a SourceInput> {
    let missing = || Error::bug(format!("case {} has no input for `{source}`", case.name()));
    case.input().source(source).ok_or_else(missing)
}

/// A log for each source of the plan.
pub(super) fn each(
    plan: &Plan,
    goes_back: Option<u64>,
    mut open: impl FnMut(&str) -> Result<Box<dyn Log>>,
) -> Result<Vec<BoundLog>> {
    let bind = |face: &rufous_core::SourceFace| {
        let log = open(face.name)?;
        let log = match goes_back {
            Some(seed) => GoesBack::over(log, seed),
            None => log,
        };
        Ok(BoundLog::new(face.name, log))
    };
    plan.sources().iter().map(bind).collect()
}

/// Whether records of several sources have one order: then what is read to its end ends with heartbeats (O4).
pub(super) fn waits(plan: &Plan) -> bool {
    !plan.domains().is_empty()
}

/// [`each`] over lists.
pub(super) fn listed(case: &Case, plan: &Plan, chunk: usize, goes_back: Option<u64>) -> Result<Vec<BoundLog>> {
    each(plan, goes_back, |source| {
        let log = Listed::new(source, input(case, source)?, chunk);
        Ok(Box::new(if waits(plan) { log.sealed() } else { log }))
    })
}

impl Bed {
    /// All in memory.
    pub(super) fn new(plan: Plan) -> Self {
        let state = State::memory(&plan);
        Self {
            plan,
            state,
            places: Vec::new(),
        }
    }
    /// With places for the sinks of the case.
    pub(super) fn writing(mut self, case: &Case) -> Result<Self> {
        if !case.sinks().is_empty() {
            self.plan.identify_writes()?;
            self.places = Place::of(case);
        }
        Ok(self)
    }
    /// Runs the job live to the end of the logs; or only as far as the genesis manifest (P10).
    fn stream(&self, logs: Vec<BoundLog>, commit_interval: Duration, stop: bool) -> Result<StreamReport> {
        let options = StreamOptions {
            until_end: true,
            commit_interval,
            stop: Arc::new(AtomicBool::new(stop)),
            ..StreamOptions::default()
        };
        let stream = Stream {
            plan: &self.plan,
            logs,
            store: self.state.realtime.clone(),
            manifests: &*self.state.manifests,
            generations: Some(&*self.state.generations),
            metrics: Arc::new(Metrics::default()),
            options,
        };
        stream.run_with(self.places.iter().map(|(port, place)| place.bind(*port)).collect())
    }
    /// Runs the job live to the end of the logs.
    pub(super) fn live(&self, logs: Vec<BoundLog>, commit_interval: Duration) -> Result<StreamReport> {
        self.stream(logs, commit_interval, false)
    }
    /// Makes the genesis manifest and reads nothing.
    pub(super) fn genesis(&self, logs: Vec<BoundLog>) -> Result<()> {
        self.stream(logs, Duration::ZERO, true).map(drop)
    }
    /// Makes the manifest that a line of generations of these archives begins with.
    pub(super) fn begin(&self, archives: &Archives) -> Result<()> {
        let inputs = self.inputs(archives);
        let first = backfill::first(&self.plan, &inputs, None, "line", Timestamp(0))?;
        self.state.manifests.publish(&first).map(drop)
    }
    /// Archives a log to its end.
    pub(super) fn archive(&self, source: &str, log: Box<dyn Log>, archive: Arc<dyn Archive>) -> Result<()> {
        let face = self.plan.sources().iter().find(|face| face.name == source);
        let archiver = Archiver {
            face: face.ok_or_else(|| Error::bug(format!("no source `{source}`")))?,
            log,
            archive,
            start: Frontier::default(),
            metrics: Arc::default(),
            options: ArchiverOptions {
                until_end: true,
                ..ArchiverOptions::default()
            },
        };
        archiver.run().map(drop)
    }
    /// Where the live part of a job with sinks stands.
    fn written_to(&self) -> Result<Option<BTreeMap<SourcePartition, u64>>> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let faces = self.plan.live_stores();
        let Some(face) = faces.first() else {
            return Ok(None);
        };
        let rows = self.state.realtime.snapshot()?.partitions(face.name)?;
        Ok(Some(rows.iter().map(|(p, row)| (p.clone(), row.next)).collect()))
    }
    fn inputs(&self, archives: &Archives) -> BTreeMap<String, BulkInput> {
        let input = |face: &rufous_core::SourceFace| {
            let (archive, format) = archives.get(face.name)?;
            let input = BulkInput::Archive {
                archive: archive.clone(),
                format: *format,
                cut_spec: face.cut_spec(true).text(),
            };
            Some((face.name.to_string(), input))
        };
        self.plan.sources().iter().filter_map(input).collect()
    }
    /// Publishes what the archives have sealed below `until`.
    pub(super) fn publish(&self, archives: &Archives, until: Option<BatchId>, threads: usize) -> Result<BatchReport> {
        let run = BatchRun {
            plan: &self.plan,
            inputs: self.inputs(archives),
            manifests: &*self.state.manifests,
            generations: &*self.state.generations,
            options: BatchOptions {
                threads,
                until,
                written_to: self.written_to()?.map(WrittenTo::known),
                ..BatchOptions::default()
            },
        };
        run.run()
    }
    /// I6: both layers hold the same of the newest run, if one was published.
    pub(super) fn agree(&self) -> Result<()> {
        let newest = self.state.manifests.newest(0)?;
        match newest.filter(|m| m.number > 0) {
            Some(_) => self.state.surely_agree(&self.plan),
            None => Ok(()),
        }
    }
    /// Every store, merged over both layers by the client.
    pub(super) fn answers(&self) -> Result<Answers> {
        let client = self.state.client(&self.plan);
        let mut stores = Vec::new();
        for face in self.plan.stores() {
            let (rows, _) = client.raw(*face).under(&[])?;
            stores.push((face.name, rows.into_iter().collect()));
        }
        let answers = Answers::of_stores(stores)?;
        let written = self.places.iter();
        Ok(written.fold(answers, |all, (port, place)| {
            all.with_sink(port.name(), place.records())
        }))
    }
}

/// Where batches begin in any partition of the archives, ascending: every place that a run may hand over at.
pub(super) fn splits(archives: &Archives) -> Result<Vec<BatchId>> {
    let mut splits = std::collections::BTreeSet::new();
    for (archive, _) in archives.values() {
        for partition in archive.partitions()? {
            let index = archive.index(partition, 0)?;
            splits.extend(index.iter().flat_map(|e| &e.cuts).map(|(batch, _)| *batch));
        }
    }
    Ok(splits.into_iter().collect())
}
