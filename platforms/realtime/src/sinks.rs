//! Sinks: written before the state is (O10), each with a mark of its own (O23, O24).
//!
//! A record of partition `p` at offset `o` is in a sink when the sink's mark of `p` is above `o`. Mark and records change in one
//! atomic write of the sink, so whatever becomes of the state behind it, a replay from older state emits the same again and is
//! skipped up to the mark. A state that is ahead of a sink is taken back to the drop permission, which no mark is below (O25).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::sink::{Encode, Encoded};
use rufous_core::{Error, Frontier, Identified, Plan, Promise, Result, SourcePartition};
pub use rufous_store_api::Hole;
#[doc(hidden)]
pub use rufous_store_api::points::reach;
use rufous_store_api::{Advance, Progress};

use crate::engine::Engine;
use crate::log::PartitionInfo;
use crate::repair::repair;

/// One record on its way into a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkRow<'a> {
    /// The offset of the record of the log that it was made of.
    pub offset: u64,
    /// Which of the things made of that it is.
    pub number: u64,
    /// In the form of the binding.
    pub bytes: &'a [u8],
}

impl SinkRow<'_> {
    /// The id as text: `sink/source/partition/offset/number` (O13).
    pub fn id(&self, sink: &str, p: &SourcePartition) -> String {
        format!("{sink}/{}/{}/{}/{}", p.source, p.partition, self.offset, self.number)
    }
}

/// Records of one partition for one sink, ascending by offset and number, and the step of the mark that comes with them.
#[derive(Clone, Copy, Debug)]
pub struct SinkWrite<'a> {
    /// Whose records.
    pub partition: &'a SourcePartition,
    /// Where the mark stands.
    pub mark: u64,
    /// Where it will: all that is below is written.
    pub to: u64,
    /// What is between the two.
    pub rows: &'a [SinkRow<'a>],
}

/// A place outside of the state that records are written to.
pub trait SinkWriter: Send {
    /// For messages.
    fn location(&self) -> String;
    /// Becomes the writer of `p`: whoever was it before can write nothing more. Returns where the mark stands; where nothing was
    /// ever written it is set to `start`. `None`: this place keeps no mark (O24). `state` is where the state stands: all that was
    /// made of records below it was written once.
    ///
    /// # Errors
    /// `TryAgain` when the place cannot be reached; `Closed` when another writer cannot be shut out.
    fn open(&mut self, p: &SourcePartition, start: u64, state: u64) -> Result<Option<u64>>;
    /// Writes records and mark, all or nothing.
    ///
    /// # Errors
    /// The outcome is unknown then: [`open`](Self::open) follows before anything else is written. `Closed`: another one is the
    /// writer.
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()>;
    /// The records of a range are lost to the sink (O26): records it, and moves the mark to its end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()>;
    /// Another process writes `p` from now on.
    fn close(&mut self, p: &SourcePartition);
}

/// A sink of the job and the place that it is bound to.
pub struct BoundSink {
    /// The port's name.
    pub name: &'static str,
    /// How its records are written.
    pub encode: Encode,
    /// What the place promises.
    pub promise: Promise,
    /// Where they go.
    pub writer: Box<dyn SinkWriter>,
}

struct Open {
    sink: BoundSink,
    marks: BTreeMap<SourcePartition, u64>,
}

/// The sinks of a stream, in the plan's order. Its engine opens them, its flush thread writes.
#[derive(Clone)]
pub(crate) struct OpenSinks(Arc<Mutex<Vec<Open>>>);

impl OpenSinks {
    pub(crate) fn new(plan: &Plan, sinks: Vec<BoundSink>) -> Result<Self> {
        let mut given: BTreeMap<&str, BoundSink> = sinks.into_iter().map(|s| (s.name, s)).collect();
        let mut open = Vec::new();
        for (name, _) in plan.sinks() {
            let Some(sink) = given.remove(name) else {
                return Err(Error::invalid(format!("sink `{name}` is not bound")));
            };
            open.push(Open {
                sink,
                marks: BTreeMap::new(),
            });
        }
        match given.into_keys().next() {
            Some(name) => Err(Error::invalid(format!("the job has no sink `{name}`"))),
            None => Ok(Self(Arc::new(Mutex::new(open)))),
        }
    }

    /// A panic while it is held leaves at most a mark too low, and all are read again after it.
    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self, p: &SourcePartition) {
        for open in self.lock().iter_mut() {
            if open.marks.remove(p).is_some() {
                open.sink.writer.close(p);
            }
        }
    }

    /// Writes what a chunk has for all sinks (O23): `[from, to)` only if `from` is not above the mark, and of it what is not below.
    pub(crate) fn write(&self, advances: &[Advance], sources: &[&str], written: &[Identified]) -> Result<()> {
        for (open, written) in self.lock().iter_mut().zip(written) {
            open.write(advances, sources, written)
                .map_err(|e| e.at(format_args!("sink `{}`", open.sink.name)))?;
        }
        Ok(())
    }
}

impl Open {
    fn write(&mut self, advances: &[Advance], sources: &[&str], written: &Identified) -> Result<()> {
        let mut encoded = Encoded::default();
        let records: &dyn std::any::Any = &*written.records;
        if !(self.sink.encode)(records, &mut encoded) || encoded.len() != written.ids.len() {
            return Err(Error::bug("was handed records of another type"));
        }
        let mut of: HashMap<(u32, u32), Vec<SinkRow<'_>>> = HashMap::new();
        for (i, id) in written.ids.iter().enumerate() {
            of.entry((id.source, id.partition)).or_default().push(SinkRow {
                offset: id.offset,
                number: id.number,
                bytes: encoded.get(i),
            });
        }
        for a in advances {
            let p = &a.partition;
            let source = sources.iter().position(|s| *s == p.source).unwrap_or(usize::MAX) as u32;
            let mut rows = of.remove(&(source, p.partition)).unwrap_or_default();
            // What branches make of a record comes in the order of their numbers, wherever chunks end.
            rows.sort_unstable_by_key(|r| (r.offset, r.number));
            let Some(mark) = self.marks.get_mut(p) else {
                return Err(Error::bug(format!("{p} is written without being open")));
            };
            if a.from > *mark {
                return Err(Error::bug(format!(
                    "stands at offset {} of {p}, and the chunk begins at {}",
                    *mark, a.from
                )));
            }
            if kept(Rule::SinkMark) {
                rows.retain(|r| r.offset >= *mark);
            }
            if a.to <= *mark && kept(Rule::SinkMark) {
                continue;
            }
            self.sink.writer.write(&SinkWrite {
                partition: p,
                mark: *mark,
                to: a.to,
                rows: &rows,
            })?;
            *mark = a.to;
        }
        match of.into_keys().next() {
            None => Ok(()),
            Some((_, partition)) => Err(Error::bug(format!(
                "records of partition {partition} come without a step of it"
            ))),
        }
    }
}

impl Engine<'_> {
    /// Opens all sinks for a partition that was acquired. Where the state is ahead of a sink, it is taken back to the drop
    /// permission and emits again what the sink does not have; what the log does not have any more is a hole of the sink.
    pub(crate) fn meet_sinks(
        &mut self,
        i: usize,
        info: &PartitionInfo,
        truncated: Option<u64>,
        mut row: Progress,
    ) -> Result<Progress> {
        let Some(sinks) = self.sinks.clone() else {
            return Ok(row);
        };
        let p = SourcePartition::new(&self.bound[i].name, info.partition);
        let nothing = Frontier::default();
        let permitted = self
            .manifest
            .as_ref()
            .and_then(|m| m.drop_before.get(self.plan.fingerprint()));
        let floor = permitted.unwrap_or(&nothing).of(&p).cut;
        let start = if kept(Rule::SinkStartsAtPermission) {
            floor
        } else {
            row.next
        };
        let mut least = u64::MAX;
        for open in sinks.lock().iter_mut() {
            open.marks.remove(&p);
            let at = |e: Error| e.at(format_args!("sink `{}`", open.sink.name));
            let mark = open.sink.writer.open(&p, start, row.next).map_err(at)?;
            if let Some(mark) = mark {
                let end = truncated.unwrap_or(info.end);
                if mark > end {
                    return Err(Error::invalid(format!(
                        "sink `{}` has what was made of {p} up to offset {mark}, and the log ends at {end} now, or did: it was truncated \
                         or made anew; restore it, or start with another --instance and another place for the sink",
                        open.sink.name
                    )));
                }
                least = least.min(mark);
                open.marks.insert(p.clone(), mark);
            }
        }
        if row.next > least && info.start <= least && kept(Rule::SinkTakesBack) {
            if least < floor {
                return Err(Error::invalid(format!(
                    "a sink has what was made of {p} up to offset {least}, and what comes then can be made from offset {floor} on only: \
                     generations were published that let go of it. Bind the sink to another place and start with another --instance"
                )));
            }
            // What the log lost before is in the state, or in a generation, and nowhere else.
            let covered = self.manifest.as_ref().map_or(0, |m| m.frontier.of(&p).cut);
            if info.start > floor && info.start > covered {
                return Err(Error::invalid(format!(
                    "a sink has what was made of {p} up to offset {least}, and the state stands at {}: the log begins at {} now, so a state \
                     that is made anew would not have what lies before. Restore the sink to what it was, or bind it to another place: \
                     there the range is recorded as lost to it",
                    row.next, info.start
                )));
            }
            tracing::warn!(
                partition = %p, state = row.next, sink = least,
                "the state is ahead of a sink: it is rebuilt from the log, and the sink gets what it does not have"
            );
            row = self.in_all_stores(i, info, truncated, &|_, s| repair(None, s))?;
        }
        for open in sinks.lock().iter_mut() {
            let mark = open.marks.entry(p.clone()).or_insert(row.next);
            if *mark < row.next {
                let hole = Hole {
                    from: *mark,
                    to: row.next,
                    reason: "lost to the log before it was written to the sink".into(),
                };
                tracing::warn!(partition = %p, sink = open.sink.name, from = hole.from, to = hole.to, "a lost range in a sink");
                let at = |e: Error| e.at(format_args!("sink `{}`", open.sink.name));
                if kept(Rule::SinkRecordsHole) {
                    open.sink.writer.pass(&p, &hole).map_err(at)?;
                }
                *mark = row.next;
            }
        }
        Ok(row)
    }
}
