//! What a chunk has for sinks, written by the flush thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::sink::{Encode, Encoded};
use rufous_core::{Error, Identified, Plan, Result, SourcePartition};
use rufous_store_api::Advance;

use super::{BoundSink, SinkRow, SinkWrite};

pub(super) struct Open {
    pub(super) sink: BoundSink,
    pub(super) marks: BTreeMap<SourcePartition, u64>,
}

/// The sinks that a stream writes, in the plan's order. Its engine opens them, its flush thread writes.
#[derive(Clone)]
pub(crate) struct OpenSinks {
    open: Arc<Mutex<Vec<Open>>>,
    /// A place is being written: whoever waits for it is not stuck.
    pub(crate) busy: Arc<AtomicBool>,
}

impl OpenSinks {
    pub(crate) fn new(plan: &Plan, sinks: Vec<BoundSink>) -> Result<Self> {
        let mut given: BTreeMap<&str, BoundSink> = sinks.into_iter().map(|s| (s.name, s)).collect();
        let mut open = Vec::new();
        for (_, name) in plan.live_sinks() {
            let Some(sink) = given.remove(name) else {
                return Err(Error::invalid(format!("sink `{name}` is not bound")));
            };
            open.push(Open {
                sink,
                marks: BTreeMap::new(),
            });
        }
        match given.into_keys().next() {
            Some(name) if plan.bulk_sinks().iter().any(|(_, sink)| sink.name == name) => Err(Error::invalid(format!(
                "sink `{name}` is bound in both layers: each record would be written twice; keep one"
            ))),
            Some(name) => Err(Error::invalid(format!("the job has no sink `{name}`"))),
            None => Ok(Self {
                open: Arc::new(Mutex::new(open)),
                busy: Arc::default(),
            }),
        }
    }

    /// A panic while it is held leaves at most a mark too low, and all are read again after it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self, p: &SourcePartition) {
        for open in self.lock().iter_mut() {
            if open.marks.remove(p).is_some() {
                open.sink.writer.close(p);
            }
        }
    }

    /// Whether a sink still wants what is made of a record.
    pub(crate) fn wants(&self, p: &SourcePartition, offset: u64) -> bool {
        let wants = |open: &Open| open.sink.writer.takes() && open.marks.get(p).is_some_and(|mark| *mark <= offset);
        self.lock().iter().any(wants)
    }

    /// How the records of each sink are encoded, in the plan's order.
    pub(crate) fn encodes(&self) -> Vec<Encode> {
        self.lock().iter().map(|open| open.sink.encode).collect()
    }

    /// Writes what a chunk has for all sinks (O23): `[from, to)` only if `from` is not above the mark, and of it what is not below.
    /// Returns how many bytes that was.
    pub(crate) fn write(&self, advances: &[Advance], sources: &[&str], written: &[Identified]) -> Result<usize> {
        let _busy = Busy::new(&self.busy);
        let mut bytes = 0;
        for (open, written) in self.lock().iter_mut().zip(written) {
            bytes += open
                .write(advances, sources, written)
                .map_err(|e| e.at(format_args!("sink `{}`", open.sink.name)))?;
        }
        Ok(bytes)
    }
}

/// As long as it is kept, a place is being written; also while a panic unwinds.
struct Busy<'a>(&'a AtomicBool);

impl<'a> Busy<'a> {
    fn new(busy: &'a AtomicBool) -> Self {
        busy.store(true, Relaxed);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

impl Open {
    fn write(&mut self, advances: &[Advance], sources: &[&str], written: &Identified) -> Result<usize> {
        if !self.sink.writer.takes() {
            return Ok(0);
        }
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
            None => Ok(encoded.bytes()),
            Some((_, partition)) => Err(Error::bug(format!(
                "records of partition {partition} come without a step of it"
            ))),
        }
    }
}
