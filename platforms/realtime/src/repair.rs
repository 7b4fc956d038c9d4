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
}

/// Decides (P32, P33, P34, P42), in this order: a foreign or changed log is refused; a missing, misaligned or far too old
/// shard is rebuilt at the drop permission; a lost range is recorded.
///
/// # Errors
/// `InvalidRequest` when the log under the partition is another one, shorter than what was read, or cut differently.
pub fn repair(row: Option<&Progress>, s: &Situation<'_>) -> Result<Repair> {
    let fresh = || {
        Progress::standing_at(
            if kept(Rule::RebuildAtPermission) {
                s.drop_before
            } else {
                s.frontier
            },
            s.log.topic_id.clone(),
            s.cut_spec.into(),
            s.fingerprint.into(),
        )
    };
    let (mut row, replace) = match row {
        None => (fresh(), true),
        Some(row) => {
            refuse_foreign(row, s)?;
            // P32. A shard that stands before the drop permission would only read what nobody may ask for.
            let misaligned = row.aligned(s.frontier).is_err() || row.aligned(s.drop_before).is_err();
            if (misaligned && kept(Rule::RebuildMisaligned)) || row.next < s.drop_before.cut {
                (
                    Progress {
                        epoch: row.epoch,
                        ..fresh()
                    },
                    true,
                )
            } else {
                (row.clone(), false)
            }
        }
    };
    lost_range(&mut row, s);
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
    if s.log.end < row.next {
        return Err(Error::invalid(format!(
            "partition {} of `{}` ends at offset {}, but it was read to {}: it was truncated or made anew; restore it, name it a new source, or start with another --instance",
            p.partition, p.source, s.log.end, row.next
        )));
    }
    Ok(())
}

/// P33, P34: the log begins above `next`.
fn lost_range(row: &mut Progress, s: &Situation<'_>) {
    let (next, start, f) = (row.next, s.log.start, s.frontier);
    if start <= next {
        return;
    }
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

/// Takes over a cut that lies inside a lost range.
fn adopt(row: &mut Progress, f: Cut) {
    if row.cut(f.batch).is_none() {
        row.cuts.push((f.batch, f.cut));
    }
}

#[cfg(test)]
mod tests;
