//! Snapshots. Redis keeps no versions, so a snapshot leases one: while it is held, writers put what they overwrite into an undo log.

mod pages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use rufous_core::{BatchId, Error, ErrorKind, Frontier, Result, SourcePartition};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::{Cell, KeyRange, ProgressRows, Snapshot, Until};

use super::layout::{self, Row};
use super::scripts;
use super::shared::Core;
use crate::names;
use crate::server::{bytes, list, text};
use pages::{Each, end_of};

/// Keys of a call, and hashes.
const KEYS: usize = 4096;
const HASHES: usize = 4096;
/// Bytes of values after which a call ends.
const ENOUGH: usize = 16 << 20;
/// How long a lease is let go of by one whose own time is over.
const LET_GO: Duration = Duration::from_millis(250);

pub(super) fn take(core: &Arc<Core>, until: &Until) -> Result<Box<dyn Snapshot>> {
    let what = format!("take a snapshot of {}", core.place);
    let id = unique_name();
    let lease = core.server.options().snapshot_lease.as_millis().max(1).to_string();
    let args = |cmd: &mut Cmd| {
        cmd.arg(&id).arg(&lease);
        for store in &core.stores {
            cmd.arg(names::escaped(store.name));
        }
    };
    // One that is taken and not received ends with its lease.
    let answer = core
        .server
        .script_until(&what, &scripts::SNAPSHOT, &core.prefix, &args, until)?;
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
        until: until.clone(),
        unanswered: AtomicBool::new(false),
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
    /// For how long an answer is waited for.
    until: Until,
    /// Whether the server did not answer in time.
    unanswered: AtomicBool,
}

/// The cells of a batch of a partition.
struct Named {
    batch: BatchId,
    partition: u32,
    name: String,
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
        let args = |cmd: &mut Cmd| {
            cmd.arg(&self.id).arg(&self.version).arg(&self.lease);
            args(cmd);
        };
        let patience = self.until.left(core.server.options().response_timeout);
        let began = Instant::now();
        let answer = core
            .server
            .script_until(&what, script, &core.prefix, &args, &self.until)
            .inspect_err(|e| {
                // One who had no time did not ask.
                if e.kind() == ErrorKind::TryAgain && !patience.is_zero() && began.elapsed() >= patience {
                    self.unanswered.store(true, Relaxed);
                }
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
}

impl Snapshot for RedisSnapshot {
    fn namespace(&self) -> &str {
        &self.core.namespace
    }

    fn set_until(&mut self, until: &Until) {
        self.until = until.clone();
    }

    fn partitions(&self, store: &str) -> Result<ProgressRows> {
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

impl Drop for RedisSnapshot {
    /// Lets go of the lease, also when the time of the read is over: while it lives, writers keep what they overwrite. If that fails,
    /// it ends by itself.
    fn drop(&mut self) {
        // A server that did not answer in time is not waited for again.
        if self.unanswered.load(Relaxed) {
            return;
        }
        let soon = Instant::now() + LET_GO;
        let until = match self.until.may_end() {
            true => Until::from(self.until.deadline().map_or(soon, |deadline| deadline.max(soon))),
            false => Until::default(),
        };
        let of = |key: &str| {
            let mut cmd = redis::cmd("ZREM");
            cmd.arg(format!("{}{key}", self.core.prefix)).arg(&self.id);
            cmd
        };
        let what = format_args!("end a snapshot of {}", self.core.place);
        // What has no lease but is leased would never expire: that one goes first.
        let gone = [of("leased"), of("leases")];
        if let Err(e) = self.core.server.pipeline_until(&what, &gone, &until) {
            tracing::debug!(error = %e, "a lease ends by itself");
        }
    }
}
