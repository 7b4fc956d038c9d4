//! A chunk: its cells are read, added up, and set with the rows in one step.

use std::collections::{BTreeMap, HashMap};

use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::points::reach;
use rufous_store_api::realtime::apply_advances;
use rufous_store_api::{Commit, Committed, Progress};

use super::chunk::{Adds, Cells, add_up, sorted_out};
use super::layout::{self, Row};
use super::shared::{Applied, Change, Core, Stored, lock};
use super::{ATTEMPTS, RedisRealtime};
use crate::server::list;

impl RedisRealtime {
    pub(super) fn commit_chunk(&self, commit: &Commit<'_>) -> Result<Committed> {
        let core = &*self.core;
        let adds = sorted_out(core, commit)?;
        let wanted: Vec<_> = (0..core.stores.len())
            .flat_map(|store| commit.advances.iter().map(move |a| (store, a.partition.clone())))
            .collect();
        for attempt in 0..ATTEMPTS {
            let rows = match attempt {
                0 => self.known_rows(&wanted).map_or_else(|| core.rows(&wanted), Ok)?,
                _ => core.rows(&wanted)?,
            };
            if attempt > 0
                && let Some(refused) = self.other_owner(&wanted, &rows)
            {
                return Ok(refused);
            }
            let moved = match moved(core, commit, &wanted, &rows) {
                Ok(moved) => moved,
                // What this process remembers may be old; what the server says is not.
                Err(_) if attempt == 0 => continue,
                Err(refused) => return Ok(refused),
            };
            let change = merged(core, &adds, &wanted, rows, moved)?;
            reach("commit.before");
            match core.apply("commit a chunk to", change)? {
                Applied::Done(written) => {
                    reach("commit.written");
                    self.learn(written);
                    return Ok(Committed::Done);
                }
                Applied::Moved => {}
                Applied::Lost => return Err(self.forget()),
            }
        }
        Err(core.busy("the rows of a chunk"))
    }

    /// The refusal if a row was acquired by somebody else under the very epoch that this process has: the server forgot one of the
    /// two. Other epochs refuse by themselves.
    fn other_owner(&self, wanted: &[(usize, SourcePartition)], rows: &[Option<Stored>]) -> Option<Committed> {
        let known = lock(&self.known);
        for (of, stored) in wanted.iter().zip(rows) {
            if let (Some(Stored { row: own, .. }), Some(Stored { row: found, .. })) = (known.get(of), stored)
                && own.progress.epoch == found.progress.epoch
                && own.owner != found.owner
            {
                return Some(Committed::Refused {
                    partition: of.1.clone(),
                    found: Some((found.progress.next, found.progress.epoch)),
                });
            }
        }
        None
    }

    /// The rows as this process last wrote them, if it knows all.
    fn known_rows(&self, wanted: &[(usize, SourcePartition)]) -> Option<Vec<Option<Stored>>> {
        let known = lock(&self.known);
        wanted.iter().map(|of| known.get(of).cloned().map(Some)).collect()
    }
}

/// The rows behind the chunk; the refusal if a check fails (P11).
fn moved(
    core: &Core,
    commit: &Commit<'_>,
    wanted: &[(usize, SourcePartition)],
    rows: &[Option<Stored>],
) -> Result<Vec<BTreeMap<SourcePartition, Progress>>, Committed> {
    let mut all = vec![BTreeMap::new(); core.stores.len()];
    for ((store, p), stored) in wanted.iter().zip(rows) {
        if let (Some(of), Some(stored)) = (all.get_mut(*store), stored) {
            of.insert(p.clone(), stored.row.progress.clone());
        }
    }
    for of in &mut all {
        match apply_advances(of, commit.advances) {
            Committed::Done => {}
            refused => return Err(refused),
        }
    }
    Ok(all)
}

/// Reads the cells that the chunk adds to, and adds.
fn merged(
    core: &Core,
    adds: &[Adds],
    wanted: &[(usize, SourcePartition)],
    rows: Vec<Option<Stored>>,
    mut moved: Vec<BTreeMap<SourcePartition, Progress>>,
) -> Result<Change> {
    let mut change = Change {
        rows: Vec::with_capacity(rows.len()),
        dooms: Vec::new(),
        cells: Vec::with_capacity(adds.len()),
    };
    let mut places = HashMap::with_capacity(wanted.len());
    for ((store, p), stored) in wanted.iter().zip(rows) {
        let after = moved.get_mut(*store).and_then(|of| of.remove(p));
        if let (Some(Stored { bytes, row }), Some(progress)) = (stored, after) {
            places.insert((*store, p), change.rows.len());
            change
                .rows
                .push((*store, p.clone(), Some(bytes), Row { progress, ..row }));
        }
    }
    let mut reads = Vec::new();
    for a in adds {
        let name = core.name(a.store);
        let place = places.get(&(a.store, &a.partition)).copied();
        let Some((.., row)) = place.and_then(|i| change.rows.get_mut(i)) else {
            return Err(Error::bug(format!(
                "store `{name}`: a delta of partition {}, which the chunk does not move",
                a.partition
            )));
        };
        if a.batch < row.progress.retained_from {
            return Err(Error::bug(format!(
                "store `{name}`: a delta of partition {} in {}, below {}, which was dropped",
                a.partition,
                a.batch.show(),
                row.progress.retained_from.show()
            )));
        }
        let known = !row.note(a.batch);
        let cells = layout::cells(name, &a.partition, row.lane, a.batch);
        if known {
            let key = format!("{}cells/{cells}", core.prefix);
            let mut cmd = redis::cmd("HMGET");
            cmd.arg(key);
            for (key, _) in &a.pairs {
                cmd.arg(a.bytes.get(key.clone()).unwrap_or_default());
            }
            reads.push(cmd);
        }
        change.cells.push(Cells {
            name: cells,
            known,
            new: 0,
            pairs: Vec::new(),
            bytes: Vec::new(),
        });
    }
    let found = core
        .server
        .pipeline(&format_args!("read the cells of a chunk in {}", core.place), &reads)?;
    drop(reads);
    let mut found = found.iter();
    for (a, cells) in adds.iter().zip(&mut change.cells) {
        let before = match cells.known {
            true => found.next().and_then(list).filter(|f| f.len() == a.pairs.len()),
            false => None,
        };
        if cells.known && before.is_none() {
            return Err(core.odd("read the cells of a chunk in"));
        }
        add_up(core, a, before, cells)?;
    }
    Ok(change)
}
