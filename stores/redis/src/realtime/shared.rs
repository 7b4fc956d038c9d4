//! What handles and snapshots of a namespace share, and writing it in one step.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::Value;
use rufous_core::{Error, Result, SourcePartition, StoreFace};

use super::ATTEMPTS;
use super::chunk::Cells;
use super::layout::{self, REPAIR, Row};
use super::scripts;
use crate::names;
use crate::server::{Server, bytes, list, text};
use crate::staged::{Pairs, stage};

/// A namespace in a server.
pub(super) struct Core {
    pub(super) server: Server,
    pub(super) prefix: String,
    /// For messages: location, job, instance and namespace.
    pub(super) place: String,
    pub(super) namespace: String,
    pub(super) stores: Vec<StoreFace>,
    /// The id of what was found or made: another one says that the server lost its data, or that somebody deleted it.
    pub(super) data: Mutex<String>,
}

/// A row, and the bytes that it was read from or written as.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    pub(super) row: Row,
}

/// What a write changes.
pub(super) struct Change {
    /// By store and partition: the bytes before, none for a new one, and the row after.
    pub(super) rows: Vec<(usize, SourcePartition, Option<Vec<u8>>, Row)>,
    /// Cells that no row names any more.
    pub(super) dooms: Vec<String>,
    pub(super) cells: Vec<Cells>,
}

/// What became of a write.
pub(super) enum Applied {
    /// It is done; the rows as they were written.
    Done(Vec<((usize, SourcePartition), Stored)>),
    /// Another write came before it: nothing was written.
    Moved,
    /// The namespace is not the one that was opened: nothing was written.
    Lost,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is replaced whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// The place of a store among the stores.
    pub(super) fn store(&self, name: &str) -> Result<usize> {
        self.stores.iter().position(|s| s.name == name).ok_or_else(|| {
            Error::invalid(format!(
                "namespace {} has no store `{name}`: bind it when the namespace is opened",
                self.namespace
            ))
        })
    }

    pub(super) fn data(&self) -> String {
        lock(&self.data).clone()
    }

    pub(super) fn odd(&self, what: &str) -> Error {
        self.server.odd(&format_args!("{what} {}", self.place))
    }

    pub(super) fn damaged(&self, cells: &str, found: &str) -> Error {
        Error::corrupt(format!(
            "{}: the cells `cells/{cells}` are not what was written ({found}); {REPAIR}",
            self.place
        ))
    }

    pub(super) fn lost(&self) -> Error {
        Error::try_again(format!(
            "{}: what it held is gone: the server lost its data, or the namespace was deleted; its partitions are acquired again, and rebuilt",
            self.place
        ))
    }

    pub(super) fn parse_row(&self, store: usize, field: &[u8], bytes: &[u8]) -> Result<Row> {
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
    pub(super) fn rows(&self, wanted: &[(usize, SourcePartition)]) -> Result<Vec<Option<Stored>>> {
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

    pub(super) fn name(&self, store: usize) -> &'static str {
        self.stores.get(store).map_or("", |s| s.name)
    }

    /// Writes, in one step.
    pub(super) fn apply(&self, what: &str, change: Change) -> Result<Applied> {
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
    pub(super) fn damage(&self, answer: &[Value]) -> Error {
        let cells = answer.get(1).and_then(text).unwrap_or_default();
        match (answer.get(2), answer.get(3)) {
            (Some(Value::Int(cells_found)), Some(Value::Int(keys))) => {
                self.damaged(cells, &format!("{cells_found} values, {keys} keys"))
            }
            _ => self.damaged(cells, "a value is missing"),
        }
    }

    pub(super) fn busy(&self, what: &str) -> Error {
        Error::try_again(format!(
            "{}: {what} changed {ATTEMPTS} times while it was written",
            self.place
        ))
    }
}
