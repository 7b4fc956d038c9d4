//! What `doctor` says of partitions that have one order (O4): whose clocks nobody vouches for, and who is waited for.

use std::collections::BTreeMap;

use super::location::Place;
use super::open::{Context, Reads};
use crate::core::{BatchId, Clock, Joint, Result, SourcePartition};
use crate::realtime::Log;
use crate::store_api::Progress;

/// Partitions that a line names.
const NAMED: usize = 8;

/// A partition as its log and its row have it.
struct Member {
    p: SourcePartition,
    /// What was taken lies below.
    next: u64,
    end: u64,
    /// The batch where it stands.
    stands: String,
}

/// One line a warning; none for jobs without such partitions, and for bounded inputs, which nobody waits for.
pub(super) fn warnings(context: &Context<'_>) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let groups = context.plan.domains();
    if groups.is_empty() {
        return Ok(said);
    }
    let rows = rows(context)?;
    for group in groups {
        let mut domains: BTreeMap<u32, Vec<Member>> = BTreeMap::new();
        for face in group.sources.iter().filter_map(|&s| context.plan.sources().get(s)) {
            if matches!(context.location(face.name)?.place, Place::Parquet(_) | Place::Bulk(_)) {
                return Ok(said);
            }
            let mut log = context.log(face, Reads::Look)?;
            said.extend(clock(face.name, face.cut_spec(log.has_time()).clock, &mut *log)?);
            for info in log.partitions()? {
                let p = SourcePartition::new(face.name, info.partition);
                let row = rows.get(&p);
                domains.entry(group.domain(info.partition)).or_default().push(Member {
                    next: row.map_or(info.start, |row| row.next),
                    end: info.end,
                    stands: row.map_or_else(
                        || BatchId::MIN.show(),
                        |row| match row.batch {
                            BatchId::MIN => row.batch.show(),
                            batch => format!("batch {}", face.batcher().show(batch)),
                        },
                    ),
                    p,
                });
            }
        }
        said.extend(domains.values().filter_map(|members| waited_for(&group, members)));
    }
    Ok(said)
}

/// Where the live part stands: of any store of the job, for one write commits them all.
fn rows(context: &Context<'_>) -> Result<BTreeMap<SourcePartition, Progress>> {
    let namespace = context.namespace(&*context.manifests)?;
    let stores = context.plan.live_stores();
    let Some(face) = stores.first() else {
        return Ok(BTreeMap::new());
    };
    Ok(context.rows(&namespace, face.name)?.iter().cloned().collect())
}

/// A partition whose clock is ahead makes all others of its order wait as long.
fn clock(source: &str, clock: Clock, log: &mut dyn Log) -> Result<Option<String>> {
    let whose = match clock {
        Clock::Event => "is cut by event time",
        Clock::Log if log.stamped_by_writers()? == Some(true) => {
            "is stamped by its writers' clocks (message.timestamp.type=CreateTime)"
        }
        Clock::Log => return Ok(None),
    };
    Ok(Some(format!(
        "source {source}: {whose}, and other partitions have one order with its own: one whose clock is three days ahead waits three days \
         for the others. Be sure of the clocks, or let the log give the times (LogAppendTime)"
    )))
}

/// Those that have nothing to read while others wait.
fn waited_for(group: &Joint, members: &[Member]) -> Option<String> {
    let (waiting, silent): (Vec<_>, Vec<_>) = members.iter().partition(|m| m.next < m.end);
    if waiting.is_empty() || silent.is_empty() {
        return None;
    }
    let offsets: u64 = waiting.iter().map(|m| m.end - m.next).sum();
    let named = |m: &&Member| format!("{} (at offset {}, {})", m.p, m.next, m.stands);
    let mut names: Vec<String> = silent.iter().take(NAMED).map(named).collect();
    if silent.len() > NAMED {
        names.push(format!("{} more", silent.len() - NAMED));
    }
    let all = if group.spread {
        "All partitions are one order"
    } else {
        "They are one order"
    };
    Some(format!(
        "waiting: {offsets} offsets of {} partitions wait for a later record or heartbeat of {}. {all}: a partition that falls silent needs \
         heartbeats",
        waiting.len(),
        names.join(", ")
    ))
}
