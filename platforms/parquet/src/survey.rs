//! What a run will do, found before a record is read: where it begins, how far it may go, and which pieces of input lie between.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rufous_core::{BatchId, Cut, Error, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_store_api::manifest::MANIFEST_FORMAT;
use rufous_store_api::{InputRange, Manifest, StoreGeneration};

use crate::bounded;
use crate::options::{BatchRun, BulkInput};
use crate::target::{self, Target};
use crate::work::Piece;

/// What a run will do.
pub struct RunPlan {
    /// What is left to read, in any order.
    pub(crate) pieces: Vec<Piece>,
    /// What it would publish, with the runs of the base alone.
    pub(crate) manifest: Manifest,
    /// Per partition of an archive the batch that is open and so not covered.
    pub(crate) open: BTreeMap<SourcePartition, BatchId>,
    /// Whether there is something new.
    pub(crate) new: bool,
    /// What the partitions bring, for people.
    parts: Vec<PlannedPart>,
}

/// What a run will read of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedPart {
    /// Which.
    pub partition: SourcePartition,
    /// Offsets, rows of a Parquet file, or bytes of a file of lines as it is stored.
    pub from: u64,
    /// The first that is not read.
    pub to: u64,
    /// How far it goes and why not further, in words.
    pub reach: String,
    /// Files of it.
    pub files: u64,
    /// Records in them; 0 where they are files of lines, whose records nobody has counted.
    pub rows: u64,
    /// Bytes that are read; 0 where it is not known.
    pub bytes: u64,
}

impl RunPlan {
    /// Whether the run would publish something.
    pub fn is_new(&self) -> bool {
        self.new
    }
    /// The generation that it would publish, or that is current when there is nothing new.
    pub fn generation(&self) -> u64 {
        self.manifest.number
    }
    /// The batch that it reaches, in words.
    pub fn covered_until(&self) -> &str {
        &self.manifest.covered_until
    }
    /// What each partition brings, in their order.
    pub fn parts(&self) -> &[PlannedPart] {
        &self.parts
    }
    /// All records that it reads.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|p| p.rows).sum()
    }
    /// All bytes that it reads.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|p| p.bytes).sum()
    }
}

impl fmt::Display for RunPlan {
    /// A line a partition, and one of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            let rows = match part.rows {
                // Lines are counted when they are read.
                0 if part.bytes > 0 => "rows not known yet".into(),
                rows => format!("{rows} rows"),
            };
            writeln!(
                f,
                "{}: {}; {} files, {rows}, {} bytes",
                part.partition, part.reach, part.files, part.bytes
            )?;
        }
        if self.new {
            write!(
                f,
                "generation {}: {} rows, {} bytes to read, covered until {}",
                self.manifest.number,
                self.rows(),
                self.bytes(),
                self.manifest.covered_until
            )
        } else {
            write!(
                f,
                "nothing new: generation {} covers all that is sealed, until {}",
                self.manifest.number, self.manifest.covered_until
            )
        }
    }
}

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
    /// What a run would do now.
    ///
    /// # Errors
    /// When an input is missing or damaged, or the job does not fit the data directory.
    pub fn plan(&self) -> Result<RunPlan> {
        check(self.plan)?;
        for face in self.plan.sources() {
            if !self.inputs.contains_key(face.name) {
                return Err(Error::invalid(format!(
                    "source `{}` is not bound: add `--source {}=LOCATION`",
                    face.name, face.name
                )));
            }
        }
        let bounded = self.inputs.values().filter(|i| i.is_bounded()).count();
        if self.plan.in_order() && bounded != 1 {
            return Err(Error::invalid(format!(
                "job `{}` needs its values in order: in bulk that is kept over one bounded Parquet input (`--source \
                 NAME=parquet:DIR` or `bulk:DIR`); over an archive a later run would add late records after what they belong before",
                self.plan.job()
            )));
        }
        match bounded {
            0 => self.incremental(),
            n if n == self.inputs.len() => self.bounded(),
            _ => Err(Error::invalid(
                "a job reads either archives or bounded inputs, not both: files that are taken whole have no offsets to hand over \
                 at",
            )),
        }
    }

    /// P20-P23 over the archives.
    fn incremental(&self) -> Result<RunPlan> {
        let job = self.plan.job();
        let Some(base) = self.manifests.newest(0)? else {
            return Err(Error::invalid(format!(
                "job `{job}` has no archive yet: run `stream` (or `archive`) first, or bind a bounded input such as `--source \
                 NAME=parquet:DIR` or `bulk:DIR`"
            )));
        };
        let Some(namespace) = base.realtime_namespace.clone() else {
            return Err(Error::invalid(format!(
                "job `{job}`: this data directory holds a generation of a bounded input: use another --data or --instance"
            )));
        };
        if base.fingerprint != self.plan.fingerprint() {
            return Err(Error::invalid(format!(
                "job `{job}` changed: its fingerprint is {}, the generations were written by {}: `backfill` makes a line of the \
                 new code; or run it with the arguments and the code of then, or use another --instance",
                self.plan.fingerprint(),
                base.fingerprint
            )));
        }
        let mut target = Target {
            frontier: base.frontier.clone(),
            ..Target::default()
        };
        let mut archives = Vec::new();
        for input in self.inputs.values() {
            if let BulkInput::Archive { archive, cut_spec, .. } = input {
                archives.push((&**archive, cut_spec));
            }
        }
        let mut until = self.options.until;
        if let Some(rows) = self.options.part_rows {
            let archives: Vec<_> = archives.iter().map(|(archive, _)| *archive).collect();
            let part = target::until(&archives, &base.frontier, rows)?;
            until = match (until, part) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        for (archive, cut_spec) in archives {
            target::extend(&mut target, archive, &base.frontier, cut_spec, until)?;
        }
        let (pieces, parts) = (self.archived(&target), self.parts(&target, &base.frontier));
        let new = !target.pieces.is_empty();
        let Target {
            frontier,
            holes,
            open,
            pieces: read,
        } = target;
        let mut manifest = base.clone();
        if new {
            let mut stores = BTreeMap::new();
            for face in self.plan.stores() {
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
                stores.insert(face.name.to_string(), generation);
            }
            let keep = self.options.keep;
            let permitted = crate::keep::permission(self.manifests, &base, &frontier, keep)?;
            manifest.drop_before.insert(namespace, permitted);
            manifest.number += 1;
            manifest.covered_until = self.covered_until(&frontier);
            manifest.stores = stores;
            manifest.frontier = frontier;
            manifest.holes.extend(holes);
            let range = |p: target::Piece| InputRange {
                files: p.files.into_iter().map(|f| (f.path, f.checksum)).collect(),
                partition: p.partition,
                from: p.from.cut,
                to: p.to.cut,
                read_as: String::new(),
            };
            manifest.input = read.into_iter().map(range).collect();
            manifest.created_at = now();
        }
        Ok(RunPlan {
            pieces,
            manifest,
            open,
            new,
            parts,
        })
    }

    /// A bounded input, whole (P8a).
    fn bounded(&self) -> Result<RunPlan> {
        let job = self.plan.job();
        let base = self.manifests.newest(0)?;
        if let Some(m) = base.as_ref().filter(|m| m.realtime_namespace.is_some()) {
            return Err(Error::invalid(format!(
                "job `{job}` has a live part in this data directory (manifest {}); files that are taken whole name no offsets to \
                 hand over at, so both cannot be added: use the archive, or another --data or --instance",
                m.number
            )));
        }
        let (mut pieces, mut input, mut frontier) = (Vec::new(), Vec::new(), Frontier::default());
        let mut parts = Vec::new();
        for (s, face) in self.plan.sources().iter().enumerate() {
            let taken = match self.inputs.get(face.name) {
                Some(BulkInput::Parquet(files)) => bounded::parquet(face, s as u32, files)?,
                Some(BulkInput::Files { files, format }) => bounded::lines(face, s as u32, files, *format)?,
                Some(BulkInput::Archive { .. }) | None => continue,
            };
            for file in taken {
                let p = file.part.partition.clone();
                let cut = Cut {
                    batch: BatchId::MAX,
                    cut: file.part.to,
                    batch_before: BatchId::MAX,
                };
                frontier.0.insert(p.clone(), cut);
                input.push(InputRange {
                    partition: p,
                    from: 0,
                    to: file.part.to,
                    files: vec![file.identity],
                    read_as: String::new(),
                });
                parts.push(file.part);
                pieces.extend(file.pieces);
            }
        }
        let same = |m: &&Manifest| m.input == input && m.fingerprint == self.plan.fingerprint();
        if let Some(m) = base.as_ref().filter(same).cloned() {
            return Ok(RunPlan {
                pieces: Vec::new(),
                manifest: m,
                open: BTreeMap::new(),
                new: false,
                parts,
            });
        }
        let empty = |schema| StoreGeneration {
            schema,
            ..StoreGeneration::default()
        };
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            number: base.as_ref().map_or(0, |m| m.number + 1),
            job: job.into(),
            line: self.plan.fingerprint().into(),
            fingerprint: self.plan.fingerprint().into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: None,
            stores: self
                .plan
                .stores()
                .iter()
                .map(|f| (f.name.to_string(), empty(f.schema())))
                .collect(),
            frontier,
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input,
            created_at: now(),
            covered_until: "the end of the input".into(),
            window: None,
        };
        Ok(RunPlan {
            pieces,
            manifest,
            open: BTreeMap::new(),
            new: true,
            parts,
        })
    }

    fn archived(&self, target: &Target) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in &target.pieces {
            let Some(source) = self
                .plan
                .sources()
                .iter()
                .position(|s| s.name == piece.partition.source)
            else {
                continue;
            };
            let Some(BulkInput::Archive { archive, format, .. }) = self.inputs.get(&piece.partition.source) else {
                continue;
            };
            pieces.extend(piece.files.iter().map(|file| Piece::Archived {
                source: source as u32,
                partition: piece.partition.partition,
                format: *format,
                archive: archive.clone(),
                file: file.clone(),
            }));
        }
        pieces
    }

    /// Every partition of the archives, moving or not, and why it goes no further.
    fn parts(&self, target: &Target, base: &Frontier) -> Vec<PlannedPart> {
        let part = |(p, to): (&SourcePartition, &Cut)| {
            let from = base.of(p);
            let read = target.pieces.iter().find(|piece| piece.partition == *p);
            let until = self.shown(p, to);
            let open = target.open.get(p);
            let why = match open {
                None => "its archive holds nothing yet".into(),
                Some(open) if to.batch < *open => format!("{} and later were not asked for", self.shown(p, to)),
                Some(open) => format!("batch {} is open", self.shown(p, &Cut { batch: *open, ..*to })),
            };
            PlannedPart {
                partition: p.clone(),
                from: from.cut,
                to: to.cut,
                reach: match read {
                    Some(_) => format!("offsets {}..{} until {until}; {why}", from.cut, to.cut),
                    None => format!("nothing new; {why}"),
                },
                files: read.map_or(0, |r| r.files.len() as u64),
                rows: read.map_or(0, |r| r.files.iter().map(|f| f.rows).sum()),
                bytes: read.map_or(0, |r| r.files.iter().map(|f| f.bytes).sum()),
            }
        };
        target.frontier.0.iter().map(part).collect()
    }

    /// A cut as people name it: the batch that begins there, or the offset where batches are numbers of them.
    fn shown(&self, p: &SourcePartition, cut: &Cut) -> String {
        let face = self.plan.sources().iter().find(|s| s.name == p.source);
        match (face, self.inputs.get(&p.source)) {
            (_, Some(BulkInput::Archive { cut_spec, .. })) if cut_spec.contains("clock=offset") => {
                format!("offset {}", cut.cut)
            }
            (Some(face), _) => face.batcher().show(cut.batch),
            (None, _) => cut.batch.0.to_string(),
        }
    }

    /// The batch that the run reaches, and who is behind it.
    fn covered_until(&self, frontier: &Frontier) -> String {
        let Some((p, furthest)) = frontier.0.iter().max_by_key(|(_, c)| c.batch) else {
            return "the beginning".into();
        };
        let behind: Vec<_> = frontier
            .0
            .iter()
            .filter(|(_, c)| c.batch < furthest.batch)
            .map(|(p, c)| format!("{p} at {}", self.shown(p, c)))
            .collect();
        let reached = self.shown(p, furthest);
        if behind.is_empty() {
            reached
        } else {
            format!("{reached} (behind: {})", behind.join(", "))
        }
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64),
    )
}
