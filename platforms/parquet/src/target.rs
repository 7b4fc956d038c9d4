//! How far a run may go: per partition the longest sealed prefix that the archive holds (P20, P21).

use std::collections::{BTreeMap, BTreeSet};

use rufous_core::rules::{Rule, kept};
use rufous_core::{BatchId, Cut, Error, Frontier, Result, SourcePartition};
use rufous_store_api::{Archive, ArchivedFile, Hole, IndexEntry, SourceHole};

/// What a run will read of one partition.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The partition.
    pub partition: SourcePartition,
    /// Where the base generation ends.
    pub from: Cut,
    /// Where the new one will end.
    pub to: Cut,
    /// The files between, in order.
    pub files: Vec<ArchivedFile>,
}

/// What a run will do.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The partitions that move.
    pub pieces: Vec<Piece>,
    /// The frontier after the run: the base's where nothing moves.
    pub frontier: Frontier,
    /// Ranges that the archive lost.
    pub holes: Vec<SourceHole>,
    /// Per partition the batch that is open and so not covered.
    pub open: BTreeMap<SourcePartition, BatchId>,
}

/// How far partitions go that go together (O5): the batch that all of a domain have reached.
#[derive(Clone, Debug, Default)]
pub struct Levels(BTreeMap<SourcePartition, BatchId>);

impl Levels {
    /// Of the partitions of these sources: all of them are one domain (`spread`), or partition i of each is.
    ///
    /// # Errors
    /// When an archive cannot be read; `CorruptData` when the base is not level.
    pub fn add(&mut self, archives: &[&dyn Archive], base: &Frontier, spread: bool) -> Result<()> {
        let mut domains: BTreeMap<u32, Vec<(&dyn Archive, u32)>> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for archive in archives {
            // Of what nothing is archived the base knows.
            let mut own: BTreeSet<u32> = archive.partitions()?.into_iter().collect();
            own.extend(base.partitions_of(archive.source()));
            if spread {
                let all = own.into_iter().map(|n| (*archive, n));
                domains.entry(0).or_default().extend(all);
            } else {
                numbers.append(&mut own);
            }
        }
        for n in numbers {
            domains.insert(n, archives.iter().map(|archive| (*archive, n)).collect());
        }
        for members in domains.into_values() {
            let mut level = BatchId::MAX;
            let mut stand: Option<(SourcePartition, BatchId)> = None;
            for &(archive, n) in &members {
                let p = SourcePartition::new(archive.source(), n);
                let from = base.of(&p);
                if let Some((other, batch)) = stand
                    .as_ref()
                    .filter(|(_, batch)| *batch != from.batch && kept(Rule::LevelFrontier))
                {
                    return Err(Error::corrupt(format!(
                        "the generation ends at {} of {other} and at {} of {p}, which have one order together and end at \
                         one batch: it was not written by this job",
                        batch.show(),
                        from.batch.show()
                    )));
                }
                let index = archive.index(n, archive.find(n, from.cut)?)?;
                // Of what nothing is archived nobody knows how far it goes.
                level = level.min(index.last().map_or(from.batch, |last| last.batch_after().batch));
                stand = Some((p, from.batch));
            }
            for (archive, n) in members {
                self.0.insert(SourcePartition::new(archive.source(), n), level);
            }
        }
        Ok(())
    }
    /// The batch that a partition may not pass, because another one has not come there.
    pub fn of(&self, p: &SourcePartition) -> Option<BatchId> {
        self.0.get(p).copied().filter(|_| kept(Rule::LevelFrontier))
    }
}

/// Adds one source's partitions to a target. `until`: the run covers batches below it; no partition passes its level.
///
/// # Errors
/// `CorruptData` when the index does not reach down to the base, or was cut at another offset; it names the offsets.
pub fn extend(
    target: &mut Target,
    archive: &dyn Archive,
    base: &Frontier,
    cut_spec: &str,
    until: Option<BatchId>,
    levels: &Levels,
) -> Result<()> {
    for partition in archive.partitions()? {
        let p = SourcePartition::new(archive.source(), partition);
        let from = base.of(&p);
        // The entries before that are in the base, and an index grows for ever.
        let index = archive.index(partition, archive.find(partition, from.cut)?)?;
        target.frontier.0.insert(p.clone(), from);
        let (Some(first), Some(last)) = (index.first(), index.last()) else {
            continue;
        };
        if let Some(e) = index.iter().find(|e| e.cut_spec != cut_spec) {
            return Err(Error::invalid(format!(
                "the archive of {p} was cut by `{}`, the job cuts by `{cut_spec}`: use another --instance",
                e.cut_spec
            )));
        }
        let open = last.batch_after().batch;
        target.open.insert(p.clone(), open);
        let level = levels.of(&p).unwrap_or(BatchId::MAX);
        let batch = open.min(until.unwrap_or(BatchId::MAX)).min(level);
        if batch <= from.batch {
            continue;
        }
        let open_too = || Cut {
            batch: BatchId(open.0.saturating_add(1)),
            cut: last.to,
            batch_before: open,
        };
        let Some(to) = cut_at(&index, batch).map(|to| if kept(Rule::SealedOnly) { to } else { open_too() }) else {
            continue;
        };
        if first.from > from.cut || last.to < to.cut {
            return Err(Error::corrupt(format!(
                "the archive of {p} holds offsets {}..{}, but the generation ends at {}: offsets {}..{} are missing",
                first.from, last.to, from.cut, from.cut, first.from
            )));
        }
        // P28 for the offline side: the index must divide the log where the base does.
        if let Some(at) = cut_at(&index, from.batch).filter(|at| at.cut != from.cut && from.batch != BatchId::MIN) {
            return Err(Error::corrupt(format!(
                "the archive of {p} begins batch {} at offset {}, the generation at {}: one of them is damaged",
                from.batch.0, at.cut, from.cut
            )));
        }
        target.frontier.0.insert(p.clone(), to);
        for e in index.iter().filter(|e| e.to > from.cut && e.from < to.cut) {
            if let Some(reason) = &e.hole {
                target.holes.push(SourceHole {
                    partition: p.clone(),
                    hole: Hole {
                        from: e.from,
                        to: e.to,
                        reason: reason.clone(),
                    },
                });
            }
        }
        // A file holds one batch, so it lies on one side of either cut.
        let files: Vec<_> = index
            .iter()
            .flat_map(|e| &e.files)
            .filter(|f| f.from >= from.cut && f.to <= to.cut)
            .cloned()
            .collect();
        if let Some(f) = index
            .iter()
            .flat_map(|e| &e.files)
            .find(|f| (f.from < from.cut && f.to > from.cut) || (f.from < to.cut && f.to > to.cut))
        {
            return Err(Error::corrupt(format!(
                "archive file {} of {p} crosses a cut: it holds offsets {}..{}",
                f.path, f.from, f.to
            )));
        }
        target.pieces.push(Piece {
            partition: p,
            from,
            to,
            files,
        });
    }
    Ok(())
}

/// The batch below which a run stops that reads about `rows` records above the base: whole batches, and at least one. `None`: all
/// that is sealed is less.
///
/// # Errors
/// When an archive cannot be read.
pub fn until(archives: &[&dyn Archive], base: &Frontier, rows: u64) -> Result<Option<BatchId>> {
    let mut by_batch: BTreeMap<BatchId, u64> = BTreeMap::new();
    for archive in archives {
        for partition in archive.partitions()? {
            let from = base.of(&SourcePartition::new(archive.source(), partition)).cut;
            let index = archive.index(partition, archive.find(partition, from)?)?;
            let Some(open) = index.last().map(|last| last.batch_after().batch) else {
                continue;
            };
            for f in index
                .iter()
                .flat_map(|e| &e.files)
                .filter(|f| f.from >= from && f.batch < open)
            {
                *by_batch.entry(f.batch).or_default() += f.rows;
            }
        }
    }
    let mut sum = 0_u64;
    for (batch, n) in by_batch {
        sum = sum.saturating_add(n);
        if sum >= rows {
            return Ok(Some(BatchId(batch.0.saturating_add(1))));
        }
    }
    Ok(None)
}

/// `{ batch, cut(p, batch), batch_before }` as the index gives them (P21); `None` while the batch was not reached.
fn cut_at(index: &[IndexEntry], batch: BatchId) -> Option<Cut> {
    let mut before = index.first()?.batch_before;
    for (b, offset) in index.iter().flat_map(|e| &e.cuts) {
        if *b >= batch {
            return Some(Cut {
                batch,
                cut: *offset,
                batch_before: before,
            });
        }
        before = *b;
    }
    None
}
