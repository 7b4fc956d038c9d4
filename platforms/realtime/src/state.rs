//! What operators of a live run read (O7): the value of a key in a *base* generation, plus the shard's own cells of it at and
//! above the base's frontier. No second copy of the keys is kept.
//!
//! The base may be any generation whose frontier the shard has reached, and below which none of its cells was dropped; the
//! newest of them has the fewest cells above it. One that the shard has not reached holds records that are still to come.

use std::sync::Arc;

use rufous_core::erased::in_two_domains;
use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Error, ErrorKind, Frontier, Plan, Result, SourcePartition, Wanted};
use rufous_store_api::{GenerationStore, Manifest, ManifestLog, Progress, RealtimeStore};

/// Reads committed state.
pub(crate) struct Committed<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) store: Arc<dyn RealtimeStore>,
    pub(crate) manifests: &'a dyn ManifestLog,
    pub(crate) generations: &'a dyn GenerationStore,
    /// Manifests that were read, the newest first.
    pub(crate) known: Vec<Manifest>,
}

/// A file of a base may be deleted while it is read; then another generation is the base.
const ATTEMPTS: usize = 3;

impl Committed<'_> {
    pub(crate) fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        let mut attempt = 1;
        loop {
            match self.attempt(wanted) {
                Err(e) if e.kind() == ErrorKind::TryAgain && attempt < ATTEMPTS => {
                    self.known.clear();
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    fn attempt(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        let plan = self.plan;
        let (Some(face), Some(source)) = (
            plan.stores().get(wanted.store),
            plan.sources().get(wanted.source as usize),
        ) else {
            return Err(Error::bug("an operator asks for a store that the plan does not have"));
        };
        let p = SourcePartition::new(source.name, wanted.partition);
        let goes_with = |q: &SourcePartition| {
            let place = plan.sources().iter().position(|face| face.name == q.source);
            let asked = (wanted.source as usize, wanted.partition);
            place.is_some_and(|s| plan.goes_with(wanted.store, asked, (s, q.partition)))
        };
        let snapshot = self.store.snapshot()?;
        let rows = snapshot.partitions(face.name)?;
        // Of a domain of several partitions each has cells.
        let own: Vec<usize> = { rows.iter().enumerate() }
            .filter_map(|(i, (q, _))| goes_with(q).then_some(i))
            .collect();
        let shards: Vec<&(SourcePartition, Progress)> = own.iter().filter_map(|i| rows.get(*i)).collect();
        if shards.iter().all(|(q, _)| *q != p) {
            return Err(Error::bug(format!("{p} is processed without a row")));
        }
        let base = self.base(&shards)?;
        let nothing = rufous_store_api::StoreGeneration::default();
        let generation = base.stores.get(face.name).unwrap_or(&nothing);
        let offline = if kept(Rule::StateOfBase) {
            self.generations.get(face, generation, wanted.keys)?
        } else {
            vec![None; wanted.keys.len()]
        };
        let cells = snapshot.cells(face.name, wanted.keys, &base.frontier)?;
        let mut values = Vec::with_capacity(wanted.keys.len());
        for ((key, offline), cells) in wanted.keys.iter().zip(offline).zip(cells) {
            // O2.
            let foreign = cells.iter().find(|c| !own.contains(&(c.partition as usize)));
            if let Some(cell) = foreign.filter(|_| kept(Rule::OneDomain)) {
                let other = rows.get(cell.partition as usize).map_or(0, |(q, _)| q.partition);
                return Err(in_two_domains(face, key, wanted.partition, other));
            }
            let mut parts = offline
                .as_deref()
                .into_iter()
                .chain(cells.iter().map(|cell| cell.value.as_slice()));
            let mut sum = Vec::new();
            let any = face.value.sum(&mut parts, &mut sum);
            let any = any.map_err(|e| Error::corrupt(format!("store `{}`, state of {p}: {e}", face.name)))?;
            values.push(any.then_some(sum));
        }
        Ok(values)
    }

    /// The newest generation that may be the base of a shard (O7).
    fn base(&mut self, shards: &[&(SourcePartition, Progress)]) -> Result<Manifest> {
        let namespace = self.plan.fingerprint();
        let fits_all = |m: &Manifest| shards.iter().all(|(p, row)| fits(m, namespace, p, row));
        if let Some(base) = self.known.iter().find(|m| fits_all(m)) {
            return Ok(base.clone());
        }
        if !self.known.is_empty()
            && let Some(beginning) = self.beginning(shards)
        {
            return Ok(beginning);
        }
        self.known.clear();
        let mut at = self.manifests.newest(0)?;
        while let Some(manifest) = at {
            let found = fits_all(&manifest);
            let before = manifest.number.checked_sub(1);
            self.known.push(manifest);
            if found {
                break;
            }
            at = before.map(|n| self.manifests.get(n)).transpose()?.flatten();
        }
        let base = self.known.iter().find(|m| fits_all(m));
        base.cloned()
            .or_else(|| self.beginning(shards))
            .ok_or_else(|| lost(shards))
    }

    /// Of a shard that never dropped anything its own cells are the whole state, whatever generations are left.
    fn beginning(&self, shards: &[&(SourcePartition, Progress)]) -> Option<Manifest> {
        let whole = |row: &Progress| row.retained_from == BatchId::MIN && row.holes.is_empty();
        let all = shards.iter().all(|(_, row)| whole(row));
        let mut manifest = self.known.last().filter(|_| all)?.clone();
        manifest.frontier = Frontier::default();
        manifest.stores.clear();
        Some(manifest)
    }
}

/// Whether the cells of a shard above the frontier of a generation are all that is missing in it.
fn fits(m: &Manifest, namespace: &str, p: &SourcePartition, row: &Progress) -> bool {
    let f = m.frontier.of(p);
    if m.realtime_namespace.as_deref() != Some(namespace) {
        return false;
    }
    if !kept(Rule::BaseFits) {
        return true;
    }
    // Where cells were dropped, records below that batch are passed over (P14): whoever asks has come to where the generation that
    // holds them ends, though what is committed has not.
    let passed = f.batch == row.retained_from && f.batch != BatchId::MIN;
    let whole = row.holes.iter().all(|hole| hole.to <= f.cut) || !kept(Rule::LostRangeStops);
    f.batch >= row.retained_from && (f.cut <= row.next || passed) && row.aligned(f).is_ok() && whole
}

/// No generation is the state of a shard where it stands.
fn lost(shards: &[&(SourcePartition, Progress)]) -> Error {
    let hole = |(p, row): &&(SourcePartition, Progress)| Some((p.clone(), row.holes.last()?.clone()));
    let found = shards.iter().find_map(hole).filter(|_| kept(Rule::LostRangeStops));
    match (found, shards.first()) {
        (Some((p, hole)), _) => lost_range(&p, hole.from, hole.to),
        (None, None) => Error::bug("no shard needs a state"),
        (None, Some((p, row))) => Error::invalid(format!(
            "no generation that is left holds the state of {p} where its live part stands (offset {}, cells from {} on): \
             `rebuild` makes the live part anew from where a generation ends",
            row.next,
            row.retained_from.show()
        )),
    }
}

/// O12: what to say of a partition of which records were lost.
pub(crate) fn lost_range(p: &SourcePartition, from: u64, to: u64) -> Error {
    Error::invalid(format!(
        "offsets {from}..{to} of {p} were lost before they were read, and the job has an operator with memory: what it emits \
         would rest on unknown state from there on. If the archive holds the range, run `batch` until a generation covers it and \
         start again: the stream goes on from that generation. If it is lost for good, start with another --instance"
    ))
}
