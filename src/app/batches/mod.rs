//! `batches`: what became of every batch of every partition, from the rows of the live part, the index of the archive, the manifest and
//! its permission to drop.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::open::Context;
use super::out;
use crate::core::{BatchId, Batcher, Cut, Result, SourceFace, SourcePartition};
use crate::store_api::{IndexEntry, ManifestLog, Progress};

/// How far a batch is: each state holds what those before it say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Records may still come into it.
    Open,
    /// A record of a later batch was seen.
    Sealed,
    /// All its records are in files of the archive.
    Archived,
    /// The current generation covers it.
    Published,
    /// And the live part keeps nothing of it any more.
    Dropped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::Archived => "archived",
            Self::Published => "published",
            Self::Dropped => "dropped",
        }
    }
}

/// A batch of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) batch: BatchId,
    pub(super) state: State,
    /// Its offsets, as far as they are known.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What the archive holds of it; `None`: nothing says.
    pub(super) records: Option<u64>,
    /// The permission to drop has passed it.
    pub(super) droppable: bool,
}

/// What is known of a partition.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub(super) row: Option<&'a Progress>,
    pub(super) index: &'a [IndexEntry],
    pub(super) frontier: Option<Cut>,
    pub(super) drop_before: Option<Cut>,
}

/// Every batch that has records, ascending.
pub(super) fn lines(known: &Known<'_>) -> Vec<Line> {
    let archived_to = known.index.last().map_or(0, |e| e.to);
    let read_to = known.row.map_or(0, |row| row.next).max(archived_to);
    if let Some(cut) = known.frontier.filter(|cut| cut.batch == BatchId::MAX) {
        return vec![Line {
            batch: BatchId::MAX,
            state: State::Published,
            from: 0,
            to: cut.cut,
            records: None,
            droppable: false,
        }];
    }
    let mut begins: BTreeMap<BatchId, u64> = BTreeMap::new();
    let of_index = known.index.iter().flat_map(|e| e.cuts.iter());
    let of_row = known.row.into_iter().flat_map(|row| row.cuts.iter());
    for (batch, at) in of_index.chain(of_row) {
        let begin = begins.entry(*batch).or_insert(*at);
        *begin = (*begin).min(*at);
    }
    // Where an empty shard was set to stand, nothing began.
    begins.remove(&BatchId::MIN);
    let running = begins.last_key_value().map(|(batch, _)| *batch);
    let mut records: BTreeMap<BatchId, u64> = BTreeMap::new();
    for file in known.index.iter().flat_map(|e| &e.files) {
        *records.entry(file.batch).or_default() += file.rows;
    }
    let all: Vec<(BatchId, u64)> = begins.into_iter().collect();
    let ends = all.iter().skip(1).map(|(_, at)| *at).chain([read_to]);
    let found = all.iter().zip(ends).map(|(&(batch, from), to)| {
        let covered = known.frontier.is_some_and(|cut| batch < cut.batch);
        let kept = known.row.is_none_or(|row| batch >= row.retained_from);
        let state = match () {
            () if covered && !kept => State::Dropped,
            () if covered => State::Published,
            () if Some(batch) == running => State::Open,
            () if to <= archived_to => State::Archived,
            () => State::Sealed,
        };
        Line {
            batch,
            state,
            from,
            to,
            records: records.get(&batch).copied(),
            droppable: known.drop_before.is_some_and(|cut| batch < cut.batch),
        }
    });
    // A batch without offsets is where a lost range, or a rebuild, set a mark.
    found.filter(|line| line.to > line.from).collect()
}

pub(super) fn batches(context: &Context<'_>, last: Option<usize>) -> Result<()> {
    let manifest = context.manifests.newest(0)?;
    let rows = live(context)?;
    let mut any = false;
    for face in context.plan.sources() {
        let archived = archive(context, face, manifest.as_ref())?;
        let spec = manifest.as_ref().and_then(|m| m.cut_specs.get(face.name));
        let by_offset = spec.is_some_and(|s| s.contains("clock=offset"));
        let mut partitions: Vec<SourcePartition> = archived.keys().cloned().collect();
        partitions.extend(rows.keys().filter(|p| p.source == face.name).cloned());
        let frontier = manifest.iter().flat_map(|m| m.frontier.0.keys());
        partitions.extend(frontier.filter(|p| p.source == face.name).cloned());
        partitions.sort();
        partitions.dedup();
        for p in partitions {
            let allowed = manifest
                .as_ref()
                .and_then(|m| m.drop_before.get(context.plan.fingerprint()));
            let known = Known {
                row: rows.get(&p),
                index: archived.get(&p).map_or(&[], Vec::as_slice),
                frontier: manifest.as_ref().and_then(|m| m.frontier.0.get(&p)).copied(),
                drop_before: allowed.and_then(|f| f.0.get(&p)).copied(),
            };
            let found = lines(&known);
            let skip = last.map_or(0, |n| found.len().saturating_sub(n));
            for line in found.iter().skip(skip) {
                any = true;
                let batcher = (!by_offset).then(|| face.batcher());
                if !out::say(|| text(&p, line, batcher), || object(&p, line, batcher)) {
                    return Ok(());
                }
            }
        }
    }
    if !any {
        out::people(|| "no batch yet: nothing was read, archived or published".into());
    }
    Ok(())
}

/// Rows of the live part: of any store, for one write commits them all.
fn live(context: &Context<'_>) -> Result<BTreeMap<SourcePartition, Progress>> {
    let stores = context.plan.live_stores();
    let Some(face) = stores.first() else {
        return Ok(BTreeMap::new());
    };
    let namespace = context.namespace(&*context.manifests)?;
    Ok(context.rows(&namespace, face.name)?.into_iter().collect())
}

type Indexes = BTreeMap<SourcePartition, Vec<IndexEntry>>;

#[cfg(feature = "parquet")]
fn archive(context: &Context<'_>, face: &SourceFace, manifest: Option<&crate::store_api::Manifest>) -> Result<Indexes> {
    use super::location::Place;
    use crate::store_api::Archive;
    if let Some(Place::Parquet(_) | Place::Bulk(_)) = context.locations.get(face.name).map(|l| &l.place) {
        return Ok(Indexes::new());
    }
    let spec = match manifest.and_then(|m| m.cut_specs.get(face.name)) {
        Some(spec) => spec.clone(),
        None => context.cut_spec(face)?,
    };
    let archive = context.archive_cut(face.name, &spec)?;
    let of = |partition| Ok((SourcePartition::new(face.name, partition), archive.index(partition, 0)?));
    archive.partitions()?.into_iter().map(of).collect()
}

#[cfg(not(feature = "parquet"))]
fn archive(_: &Context<'_>, _: &SourceFace, _: Option<&crate::store_api::Manifest>) -> Result<Indexes> {
    Ok(Indexes::new())
}

/// When a batch begins and ends, where it is a span of time.
fn span(line: &Line, batcher: Option<Batcher>) -> Option<(String, String)> {
    let batcher = batcher.filter(|_| line.batch != BatchId::MIN && line.batch != BatchId::MAX)?;
    let end = BatchId(line.batch.0.checked_add(1)?);
    Some((
        batcher.start_of(line.batch)?.to_string(),
        batcher.start_of(end)?.to_string(),
    ))
}

fn text(p: &SourcePartition, line: &Line, batcher: Option<Batcher>) -> String {
    let name = match (span(line, batcher), line.batch) {
        (Some((since, until)), _) => format!("{since}..{until}"),
        (None, BatchId::MAX) => "the whole input".into(),
        (None, batch) => format!("batch {}", batch.0),
    };
    let records = line.records.map_or_else(String::new, |n| format!("  {n} records"));
    let droppable = if line.droppable && line.state != State::Dropped {
        "  (may be dropped)"
    } else {
        ""
    };
    format!(
        "{p}  {name}  {:9}  offsets {}..{}{records}{droppable}",
        line.state.name(),
        line.from,
        line.to
    )
}

fn object(p: &SourcePartition, line: &Line, batcher: Option<Batcher>) -> Value {
    let (since, until) = span(line, batcher).unzip();
    let batch = match line.batch {
        BatchId::MAX => json!("end"),
        batch => json!(batch.0),
    };
    json!({
        "source": p.source, "partition": p.partition, "batch": batch, "since": since, "until": until,
        "state": line.state.name(), "from": line.from, "to": line.to, "records": line.records, "droppable": line.droppable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_api::ArchivedFile;

    fn entry(from: u64, to: u64, before: i64, cuts: &[(i64, u64)]) -> IndexEntry {
        let begins = cuts.iter().map(|&(_, at)| at).chain([to]);
        let mut files = Vec::new();
        let (mut batch, mut at) = (before, from);
        for (next, end) in cuts.iter().map(|c| c.0).chain([0]).zip(begins) {
            if end > at {
                files.push(ArchivedFile {
                    path: String::new(),
                    batch: BatchId(batch),
                    from: at,
                    to: end,
                    rows: end - at,
                    bytes: 0,
                    checksum: String::new(),
                });
            }
            (batch, at) = (next, end);
        }
        IndexEntry {
            format: 1,
            from,
            to,
            batch_before: BatchId(before),
            files,
            cuts: cuts.iter().map(|&(b, at)| (BatchId(b), at)).collect(),
            hole: None,
            topic_id: String::new(),
            leader_epoch: -1,
            cut_spec: String::new(),
        }
    }

    fn row(next: u64, retained_from: i64, cuts: &[(i64, u64)]) -> Progress {
        let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new());
        row.next = next;
        row.retained_from = BatchId(retained_from);
        row.cuts = cuts.iter().map(|&(b, at)| (BatchId(b), at)).collect();
        row
    }

    fn cut(batch: i64, at: u64) -> Cut {
        Cut {
            batch: BatchId(batch),
            cut: at,
            ..Cut::ORIGIN
        }
    }

    /// A batch goes through its states in order, and each is told by the layer that knows it: batches 1..=6 of ten offsets each, the
    /// live part has read to 55, the archive to 45, generations cover what is below 3, and cells below 2 are gone.
    #[test]
    fn each_layer_says_its_part() {
        let index = [
            entry(0, 25, i64::MIN, &[(1, 0), (2, 10), (3, 20)]),
            entry(25, 45, 3, &[(4, 30), (5, 40)]),
        ];
        let row = row(55, 2, &[(2, 10), (3, 20), (4, 30), (5, 40), (6, 50)]);
        let known = Known {
            row: Some(&row),
            index: &index,
            frontier: Some(cut(3, 20)),
            drop_before: Some(cut(3, 20)),
        };
        let found: Vec<_> = lines(&known)
            .into_iter()
            .map(|l| (l.batch.0, l.state, l.from, l.to, l.records, l.droppable))
            .collect();
        assert_eq!(
            found,
            [
                (1, State::Dropped, 0, 10, Some(10), true),
                (2, State::Published, 10, 20, Some(10), true),
                (3, State::Archived, 20, 30, Some(10), false),
                (4, State::Archived, 30, 40, Some(10), false),
                (5, State::Sealed, 40, 50, Some(5), false),
                (6, State::Open, 50, 55, None, false),
            ]
        );
        // The archive alone, and a bounded input, of which a generation has all.
        let known = Known {
            index: &index,
            ..Known::default()
        };
        let states: Vec<_> = lines(&known).into_iter().map(|l| (l.batch.0, l.state)).collect();
        assert_eq!(states[3..], [(4, State::Archived), (5, State::Open)]);
        let whole = Known {
            frontier: Some(cut(i64::MAX, 77)),
            ..Known::default()
        };
        assert_eq!((lines(&whole)[0].state, lines(&whole)[0].to), (State::Published, 77));
        assert!(lines(&Known::default()).is_empty());
    }
}
