//! The hand-over of batches from the live part to generations, on one line a partition.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Seen;
use crate::app::batches::batcher;
use crate::app::batches::runs::{Ends, Run, overlay, runs};
use crate::app::generations::now;
use crate::app::open::Context;
use crate::app::processes::asked;
use crate::core::{BatchId, Batcher, Cut, Result, SourceFace, SourcePartition};
use crate::store_api::{Hole, IndexEntry, Progress};

/// Lost ranges of a partition that are listed; the rest is counted.
const HOLES: usize = 32;

/// What is not known while a part does not answer.
const PUBLISHED: &str =
    "which generation is current, which batches are published, what may be dropped and what was lost for ever";
const NEVER_HEARD: &str = "which generation, which live state and which archives are the current ones (those of this code are shown), which \
                           batches are published, what may be dropped and what was lost for ever";
const ARCHIVED: &str = "which batches are archived, and which there are before those of the live part and behind them";

/// What is not answered is left out, and named in `unreached`: of a batch that may be further than it is known to be the state is unknown.
pub(super) fn handover(context: &Context<'_>, seen: &Seen, from: Option<i64>, to: Option<i64>) -> Result<Value> {
    let (log, known) = (context.manifests.clone(), seen.known.clone());
    seen.current.ask(move || known.newest(&log));
    let current = seen.current.hear();
    let (is_cut, frontier_unsure) = (current.value.is_some(), !current.is_of_now());
    let unknown = if is_cut { PUBLISHED } else { NEVER_HEARD };
    let mut unreached: Vec<Value> = current.unreached("generations", None, unknown).into_iter().collect();
    let manifest = current.value.flatten();
    let manifest = manifest.as_deref();
    // All of them are asked before one is waited for.
    let archives: Vec<_> = { context.plan.sources().iter() }
        .map(|face| seen.archives.ask(context, face, manifest, is_cut))
        .collect();
    let namespace = context.namespace_of(manifest);
    let heard = seen.rows.of(context, &namespace);
    let rows = &heard.rows;
    let log_ends = log_ends(context);
    let mut sources = Vec::new();
    let mut behind: Option<(i64, SourcePartition)> = None;
    for (face, archive) in context.plan.sources().iter().zip(archives) {
        let heard = archive.map(|archive| archive.hear());
        unreached.extend(
            heard
                .as_ref()
                .and_then(|h| h.unreached("archive", Some(face.name), ARCHIVED)),
        );
        let archive_unsure = heard.as_ref().is_some_and(|heard| !heard.is_of_now());
        let archived = heard.and_then(|heard| heard.value).unwrap_or_default();
        let mut partitions: Vec<u32> = archived.keys().copied().collect();
        let of_rows = rows.keys().filter(|p| p.source == face.name);
        let frontier = manifest.iter().flat_map(|m| m.frontier.0.keys());
        let of_frontier = frontier.filter(|p| p.source == face.name);
        partitions.extend(of_rows.chain(of_frontier).map(|p| p.partition));
        partitions.sort_unstable();
        partitions.dedup();
        let mut of_source = OfSource::default();
        for partition in partitions {
            let p = SourcePartition::new(face.name, partition);
            let ends = archived.get(&partition);
            let allowed = manifest.and_then(|m| m.drop_before.get(&namespace));
            let known = Partition {
                row: rows.get(&p),
                first: ends.map(|ends| &ends.first),
                last: ends.map(|ends| &ends.last),
                frontier: manifest.and_then(|m| m.frontier.0.get(&p)).copied(),
                drop_before: allowed.and_then(|f| f.0.get(&p)).copied(),
                lost: { manifest.iter() }
                    .flat_map(|m| m.holes.iter().filter(|h| h.partition == p).map(|h| &h.hole))
                    .collect(),
                end: log_ends.get(&p).copied(),
                archive_unsure,
                frontier_unsure,
                lost_unsure: !is_cut,
            };
            if let Some(cut) = known.frontier.filter(|cut| cut.batch != BatchId::MAX) {
                let covered = (cut.batch.0, p.clone());
                behind = Some(behind.map_or(covered.clone(), |least| least.min(covered)));
            }
            of_source.add(&p, &known, from, to);
        }
        let published = manifest.and_then(|m| m.cut_specs.get(face.name));
        let row = rows.iter().find(|(p, _)| p.source == face.name).map(|(_, row)| row);
        sources.push(of_source.object(face, batcher(published, row, face)));
    }
    let covered = manifest.map(|m| {
        let batch = behind
            .as_ref()
            .map(|(batch, _)| *batch)
            .filter(|b| *b != BatchId::MIN.0);
        let why = behind.map(|(_, p)| format!("{p} is covered least far"));
        json!({ "batch": batch, "text": m.covered_until, "why_behind": why })
    });
    Ok(json!({
        "now_ms": now().0, "manifest": manifest.map(|m| m.number), "covered_until": covered, "sources": sources,
        "silent": heard.silent(), "unreached": unreached,
    }))
}

/// Where logs end, as far as the process that reads them knows.
fn log_ends(context: &Context<'_>) -> BTreeMap<SourcePartition, u64> {
    let mut ends = BTreeMap::new();
    for told in asked::status(context) {
        for source in told.members("sources") {
            let name = source["source"].as_str().unwrap_or_default();
            for p in source["partitions"].as_array().into_iter().flatten() {
                let found = p["partition"]
                    .as_u64()
                    .and_then(|n| u32::try_from(n).ok())
                    .zip(p["end"].as_u64());
                if let Some((partition, end)) = found {
                    let known = ends.entry(SourcePartition::new(name, partition)).or_insert(end);
                    *known = end.max(*known);
                }
            }
        }
    }
    ends
}

/// What is known of a partition.
#[derive(Clone, Default)]
struct Partition<'a> {
    row: Option<&'a Progress>,
    first: Option<&'a IndexEntry>,
    last: Option<&'a IndexEntry>,
    frontier: Option<Cut>,
    drop_before: Option<Cut>,
    lost: Vec<&'a Hole>,
    end: Option<u64>,
    /// What these were heard of does not answer now.
    archive_unsure: bool,
    frontier_unsure: bool,
    /// What the generations say was lost is not known at all.
    lost_unsure: bool,
}

/// The partitions of a source.
#[derive(Default)]
struct OfSource {
    partitions: Vec<Value>,
    first: Option<i64>,
    running: Option<i64>,
}

/// A batch that is one.
fn number(batch: BatchId) -> Option<i64> {
    (batch != BatchId::MIN && batch != BatchId::MAX).then_some(batch.0)
}

impl OfSource {
    fn add(&mut self, p: &SourcePartition, known: &Partition<'_>, from: Option<i64>, to: Option<i64>) {
        let ends = Ends {
            row: known.row,
            first: known.first,
            last: known.last,
            frontier: known.frontier,
            archive_unsure: known.archive_unsure,
            frontier_unsure: known.frontier_unsure,
            at_end: known.row.zip(known.end).is_some_and(|(row, end)| row.next >= end),
        };
        let mut all = runs(&ends);
        let holes: Vec<&Hole> = {
            let mut holes: Vec<_> = known
                .row
                .iter()
                .flat_map(|row| &row.holes)
                .chain(known.lost.iter().copied())
                .collect();
            holes.sort_by_key(|h| (h.from, h.to));
            holes.dedup_by_key(|h| (h.from, h.to));
            holes
        };
        for (first, last) in holes.iter().filter_map(|hole| place(hole, known.row)) {
            overlay(&mut all, first, last.saturating_add(1), "hole");
        }
        let (first, running) = (all.first().map(|run| run.from), ends.running().and_then(number));
        self.first = [self.first, first].into_iter().flatten().min();
        self.running = [self.running, running].into_iter().flatten().max();
        let applied = known.row.map(|row| row.next);
        let lag = known.end.zip(applied).map(|(end, next)| end.saturating_sub(next));
        let shown = all.iter().filter_map(|run| cut_to(run, from, to));
        self.partitions.push(json!({
            "partition": p.partition, "frontier": known.frontier.and_then(|cut| number(cut.batch)),
            "frontier_offset": known.frontier.map(|cut| cut.cut), "applied": applied, "end": known.end, "lag": lag,
            "archived": known.last.map(|e| e.to), "running": ends.running().and_then(number),
            "drop_before": known.drop_before.and_then(|cut| number(cut.batch)),
            "released": known.row.is_some_and(|row| row.released),
            "holes": (!known.lost_unsure).then_some(holes.len()),
            "lost": holes.iter().take(HOLES).map(|h| json!({ "from": h.from, "to": h.to, "reason": h.reason })).collect::<Vec<_>>(),
            "runs": shown.collect::<Vec<_>>(),
        }));
    }

    fn object(self, face: &SourceFace, batcher: Option<Batcher>) -> Value {
        let start = |batch: Option<i64>| batcher.and_then(|b| b.start_of(BatchId(batch?))).map(|t| t.0);
        let ms = batcher.and_then(|b| Some(b.start_of(BatchId(1))?.0 - b.start_of(BatchId(0))?.0));
        json!({
            "source": face.name, "batch_ms": ms, "batches": batcher.map(|b| b.to_string()), "first": self.first,
            "first_ms": start(self.first), "last": self.running, "running": self.running, "running_ms": start(self.running),
            "partitions": self.partitions,
        })
    }
}

/// The batches that a lost range lies in, where the live part still knows where they began.
fn place(hole: &Hole, row: Option<&Progress>) -> Option<(i64, i64)> {
    let row = row?;
    let first = number(row.floor(hole.from))?;
    let last = number(row.floor(hole.to.saturating_sub(1).max(hole.from)))?;
    Some((first, last))
}

fn cut_to(run: &Run, from: Option<i64>, to: Option<i64>) -> Option<Value> {
    let (begin, end) = (
        run.from.max(from.unwrap_or(i64::MIN)),
        run.to.min(to.unwrap_or(i64::MAX)),
    );
    (begin < end).then(|| json!({ "from": begin, "to": end, "state": run.state }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64, to: u64, cuts: Vec<(BatchId, u64)>) -> IndexEntry {
        IndexEntry {
            format: 1,
            from: cuts.first().map_or(0, |(_, at)| *at),
            to,
            batch_before: BatchId(number),
            files: Vec::new(),
            cuts,
            hole: None,
            topic_id: String::new(),
            leader_epoch: -1,
            cut_spec: String::new(),
        }
    }

    /// The archive may be batches ahead of who counts, also where he stands in one that was the last: only who has read all that the log has
    /// is in the last one for sure.
    #[test]
    fn the_last_batch_is_open_where_nobody_can_be_further() {
        let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new());
        (row.next, row.batch, row.retained_from) = (95, BatchId(9), BatchId(8));
        row.cuts = vec![(BatchId(8), 80), (BatchId(9), 90)];
        let told = |archive_unsure: bool, end: Option<u64>| {
            let mut of_source = OfSource::default();
            let known = Partition {
                row: Some(&row),
                archive_unsure,
                end,
                ..Partition::default()
            };
            of_source.add(&SourcePartition::new("lines", 0), &known, None, None);
            of_source.partitions[0]["runs"].clone()
        };
        let run = |from: i64, to: i64, state: &str| json!({ "from": from, "to": to, "state": state });
        let open = |before: &str| json!([run(8, 9, before), run(9, 10, "open")]);
        assert_eq!(told(false, None), open("sealed"));
        assert_eq!(told(true, Some(95)), open("unknown"));
        for end in [None, Some(96)] {
            assert_eq!(told(true, end), json!([run(8, 10, "unknown")]), "{end:?}");
        }
    }

    /// 10^4 batches of 256 partitions, a hundred of which are in the live part: the answer is small, whatever the number of batches, and
    /// says of each batch what it is.
    #[test]
    fn many_batches_of_many_partitions_are_a_short_answer() {
        const BATCHES: u64 = 10_000;
        let begun = std::time::Instant::now();
        let mut of_source = OfSource::default();
        for partition in 0..256_u32 {
            let skew = i64::from(partition % 7);
            let running = BATCHES as i64 - skew;
            let (covered, kept, archived) = (running - 20, running - 100, running - 3);
            let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new());
            (row.next, row.batch) = (running as u64 * 1_000 + 500, BatchId(running));
            row.retained_from = BatchId(kept);
            row.cuts = (kept..=running).map(|b| (BatchId(b), b as u64 * 1_000)).collect();
            // A lost range in two batches of the live part.
            row.holes.push(Hole {
                from: (running - 10) as u64 * 1_000 + 7,
                to: (running - 8) as u64 * 1_000,
                reason: "deleted".into(),
            });
            let first = entry(i64::MIN, 1_000, vec![(BatchId(1), 0)]);
            let last = entry(
                archived - 1,
                archived as u64 * 1_000 + 1,
                vec![(BatchId(archived), archived as u64 * 1_000)],
            );
            let known = Partition {
                row: Some(&row),
                first: Some(&first),
                last: Some(&last),
                frontier: Some(Cut {
                    batch: BatchId(covered),
                    cut: covered as u64 * 1_000,
                    ..Cut::ORIGIN
                }),
                ..Partition::default()
            };
            let p = SourcePartition::new("lines", partition);
            of_source.add(&p, &known, None, None);
            let wanted = json!([
                { "from": 1, "to": kept, "state": "dropped" },
                { "from": kept, "to": covered, "state": "published" },
                { "from": covered, "to": running - 10, "state": "archived" },
                { "from": running - 10, "to": running - 8, "state": "hole" },
                { "from": running - 8, "to": archived, "state": "archived" },
                { "from": archived, "to": running, "state": "sealed" },
                { "from": running, "to": running + 1, "state": "open" },
            ]);
            assert_eq!(of_source.partitions[partition as usize]["runs"], wanted);
        }
        let bytes = json!(of_source.partitions).to_string().len();
        println!("{bytes} bytes in {:?}", begun.elapsed());
        assert!(bytes < 256 << 10, "{bytes} bytes");
        assert_eq!((of_source.first, of_source.running), (Some(1), Some(BATCHES as i64)));
    }
}
