//! How far each part has read, against what the log still keeps.

use super::Checks;
use crate::app::open::Context;
use crate::core::{Error, ErrorKind, Result, SourceFace, SourcePartition};
use crate::realtime::PartitionInfo;
use crate::store_api::{Manifest, Progress, ProgressRows, Snapshot};

/// How far a partition was read.
pub(super) type Row = (SourcePartition, Progress);

/// The rows of the live part: of any store, for one write commits them all.
pub(super) fn rows(context: &Context<'_>, manifest: Option<&Manifest>) -> Result<ProgressRows> {
    match (context.plan.live_stores().first(), snapshot(context, manifest)?) {
        (Some(face), Some(snapshot)) => snapshot.partitions(face.name),
        _ => Ok(ProgressRows::default()),
    }
}

/// The state as it is now; `None`: it was not begun.
fn snapshot(context: &Context<'_>, manifest: Option<&Manifest>) -> Result<Option<Box<dyn Snapshot>>> {
    let namespace = context.namespace_of(manifest);
    let until = context.deadline().into();
    let reader = context.state.read(&namespace, &until)?;
    reader.map(|reader| reader.snapshot_until(&until)).transpose()
}

/// Where a reader stands in what the log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Well,
    /// Behind its start: offsets are lost.
    Behind,
    /// Behind its end: it is another log.
    Ahead,
    /// In the oldest tenth of a log that deletes.
    AtTheEdge,
}

fn stands(next: u64, info: &PartitionInfo) -> Stands {
    if next < info.start {
        Stands::Behind
    } else if next > info.end {
        Stands::Ahead
    } else if info.start > 0 && next - info.start < (info.end - info.start) / 10 {
        Stands::AtTheEdge
    } else {
        Stands::Well
    }
}

/// What was deleted before it was read, and what soon will be.
pub(super) fn kept(face: &SourceFace, rows: &[Row], partitions: &[PartitionInfo], checks: &mut Checks<'_>) {
    let what = format!("retention of {}", face.name);
    // What is not well is not `ok` behind that.
    let (mut read, mut well) = (false, true);
    for (p, row) in rows.iter().filter(|(p, _)| p.source == face.name) {
        read = true;
        let Some(info) = partitions.iter().find(|info| info.partition == p.partition) else {
            well = false;
            checks.fail(
                &what,
                Error::corrupt(format!(
                    "partition {} was read up to offset {}, and the log has it no more",
                    p.partition, row.next
                ))
                .repaired_by("find out who deleted it; `batch` and `get` go on with what was archived"),
            );
            continue;
        };
        let (next, start, end) = (row.next, info.start, info.end);
        let stands = stands(next, info);
        well &= stands == Stands::Well;
        match stands {
            Stands::Well => {}
            Stands::Behind => checks.fail(
                &what,
                Error::new(
                    ErrorKind::Incomplete,
                    format!(
                        "offsets {next}..{start} of partition {} were deleted before they were read; answers are refused when `stream` \
                         has met that",
                        p.partition
                    ),
                )
                .repaired_by("run `backfill`, or read with --accept-holes; let the log keep more"),
            ),
            Stands::Ahead => checks.fail(
                &what,
                Error::corrupt(format!(
                    "partition {} was read up to offset {next}, and the log ends at {end}: it is another log, or it was cut off",
                    p.partition
                ))
                .repaired_by("restore the log, or begin another instance (--instance)"),
            ),
            Stands::AtTheEdge => checks.warn(
                &what,
                &format!(
                    "partition {} is read up to offset {next}, and the log keeps {start}..{end}: what is next to be read is next to be \
                     deleted; run `stream`, or let the log keep more",
                    p.partition
                ),
            ),
        }
    }
    if read && well {
        let all: Vec<_> = partitions
            .iter()
            .map(|info| format!("{}: {}..{}", info.partition, info.start, info.end))
            .take(8)
            .collect();
        let more = partitions.len().saturating_sub(all.len());
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        checks.ok(&what, &format!("the log keeps {}{more}", all.join(", ")));
    }
}

/// The live state: whether it answers, and how far it is.
pub(super) fn state(context: &Context<'_>, manifest: Option<&Manifest>, checks: &mut Checks<'_>) {
    let place = || context.state.show(&context.namespace_of(manifest));
    let asked = snapshot(context, manifest).and_then(|snapshot| {
        let Some(snapshot) = snapshot else {
            return Ok(format!("not begun: {}", place()));
        };
        let rows = match context.plan.live_stores().first() {
            Some(face) => snapshot.partitions(face.name)?,
            None => ProgressRows::default(),
        };
        let read: u64 = rows.iter().map(|(_, row)| row.next).sum();
        Ok(format!(
            "answers: {}: {} partitions, read up to {read} in sum",
            place(),
            rows.len()
        ))
    });
    checks.check("realtime state", asked);
}

#[cfg(feature = "parquet")]
pub(super) fn archives(context: &Context<'_>, manifest: Option<&Manifest>, checks: &mut Checks<'_>) {
    use crate::app::location::Place;
    use crate::app::open::Reads;
    use crate::store_api::Archive;
    for face in context.plan.sources() {
        let place = context.locations.get(face.name).map(|l| &l.place);
        if matches!(place, None | Some(Place::Parquet(_) | Place::Bulk(_))) {
            continue;
        }
        if checks.are_over() {
            return;
        }
        let what = format!("archive of {}", face.name);
        let asked = || -> Result<(u64, Vec<(u32, u64)>)> {
            let spec = match manifest.and_then(|m| m.cut_specs.get(face.name)) {
                Some(spec) => spec.clone(),
                None => context.cut_spec(face)?,
            };
            let archive = context.archive_cut(face.name, &spec)?;
            let mut ends = Vec::new();
            for partition in archive.partitions()? {
                ends.push((partition, archive.last(partition, 0)?.map_or(0, |(_, last)| last.to)));
            }
            Ok((ends.iter().map(|(_, to)| to).sum(), ends))
        };
        let (sum, ends) = match asked() {
            Ok(found) => found,
            Err(e) => {
                checks.fail(&what, e);
                continue;
            }
        };
        if ends.is_empty() {
            checks.ok(
                &what,
                "nothing yet: `stream` or `archive` writes it, and `batch` reads nothing else",
            );
            continue;
        }
        checks.ok(&what, &format!("{} partitions, up to {sum} in sum", ends.len()));
        // Why the log cannot be asked is said of its source.
        let Ok(infos) = context.log(face, Reads::Look).and_then(|mut log| log.partitions()) else {
            checks.skip(
                &format!("retention of {}, as it is archived", face.name),
                "the log cannot be asked",
            );
            continue;
        };
        for info in infos {
            let to = ends.iter().find(|(p, _)| *p == info.partition).map_or(0, |(_, to)| *to);
            if to > 0 && to < info.start {
                checks.fail(
                    &what,
                    Error::new(
                        ErrorKind::Incomplete,
                        format!(
                            "offsets {to}..{} of partition {} were deleted before they were archived",
                            info.start, info.partition
                        ),
                    )
                    .repaired_by(
                        "bring them from another copy by a `backfill`; let `archive` run, and the log keep more",
                    ),
                );
            }
        }
    }
}

#[cfg(not(feature = "parquet"))]
pub(super) fn archives(_: &Context<'_>, _: Option<&Manifest>, _: &mut Checks<'_>) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log that never deleted anything, and one that keeps 1000..2000.
    #[test]
    fn where_a_reader_stands() {
        let info = |start, end| PartitionInfo {
            partition: 0,
            start,
            end,
            topic_id: String::new(),
            owned: true,
        };
        for (next, start, end, wanted) in [
            (0, 0, 2000, Stands::Well),
            (2000, 0, 2000, Stands::Well),
            (2001, 0, 2000, Stands::Ahead),
            (999, 1000, 2000, Stands::Behind),
            (1000, 1000, 2000, Stands::AtTheEdge),
            (1099, 1000, 2000, Stands::AtTheEdge),
            (1100, 1000, 2000, Stands::Well),
            (1000, 1000, 1000, Stands::Well),
        ] {
            assert_eq!(stands(next, &info(start, end)), wanted, "{next} in {start}..{end}");
        }
    }
}
