//! Snapshots. RocksDB's are bound to a borrowed database, ours are owned: each lives on a thread of its own that borrows the
//! database for as long as the snapshot is held, and answers questions.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rocksdb::{DB, ReadOptions};
use rufous_core::{BatchId, Error, Frontier, Result, SourcePartition};
use rufous_store_api::{Cell, Progress, Snapshot};

use crate::damage::{damaged, failed};
use crate::layout::{self, CELL_PREFIX, Row};
use crate::{options, packed};

/// How many rows are asked for in one go.
const KEYS_AT_ONCE: usize = 4096;
/// How many bytes of cells travel from the snapshot's thread in one go.
const SCAN_PART: usize = 64 << 10;

/// Progress rows of a store, in order.
pub(crate) type Rows = Vec<(SourcePartition, Row)>;

type View<'a> = rocksdb::Snapshot<'a>;

fn family<'a>(db: &'a DB, store: &str) -> Result<&'a rocksdb::ColumnFamily> {
    db.cf_handle(&options::family(store)).ok_or_else(|| {
        Error::invalid(format!(
            "{} has no store `{store}`: bind it when the namespace is opened",
            db.path().display()
        ))
    })
}

fn reads(view: Option<&View<'_>>) -> ReadOptions {
    let mut o = ReadOptions::default();
    if let Some(view) = view {
        o.set_snapshot(view);
    }
    o
}

/// The progress rows of a store, in a snapshot or as they are.
pub(crate) fn rows(db: &DB, view: Option<&View<'_>>, store: &str) -> Result<Rows> {
    let cf = family(db, store)?;
    let mut o = reads(view);
    o.set_iterate_upper_bound(vec![layout::CELL]);
    let mut rows = Vec::new();
    let mut it = db.raw_iterator_cf_opt(cf, o);
    it.seek([layout::ROW]);
    while let Some((key, value)) = it.item() {
        let p = layout::row_partition(key).map_err(|e| e.at(format_args!("store `{store}`")))?;
        let row = layout::row(&p, value).map_err(|e| e.at(format_args!("store `{store}`")))?;
        rows.push((p, row));
        it.next();
    }
    it.status()
        .map_err(|e| failed(format_args!("store `{store}`: cannot read the progress rows"), e))?;
    Ok(rows)
}

/// Which lanes count, and from which batch each.
struct Lanes {
    /// Lane to (place of the partition, first batch that is read).
    lanes: HashMap<u64, (u32, BatchId)>,
    /// The least of those batches; `None`: there are no partitions.
    least: Option<BatchId>,
}

impl Lanes {
    fn new(rows: &Rows, from: &Frontier) -> Self {
        // Below `retained_from` cells may be left that were dropped: they are nobody's (P26).
        let floor = |(p, row): &(SourcePartition, Row)| from.of(p).batch.max(row.progress.retained_from);
        let lanes = rows
            .iter()
            .zip(0..)
            .map(|(r, place)| (r.1.lane, (place, floor(r))))
            .collect();
        Self {
            lanes,
            least: rows.iter().map(floor).min(),
        }
    }

    /// The cells of a packed value that count, ascending by partition.
    fn unpack(&self, store: &str, batch: BatchId, key: &[u8], value: &[u8], f: &mut dyn FnMut(Cell)) -> Result<()> {
        let corrupt = |e| {
            damaged(format_args!(
                "store `{store}`, batch {}, key {}: {e}",
                batch.0,
                key.escape_ascii()
            ))
        };
        let mut cells = Vec::new();
        for entry in packed::entries(value).map_err(corrupt)? {
            let (lane, value) = entry.map_err(corrupt)?;
            if let Some((partition, floor)) = self.lanes.get(&lane)
                && batch >= *floor
            {
                cells.push(Cell {
                    partition: *partition,
                    batch,
                    value: value.to_vec(),
                });
            }
        }
        cells.sort_by_key(|c| c.partition);
        cells.into_iter().for_each(f);
        Ok(())
    }
}

/// The batches at or above `least` that have rows, ascending: one seek each.
pub(crate) fn batches(db: &DB, view: Option<&View<'_>>, store: &str, least: BatchId) -> Result<Vec<BatchId>> {
    let cf = family(db, store)?;
    let mut it = db.raw_iterator_cf_opt(cf, reads(view));
    let mut found = Vec::new();
    it.seek(layout::batch_key(least));
    while let Some((batch, _)) = it.key().and_then(layout::cell_parts) {
        found.push(batch);
        match batch.0.checked_add(1) {
            Some(next) => it.seek(layout::batch_key(BatchId(next))),
            None => break,
        }
    }
    it.status()
        .map_err(|e| failed(format_args!("store `{store}`: a cell in batch {} or above", least.0), e))?;
    Ok(found)
}

fn cells(
    db: &DB,
    view: Option<&View<'_>>,
    store: &str,
    rows: &Rows,
    keys: &[Vec<u8>],
    from: &Frontier,
) -> Result<Vec<Vec<Cell>>> {
    let cf = family(db, store)?;
    let lanes = Lanes::new(rows, from);
    let mut answers = vec![Vec::new(); keys.len()];
    let Some(least) = lanes.least.filter(|_| !keys.is_empty()) else {
        return Ok(answers);
    };
    let mut sorted: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let o = reads(view);
    let mut by_key: Vec<Vec<Cell>> = vec![Vec::new(); sorted.len()];
    for batch in batches(db, view, store, least)? {
        for (some, into) in sorted.chunks(KEYS_AT_ONCE).zip(by_key.chunks_mut(KEYS_AT_ONCE)) {
            let full: Vec<Vec<u8>> = some
                .iter()
                .map(|key| {
                    let mut out = Vec::with_capacity(CELL_PREFIX + key.len());
                    layout::cell_key(batch, key, &mut out);
                    out
                })
                .collect();
            for ((value, key), into) in db
                .batched_multi_get_cf_opt(cf, &full, true, &o)
                .into_iter()
                .zip(some)
                .zip(into)
            {
                let value = value.map_err(|e| {
                    failed(
                        format_args!("store `{store}`, batch {}, key {}", batch.0, key.escape_ascii()),
                        e,
                    )
                })?;
                if let Some(value) = value {
                    lanes.unpack(store, batch, key, &value, &mut |cell| into.push(cell))?;
                }
            }
        }
    }
    for (key, answer) in keys.iter().zip(&mut answers) {
        if let Ok(i) = sorted.binary_search(&key.as_slice()) {
            answer.clone_from(&by_key[i]);
        }
    }
    Ok(answers)
}

/// Calls `f` with the cells below `prefix`, until it says that nobody listens any more.
fn scan(
    db: &DB,
    view: Option<&View<'_>>,
    store: &str,
    rows: &Rows,
    prefix: &[u8],
    from: &Frontier,
    f: &mut dyn FnMut(&[u8], Cell) -> bool,
) -> Result<()> {
    let cf = family(db, store)?;
    let lanes = Lanes::new(rows, from);
    let Some(least) = lanes.least else { return Ok(()) };
    for batch in batches(db, view, store, least)? {
        let mut start = Vec::new();
        layout::cell_key(batch, prefix, &mut start);
        let mut o = reads(view);
        if let Some(end) = layout::after(&start) {
            o.set_iterate_upper_bound(end);
        }
        let mut it = db.raw_iterator_cf_opt(cf, o);
        it.seek(&start);
        while let Some((key, value)) = it.item() {
            let user = key.get(CELL_PREFIX..).unwrap_or_default();
            let mut listening = true;
            lanes.unpack(store, batch, user, value, &mut |cell| {
                listening = listening && f(user, cell)
            })?;
            if !listening {
                return Ok(());
            }
            it.next();
        }
        it.status()
            .map_err(|e| failed(format_args!("store `{store}`, batch {}", batch.0), e))?;
    }
    Ok(())
}

/// Some cells of a scan; `None` after the last.
type Part = Vec<(Vec<u8>, Cell)>;

enum Question {
    Rows(String, SyncSender<Result<Rows>>),
    Cells {
        store: String,
        keys: Vec<Vec<u8>>,
        from: Frontier,
        reply: SyncSender<Result<Vec<Vec<Cell>>>>,
    },
    Scan {
        store: String,
        prefix: Vec<u8>,
        from: Frontier,
        reply: SyncSender<Result<Option<Part>>>,
    },
    /// Nobody asks any more, or nobody may.
    End,
}

/// How a snapshot is ended from outside.
pub(crate) struct Stop {
    questions: SyncSender<Question>,
    stopped: Arc<AtomicBool>,
}

impl Stop {
    /// Ends the snapshot after the answer that it is giving. Who asks it afterwards is told to read again.
    pub(crate) fn end(&self) {
        self.stopped.store(true, SeqCst);
        // Full: the thread has a question before it, and sees what was stored above.
        let _ = self.questions.try_send(Question::End);
    }
}

/// A held snapshot.
pub(crate) struct Session {
    namespace: String,
    questions: SyncSender<Question>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Takes a snapshot of `db`. A read-only database is one already, and cannot take any. `on_error` sees every error that
    /// is answered; `held` is given back when the snapshot is.
    pub(crate) fn start(
        db: Arc<DB>,
        namespace: &str,
        read_only: bool,
        on_error: impl Fn(&Error) + Send + 'static,
        held: impl Send + 'static,
    ) -> Result<Self> {
        let (questions, inbox) = sync_channel(1);
        let (taken, ready) = sync_channel(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let thread = std::thread::Builder::new()
            .name("rufous-snapshot".into())
            .spawn(move || {
                let view = (!read_only).then(|| db.snapshot());
                let _ = taken.send(());
                answer(&db, view.as_ref(), &inbox, &stop, &on_error);
                // In this order: what is held may be the right to have the database open.
                drop(view);
                drop(db);
                drop(inbox);
                drop(on_error);
                drop(held);
            });
        let thread = thread.map_err(|e| Error::try_again("cannot start a thread for a snapshot").caused_by(e))?;
        ready.recv().map_err(|_| gone())?;
        Ok(Self {
            namespace: namespace.into(),
            questions,
            stopped,
            thread: Some(thread),
        })
    }

    /// A way to end it from outside.
    pub(crate) fn stop(&self) -> Stop {
        Stop {
            questions: self.questions.clone(),
            stopped: self.stopped.clone(),
        }
    }

    fn ask<T>(&self, question: impl FnOnce(SyncSender<T>) -> Question) -> Result<Receiver<T>> {
        let (reply, answer) = sync_channel(1);
        self.questions.send(question(reply)).map_err(|_| gone())?;
        Ok(answer)
    }
}

fn gone() -> Error {
    Error::try_again("the snapshot was given up, for its store had to be opened again: read again")
}

fn answer(
    db: &DB,
    view: Option<&View<'_>>,
    inbox: &Receiver<Question>,
    stopped: &AtomicBool,
    on_error: &dyn Fn(&Error),
) {
    // Rows do not change in a snapshot: each store's are read once.
    let mut known: HashMap<String, Rows> = HashMap::new();
    let mut rows_of = |store: &str| -> Result<Rows> {
        if let Some(rows) = known.get(store) {
            return Ok(rows.clone());
        }
        let rows = rows(db, view, store)?;
        known.insert(store.to_string(), rows.clone());
        Ok(rows)
    };
    // Whoever asked and left does not miss the answer: failed sends are nothing.
    while let Ok(question) = inbox.recv() {
        if stopped.load(SeqCst) {
            return;
        }
        match question {
            Question::End => return,
            Question::Rows(store, reply) => {
                let _ = reply.send(rows_of(&store).inspect_err(on_error));
            }
            Question::Cells {
                store,
                keys,
                from,
                reply,
            } => {
                let found = rows_of(&store).and_then(|rows| cells(db, view, &store, &rows, &keys, &from));
                let _ = reply.send(found.inspect_err(on_error));
            }
            Question::Scan {
                store,
                prefix,
                from,
                reply,
            } => {
                let (mut part, mut bytes): (Part, usize) = (Vec::new(), 0);
                let found = rows_of(&store).and_then(|rows| {
                    scan(db, view, &store, &rows, &prefix, &from, &mut |key, cell| {
                        bytes += key.len() + cell.value.len() + 32;
                        part.push((key.to_vec(), cell));
                        if bytes < SCAN_PART {
                            return true;
                        }
                        bytes = 0;
                        reply.send(Ok(Some(std::mem::take(&mut part)))).is_ok() && !stopped.load(SeqCst)
                    })
                });
                if stopped.load(SeqCst) {
                    // Without an end: the scan is not whole.
                    return;
                }
                let _ = reply.send(Ok(Some(part)));
                let _ = reply.send(found.map(|()| None).inspect_err(on_error));
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.questions.send(Question::End);
        // The database may be closed and opened again right after this.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Snapshot for Session {
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn partitions(&self, store: &str) -> Result<Vec<(SourcePartition, Progress)>> {
        let rows = self
            .ask(|reply| Question::Rows(store.into(), reply))?
            .recv()
            .map_err(|_| gone())??;
        Ok(rows.into_iter().map(|(p, row)| (p, row.progress)).collect())
    }
    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        self.ask(|reply| Question::Cells {
            store: store.into(),
            keys: keys.to_vec(),
            from: from.clone(),
            reply,
        })?
        .recv()
        .map_err(|_| gone())?
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let parts = self.ask(|reply| Question::Scan {
            store: store.into(),
            prefix: prefix.into(),
            from: from.clone(),
            reply,
        })?;
        // The end is said, not guessed from silence.
        while let Some(part) = parts.recv().map_err(|_| gone())?? {
            for (key, cell) in part {
                f(&key, cell)?;
            }
        }
        Ok(())
    }
}
