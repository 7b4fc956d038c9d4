//! Marks and rows are compared when a partition is acquired.

use std::sync::mpsc::{RecvTimeoutError, channel};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Frontier, Result, SourcePartition};
use rufous_store_api::Progress;

use super::{BEAT, Hole};
use crate::engine::Engine;
use crate::log::PartitionInfo;
use crate::metrics::Metrics;
use crate::repair::repair;

/// Calls `f`, which waits for the place of a sink: brokers that do not answer hold it up for longer than a loop may be silent,
/// and whoever kills what is stuck would kill this again and again.
fn patiently<T>(metrics: &Metrics, f: impl FnOnce() -> T) -> T {
    let (done, waits) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while matches!(waits.recv_timeout(BEAT), Err(RecvTimeoutError::Timeout)) {
                metrics.heartbeat.mark();
            }
        });
        // Also while a panic unwinds: then nobody waits for the other thread for ever.
        let done = done;
        let out = f();
        drop(done);
        out
    })
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
        let (mut least, mut of) = (u64::MAX, "");
        let mut may_lose = true;
        for open in sinks.lock().iter_mut() {
            open.marks.remove(&p);
            let at = |e: Error| e.at(format_args!("sink `{}`", open.sink.name));
            let writer = &mut open.sink.writer;
            let mark = patiently(&self.metrics, || writer.open(&p, start, row.next)).map_err(at)?;
            if let Some(mark) = mark {
                let end = truncated.unwrap_or(info.end);
                if mark > end {
                    return Err(Error::invalid(format!(
                        "sink `{}` has what was made of {p} up to offset {mark}, and the log ends at {end} now, or did: it was truncated \
                         or made anew; restore it, or start with another --instance and another place for the sink",
                        open.sink.name
                    )));
                }
                if mark < least {
                    (least, of) = (mark, open.sink.name);
                }
                may_lose &= mark >= row.next || open.sink.writer.may_lose(&p);
                open.marks.insert(p.clone(), mark);
            }
        }
        // What the log lost before is in the state, or in a generation, and nowhere else.
        let covered = self.manifest.as_ref().map_or(0, |m| m.frontier.of(&p).cut);
        let is_trimmed = info.start > floor && info.start > covered;
        let is_ahead = row.next > least && info.start <= least && kept(Rule::SinkTakesBack);
        // Who took the sink up again gets what can be made.
        if is_ahead && !(is_trimmed && may_lose) {
            let given_up = format!(
                "or give it up and take it up again: after `sink release {of}` and `sink resume {of}` what lies between is recorded in it as \
                 lost"
            );
            if least < floor {
                return Err(Error::invalid(format!(
                    "sink `{of}` has what was made of {p} up to offset {least}, and what comes then can be made from offset {floor} on only: \
                     generations were published that let go of it. Bring the sink back to what it was, {given_up}"
                )));
            }
            if is_trimmed {
                return Err(Error::invalid(format!(
                    "sink `{of}` has what was made of {p} up to offset {least}, and the state stands at {}: the log begins at {} now, so a \
                     state that is made anew would not have what lies before. Bring the sink back to what it was, {given_up}",
                    row.next, info.start
                )));
            }
            tracing::warn!(
                partition = %p, state = row.next, sink = of, mark = least,
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
                    let writer = &mut open.sink.writer;
                    patiently(&self.metrics, || writer.pass(&p, &hole)).map_err(at)?;
                }
                *mark = row.next;
            }
        }
        Ok(row)
    }
}
