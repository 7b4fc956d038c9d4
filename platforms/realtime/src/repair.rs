//! What becomes of a shard when it is acquired: pure decisions over the row, the manifest and the log (section 8 of the
//! protocol).

use rufous_core::rules::{Rule, kept};
use rufous_core::{Cut, Error, Result, SourcePartition};
use rufous_store_api::{Hole, Progress, Repair};

use crate::log::PartitionInfo;

/// All that the decision rests on.
pub struct Situation<'a> {
    /// The partition.
    pub p: &'a SourcePartition,
    /// The log as it is now.
    pub log: &'a PartitionInfo,
    /// The current frontier.
    pub frontier: Cut,
    /// The drop permission of this namespace.
    pub drop_before: Cut,
    /// How the log is cut.
    pub cut_spec: &'a str,
    /// The job's fingerprint.
    pub fingerprint: &'a str,
    /// The log was truncated at this offset, as it said when it was read on from `next` (P42).
    pub truncated: Option<u64>,
    /// The job has operators with memory: over a lost range they go on only where a generation has passed it (O12).
    pub operators: bool,
    /// Ranges that the archive lost, below the frontier.
    pub lost: &'a [Hole],
}

impl Situation<'_> {
    /// An empty shard at the drop permission (P32).
    fn fresh(&self) -> Progress {
        Progress::standing_at(
            if kept(Rule::RebuildAtPermission) {
                self.drop_before
            } else {
                self.frontier
            },
            self.log.topic_id.clone(),
            self.cut_spec.into(),
            self.fingerprint.into(),
        )
    }
}

/// What becomes of a shard whose partition another process of the group reads: it stays as it is and says so.
pub fn release(row: Option<&Progress>, s: &Situation<'_>) -> Repair {
    let row = row.cloned().unwrap_or_else(|| s.fresh());
    Repair::Keep(Progress { released: true, ..row })
}

/// Decides (P32, P33, P34, P42), in this order: a foreign or changed log is refused; a missing, misaligned or far too old
/// shard is rebuilt at the drop permission; a lost range is recorded.
///
/// # Errors
/// `InvalidRequest` when the log under the partition is another one, shorter than what was read, or cut differently.
pub fn repair(row: Option<&Progress>, s: &Situation<'_>) -> Result<Repair> {
    let (mut row, replace) = match row {
        None => (s.fresh(), true),
        Some(row) => {
            refuse_foreign(row, s)?;
            if let Some(end) = s.truncated.filter(|end| *end < row.next) {
                return truncated(row, end, s);
            }
            // P32. A shard that stands before the drop permission would only read what nobody may ask for.
            let misaligned = row.aligned(s.frontier).is_err() || row.aligned(s.drop_before).is_err();
            // O12: what the archive lost is no part of the log, for operators of both layers.
            let other_log = s.operators && !knows(row, s.lost);
            if (misaligned && kept(Rule::RebuildMisaligned)) || row.next < s.drop_before.cut || other_log {
                (s.fresh(), true)
            } else {
                let released = false;
                (
                    Progress {
                        released,
                        ..row.clone()
                    },
                    false,
                )
            }
        }
    };
    lost_range(&mut row, s);
    if s.operators && replace {
        let unknown: Vec<Hole> = s
            .lost
            .iter()
            .filter(|h| !knows(&row, std::slice::from_ref(h)))
            .cloned()
            .collect();
        row.holes.extend(unknown);
        row.holes.sort_by_key(|h| h.from);
    }
    if s.operators {
        pass_lost_range(&mut row, s.frontier);
    }
    Ok(if replace {
        Repair::Replace(row)
    } else {
        Repair::Keep(row)
    })
}

fn refuse_foreign(row: &Progress, s: &Situation<'_>) -> Result<()> {
    let p = s.p;
    if row.topic_id != s.log.topic_id {
        return Err(Error::invalid(format!(
            "partition {} of `{}` is another log than the one that was read (`{}`, now `{}`): restore it, name it a new source, or start with another --instance",
            p.partition, p.source, row.topic_id, s.log.topic_id
        )));
    }
    if row.cut_spec != s.cut_spec {
        return Err(Error::invalid(format!(
            "source `{}` is cut by `{}`, its state was cut by `{}`: start with another --instance",
            p.source, s.cut_spec, row.cut_spec
        )));
    }
    if row.fingerprint != s.fingerprint {
        return Err(Error::invalid(format!(
            "the state of `{p}` was written by a job of fingerprint {}, this one is {}: start with another --instance",
            row.fingerprint, s.fingerprint
        )));
    }
    // A truncation that the log told of is repaired.
    if s.log.end < row.next && s.truncated.is_none() {
        return Err(Error::invalid(format!(
            "partition {} of `{}` ends at offset {}, but it was read to {}: it was truncated or made anew; restore it, name it a new source, or start with another --instance",
            p.partition, p.source, s.log.end, row.next
        )));
    }
    Ok(())
}

/// P42: what was read from `end` on is not in the log any more. The shard is rebuilt from the log as it is now, and the range
/// is a hole: records that were counted, and that others may have seen, are gone.
fn truncated(row: &Progress, end: u64, s: &Situation<'_>) -> Result<Repair> {
    let p = s.p;
    if s.frontier.cut > end {
        return Err(Error::invalid(format!(
            "partition {} of `{}` was truncated at offset {end} after an unclean election of its leader, but the published \
             generation covers it up to offset {}: the archive holds records that the log does not; name it a new source, or \
             start with another --instance",
            p.partition, p.source, s.frontier.cut
        )));
    }
    let mut fresh = s.fresh();
    lost_range(&mut fresh, s);
    let gone = Hole {
        from: end,
        to: row.next,
        reason: "truncated from the log after an unclean election of its leader".into(),
    };
    let older = row.holes.iter().filter(|h| h.to <= end && h.from >= fresh.next);
    fresh.holes.extend(older.cloned().chain([gone]));
    Ok(Repair::Replace(fresh))
}

/// The rows of a job's stores stand apart: all shards are rebuilt (P32), and what any of the rows calls lost stays lost.
pub fn rejoin(rows: &[Progress], s: &Situation<'_>) -> Repair {
    let mut fresh = s.fresh();
    lost_range(&mut fresh, s);
    for hole in rows.iter().flat_map(|r| &r.holes) {
        if hole.from >= fresh.next && !fresh.holes.contains(hole) {
            fresh.holes.push(hole.clone());
        }
    }
    fresh.released = rows.iter().any(|r| r.released);
    Repair::Replace(fresh)
}

/// P33, P34: the log begins above `next`.
fn lost_range(row: &mut Progress, s: &Situation<'_>) {
    let (next, start, f) = (row.next, s.log.start, s.frontier);
    if start <= next {
        return;
    }
    // The epoch of a record before the loss says nothing of where reading goes on, nor does its time.
    row.leader_epoch = -1;
    row.running = None;
    let reason = || "deleted from the log before it was read".to_string();
    if f.cut >= start {
        // The offline layer covers it: readers at this frontier do not see the hole, a rollback would.
        row.holes.push(Hole {
            from: next,
            to: f.cut,
            reason: reason(),
        });
        (row.next, row.batch) = (f.cut, row.batch.max(f.batch_before));
        adopt(row, f);
    } else {
        if kept(Rule::RecordHole) {
            row.holes.push(Hole {
                from: next,
                to: start,
                reason: reason(),
            });
        }
        row.next = start;
        if f.cut >= next {
            adopt(row, f);
        }
        // P35: the lost records may have raised the batch.
        if kept(Rule::Floor) {
            row.batch = row.batch.max(row.floor(start));
        }
    }
}

/// Whether a shard lost these ranges as well, or was made from a generation that did.
pub(crate) fn knows(row: &Progress, lost: &[Hole]) -> bool {
    let known = |h: &Hole| row.holes.iter().any(|own| own.from <= h.from && own.to >= h.to);
    lost.iter().all(known)
}

/// O12: the current generation has passed a lost range, and the shard stands between: it goes on at the generation's frontier,
/// which is the next state that is known. What it leaves out is in the generation, as in P33.
fn pass_lost_range(row: &mut Progress, f: Cut) {
    let next = row.next;
    let Some(hole) = row
        .holes
        .last_mut()
        .filter(|h| h.to <= next && h.to <= f.cut && next < f.cut)
    else {
        return;
    };
    hole.to = f.cut;
    stand_at(row, f);
}

/// O12, of a partition whose domain goes on where a generation ends: what is left out is in the generation.
pub(crate) fn pass_to(row: &mut Progress, f: Cut) {
    if row.next < f.cut {
        row.holes.push(Hole {
            from: row.next,
            to: f.cut,
            reason: "passed over, with a lost range of another partition of its domain".into(),
        });
        stand_at(row, f);
    }
}

fn stand_at(row: &mut Progress, f: Cut) {
    (row.next, row.batch) = (f.cut, row.batch.max(f.batch_before));
    row.leader_epoch = -1;
    row.running = None;
    adopt(row, f);
}

/// Takes over a cut that lies inside a lost range.
fn adopt(row: &mut Progress, f: Cut) {
    if row.cut(f.batch).is_none() {
        row.cuts.push((f.batch, f.cut));
    }
}

#[cfg(test)]
mod tests;
