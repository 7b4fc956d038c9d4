//! Snapshots. RocksDB's are bound to a borrowed database, ours own it: database and snapshot are kept in one cell, and whoever
//! asks reads on its own thread. A snapshot can be ended from outside, so that the database can be closed.

mod known;

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rocksdb::{DB, ReadOptions};
use rufous_core::{BatchId, Error, Frontier, Result, SourcePartition};
use rufous_store_api::{Cell, KeyRange, ProgressRows, Snapshot};
use self_cell::self_cell;

use crate::damage::{damaged, failed};
use crate::layout::{self, CELL_PREFIX, Row};
use crate::{options, packed};
pub(crate) use known::Memo;
use known::{Known, Version};

/// How many rows are asked for in one go.
const KEYS_AT_ONCE: usize = 4096;

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
pub(crate) fn rows(db: &DB, view: Option<&View<'_>>, store: &str) -> Result<Vec<(SourcePartition, Row)>> {
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
    fn new(known: &Known, from: &Frontier) -> Self {
        // Below `retained_from` cells may be left that were dropped: they are nobody's (P26).
        let floors = known
            .rows
            .iter()
            .map(|(p, row)| from.of(p).batch.max(row.retained_from));
        Self {
            least: floors.clone().min(),
            lanes: known
                .lanes
                .iter()
                .zip((0..).zip(floors))
                .map(|(lane, of)| (*lane, of))
                .collect(),
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

/// What a question is asked of: a database, a snapshot of it, and what is known of a store in that.
struct Asked<'a> {
    db: &'a DB,
    view: Option<&'a View<'a>>,
    store: &'a str,
    known: &'a Known,
}

impl Asked<'_> {
    /// The batches at or above `least` that have rows, ascending.
    fn batches(&self, least: BatchId) -> Result<&[BatchId]> {
        let all = self
            .known
            .batches(|| batches(self.db, self.view, self.store, BatchId::MIN))?;
        Ok(&all[all.partition_point(|b| *b < least)..])
    }
}

fn cells(asked: &Asked<'_>, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
    let Asked { db, view, store, .. } = *asked;
    let cf = family(db, store)?;
    let lanes = Lanes::new(asked.known, from);
    let mut answers = vec![Vec::new(); keys.len()];
    let Some(least) = lanes.least.filter(|_| !keys.is_empty()) else {
        return Ok(answers);
    };
    // Places of the keys, ascending by key: those of equal keys are beside each other.
    let mut places: Vec<usize> = (0..keys.len()).collect();
    places.sort_unstable_by(|a, b| keys[*a].cmp(&keys[*b]));
    let mut firsts = places.clone();
    firsts.dedup_by(|b, a| keys[*a] == keys[*b]);
    let o = reads(view);
    let batches = asked.batches(least)?;
    // Each call costs by itself: as many batches at a time as make one large question.
    for batches in batches.chunks((KEYS_AT_ONCE / firsts.len()).max(1)) {
        for firsts in firsts.chunks(KEYS_AT_ONCE) {
            let wanted = || {
                batches
                    .iter()
                    .flat_map(|batch| firsts.iter().map(|place| (*batch, *place)))
            };
            let full: Vec<Vec<u8>> = wanted()
                .map(|(batch, place)| {
                    let mut out = Vec::with_capacity(CELL_PREFIX + keys[place].len());
                    layout::cell_key(batch, &keys[place], &mut out);
                    out
                })
                .collect();
            let found = db.batched_multi_get_cf_opt(cf, &full, true, &o);
            for (value, (batch, place)) in found.into_iter().zip(wanted()) {
                let key = &keys[place];
                let value = value.map_err(|e| {
                    failed(
                        format_args!("store `{store}`, batch {}, key {}", batch.0, key.escape_ascii()),
                        e,
                    )
                })?;
                if let Some(value) = value {
                    lanes.unpack(store, batch, key, &value, &mut |cell| answers[place].push(cell))?;
                }
            }
        }
    }
    // What was asked for twice is answered twice.
    for pair in places.windows(2) {
        if let [a, b] = *pair
            && keys[a] == keys[b]
        {
            answers[b] = answers[a].clone();
        }
    }
    Ok(answers)
}

/// Calls `f` with the cells below `prefix`, until it says that nobody listens any more.
fn scan(asked: &Asked<'_>, prefix: &[u8], from: &Frontier, f: &mut dyn FnMut(&[u8], Cell) -> bool) -> Result<()> {
    let Asked { db, view, store, .. } = *asked;
    let cf = family(db, store)?;
    let lanes = Lanes::new(asked.known, from);
    let Some(least) = lanes.least else { return Ok(()) };
    for batch in asked.batches(least)? {
        let mut start = Vec::new();
        layout::cell_key(*batch, prefix, &mut start);
        let mut o = reads(view);
        if let Some(end) = layout::after(&start) {
            o.set_iterate_upper_bound(end);
        }
        let mut it = db.raw_iterator_cf_opt(cf, o);
        it.seek(&start);
        while let Some((key, value)) = it.item() {
            let user = key.get(CELL_PREFIX..).unwrap_or_default();
            let mut listening = true;
            lanes.unpack(store, *batch, user, value, &mut |cell| {
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

/// Calls `f` with the cells in these ranges, until it says that nobody listens any more. One pass over the batches: from the end
/// of a range the iterator goes to the start of the next, in the same batch or a later one.
fn within(
    asked: &Asked<'_>,
    ranges: &[KeyRange],
    from: &Frontier,
    f: &mut dyn FnMut(usize, &[u8], Cell) -> bool,
) -> Result<()> {
    let Asked { db, view, store, .. } = *asked;
    let cf = family(db, store)?;
    let lanes = Lanes::new(asked.known, from);
    let (Some(least), Some(first)) = (lanes.least, ranges.first()) else {
        return Ok(());
    };
    let mut it = db.raw_iterator_cf_opt(cf, reads(view));
    let (mut batch, mut place, mut target) = (least, 0, Vec::new());
    layout::cell_key(batch, &first.start, &mut target);
    it.seek(&target);
    while let Some((key, value)) = it.item() {
        let Some((found, user)) = layout::cell_parts(key) else {
            break;
        };
        if found > batch {
            // Nothing more in the batch before.
            (batch, place) = (found, 0);
        }
        while ranges.get(place).is_some_and(|range| range.end.as_slice() <= user) {
            place += 1;
        }
        target.clear();
        match ranges.get(place) {
            Some(range) if range.start.as_slice() <= user => {
                let mut listening = true;
                lanes.unpack(store, batch, user, value, &mut |cell| {
                    listening = listening && f(place, user, cell)
                })?;
                if !listening {
                    return Ok(());
                }
                it.next();
                continue;
            }
            Some(range) => layout::cell_key(batch, &range.start, &mut target),
            None => match batch.0.checked_add(1) {
                Some(next) => {
                    (batch, place) = (BatchId(next), 0);
                    layout::cell_key(batch, &first.start, &mut target);
                }
                None => break,
            },
        }
        it.seek(&target);
    }
    it.status().map_err(|e| {
        failed(
            format_args!("store `{store}`: ranges of keys from batch {} on", least.0),
            e,
        )
    })
}

/// `None` of a read-only database, which is a snapshot already and cannot take any.
struct Taken<'a>(Option<View<'a>>);

self_cell!(
    /// A snapshot with its database.
    struct Held {
        owner: Arc<DB>,
        #[covariant]
        dependent: Taken,
    }
);

/// What a snapshot that was not ended has. The fields are dropped in this order: what is held may be the right to have the
/// database open.
struct Open {
    held: Held,
    /// Rows do not change in a snapshot: each store's are read once.
    known: HashMap<String, Arc<Known>>,
    /// What others have read in the same state of the database.
    memo: Arc<Memo>,
    version: Option<Version>,
    on_error: Box<dyn Fn(&Error) + Send>,
    _right: Box<dyn Any + Send>,
}

impl Open {
    fn known(&mut self, store: &str) -> Result<Arc<Known>> {
        if let Some(known) = self.known.get(store) {
            return Ok(known.clone());
        }
        let shared = self.version.and_then(|version| self.memo.get(version, store));
        let known = match shared {
            Some(known) => known,
            None => {
                let known = Arc::new(Known::new(self.read(|db, view| rows(db, view, store))?));
                if let Some(version) = self.version {
                    self.memo.put(version, store, &known);
                }
                known
            }
        };
        Ok(self.known.entry(store.into()).or_insert(known).clone())
    }

    /// Asks; errors of the database are seen.
    fn ask<T>(&mut self, store: &str, f: impl FnOnce(&Asked<'_>) -> Result<T>) -> Result<T> {
        let known = self.known(store)?;
        self.read(|db, view| {
            f(&Asked {
                db,
                view,
                store,
                known: &known,
            })
        })
    }

    /// Reads; errors of the database are seen.
    fn read<T>(&self, f: impl FnOnce(&DB, Option<&View<'_>>) -> Result<T>) -> Result<T> {
        let read = self.held.with_dependent(|db, taken| f(db, taken.0.as_ref()));
        read.inspect_err(|e| (self.on_error)(e))
    }
}

struct Inner {
    open: Mutex<Option<Open>>,
    stopped: AtomicBool,
}

impl Inner {
    /// Gives up what is held, unless somebody reads: he does it then.
    fn let_go_if_stopped(&self) {
        if !self.stopped.load(SeqCst) {
            return;
        }
        match self.open.try_lock() {
            Ok(mut open) => drop(open.take()),
            Err(TryLockError::Poisoned(open)) => drop(open.into_inner().take()),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// How a snapshot is ended from outside.
pub(crate) struct Stop(Arc<Inner>);

impl Stop {
    /// Ends the snapshot after the answer that it is giving. Who asks it afterwards is told to read again.
    pub(crate) fn end(&self) {
        self.0.stopped.store(true, SeqCst);
        self.0.let_go_if_stopped();
    }
}

/// A held snapshot.
pub(crate) struct Session {
    namespace: String,
    inner: Arc<Inner>,
}

impl Session {
    /// Takes a snapshot of `db`. A read-only database is one already, and cannot take any. `on_error` sees every error that
    /// is answered; `right` is given back when the snapshot is. `memo` is that of this database.
    pub(crate) fn start(
        db: Arc<DB>,
        namespace: &str,
        read_only: bool,
        memo: Arc<Memo>,
        on_error: impl Fn(&Error) + Send + 'static,
        right: impl Send + 'static,
    ) -> Self {
        let before = Version::of(&db);
        let held = Held::new(db, |db| Taken((!read_only).then(|| db.snapshot())));
        // Nothing was written meanwhile: so this is the state that the snapshot shows.
        let version = Some(before).filter(|before| held.with_dependent(|db, _| Version::of(db)) == *before);
        let open = Open {
            held,
            known: HashMap::new(),
            memo,
            version,
            on_error: Box::new(on_error),
            _right: Box::new(right),
        };
        Self {
            namespace: namespace.into(),
            inner: Arc::new(Inner {
                open: Mutex::new(Some(open)),
                stopped: AtomicBool::new(false),
            }),
        }
    }

    /// A way to end it from outside.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.inner.clone())
    }

    fn ask<T>(&self, f: impl FnOnce(&mut Open) -> Result<T>) -> Result<T> {
        let answer = {
            // What a panic of a caller's function leaves behind is whole.
            let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
            match open.as_mut().filter(|_| !self.inner.stopped.load(SeqCst)) {
                Some(open) => f(open),
                None => Err(gone()),
            }
        };
        // Who ended it meanwhile could not let go.
        self.inner.let_go_if_stopped();
        answer
    }

    /// Shows cells to a caller until he fails, or the snapshot is ended.
    fn show(
        &self,
        store: &str,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
        walk: impl FnOnce(&Asked<'_>, &mut dyn FnMut(usize, &[u8], Cell) -> bool) -> Result<()>,
    ) -> Result<()> {
        self.ask(|open| {
            let mut caller = Ok(());
            open.ask(store, |asked| {
                walk(asked, &mut |place, key, cell| {
                    // Without an end the scan is not whole.
                    let shown = if self.inner.stopped.load(SeqCst) {
                        Err(gone())
                    } else {
                        f(place, key, cell)
                    };
                    caller = shown;
                    caller.is_ok()
                })
            })?;
            caller
        })
    }
}

fn gone() -> Error {
    Error::try_again("the snapshot was given up, for its store had to be opened again: read again")
}

impl Drop for Session {
    fn drop(&mut self) {
        // Also where somebody keeps a way to end it: the database may be closed and opened again right after this.
        let open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }
}

impl Snapshot for Session {
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        self.ask(|open| open.known(store)).map(|known| known.rows.clone())
    }
    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        self.ask(|open| open.ask(store, |asked| cells(asked, keys, from)))
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        self.show(store, &mut |_, key, cell| f(key, cell), |asked, f| {
            scan(asked, prefix, from, &mut |key, cell| f(0, key, cell))
        })
    }
    fn ranges(
        &self,
        store: &str,
        ranges: &[KeyRange],
        from: &Frontier,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        self.show(store, f, |asked, f| within(asked, ranges, from, f))
    }
}
