//! Realtime state: cells and progress rows of one namespace.
//!
//! The owner of a partition merges: it reads the cells that a chunk adds to, adds up, and one script sets rows and cells, if every
//! row still has the very bytes that the owner knew. A row changes with every write of its partition, so equal bytes say that offset,
//! epoch and cells are what they were (P11, P13). Other processes write other partitions at the same time.

mod commit;
mod layout;
mod meta;
mod namespaces;
mod open;
mod scripts;
mod snapshot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use rufous_core::{BatchId, Error, Result, SourcePartition, StoreFace};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::points::reach;
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};

use crate::names;
use crate::server::{Server, bytes, list, text};
use crate::staged::{Pairs, stage};
use layout::{REPAIR, Row};

/// How often a write is tried again that met another one: only drops and acquisitions of the same partition are in its way.
const ATTEMPTS: usize = 8;

/// A namespace of realtime state in Redis. Several processes may have it open, each the owner of other partitions.
pub struct RedisRealtime {
    core: Arc<Core>,
    /// The rows as this process last wrote them, by store and partition: a hint that every write checks.
    known: Mutex<HashMap<(usize, SourcePartition), Stored>>,
}

struct Core {
    server: Server,
    prefix: String,
    /// For messages: location, job, instance and namespace.
    place: String,
    namespace: String,
    stores: Vec<StoreFace>,
    /// The id of what was found or made: another one says that the server lost its data, or that somebody deleted it.
    data: Mutex<String>,
}

/// A row, and the bytes that it was read from or written as.
#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    row: Row,
}

/// What a write changes.
struct Change {
    /// By store and partition: the bytes before, none for a new one, and the row after.
    rows: Vec<(usize, SourcePartition, Option<Vec<u8>>, Row)>,
    /// Cells that no row names any more.
    dooms: Vec<String>,
    cells: Vec<commit::Cells>,
}

/// What became of a write.
enum Applied {
    /// It is done; the rows as they were written.
    Done(Vec<((usize, SourcePartition), Stored)>),
    /// Another write came before it: nothing was written.
    Moved,
    /// The namespace is not the one that was opened: nothing was written.
    Lost,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is replaced whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// The place of a store among the stores.
    fn store(&self, name: &str) -> Result<usize> {
        self.stores.iter().position(|s| s.name == name).ok_or_else(|| {
            Error::invalid(format!(
                "namespace {} has no store `{name}`: bind it when the namespace is opened",
                self.namespace
            ))
        })
    }

    fn data(&self) -> String {
        lock(&self.data).clone()
    }

    fn odd(&self, what: &str) -> Error {
        self.server.odd(&format_args!("{what} {}", self.place))
    }

    fn damaged(&self, cells: &str, found: &str) -> Error {
        Error::corrupt(format!(
            "{}: the cells `cells/{cells}` are not what was written ({found}); {REPAIR}",
            self.place
        ))
    }

    fn lost(&self) -> Error {
        Error::try_again(format!(
            "{}: what it held is gone: the server lost its data, or the namespace was deleted; its partitions are acquired again, and rebuilt",
            self.place
        ))
    }

    fn parse_row(&self, store: usize, field: &[u8], bytes: &[u8]) -> Result<Row> {
        let store = self.stores.get(store).map_or("", |s| s.name);
        let place = &self.place;
        Row::parse(
            bytes,
            format_args!(
                "{place}: the field `{}` of `{}`",
                field.escape_ascii(),
                layout::rows_key(store)
            ),
        )
    }

    /// The rows of these partitions as they are now, in all or some stores.
    fn rows(&self, wanted: &[(usize, SourcePartition)]) -> Result<Vec<Option<Stored>>> {
        let mut cmds = Vec::with_capacity(wanted.len());
        for (store, p) in wanted {
            let mut cmd = redis::cmd("HGET");
            cmd.arg(format!("{}{}", self.prefix, layout::rows_key(self.name(*store))));
            cmd.arg(names::partition(p));
            cmds.push(cmd);
        }
        let answers = self
            .server
            .pipeline(&format_args!("read the progress rows of {}", self.place), &cmds)?;
        let mut rows = Vec::with_capacity(wanted.len());
        for ((store, p), answer) in wanted.iter().zip(&answers) {
            rows.push(match answer {
                Value::Nil => None,
                answer => {
                    let bytes = bytes(answer).ok_or_else(|| self.odd("read the progress rows of"))?;
                    let row = self.parse_row(*store, names::partition(p).as_bytes(), bytes)?;
                    Some(Stored {
                        bytes: bytes.to_vec(),
                        row,
                    })
                }
            });
        }
        Ok(rows)
    }

    fn name(&self, store: usize) -> &'static str {
        self.stores.get(store).map_or("", |s| s.name)
    }

    /// Writes, in one step.
    fn apply(&self, what: &str, change: Change) -> Result<Applied> {
        let what = format!("{what} {}", self.place);
        let mut written = Vec::with_capacity(change.rows.len());
        for (store, p, before, mut row) in change.rows {
            row.revision = row.revision.wrapping_add(1);
            let bytes = row.bytes()?;
            written.push(((store, p), before, Stored { bytes, row }));
        }
        let data = self.data();
        let staged = {
            let lists: Vec<&dyn Pairs> = change.cells.iter().map(|c| c as _).collect();
            stage(&self.server, &self.prefix, &what, &lists)?
        };
        let answer = self.server.script(&what, &scripts::APPLY, &self.prefix, &|cmd| {
            cmd.arg(&data).arg(written.len());
            for ((store, p), before, after) in &written {
                let key = layout::rows_key(self.name(*store));
                cmd.arg(key.trim_start_matches("rows/")).arg(names::partition(p));
                cmd.arg(before.as_deref().unwrap_or_default()).arg(&after.bytes);
            }
            cmd.arg(change.dooms.len()).arg(&change.dooms).arg(change.cells.len());
            change
                .cells
                .iter()
                .enumerate()
                .for_each(|(i, cells)| cells.put_all(staged.get(i), cmd));
        })?;
        let answer = list(&answer).ok_or_else(|| self.server.odd(&what))?;
        match answer.first().and_then(text) {
            Some("done") => {
                let written = written.into_iter().map(|(of, _, stored)| (of, stored));
                Ok(Applied::Done(written.collect()))
            }
            Some("row") => Ok(Applied::Moved),
            Some("lost") => Ok(Applied::Lost),
            Some("unstaged") => Err(Error::try_again(format!(
                "cannot {what}: pieces of it expired or were evicted before they were taken; nothing was written"
            ))),
            Some("damaged") => Err(self.damage(answer)),
            _ => Err(self.server.odd(&what)),
        }
    }

    /// The answer `damaged` of a script.
    fn damage(&self, answer: &[Value]) -> Error {
        let cells = answer.get(1).and_then(text).unwrap_or_default();
        match (answer.get(2), answer.get(3)) {
            (Some(Value::Int(cells_found)), Some(Value::Int(keys))) => {
                self.damaged(cells, &format!("{cells_found} values, {keys} keys"))
            }
            _ => self.damaged(cells, "a value is missing"),
        }
    }
}

impl RealtimeStore for RedisRealtime {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let core = &*self.core;
        let of = (core.store(store)?, p.clone());
        for _ in 0..ATTEMPTS {
            let found = core.rows(std::slice::from_ref(&of))?.pop().flatten();
            let mut row = match &found {
                Some(stored) => stored.row.clone(),
                None => Row::fresh(),
            };
            let epoch = found.as_ref().map_or(0, |s| s.row.progress.epoch) + 1;
            let mut dooms = Vec::new();
            row.progress = match repair(found.as_ref().map(|s| &s.row.progress))? {
                Repair::Keep(progress) => progress,
                Repair::Replace(progress) => {
                    dooms.extend(row.batches.drain(..).map(|b| layout::cells(store, p, row.lane, b)));
                    row.lane += 1;
                    progress
                }
            };
            row.progress.epoch = epoch;
            row.owner = unique_name();
            let change = Change {
                rows: vec![(of.0, p.clone(), found.map(|s| s.bytes), row)],
                dooms,
                cells: Vec::new(),
            };
            reach("acquire.before");
            match core.apply(&format!("acquire {p} for store `{store}` in"), change)? {
                Applied::Done(mut written) => {
                    reach("acquire.written");
                    let (of, stored) = written.pop().ok_or_else(|| core.odd("acquire in"))?;
                    let progress = stored.row.progress.clone();
                    lock(&self.known).insert(of, stored);
                    return Ok(progress);
                }
                Applied::Moved => {}
                // P32: what is missing is begun again.
                Applied::Lost => {
                    lock(&self.known).clear();
                    core.create()?;
                }
            }
        }
        Err(core.busy(&format!("the row of {p} in store `{store}`")))
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.commit_chunk(commit)
    }

    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let core = &*self.core;
        let wanted: Vec<_> = (0..core.stores.len()).map(|store| (store, p.clone())).collect();
        for _ in 0..ATTEMPTS {
            let mut change = Change {
                rows: Vec::new(),
                dooms: Vec::new(),
                cells: Vec::new(),
            };
            for ((store, p), stored) in wanted.iter().zip(core.rows(&wanted)?) {
                let Some(Stored { bytes, mut row }) = stored else {
                    continue;
                };
                let kept = row.progress.retained_from.max(batch);
                row.progress.retained_from = kept;
                row.progress.cuts.retain(|(b, _)| *b >= kept);
                let below = row.batches.partition_point(|b| *b < kept);
                let gone = row.batches.drain(..below);
                change
                    .dooms
                    .extend(gone.map(|b| layout::cells(core.name(*store), p, row.lane, b)));
                change.rows.push((*store, p.clone(), Some(bytes), row));
            }
            if change.rows.is_empty() {
                return Ok(());
            }
            match core.apply(&format!("drop cells of {p} below batch {} in", batch.0), change)? {
                Applied::Done(written) => {
                    reach("drop.written");
                    self.learn(written);
                    reach("drop.deleted");
                    return Ok(());
                }
                Applied::Moved => {}
                Applied::Lost => return Err(self.forget()),
            }
        }
        Err(core.busy(&format!("the rows of {p}")))
    }
}

impl Core {
    fn busy(&self, what: &str) -> Error {
        Error::try_again(format!(
            "{}: {what} changed {ATTEMPTS} times while it was written",
            self.place
        ))
    }
}

impl RedisRealtime {
    /// Where it lies, without a password.
    pub fn location(&self) -> String {
        self.core.place.clone()
    }

    /// Rows that this process owns are known from then on; those of others stay unknown.
    fn learn(&self, written: Vec<((usize, SourcePartition), Stored)>) {
        let mut known = lock(&self.known);
        for (of, stored) in written {
            if let Some(own) = known.get_mut(&of) {
                *own = stored;
            }
        }
    }

    /// What was opened is gone. What is there now, if anything, is looked at from then on.
    fn forget(&self) -> Error {
        lock(&self.known).clear();
        match self.core.look() {
            Ok(_) => self.core.lost(),
            Err(e) => e,
        }
    }
}

impl RealtimeReader for RedisRealtime {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.core)
    }
}
