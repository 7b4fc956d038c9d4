//! The two layers compared where both hold the same records (P36): the sum over partitions of the cells that a published run
//! covers, against what that run added. Silent divergence is the disease of every pair of layers; here it is measured.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Cut, Error, Frontier, Result, SourcePartition, StoreFace};
use rufous_store_api::{Cell, Manifest, Progress, Snapshot, StoreGeneration};
use serde::Serialize;

use crate::client::Client;

/// How many keys are asked for at once.
const KEYS: usize = 4096;
/// How many drifted keys are shown.
const SHOWN: usize = 20;

/// What a comparison of one store over one published run found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciled {
    /// The store.
    pub store: String,
    /// The manifest whose run was compared.
    pub manifest: u64,
    /// The batches of the run, per partition: from this frontier, which is its base's ...
    pub from: Frontier,
    /// ... to this one.
    pub to: Frontier,
    /// What was found.
    pub outcome: Comparison,
}

/// What became of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// Every key of the run was compared, and every key of the cells.
    Compared {
        /// How many keys either side has.
        keys: u64,
        /// How many of them differ. 0: the layers agree.
        drifted: u64,
        /// The first of those.
        first: Vec<Drift>,
    },
    /// It cannot be known now, and why. That is no drift of zero.
    NotComparable(String),
}

/// A key whose two sums differ, in canonical bytes; `None`: that side has no such key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The key.
    pub key: Vec<u8>,
    /// What the run added.
    pub offline: Option<Vec<u8>>,
    /// What the cells add up to.
    pub realtime: Option<Vec<u8>>,
}

impl Reconciled {
    /// Whether the layers agree; `None` when it cannot be known.
    pub fn agrees(&self) -> Option<bool> {
        match &self.outcome {
            Comparison::Compared { drifted, .. } => Some(*drifted == 0),
            Comparison::NotComparable(_) => None,
        }
    }
}

impl Client {
    /// Compares one store over the run that manifest `number` published; the current one when it is `None`.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such manifest or it holds other types; what the stores return. That the run
    /// cannot be compared is no error but [`Comparison::NotComparable`].
    pub fn reconcile(&self, face: &StoreFace, number: Option<u64>) -> Result<Reconciled> {
        let manifests = &self.parts().manifests;
        let m = match number {
            None => self.newest(0)?,
            Some(number) => Arc::new(manifests.get(number)?.ok_or_else(|| {
                Error::invalid(format!(
                    "job `{}` has no manifest {number}: it was deleted, or was never published",
                    self.parts().job
                ))
            })?),
        };
        self.raw(*face).check_schema(&m)?;
        let base = match m.number.checked_sub(1) {
            Some(before) => manifests.get(before)?,
            None => None,
        };
        let report = |from: &Frontier, outcome| Reconciled {
            store: face.name.into(),
            manifest: m.number,
            from: from.clone(),
            to: m.frontier.clone(),
            outcome,
        };
        let not = |from: &Frontier, why: String| Ok(report(from, Comparison::NotComparable(why)));
        let Some(base) = base else {
            return not(
                &m.frontier,
                format!("what manifest {} was built on is not there any more", m.number),
            );
        };
        if base.line != m.line || base.realtime_namespace != m.realtime_namespace {
            return not(
                &base.frontier,
                format!("manifest {} is a switch to another line, not a run", m.number),
            );
        }
        let Some(namespace) = &m.realtime_namespace else {
            return not(&base.frontier, "a bounded input has no realtime part".into());
        };
        // A rollback goes back, by batches that may be empty, too.
        let back = |(p, to): (&SourcePartition, &Cut)| {
            let from = base.frontier.of(p);
            to.cut < from.cut || to.batch < from.batch
        };
        if base.frontier == m.frontier || m.frontier.0.iter().any(back) {
            return not(&base.frontier, format!("manifest {} added no batches", m.number));
        }
        let Some(reader) = (self.parts().realtime)(namespace)? else {
            return not(&base.frontier, "there is no realtime state".into());
        };
        let snapshot = reader.snapshot()?;
        if snapshot.namespace() != namespace {
            return not(
                &base.frontier,
                "the realtime state is that of another version of the job".into(),
            );
        }
        let rows = snapshot.partitions(face.name)?;
        if let Some(why) = unstable(&rows, &base, &m) {
            return not(&base.frontier, why);
        }
        let outcome = Compare {
            client: self,
            face,
            snapshot: &*snapshot,
            floor: &base.frontier,
            range: rows
                .iter()
                .map(|(p, _)| base.frontier.of(p).batch..m.frontier.of(p).batch)
                .collect(),
            delta: StoreGeneration {
                runs: m.stores.get(face.name).map(|g| g.delta.clone()).unwrap_or_default(),
                ..StoreGeneration::default()
            },
            keys: 0,
            drifted: 0,
            first: Vec::new(),
        }
        .run()?;
        Ok(report(&base.frontier, outcome))
    }
}

/// Why a run cannot be compared: one partition for which P36 does not hold is enough.
fn unstable(rows: &[(SourcePartition, Progress)], base: &Manifest, m: &Manifest) -> Option<String> {
    for (p, to) in &m.frontier.0 {
        let from = base.frontier.of(p);
        if from == *to {
            continue;
        }
        let Some((_, row)) = rows.iter().find(|(known, _)| known == p) else {
            return Some(format!("{p} has no realtime state"));
        };
        if row.released {
            return Some(format!(
                "{p} is read by another process, which keeps its state elsewhere"
            ));
        }
        if row.next < to.cut && kept(Rule::ReconcileStable) {
            return Some(format!(
                "{p} was read live up to offset {}, the run reaches {}: try again later",
                row.next, to.cut
            ));
        }
        if row.retained_from > from.batch {
            return Some(format!(
                "cells of {p} below batch {} are dropped, the run begins at {}",
                row.retained_from.0, from.batch.0
            ));
        }
        if row.fingerprint != m.fingerprint {
            return Some(format!(
                "the cells of {p} were written by other code ({})",
                row.fingerprint
            ));
        }
        for frontier in [from, *to] {
            if let Err(found) = row.aligned(frontier) {
                return Some(format!(
                    "{p} is divided at offset {} offline and {:?} live, at batch {}",
                    found.offline_cut, found.realtime_cut, found.batch.0
                ));
            }
        }
        let overlaps = |a: u64, b: u64| a < to.cut && b > from.cut;
        let lost = row.holes.iter().find(|h| overlaps(h.from, h.to));
        let lost = lost.or_else(|| {
            let ours = m.holes.iter().filter(|h| h.partition == *p).map(|h| &h.hole);
            ours.into_iter().find(|h| overlaps(h.from, h.to))
        });
        if let Some(hole) = lost {
            return Some(format!(
                "offsets {}..{} of {p} are lost to one layer",
                hole.from, hole.to
            ));
        }
    }
    None
}

struct Compare<'a> {
    client: &'a Client,
    face: &'a StoreFace,
    snapshot: &'a dyn Snapshot,
    /// Cells at and above it ...
    floor: &'a Frontier,
    /// ... the same as batches, one a row, and the batches that they are below.
    range: Vec<Range<BatchId>>,
    delta: StoreGeneration,
    keys: u64,
    drifted: u64,
    first: Vec<Drift>,
}

impl Compare<'_> {
    fn run(mut self) -> Result<Comparison> {
        let generations = self.client.parts().generations.clone();
        let (mut pairs, delta) = (Vec::new(), std::mem::take(&mut self.delta));
        generations.scan(self.face, &delta, &[], &mut |key, value| {
            pairs.push((key.to_vec(), value.to_vec()));
            if pairs.len() < KEYS {
                Ok(())
            } else {
                self.compare(&mut pairs)
            }
        })?;
        self.compare(&mut pairs)?;
        // Keys that only the cells have. A key may have several cells.
        let mut asked = BTreeSet::new();
        let mut missing = BTreeSet::new();
        let range = std::mem::take(&mut self.range);
        let mut look = |asked: &mut BTreeSet<Vec<u8>>| -> Result<()> {
            let keys: Vec<_> = std::mem::take(asked).into_iter().collect();
            let found = generations.get(self.face, &delta, &keys)?;
            missing.extend(
                keys.into_iter()
                    .zip(found)
                    .filter(|(_, v)| v.is_none())
                    .map(|(key, _)| key),
            );
            Ok(())
        };
        self.snapshot.scan(self.face.name, &[], self.floor, &mut |key, cell| {
            if covered(&cell, &range) && asked.insert(key.to_vec()) && asked.len() >= KEYS {
                look(&mut asked)?;
            }
            Ok(())
        })?;
        look(&mut asked)?;
        self.range = range;
        let missing: Vec<_> = missing.into_iter().collect();
        for keys in missing.chunks(KEYS) {
            let realtime = self.realtime(keys)?;
            for (key, realtime) in keys.iter().zip(realtime) {
                self.keys += 1;
                self.drift(key.clone(), None, realtime);
            }
        }
        Ok(Comparison::Compared {
            keys: self.keys,
            drifted: self.drifted,
            first: self.first,
        })
    }

    fn compare(&mut self, pairs: &mut Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let keys: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let realtime = self.realtime(&keys)?;
        for ((key, offline), realtime) in pairs.drain(..).zip(realtime) {
            self.keys += 1;
            if realtime.as_ref() != Some(&offline) {
                self.drift(key, Some(offline), realtime);
            }
        }
        Ok(())
    }

    /// The sums of the cells of these keys, in order.
    fn realtime(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let cells = self.snapshot.cells(self.face.name, keys, self.floor)?;
        let sum = |cells: Vec<Cell>| {
            let mut parts = cells
                .iter()
                .filter(|c| covered(c, &self.range))
                .map(|c| &c.value[..])
                .peekable();
            if parts.peek().is_none() {
                return Ok(None);
            }
            let mut sum = Vec::new();
            let undecodable = |e| Error::corrupt(format!("store `{}`: a cell is not of its type: {e}", self.face.name));
            self.face.value.sum(&mut parts, &mut sum).map_err(undecodable)?;
            Ok(Some(sum))
        };
        cells.into_iter().map(sum).collect()
    }

    fn drift(&mut self, key: Vec<u8>, offline: Option<Vec<u8>>, realtime: Option<Vec<u8>>) {
        self.drifted += 1;
        if self.first.len() < SHOWN {
            self.first.push(Drift { key, offline, realtime });
        }
    }
}

/// Whether the run covers a cell.
fn covered(cell: &Cell, range: &[Range<BatchId>]) -> bool {
    range
        .get(cell.partition as usize)
        .is_some_and(|range| range.contains(&cell.batch))
}
