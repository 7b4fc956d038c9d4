//! Our clock against those of the others: the file system, the server of the realtime state, the store of objects, whoever published,
//! and those who stamp records. A batch ends by these clocks, and what is kept for a time is kept by them.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use super::Checks;
use super::reach::Row;
use super::surroundings::{present, probe};
use crate::app::generations::now;
use crate::app::open::Context;
use crate::core::{RecordBatch, Result, Timestamp};
use crate::realtime::{Log, PartitionInfo, Polled};
use crate::store_api::Manifest;

/// By so much another clock may differ from ours, in milliseconds: file systems and HTTP count in steps.
const SKEW_MS: i64 = 2_000;
/// Of so many partitions of a source the newest record is looked at, so long at most.
const PARTITIONS: usize = 8;
const WAIT: Duration = Duration::from_secs(3);

/// What was seen of clocks while other things were looked at.
#[derive(Default)]
pub(super) struct Clocks {
    strange: RefCell<Vec<String>>,
    /// Those that tell the time, and agree.
    agree: RefCell<Vec<String>>,
    /// Those that were not asked, or did not say.
    silent: RefCell<Vec<String>>,
}

fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// By how much a clock was ahead of ours when it was asked between `before` and `after`; 0: it may be right.
fn ahead(theirs: i64, before: i64, after: i64) -> i64 {
    match theirs {
        _ if theirs > after.saturating_add(SKEW_MS) => theirs.saturating_sub(after),
        _ if theirs < before.saturating_sub(SKEW_MS) => theirs.saturating_sub(before),
        _ => 0,
    }
}

/// The newest times of records, as far as they can be read. Control records may stand at an end: then there is none.
fn newest(log: &mut dyn Log, partitions: &[PartitionInfo], wait: Duration) -> Result<Vec<(u32, Timestamp)>> {
    let ends: Vec<(u32, u64)> = partitions
        .iter()
        .filter(|p| p.end > p.start)
        .map(|p| (p.partition, p.end - 1))
        .take(PARTITIONS)
        .collect();
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    log.assign(&ends)?;
    let (mut found, mut batch) = (Vec::new(), RecordBatch::default());
    let until = Instant::now() + wait;
    let mut open = ends.len();
    while open > 0 {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        batch.clear();
        if log.poll(left, &mut batch)? == Polled::Records {
            let time = batch.entries.iter().filter_map(|e| e.time()).max();
            found.extend(time.map(|time| (batch.partition, time)));
            open -= 1;
        }
    }
    Ok(found)
}

impl Clocks {
    /// Who stamps the records of a log has a clock.
    pub(super) fn ask(&self, context: &Context<'_>, log: &mut dyn Log, partitions: &[PartitionInfo]) {
        if !log.has_time() {
            return;
        }
        let place = log.location();
        let wait = context.patience.map_or(WAIT, |patience| patience.min(WAIT));
        let by_writers = log.stamped_by_writers().ok().flatten() != Some(false);
        let whose = if by_writers { "a writer" } else { "the broker" };
        match newest(log, partitions, wait) {
            Ok(found) if found.is_empty() => self
                .silent
                .borrow_mut()
                .push(format!("{place}: no record shows its time")),
            Ok(found) => {
                let ours = now();
                let late: Vec<_> = found
                    .iter()
                    .filter(|(_, t)| t.0 > ours.0.saturating_add(SKEW_MS))
                    .collect();
                for (partition, time) in &late {
                    let by = time.0.saturating_sub(ours.0) / 1_000;
                    self.strange.borrow_mut().push(format!(
                        "{place}: the newest record of partition {partition} is stamped {time} by {whose}, {by} s ahead of this clock \
                         ({ours}): set both by one time server"
                    ));
                }
                if late.is_empty() {
                    self.agree.borrow_mut().push(format!(
                        "{place} (its newest records, stamped by {whose}, are not ahead)"
                    ));
                }
            }
            Err(e) => self.silent.borrow_mut().push(format!("{place}: {e}")),
        }
    }

    /// A clock that tells the time itself.
    fn compare(&self, whose: &str, asked: impl FnOnce() -> Result<Option<i64>>) {
        let before = now().0;
        match asked() {
            Ok(None) => {}
            Ok(Some(theirs)) => match ahead(theirs, before, now().0) {
                0 => self.agree.borrow_mut().push(whose.to_string()),
                by => self.strange.borrow_mut().push(format!(
                    "the clock of {whose} is {} s {} this one ({}): set both by one time server",
                    by.abs() / 1_000,
                    if by > 0 { "ahead of" } else { "behind" },
                    now()
                )),
            },
            // Whether it answers is said elsewhere.
            Err(_) => self.silent.borrow_mut().push(whose.to_string()),
        }
    }

    /// All of them, in a line; a line each of those that are wrong.
    pub(super) fn check(
        self,
        context: &Context<'_>,
        manifest: Option<&Manifest>,
        rows: Result<&[Row], &'static str>,
        probes: bool,
        checks: &mut Checks<'_>,
    ) {
        let at = present(context.layout.root());
        // A directory that cannot be written is said to be one; a clock tells the time to who writes.
        self.compare(&format!("the file system of {}", at.display()), || {
            Ok(probes.then(|| probe(&at).ok().map(millis)).flatten())
        });
        self.compare("the server of the realtime state", || {
            Ok(context.state.clock()?.map(|time| time.0))
        });
        self.compare("the store of the generations", || {
            Ok(context.offline.clock()?.map(millis))
        });
        let ours = now();
        if let Some(m) = manifest
            && m.created_at.0 > ours.0.saturating_add(SKEW_MS)
        {
            self.strange.borrow_mut().push(format!(
                "generation {} was published at {}, and here it is {ours}: the clock of one of both machines is wrong",
                m.number, m.created_at
            ));
        }
        for (p, row) in rows.unwrap_or_default() {
            let Some(face) = context.plan.sources().iter().find(|s| s.name == p.source) else {
                continue;
            };
            if row.cut_spec.contains("clock=offset") {
                continue;
            }
            let begun: Option<Timestamp> = face.batcher().start_of(row.batch);
            if let Some(begun) = begun.filter(|begun| begun.0 > ours.0.saturating_add(SKEW_MS)) {
                self.strange.borrow_mut().push(format!(
                    "{p} is in the batch of {begun}, which is ahead of the clock ({ours}): a writer's clock is wrong, and what comes until \
                     then goes into that batch"
                ));
            }
        }
        let (strange, agree, silent) = (self.strange.take(), self.agree.take(), self.silent.take());
        if strange.is_empty() {
            let with = if agree.is_empty() {
                String::new()
            } else {
                format!("; it agrees with {}", agree.join(", "))
            };
            checks.ok(
                "clock",
                &format!(
                    "{ours}, and nothing is more than {} s ahead of it{with}",
                    SKEW_MS / 1_000
                ),
            );
        }
        for said in strange {
            checks.warn("clock", &said);
        }
        if !silent.is_empty() {
            checks.skip("clocks", &format!("no time was told by {}", silent.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that was asked between two looks at ours is wrong by what lies outside of both, where that is more than the stated difference.
    #[test]
    fn by_how_much_a_clock_differs() {
        for (theirs, wanted) in [
            (10_500, 0),
            (13_000, 0),
            (13_001, 2_001),
            (8_000, 0),
            (7_999, -2_001),
            (i64::MAX, i64::MAX - 11_000),
        ] {
            assert_eq!(ahead(theirs, 10_000, 11_000), wanted, "{theirs}");
        }
    }
}
