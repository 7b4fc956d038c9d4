//! `batches`: what became of every batch of every partition, from the rows of the live part, the index of the archive, the manifest and
//! its permission to drop.

#[cfg(any(feature = "server", test))]
pub(super) mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::open::Context;
use super::out;
use crate::core::{BatchId, Batcher, Cut, CutSpec, Result, SourceFace, SourcePartition};
use crate::store_api::{Archive, IndexEntry, Manifest, ManifestLog, Progress};

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
    /// How far a batch is that began before the running one, or is it. `kept`: the live part has its cells; `archived`: all its
    /// offsets are in files.
    fn of(covered: bool, kept: bool, running: bool, archived: bool) -> Self {
        match () {
            () if covered && !kept => Self::Dropped,
            () if covered => Self::Published,
            () if running => Self::Open,
            () if archived => Self::Archived,
            () => Self::Sealed,
        }
    }
    pub(super) fn name(self) -> &'static str {
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
#[derive(Clone, Copy, Default)]
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
        let state = State::of(covered, kept, Some(batch) == running, to <= archived_to);
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

/// Lines of a partition, the last `last` of them. What the archive says of others is not read, and nothing is kept.
fn partition(known: Known<'_>, archive: Option<(&dyn Archive, u32)>, last: Option<usize>) -> Result<Vec<Line>> {
    let of = |index: &[IndexEntry]| lines(&Known { index, ..known });
    let newest = |found: &[Line]| found.len().saturating_sub(last.unwrap_or(found.len()));
    let Some((archive, partition)) = archive else {
        let mut found = of(&[]);
        found.drain(..newest(&found));
        return Ok(found);
    };
    let end = match last {
        Some(_) => archive.last(partition, 0)?.map_or(0, |(number, _)| number + 1),
        None => 0,
    };
    let mut back = 1;
    loop {
        let from = end.saturating_sub(back);
        let index = archive.index(partition, from)?;
        let mut found = of(&index);
        let skip = newest(&found);
        // All of a batch is in the entries that were read when it begins in them.
        let begin = index.first().map_or(0, |entry| entry.from);
        let whole = found.get(skip).is_none_or(|line| line.from >= begin);
        if from == 0 || (whole && last.is_some_and(|n| found.len() >= n)) {
            found.drain(..skip);
            return Ok(found);
        }
        back *= 2;
    }
}

/// How the batches of a source were cut: by what those say who cut them, for this code may cut otherwise.
pub(super) fn batcher(published: Option<&String>, row: Option<&Progress>, face: &SourceFace) -> Option<Batcher> {
    match published.or(row.map(|row| &row.cut_spec)) {
        Some(spec) => CutSpec::batcher_of(spec),
        None => Some(face.batcher()),
    }
}

pub(super) fn batches(context: &Context<'_>, last: Option<usize>) -> Result<()> {
    context.check_data()?;
    let manifest = context.manifests.newest(0)?;
    let manifest = manifest.as_ref();
    // Whose cells the rows are, and not those of this code: it may be another one.
    let namespace = context.namespace(&*context.manifests)?;
    let allowed = manifest.and_then(|m| m.drop_before.get(&namespace));
    let rows = live(context, &namespace)?;
    let mut any = false;
    for face in context.plan.sources() {
        let archive = archive(context, face, manifest)?;
        let archived = match &archive {
            Some(archive) => archive.partitions()?,
            None => Vec::new(),
        };
        let mut partitions: Vec<SourcePartition> =
            archived.iter().map(|p| SourcePartition::new(face.name, *p)).collect();
        partitions.extend(rows.keys().filter(|p| p.source == face.name).cloned());
        let frontier = manifest.iter().flat_map(|m| m.frontier.0.keys());
        partitions.extend(frontier.filter(|p| p.source == face.name).cloned());
        partitions.sort();
        partitions.dedup();
        for p in partitions {
            let known = Known {
                row: rows.get(&p),
                index: &[],
                frontier: manifest.and_then(|m| m.frontier.0.get(&p)).copied(),
                drop_before: allowed.and_then(|f| f.0.get(&p)).copied(),
            };
            let has_index = archived.contains(&p.partition);
            let index = archive.as_deref().filter(|_| has_index).map(|a| (a, p.partition));
            let published = manifest.and_then(|m| m.cut_specs.get(face.name));
            let batcher = batcher(published, known.row, face).filter(|b| !b.is_by_offset());
            for line in &partition(known, index, last)? {
                any = true;
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
pub(super) fn live(context: &Context<'_>, namespace: &str) -> Result<BTreeMap<SourcePartition, Progress>> {
    let stores = context.plan.live_stores();
    let Some(face) = stores.first() else {
        return Ok(BTreeMap::new());
    };
    Ok(context.rows(namespace, face.name)?.iter().cloned().collect())
}

/// How an archive is opened: its place is asked.
pub(super) type Opener = Box<dyn FnOnce() -> Result<Arc<dyn Archive>> + Send>;

/// The archive of a source; a bounded input has none.
fn archive(context: &Context<'_>, face: &SourceFace, manifest: Option<&Manifest>) -> Result<Option<Arc<dyn Archive>>> {
    opener(context, face, manifest)?.map(|open| open()).transpose()
}

/// The same, that is not opened yet.
#[cfg(feature = "parquet")]
pub(super) fn opener(context: &Context<'_>, face: &SourceFace, manifest: Option<&Manifest>) -> Result<Option<Opener>> {
    use super::location::Place;
    if let Some(Place::Parquet(_) | Place::Bulk(_)) = context.locations.get(face.name).map(|l| &l.place) {
        return Ok(None);
    }
    let spec = match manifest.and_then(|m| m.cut_specs.get(face.name)) {
        Some(spec) => spec.clone(),
        None => context.cut_spec(face)?,
    };
    let (archived, source) = (context.archived(), face.name.to_string());
    Ok(Some(Box::new(move || Ok(Arc::new(archived.cut(&source, &spec)?)))))
}

#[cfg(not(feature = "parquet"))]
pub(super) fn opener(_: &Context<'_>, _: &SourceFace, _: Option<&Manifest>) -> Result<Option<Opener>> {
    Ok(None)
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
        (None, batch) => batch.show(),
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
        BatchId::MIN => Value::Null,
        BatchId::MAX => json!("end"),
        batch => json!(batch.0),
    };
    json!({
        "source": p.source, "partition": p.partition, "batch": batch, "since": since, "until": until,
        "state": line.state.name(), "from": line.from, "to": line.to, "records": line.records, "droppable": line.droppable,
    })
}
