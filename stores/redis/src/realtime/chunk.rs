//! What a chunk adds, sorted by store, partition and batch, and the sums that are set.

use std::collections::HashMap;
use std::ops::Range;

use redis::{Cmd, Value};
use rufous_core::{BatchId, Delta, Error, Result, SourcePartition};
use rufous_store_api::Commit;

use super::shared::Core;
use crate::server::bytes;
use crate::staged::Pairs;

/// Cells of one store, partition and batch, to be set.
pub(super) struct Cells {
    pub(super) name: String,
    /// Whether the row named them before.
    pub(super) known: bool,
    /// How many are new; those come first.
    pub(super) new: usize,
    /// Keys and values, in `bytes`.
    pub(super) pairs: Vec<(Range<usize>, Range<usize>)>,
    pub(super) bytes: Vec<u8>,
}

/// What a chunk adds to one store, partition and batch.
pub(super) struct Adds {
    pub(super) store: usize,
    pub(super) partition: SourcePartition,
    pub(super) batch: BatchId,
    pub(super) pairs: Vec<(Range<usize>, Range<usize>)>,
    pub(super) bytes: Vec<u8>,
}

impl Adds {
    fn push(&mut self, store: &str, d: &Delta<'_>) -> Result<()> {
        // Ascending keys are keys that come once.
        if let Some((last, _)) = self.pairs.last()
            && self.bytes.get(last.clone()).is_none_or(|last| last >= d.key)
        {
            return Err(Error::bug(format!(
                "store `{store}`: a chunk has a cell twice, or cells that do not ascend: key {}, partition {}, batch {}",
                d.key.escape_ascii(),
                self.partition,
                self.batch.0
            )));
        }
        let key = self.bytes.len();
        self.bytes.extend_from_slice(d.key);
        let value = self.bytes.len();
        self.bytes.extend_from_slice(d.value);
        self.pairs.push((key..value, value..self.bytes.len()));
        Ok(())
    }
}

impl Cells {
    /// Appends what the script takes.
    pub(super) fn put_all(&self, staged: Option<&String>, cmd: &mut Cmd) {
        cmd.arg(&self.name)
            .arg(u8::from(self.known))
            .arg(self.pairs.len())
            .arg(self.new);
        match staged {
            Some(list) => {
                cmd.arg(list);
            }
            None => {
                cmd.arg("");
                Pairs::put(self, 0..self.pairs.len(), cmd);
            }
        }
    }
}

impl Pairs for Cells {
    fn count(&self) -> usize {
        self.pairs.len()
    }
    fn size(&self, at: usize) -> usize {
        self.pairs.get(at).map_or(0, |(key, value)| key.len() + value.len())
    }
    fn put(&self, at: Range<usize>, cmd: &mut Cmd) {
        for (key, value) in self.pairs.get(at).unwrap_or_default() {
            cmd.arg(self.bytes.get(key.clone()).unwrap_or_default());
            cmd.arg(self.bytes.get(value.clone()).unwrap_or_default());
        }
    }
}

/// What a chunk adds, by store, partition and batch.
pub(super) fn sorted_out(core: &Core, commit: &Commit<'_>) -> Result<Vec<Adds>> {
    let mut all: Vec<Adds> = Vec::new();
    for (name, deltas) in commit.deltas {
        let store = core.store(name)?;
        let mut places: HashMap<(u32, u32, BatchId), usize> = HashMap::new();
        deltas.for_each(&mut |d| {
            let of = (d.source, d.partition, d.batch);
            let place = match places.get(&of) {
                Some(place) => *place,
                None => {
                    let source = commit
                        .sources
                        .get(d.source as usize)
                        .ok_or_else(|| Error::bug(format!("store `{name}`: a delta of source number {}", d.source)))?;
                    places.insert(of, all.len());
                    all.push(Adds {
                        store,
                        partition: SourcePartition::new(*source, d.partition),
                        batch: d.batch,
                        pairs: Vec::new(),
                        bytes: Vec::new(),
                    });
                    all.len() - 1
                }
            };
            all.get_mut(place).map_or(Ok(()), |adds| adds.push(name, &d))
        })?;
    }
    Ok(all)
}

/// New cells first, then the sums of those that were there.
pub(super) fn add_up(core: &Core, a: &Adds, before: Option<&[Value]>, cells: &mut Cells) -> Result<()> {
    let Some(face) = core.stores.get(a.store) else {
        return Err(core.odd("commit a chunk to"));
    };
    let of = |at: &Range<usize>| a.bytes.get(at.clone()).unwrap_or_default();
    cells.bytes.reserve(a.bytes.len());
    cells.pairs.reserve(a.pairs.len());
    let mut sum = Vec::new();
    for new in [true, false] {
        for (i, (key, value)) in a.pairs.iter().enumerate() {
            let before = before.and_then(|b| b.get(i)).and_then(bytes);
            if before.is_none() != new {
                continue;
            }
            let (key, value) = (of(key), of(value));
            sum.clear();
            face.value
                .sum(&mut before.into_iter().chain([value]), &mut sum)
                .map_err(|e| {
                    Error::corrupt(format!(
                        "store `{}`, key {}, partition {}, batch {}: {e}",
                        face.name,
                        key.escape_ascii(),
                        a.partition,
                        a.batch.0
                    ))
                })?;
            let from = cells.bytes.len();
            cells.bytes.extend_from_slice(key);
            let at = cells.bytes.len();
            cells.bytes.extend_from_slice(&sum);
            cells.pairs.push((from..at, at..cells.bytes.len()));
        }
        if new {
            cells.new = cells.pairs.len();
        }
    }
    Ok(())
}
