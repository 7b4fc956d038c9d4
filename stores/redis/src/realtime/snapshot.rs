//! Snapshots. Redis keeps no versions, so a snapshot leases one: while it is held, writers put what they overwrite into an undo log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use redis::{Cmd, Value};
use rufous_core::{BatchId, Error, Frontier, Result, SourcePartition};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::{Cell, KeyRange, Progress, Snapshot};

use super::{Core, Row, layout, scripts};
use crate::names;
use crate::server::{bytes, list, text};

/// Keys of a call, and hashes.
const KEYS: usize = 4096;
const HASHES: usize = 4096;
/// Keys of a page, and pages of a call.
const PAGE: usize = 4096;
const PAGES: usize = 512;
/// Bytes of values after which a call ends.
const ENOUGH: usize = 16 << 20;

pub(super) fn take(core: &Arc<Core>) -> Result<Box<dyn Snapshot>> {
    let what = format!("take a snapshot of {}", core.place);
    let id = unique_name();
    let lease = core.server.options().snapshot_lease.as_millis().max(1).to_string();
    let answer = core.server.script(&what, &scripts::SNAPSHOT, &core.prefix, &|cmd| {
        cmd.arg(&id).arg(&lease);
        for store in &core.stores {
            cmd.arg(names::escaped(store.name));
        }
    })?;
    let answer = list(&answer).ok_or_else(|| core.server.odd(&what))?;
    match answer.first().and_then(text) {
        Some("done") => {}
        Some("lost") => return Err(core.lost()),
        Some("damaged") => {
            let store = answer.get(1).and_then(text).unwrap_or_default();
            return Err(Error::corrupt(format!(
                "{}: rows of store `{store}` are missing or were added by somebody else; {}",
                core.place,
                layout::REPAIR
            )));
        }
        _ => return Err(core.server.odd(&what)),
    }
    let version = answer.get(2).and_then(text).ok_or_else(|| core.server.odd(&what))?;
    // From here on the lease ends with this value, also when a row cannot be read.
    let mut snapshot = RedisSnapshot {
        core: core.clone(),
        id,
        version: version.to_string(),
        lease,
        rows: Vec::new(),
    };
    let all = answer.get(3).and_then(list).unwrap_or_default();
    for (store, fields) in all.iter().enumerate() {
        let mut rows = BTreeMap::new();
        for pair in list(fields).unwrap_or_default().chunks(2) {
            let (Some(field), Some(row)) = (pair.first().and_then(bytes), pair.get(1).and_then(bytes)) else {
                return Err(core.server.odd(&what));
            };
            let p = names::partition_of(field).ok_or_else(|| {
                Error::corrupt(format!(
                    "{}: the field `{}` of `{}` names no partition; {}",
                    core.place,
                    field.escape_ascii(),
                    layout::rows_key(core.name(store)),
                    layout::REPAIR
                ))
            })?;
            rows.insert(p, core.parse_row(store, field, row)?);
        }
        snapshot.rows.push(rows.into_iter().collect());
    }
    Ok(Box::new(snapshot))
}

struct RedisSnapshot {
    core: Arc<Core>,
    /// Of the lease.
    id: String,
    version: String,
    lease: String,
    /// By store, in the order of partitions.
    rows: Vec<Vec<(SourcePartition, Row)>>,
}

/// The cells of a batch of a partition.
struct Named {
    batch: BatchId,
    partition: u32,
    name: String,
}

/// Where a range of keys goes on.
struct Cursor<'a> {
    named: &'a Named,
    /// The lower bound as the server takes it.
    low: Vec<u8>,
    more: bool,
    /// Fetched, ascending.
    fetched: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl RedisSnapshot {
    fn of(&self, store: &str) -> Result<&[(SourcePartition, Row)]> {
        Ok(self.rows.get(self.core.store(store)?).map_or(&[], Vec::as_slice))
    }

    /// What is in the frontier's reach, by batch and partition.
    fn reach(&self, store: &str, from: &Frontier) -> Result<Vec<Named>> {
        let mut all = Vec::new();
        for ((p, row), partition) in self.of(store)?.iter().zip(0..) {
            let floor = from.of(p).batch.max(row.progress.retained_from);
            let batches = row.batches.iter().filter(|b| **b >= floor);
            all.extend(batches.map(|batch| Named {
                batch: *batch,
                partition,
                name: layout::cells(store, p, row.lane, *batch),
            }));
        }
        all.sort_by_key(|n| (n.batch, n.partition));
        Ok(all)
    }

    fn ask(&self, script: &redis::Script, args: &dyn Fn(&mut Cmd)) -> Result<Vec<Value>> {
        let core = &*self.core;
        let what = format_args!("read a snapshot of {}", core.place);
        let answer = core.server.script(&what, script, &core.prefix, &|cmd| {
            cmd.arg(&self.id).arg(&self.version).arg(&self.lease);
            args(cmd);
        })?;
        let Value::Array(mut answer) = answer else {
            return Err(core.server.odd(&what));
        };
        match answer.first().and_then(text) {
            Some("done") => {
                answer.remove(0);
                Ok(answer)
            }
            Some("old") => Err(Error::try_again(format!(
                "{}: the snapshot is too old: it was not read for {:?} (snapshot_lease), or the server lost its data; read again",
                core.place,
                core.server.options().snapshot_lease
            ))),
            Some("damaged") => Err(core.damage(&answer)),
            _ => Err(core.server.odd(&what)),
        }
    }

    /// The next pages of ranges, in one call. Those that do not fit in it stay as they are, and want more.
    fn fetch(&self, cursors: &mut [(&mut Cursor<'_>, &[u8])]) -> Result<()> {
        let most = (PAGE / cursors.len().max(1)).max(16);
        let answer = self.ask(&scripts::PAGES, &|cmd| {
            cmd.arg(ENOUGH);
            for (cursor, high) in cursors.iter() {
                cmd.arg(&cursor.named.name).arg(&cursor.low).arg(*high).arg(most);
            }
        })?;
        let odd = || self.core.odd("read a snapshot of");
        if answer.len() != cursors.len() {
            return Err(odd());
        }
        for ((cursor, _), page) in cursors.iter_mut().zip(&answer) {
            let page = list(page).ok_or_else(odd)?;
            let (Some(Value::Int(more)), Some(last)) = (page.first(), page.get(1).and_then(bytes)) else {
                return Err(odd());
            };
            cursor.more = *more != 0;
            if cursor.more {
                cursor.low = [b"(", last].concat();
            }
            for pair in page.get(2..).unwrap_or_default().chunks(2) {
                match (pair.first().and_then(bytes), pair.get(1).and_then(bytes)) {
                    (Some(key), Some(value)) => cursor.fetched.push_back((key.to_vec(), value.to_vec())),
                    _ => return Err(odd()),
                }
            }
        }
        Ok(())
    }

    /// The cells of a batch whose keys lie in some ranges, range by range, by key and partition.
    fn batch(&self, named: &[Named], ranges: &[(Vec<u8>, Vec<u8>)], f: Each<'_>) -> Result<()> {
        let per_call = (PAGES / named.len().max(1)).max(1);
        for (group, ranges) in ranges.chunks(per_call).enumerate() {
            let mut cursors: Vec<Vec<Cursor<'_>>> = Vec::with_capacity(ranges.len());
            for (low, _) in ranges {
                let of = |named| Cursor {
                    named,
                    low: low.clone(),
                    more: true,
                    fetched: VecDeque::new(),
                };
                cursors.push(named.iter().map(of).collect());
            }
            let mut all: Vec<_> = cursors
                .iter_mut()
                .zip(ranges)
                .flat_map(|(of, (_, high))| of.iter_mut().map(move |c| (c, high.as_slice())))
                .collect();
            for some in all.chunks_mut(PAGES) {
                self.fetch(some)?;
            }
            for ((place, of), (_, high)) in cursors.iter_mut().enumerate().zip(ranges) {
                self.merge(of, high, &mut |key, cell| f(group * per_call + place, key, cell))?;
            }
        }
        Ok(())
    }

    /// One range of several partitions, by key.
    fn merge(&self, of: &mut [Cursor<'_>], high: &[u8], f: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        let mut sorted: Vec<(Vec<u8>, Cell)> = Vec::new();
        loop {
            let dry = of.iter_mut().filter(|c| c.fetched.is_empty() && c.more);
            let mut dry: Vec<_> = dry.map(|c| (c, high)).collect();
            if !dry.is_empty() {
                for some in dry.chunks_mut(PAGES) {
                    self.fetch(some)?;
                }
                continue;
            }
            // Up to where nobody has keys that were not fetched.
            let last = |c: &Cursor<'_>| c.fetched.back().map(|(key, _)| key.clone());
            let bound = of.iter().filter(|c| c.more).filter_map(last).min();
            for cursor in of.iter_mut() {
                let Named { partition, batch, .. } = *cursor.named;
                let within = |(key, _): &(Vec<u8>, Vec<u8>)| bound.as_ref().is_none_or(|bound| key <= bound);
                while let Some((key, value)) = cursor.fetched.pop_front_if(|pair| within(pair)) {
                    let cell = Cell {
                        partition,
                        batch,
                        value,
                    };
                    sorted.push((key, cell));
                }
            }
            sorted.sort_unstable_by(|(a, of_a), (b, of_b)| (a, of_a.partition).cmp(&(b, of_b.partition)));
            for (key, cell) in sorted.drain(..) {
                f(&key, cell)?;
            }
            if bound.is_none() {
                return Ok(());
            }
        }
    }
}

/// Called with the place of a range, a key and its cell.
type Each<'a> = &'a mut dyn FnMut(usize, &[u8], Cell) -> Result<()>;

impl Snapshot for RedisSnapshot {
    fn namespace(&self) -> &str {
        &self.core.namespace
    }

    fn partitions(&self, store: &str) -> Result<Vec<(SourcePartition, Progress)>> {
        let rows = self.of(store)?.iter();
        Ok(rows.map(|(p, row)| (p.clone(), row.progress.clone())).collect())
    }

    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let named = self.reach(store, from)?;
        let mut found = vec![Vec::new(); keys.len()];
        if named.is_empty() || keys.is_empty() {
            return Ok(found);
        }
        let odd = || self.core.odd("read a snapshot of");
        for (keys, found) in keys.chunks(KEYS).zip(found.chunks_mut(KEYS)) {
            let mut left = named.as_slice();
            while !left.is_empty() {
                let some = left.get(..HASHES).unwrap_or(left);
                let answer = self.ask(&scripts::CELLS, &|cmd| {
                    cmd.arg(ENOUGH).arg(some.len());
                    some.iter().for_each(|n| {
                        cmd.arg(&n.name);
                    });
                    cmd.arg(keys);
                })?;
                if answer.is_empty() || answer.len() > some.len() {
                    return Err(odd());
                }
                left = left.get(answer.len()..).unwrap_or_default();
                for (named, values) in some.iter().zip(answer) {
                    let Value::Array(values) = values else {
                        return Err(odd());
                    };
                    if values.len() != keys.len() {
                        return Err(odd());
                    }
                    for (cells, value) in found.iter_mut().zip(values) {
                        match value {
                            Value::Nil => {}
                            Value::BulkString(value) => cells.push(Cell {
                                partition: named.partition,
                                batch: named.batch,
                                value,
                            }),
                            _ => return Err(odd()),
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let high = match end_of(prefix) {
            Some(end) => [b"(", end.as_slice()].concat(),
            None => b"+".to_vec(),
        };
        self.each(store, &[([b"[", prefix].concat(), high)], from, &mut |_, key, cell| {
            f(key, cell)
        })
    }

    fn ranges(&self, store: &str, ranges: &[KeyRange], from: &Frontier, f: Each<'_>) -> Result<()> {
        let filled = ranges.iter().enumerate().filter(|(_, r)| r.start < r.end);
        let (places, bounds): (Vec<_>, Vec<_>) = filled
            .map(|(place, r)| {
                (
                    place,
                    ([b"[", r.start.as_slice()].concat(), [b"(", r.end.as_slice()].concat()),
                )
            })
            .unzip();
        self.each(store, &bounds, from, &mut |i, key, cell| {
            f(places.get(i).copied().unwrap_or_default(), key, cell)
        })
    }
}

impl RedisSnapshot {
    fn each(&self, store: &str, ranges: &[(Vec<u8>, Vec<u8>)], from: &Frontier, f: Each<'_>) -> Result<()> {
        let named = self.reach(store, from)?;
        for named in named.chunk_by(|a, b| a.batch == b.batch) {
            self.batch(named, ranges, f)?;
        }
        Ok(())
    }
}

impl Drop for RedisSnapshot {
    /// Lets go of the lease. If that fails, it ends by itself.
    fn drop(&mut self) {
        let of = |key: &str| {
            let mut cmd = redis::cmd("ZREM");
            cmd.arg(format!("{}{key}", self.core.prefix)).arg(&self.id);
            cmd
        };
        let what = format_args!("end a snapshot of {}", self.core.place);
        if let Err(e) = self.core.server.pipeline(&what, &[of("leases"), of("leased")]) {
            tracing::debug!(error = %e, "a lease ends by itself");
        }
    }
}

/// The first key behind all that begin with a prefix; `None`: there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}
