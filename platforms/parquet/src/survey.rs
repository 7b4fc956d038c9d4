//! What a run will do, found before a record is read: where it begins, how far it may go, and which pieces of input lie between.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rufous_core::record::FieldType;
use rufous_core::{BatchId, Error, Frontier, Plan, Result, SourcePartition, Timestamp};
use rufous_store_api::{Manifest, Window};

use crate::options::BatchRun;
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
    pub(crate) parts: Vec<PlannedPart>,
    /// What is not read and why, or why all is, in words.
    pub(crate) notes: Vec<String>,
    /// Whose permission to drop it raises, and where that stood: it stays there if a sink holds it by then.
    pub(crate) permission_before: Option<(String, Frontier)>,
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
    /// What is not read again, or why everything is: a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
    /// The notes, a line a partition, and one of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
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
            let counted = self.parts.iter().all(|p| p.rows > 0 || p.bytes == 0);
            let rows = match (self.rows(), counted) {
                (0, false) => "rows not known yet".into(),
                (rows, true) => format!("{rows} rows"),
                (rows, false) => format!("{rows} rows and lines that are not counted yet"),
            };
            write!(
                f,
                "generation {}: {rows}, {} bytes to read, covered until {}",
                self.manifest.number,
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
/// `InvalidRequest` with the reason: it has no store, reads several sources in order, or a service is not bound.
pub fn check(plan: &Plan) -> Result<()> {
    if let Some((_, sink)) = plan
        .live_sinks()
        .next()
        .filter(|_| plan.stores().is_empty() && plan.bulk_sinks().is_empty())
    {
        return Err(Error::invalid(format!(
            "job `{}` has no store, and sink `{sink}` is written by the live job: a bulk run would do nothing; bind the sink to \
             `each_generation()` to have it write",
            plan.job()
        )));
    }
    if plan.in_order() && plan.sources().len() != 1 {
        return Err(Error::invalid(format!(
            "job `{}` needs its values in order and has {} sources: in bulk order is kept over one; run it in memory",
            plan.job(),
            plan.sources().len()
        )));
    }
    plan.check_services(false)?;
    for face in plan.sources() {
        let Some(name) = face.time_field else { continue };
        let field = face.fields.unwrap_or_default().iter().find(|f| f.name == name);
        if !face.timed || !field.is_some_and(|f| f.ty == FieldType::Timestamp) {
            return Err(Error::invalid(format!(
                "source `{}` says that its event time is field `{name}`, but it {}",
                face.name,
                if !face.timed {
                    "has no `timed_by`: return that field there"
                } else {
                    "has no such field that holds a time: name one as #[record(name = ...)] names it"
                }
            )));
        }
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
        if let Some((_, sink)) = self.plan.live_sinks().next().filter(|_| bounded > 0) {
            return Err(Error::invalid(format!(
                "sink `{sink}`: a bounded input has no live part that would write it: bind the sink to `each_generation()` to have this \
                 run write it, or run the job over a log, or take the write out"
            )));
        }
        if let Some(window) = &self.options.window {
            self.check_window(window, bounded)?;
        }
        if self.plan.in_order() && bounded != 1 {
            return Err(Error::invalid(format!(
                "job `{}` needs its values in order: in bulk that is kept over one bounded Parquet input (`--source \
                 NAME=parquet:DIR` or `bulk:DIR`); over an archive a later run would add late records after what they belong before",
                self.plan.job()
            )));
        }
        // Over an archive the layers share an answer.
        self.plan.check_services(bounded == 0)?;
        match bounded {
            0 => self.incremental(),
            n if n == self.inputs.len() => self.bounded(),
            _ => Err(Error::invalid(
                "a job reads either archives or bounded inputs, not both: files that are taken whole have no offsets to hand over \
                 at",
            )),
        }
    }

    /// Whether all sources can be limited to a span of event time.
    fn check_window(&self, window: &Window, bounded: usize) -> Result<()> {
        if bounded != self.inputs.len() {
            return Err(Error::invalid(
                "an archive is covered by whole batches, in their order: a span of event time can be asked of bounded inputs only \
                 (`parquet:` or `bulk:`)",
            ));
        }
        if window.is_empty() {
            return Err(Error::invalid(format!(
                "{window}: no instant is inside; --since must be before --until"
            )));
        }
        match self.plan.sources().iter().find(|face| !face.timed) {
            None => Ok(()),
            Some(face) => Err(Error::invalid(format!(
                "source `{}` declares no event time, so nobody knows which of its records lie in a span of it: declare it by \
                 `timed_by`, or leave out --since and --until",
                face.name
            ))),
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
