//! The whole run: read, sum, write runs, publish. It never half-publishes: before the manifest is created nothing of it is
//! visible, and afterwards all of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{SystemTime, UNIX_EPOCH};

use rufous_core::panics::catch;
use rufous_core::{BatchId, Cut, Error, Format, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::merge_runs;
use rufous_store_api::{
    Archive, GenerationStore, InputRange, Manifest, ManifestLog, Published, RunFile, StoreGeneration,
};

use crate::columns::FileReader;
use crate::merge::{self, Sorted};
use crate::target::{self, Target};
use crate::work::{Piece, Work};
use crate::worker::{Care, nobody};

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
    Parquet(Vec<PathBuf>),
}

/// How a run works.
#[derive(Clone, Debug, Default)]
pub struct BatchOptions {
    /// Threads; 0: as many as there are cores.
    pub threads: usize,
    /// Covers batches below this one; `None`: all that are sealed.
    pub until: Option<BatchId>,
    /// Counts bad records (that cannot be decoded, or make the job's functions panic) and goes on. Live, such records may go
    /// to dead letters as well; in bulk they are only left out, and the answers are the same.
    pub skip_bad: bool,
    /// The same for single sources, by name.
    pub skip_bad_of: BTreeMap<String, bool>,
}

impl BatchOptions {
    fn skips(&self, source: &str) -> bool {
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
    /// Keys in the run's delta, per store.
    pub keys: BTreeMap<String, u64>,
    /// Per partition the batch that is open and so not covered.
    pub open: BTreeMap<SourcePartition, BatchId>,
}

/// Runs of a generation are merged into one when there are more than this.
const MAX_RUNS: usize = 8;
/// Publishes may collide with another run's this often.
const MAX_CONFLICTS: usize = 5;

/// Whether a job may run in bulk.
///
/// # Errors
/// `InvalidRequest` with the reason: it writes to a sink, or reads several sources in order.
pub fn check(plan: &Plan) -> Result<()> {
    if let Some((sink, _)) = plan.sinks().first() {
        return Err(Error::invalid(format!(
            "sink `{sink}`: bulk jobs cannot write to sinks yet; run it on the memory platform, or end it in a store"
        )));
    }
    if plan.in_order() && plan.sources().len() != 1 {
        return Err(Error::invalid(format!(
            "job `{}` needs its values in order and has {} sources: in bulk order is kept over one; run it in memory",
            plan.job(),
            plan.sources().len()
        )));
    }
    Ok(())
}

impl BatchRun<'_> {
    /// Runs and publishes. Without new sealed batches nothing is published.
    ///
    /// # Errors
    /// When an input is missing or damaged, a record cannot be decoded (unless skipped), or the job does not fit the data
    /// directory.
    pub fn run(&self) -> Result<BatchReport> {
        check(self.plan)?;
        for face in self.plan.sources() {
            if !self.inputs.contains_key(face.name) {
                return Err(Error::invalid(format!(
                    "source `{}` is not bound: add `--source {}=LOCATION`",
                    face.name, face.name
                )));
            }
        }
        let bounded = self
            .inputs
            .values()
            .filter(|i| matches!(i, BulkInput::Parquet(_)))
            .count();
        if self.plan.in_order() && bounded != 1 {
            return Err(Error::invalid(format!(
                "job `{}` needs its values in order: in bulk that is kept over one bounded Parquet input (`--source \
                 NAME=parquet:DIR`); over an archive a later run would add late records after what they belong before",
                self.plan.job()
            )));
        }
        for _ in 0..MAX_CONFLICTS {
            let done = match bounded {
                0 => self.incremental()?,
                n if n == self.inputs.len() => self.bounded()?,
                _ => {
                    return Err(Error::invalid(
                        "a job reads either archives or bounded Parquet inputs, not both: a plain Parquet directory has no offsets to hand over at",
                    ));
                }
            };
            if let Some(report) = done {
                return Ok(report);
            }
            tracing::info!("another run published meanwhile: starting over from its generation");
        }
        Err(Error::try_again(format!(
            "job `{}`: other runs published {MAX_CONFLICTS} times while this one worked",
            self.plan.job()
        )))
    }

    /// P20-P23 over the archives. `None` after a conflict.
    fn incremental(&self) -> Result<Option<BatchReport>> {
        let job = self.plan.job();
        let Some(base) = self.manifests.newest(0)? else {
            return Err(Error::invalid(format!(
                "job `{job}` has no archive yet: run `stream` (or `archive`) first, or bind a bounded input such as `--source NAME=parquet:DIR`"
            )));
        };
        let Some(namespace) = base.realtime_namespace.clone() else {
            return Err(Error::invalid(format!(
                "job `{job}`: this data directory holds a generation of a bounded input: use another --data or --instance"
            )));
        };
        if base.fingerprint != self.plan.fingerprint() {
            return Err(Error::invalid(format!(
                "job `{job}` changed: its fingerprint is {}, the generations were written by {}: run it with the arguments and the code of then, or use another --instance",
                self.plan.fingerprint(),
                base.fingerprint
            )));
        }
        let mut target = Target {
            frontier: base.frontier.clone(),
            ..Target::default()
        };
        for input in self.inputs.values() {
            if let BulkInput::Archive { archive, cut_spec, .. } = input {
                target::extend(&mut target, &**archive, &base.frontier, cut_spec, self.options.until)?;
            }
        }
        if target.pieces.is_empty() {
            return Ok(Some(BatchReport {
                manifest: base,
                published: false,
                records: 0,
                bad: 0,
                keys: BTreeMap::new(),
                open: target.open,
            }));
        }
        let (work, runs) = self.sum(self.archived(&target)?)?;
        let mut stores = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (s, delta) in runs.into_iter().enumerate() {
            let face = &self.plan.stores()[s];
            let mut generation = base.stores.get(face.name).cloned().unwrap_or_default();
            if !generation.schema.is_empty() && !face.reads(&generation.schema) {
                return Err(Error::invalid(format!(
                    "store `{}` holds `{}`, the job wants `{}`: use another --instance",
                    face.name,
                    generation.schema,
                    face.schema()
                )));
            }
            generation.schema = face.schema();
            keys.insert(face.name.to_string(), delta.as_ref().map_or(0, |d| d.keys));
            generation.runs.extend(delta.clone());
            generation.delta = delta;
            self.compact(s, &mut generation)?;
            stores.insert(face.name.to_string(), generation);
        }
        let mut drop_before = base.drop_before.clone();
        // Keep 1: the base must stay available for rollback (P23).
        drop_before.insert(namespace.clone(), base.frontier.clone());
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            number: base.number + 1,
            covered_until: self.covered_until(&target.frontier),
            stores,
            frontier: target.frontier,
            drop_before,
            holes: base.holes.iter().cloned().chain(target.holes).collect(),
            input: target
                .pieces
                .iter()
                .map(|p| InputRange {
                    partition: p.partition.clone(),
                    from: p.from.cut,
                    to: p.to.cut,
                    files: p.files.iter().map(|f| (f.path.clone(), f.checksum.clone())).collect(),
                })
                .collect(),
            created_at: now(),
            ..base
        };
        self.publish(manifest, &work, keys, target.open)
    }

    /// A bounded input, whole (P8a). `None` after a conflict.
    fn bounded(&self) -> Result<Option<BatchReport>> {
        let job = self.plan.job();
        let base = self.manifests.newest(0)?;
        if let Some(m) = base.as_ref().filter(|m| m.realtime_namespace.is_some()) {
            return Err(Error::invalid(format!(
                "job `{job}` has a live part in this data directory (manifest {}); a plain Parquet directory names no offsets to hand over at, so both cannot be added: use the archive, or another --data or --instance",
                m.number
            )));
        }
        let (mut pieces, mut input, mut frontier) = (Vec::new(), Vec::new(), Frontier::default());
        for (s, face) in self.plan.sources().iter().enumerate() {
            let Some(BulkInput::Parquet(files)) = self.inputs.get(face.name) else {
                continue;
            };
            let fields = face.fields.ok_or_else(|| {
                Error::invalid(format!(
                    "source `{}` carries text: Parquet is read into structs that derive Record",
                    face.name
                ))
            })?;
            for (n, path) in files.iter().enumerate() {
                let reader = Arc::new(FileReader::open(path, fields)?);
                let p = SourcePartition::new(face.name, n as u32);
                let rows = reader.rows();
                frontier.0.insert(
                    p.clone(),
                    Cut {
                        batch: BatchId::MAX,
                        cut: rows,
                        batch_before: BatchId::MAX,
                    },
                );
                input.push(InputRange {
                    partition: p,
                    from: 0,
                    to: rows,
                    files: vec![(path.display().to_string(), identity(path)?)],
                });
                pieces.extend((0..reader.row_groups()).map(|group| Piece::RowGroup {
                    source: s as u32,
                    path: path.clone(),
                    reader: reader.clone(),
                    group,
                }));
            }
        }
        if let Some(m) = base
            .as_ref()
            .filter(|m| m.input == input && m.fingerprint == self.plan.fingerprint())
        {
            return Ok(Some(BatchReport {
                manifest: m.clone(),
                published: false,
                records: 0,
                bad: 0,
                keys: BTreeMap::new(),
                open: BTreeMap::new(),
            }));
        }
        let (work, runs) = self.sum(pieces)?;
        let keys = self
            .plan
            .stores()
            .iter()
            .zip(&runs)
            .map(|(f, r)| (f.name.to_string(), r.as_ref().map_or(0, |r| r.keys)))
            .collect();
        let stores = self.plan.stores().iter().zip(runs).map(|(f, run)| {
            (
                f.name.to_string(),
                StoreGeneration {
                    schema: f.schema(),
                    runs: run.clone().into_iter().collect(),
                    delta: run,
                },
            )
        });
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            number: base.map_or(0, |m| m.number + 1),
            job: job.into(),
            line: self.plan.fingerprint().into(),
            fingerprint: self.plan.fingerprint().into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: None,
            stores: stores.collect(),
            frontier,
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input,
            created_at: now(),
            covered_until: "the end of the input".into(),
        };
        self.publish(manifest, &work, keys, BTreeMap::new())
    }

    fn archived(&self, target: &Target) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for piece in &target.pieces {
            let source = self
                .plan
                .sources()
                .iter()
                .position(|s| s.name == piece.partition.source)
                .unwrap_or_default() as u32;
            let Some(BulkInput::Archive { archive, format, .. }) = self.inputs.get(&piece.partition.source) else {
                continue;
            };
            pieces.extend(piece.files.iter().map(|file| Piece::Archived {
                source,
                partition: piece.partition.partition,
                format: *format,
                archive: archive.clone(),
                file: file.clone(),
            }));
        }
        Ok(pieces)
    }

    /// Reads all pieces and writes a run a store.
    fn sum(&self, pieces: Vec<Piece>) -> Result<(Work<'_>, Vec<Option<RunFile>>)> {
        let threads = match self.options.threads {
            _ if self.plan.in_order() => 1,
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let mut work = Work {
            plan: self.plan,
            pieces,
            skip_bad: self.plan.sources().iter().map(|s| self.options.skips(s.name)).collect(),
            care: Care::None,
            taken: AtomicUsize::new(0),
            latest: std::sync::Mutex::default(),
            records: AtomicU64::new(0),
            bad: AtomicU64::new(0),
        };
        let sums = work.run(threads)?;
        let panicked = match catch(|| self.write(&sums)) {
            Ok(runs) => return Ok((work, runs?)),
            Err(panicked) => panicked,
        };
        // Only where the threads' sums met did it panic. The records are known no more: all are tried.
        tracing::warn!("{panicked}; the input is read again, record by record, each added to itself");
        work = Work {
            care: Care::Twice,
            taken: AtomicUsize::new(0),
            latest: std::sync::Mutex::default(),
            records: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            ..work
        };
        let sums = work.run(threads)?;
        match catch(|| self.write(&sums)) {
            Ok(runs) => Ok((work, runs?)),
            Err(panicked) => Err(nobody(self.plan.job(), &panicked)),
        }
    }

    /// One run a store, in the plan's order.
    fn write(&self, sums: &[Vec<Sorted>]) -> Result<Vec<Option<RunFile>>> {
        self.plan
            .stores()
            .iter()
            .enumerate()
            .map(|(s, face)| {
                merge::write(
                    &sums.iter().filter_map(|thread| thread.get(s)).collect::<Vec<_>>(),
                    face,
                    self.generations,
                )
            })
            .collect()
    }

    /// Many runs slow reads down: beyond [`MAX_RUNS`] they become one.
    fn compact(&self, store: usize, generation: &mut StoreGeneration) -> Result<()> {
        if generation.runs.len() <= MAX_RUNS {
            return Ok(());
        }
        let face = &self.plan.stores()[store];
        let merged = catch(|| merge_runs(self.generations, face, generation))
            .map_err(|panicked| nobody(self.plan.job(), &panicked).at(format_args!("store `{}`", face.name)))??;
        generation.runs = merged.into_iter().collect();
        Ok(())
    }

    fn publish(
        &self,
        manifest: Manifest,
        work: &Work<'_>,
        keys: BTreeMap<String, u64>,
        open: BTreeMap<SourcePartition, BatchId>,
    ) -> Result<Option<BatchReport>> {
        match self.manifests.publish(&manifest)? {
            Published::Conflict => Ok(None),
            Published::Done => Ok(Some(BatchReport {
                manifest,
                published: true,
                records: work.records.load(std::sync::atomic::Ordering::Relaxed),
                bad: work.bad.load(std::sync::atomic::Ordering::Relaxed),
                keys,
                open,
            })),
        }
    }

    /// The batch that the run reaches, and who is behind it.
    fn covered_until(&self, frontier: &Frontier) -> String {
        let show = |p: &SourcePartition, c: &Cut| {
            self.plan.sources().iter().find(|s| s.name == p.source).map_or_else(
                || c.batch.0.to_string(),
                |s| match self.inputs.get(s.name) {
                    Some(BulkInput::Archive { cut_spec, .. }) if cut_spec.contains("clock=offset") => {
                        format!("offset {}", c.cut)
                    }
                    _ => s.batcher().show(c.batch),
                },
            )
        };
        let Some((p, furthest)) = frontier.0.iter().max_by_key(|(_, c)| c.batch) else {
            return "the beginning".into();
        };
        let behind: Vec<_> = frontier
            .0
            .iter()
            .filter(|(_, c)| c.batch < furthest.batch)
            .map(|(p, c)| format!("{p} at {}", show(p, c)))
            .collect();
        let reached = show(p, furthest);
        if behind.is_empty() {
            reached
        } else {
            format!("{reached} (behind: {})", behind.join(", "))
        }
    }
}

fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64),
    )
}

/// Length and time of change: what tells an input file from another one of its name.
fn identity(path: &std::path::Path) -> Result<String> {
    let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot read", path, e))?;
    let changed = meta
        .modified()
        .ok()
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |d| d.as_nanos());
    Ok(format!("{}-{changed}", meta.len()))
}
