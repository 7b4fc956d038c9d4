//! Records that a service cannot be asked about yet (O19): their partition does not go on, the others do.

use std::time::{Duration, Instant};

use rufous_core::{Result, Timestamp};

use crate::cutter::Cuts;
use crate::engine::Engine;

/// How often a service is asked whether it is complete further.
const ASK: Duration = Duration::from_millis(100);

/// Why a partition stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// What its next record is looked up as of.
    as_of: Timestamp,
    service: &'static str,
    since: Instant,
    asked: Instant,
}

impl Engine<'_> {
    /// Cuts off the records that were just decoded at the first one that has to wait. Says whether there is one.
    pub(crate) fn hold(&mut self, i: usize) -> Result<bool> {
        if !self.plan.traces(i) {
            return Ok(false);
        }
        let Self {
            records,
            times,
            bad,
            executor,
            bound,
            ..
        } = self;
        let b = &mut bound[i];
        let Some(partition) = b.partitions.get_mut(&records.partition) else {
            return Ok(false);
        };
        let time = |entry: usize| {
            times
                .get(entry)
                .copied()
                .flatten()
                .or_else(|| records.entries.get(entry)?.time())
        };
        // Mostly a look at the newest is enough.
        let newest = (0..records.entries.len()).filter_map(time).max();
        match newest {
            Some(newest) if executor.waits(b.source, newest)?.is_some() => {}
            _ => return Ok(false),
        }
        let mut cuts = Cuts::default();
        partition.cutter.clone().cut(records, times, &mut cuts);
        let mut found = None;
        'runs: for run in cuts.runs.iter().filter(|run| run.batch >= partition.retained_from()) {
            for entry in run.range.clone() {
                let is_used = records.entries.get(entry).is_some_and(|e| !e.heartbeat);
                let Some(time) = time(entry).filter(|_| is_used) else {
                    continue;
                };
                let as_of = executor.as_of(b.source, time, run.batch);
                if let Some(waiting) = executor.waits(b.source, as_of)? {
                    found = Some((entry, as_of, waiting));
                    break 'runs;
                }
            }
        }
        let Some((entry, as_of, waiting)) = found else {
            return Ok(false);
        };
        if let Some(e) = records.entries.get(entry) {
            records.next = e.offset;
        }
        records.entries.truncate(entry);
        times.truncate(entry);
        bad.retain(|b| b.entry < entry);
        let now = Instant::now();
        partition.held = Some(Held {
            as_of,
            service: waiting.service,
            since: now,
            asked: now,
        });
        tracing::info!(
            partition = %partition.id,
            service = waiting.service,
            complete_until = %waiting.complete_until,
            as_of = %as_of,
            "the partition waits: the service is not complete so far"
        );
        Ok(true)
    }

    /// Lets go on what no longer has to wait.
    pub(crate) fn let_go(&mut self) -> Result<()> {
        for i in 0..self.bound.len() {
            let Self { bound, executor, .. } = self;
            let b = &mut bound[i];
            let mut free = false;
            for partition in b.partitions.values_mut() {
                let Some(held) = &mut partition.held else { continue };
                if held.asked.elapsed() < ASK {
                    continue;
                }
                held.asked = Instant::now();
                if executor.waits(b.source, held.as_of)?.is_none() {
                    tracing::info!(
                        partition = %partition.id,
                        service = held.service,
                        waited_ms = held.since.elapsed().as_millis() as u64,
                        "the partition goes on"
                    );
                    partition.held = None;
                    free = true;
                }
            }
            if free {
                self.assign(i)?;
            }
        }
        Ok(())
    }
}
