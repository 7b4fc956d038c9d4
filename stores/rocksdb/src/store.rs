//! The owner of a namespace: acquire, commit, drop.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocksdb::{ColumnFamily, DB, WriteBatch, WriteOptions};
use rufous_core::{BatchId, Deltas, Error, Result, SourcePartition, StoreFace};
use rufous_store_api::points::reach;
use rufous_store_api::realtime::apply_advances;
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, StoreStats};

use crate::chain;
use crate::damage::failed;
use crate::database::{Database, lock};
use crate::layout::{self, Row};
use crate::options::{self, RocksOptions};
use crate::owner::Owner;
use crate::packed::Packer;
use crate::serve::Server;
use crate::session;
use crate::stats;

type Rows = BTreeMap<SourcePartition, Row>;

/// A namespace that this process owns.
pub struct RocksStore {
    /// First, so that readers are gone before the database is closed.
    server: Mutex<Option<Server>>,
    core: Arc<Core>,
}

struct Core {
    dir: PathBuf,
    stores: Vec<&'static str>,
    sync: bool,
    /// What the families hold. This process is their only writer, so checks are made here. Changed after a write
    /// succeeded; read again when the database was opened again after one that failed.
    rows: Mutex<HashMap<&'static str, Rows>>,
    /// The number of each store's last write. Taken only under the lock of the rows.
    numbers: Mutex<HashMap<&'static str, u64>>,
    /// Before the owner: the database is closed before somebody else may open it.
    db: Arc<Database>,
    owner: Owner,
}

impl RocksStore {
    /// Takes the namespace in `dir`, which is created when it is missing.
    ///
    /// # Errors
    /// `Closed` when another process owns it; `InvalidRequest` when it holds another namespace, or stores whose keys and values
    /// mean something else; `CorruptData` when it is damaged, now or when it was used last: see [`damage`](crate::damage).
    pub fn open(dir: &Path, namespace: &str, stores: &[StoreFace], options: RocksOptions) -> Result<Self> {
        let owner = Owner::take(dir, Duration::from_millis(options.lock_wait_ms))?;
        let db = Arc::new(Database::open(dir, namespace, stores, options.memory)?);
        let core = Core {
            dir: dir.into(),
            stores: stores.iter().map(|s| s.name).collect(),
            sync: options.sync,
            rows: Mutex::new(HashMap::new()),
            numbers: Mutex::new(HashMap::new()),
            db,
            owner,
        };
        *lock(&core.rows) = core.load(&*core.db.get()?)?;
        Ok(Self {
            server: Mutex::new(None),
            core: Arc::new(core),
        })
    }

    /// Starts to answer readers from other processes, until this store is dropped. Once is enough.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn serve(&self) -> Result<()> {
        let mut server = lock(&self.server);
        if server.is_none() {
            *server = Some(Server::start(
                &self.core.owner.note.socket,
                Arc::new(Shared(self.core.clone())),
            )?);
        }
        Ok(())
    }
}

impl Core {
    fn load(&self, db: &DB) -> Result<HashMap<&'static str, Rows>> {
        let mut numbers = lock(&self.numbers);
        let mut load = || {
            let mut all = HashMap::new();
            for store in &self.stores {
                numbers.insert(*store, chain::check(db, self.family(db, store)?, store)?);
                all.insert(*store, session::rows(db, None, store)?.into_iter().collect());
            }
            Ok(all)
        };
        self.db.watch(load())
    }

    /// The database for a write, and the rows as they are in it.
    fn begin<'a>(&'a self) -> Result<(Arc<DB>, std::sync::MutexGuard<'a, HashMap<&'static str, Rows>>)> {
        let mut rows = lock(&self.rows);
        let (db, anew) = self.db.for_write()?;
        if anew {
            *rows = self.load(&db).inspect_err(|_| self.db.give_up())?;
        }
        Ok((db, rows))
    }

    fn family<'a>(&self, db: &'a DB, store: &str) -> Result<&'a ColumnFamily> {
        db.cf_handle(&options::family(store)).ok_or_else(|| self.unknown(store))
    }

    fn unknown(&self, store: &str) -> Error {
        Error::invalid(format!(
            "{} has no store `{store}`: bind it when the namespace is opened",
            self.dir.display()
        ))
    }

    /// Writes all or nothing. `rows` change when all of it is written.
    fn write(
        &self,
        db: &DB,
        rows: &mut HashMap<&'static str, Rows>,
        mut batch: WriteBatch,
        then: impl FnOnce(&mut HashMap<&'static str, Rows>),
    ) -> Result<()> {
        let mut o = WriteOptions::default();
        o.set_sync(self.sync);
        let mut numbers = lock(&self.numbers);
        for store in &self.stores {
            let number = numbers.get(store).copied().unwrap_or(0) + 1;
            chain::write(self.family(db, store)?, number, &mut batch);
        }
        match db.write_opt(batch, &o) {
            Ok(()) => {
                numbers.values_mut().for_each(|n| *n += 1);
                then(rows);
                Ok(())
            }
            Err(e) => {
                // It may be in the log all the same (P12): the database is opened again before anything else is written.
                self.db.give_up();
                let e = failed(format_args!("cannot write to {}", self.dir.display()), e);
                self.db.watch(Err(e))
            }
        }
    }

    /// Deletes whole files of dropped batches, unless a snapshot may need them, which this ignores (P27); then they wait for
    /// compaction. What says that they are dropped must be on disk first (P26).
    fn delete_files(&self, db: &DB, dropped: &[(&'static str, Vec<BatchId>)]) -> Result<()> {
        if dropped.iter().all(|(_, b)| b.is_empty()) {
            return Ok(());
        }
        let delete = || {
            db.flush_wal(true).map_err(|e| {
                // What was dropped may not be on disk, and so is all that was committed before it.
                self.db.give_up();
                failed(format_args!("cannot sync {}", self.dir.display()), e)
            })?;
            for (store, batches) in dropped {
                for (from, to) in batches.iter().map(|b| range(*b)) {
                    let deleted = db.delete_file_in_range_cf(self.family(db, store)?, from, to);
                    deleted.map_err(|e| failed(format_args!("store `{store}`: cannot delete files"), e))?;
                }
            }
            Ok(())
        };
        self.db.watch(self.db.unless_read(delete))
    }
}

/// All keys of a batch.
fn range(b: BatchId) -> (Vec<u8>, Vec<u8>) {
    let from = layout::batch_key(b).to_vec();
    let to = layout::after(&from).unwrap_or_else(|| vec![layout::CELL + 1]);
    (from, to)
}

/// Whether a partition can have cells of this batch: its cuts name every batch that it has records of.
fn names(row: &Progress, batch: BatchId) -> bool {
    batch >= row.retained_from && (batch == row.batch || row.cuts.binary_search_by_key(&batch, |(b, _)| *b).is_ok())
}

/// Puts a store's deltas into a batch: what the partitions have for one (batch, key) becomes one operand.
struct Merging<'a> {
    store: &'a str,
    cf: &'a ColumnFamily,
    /// (batch, key) of the group.
    key: Vec<u8>,
    /// Lane and value of each partition: the lanes need not come in order.
    group: Vec<(u64, std::ops::Range<usize>)>,
    values: Vec<u8>,
    packer: Packer,
}

impl Merging<'_> {
    fn flush(&mut self, batch: &mut WriteBatch) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        self.group.sort_unstable_by_key(|(lane, _)| *lane);
        self.packer.clear();
        for (lane, at) in self.group.drain(..) {
            let pushed = self.packer.push(lane, &self.values[at]);
            pushed.map_err(|e| Error::bug(format!("store `{}`: a chunk has a cell twice: {e}", self.store)))?;
        }
        self.values.clear();
        batch.merge_cf(self.cf, &self.key, self.packer.bytes());
        Ok(())
    }
}

fn merge(
    store: &str,
    cf: &ColumnFamily,
    rows: &Rows,
    moved: &BTreeMap<SourcePartition, Progress>,
    sources: &[&str],
    deltas: &dyn Deltas,
    batch: &mut WriteBatch,
) -> Result<()> {
    let mut merging = Merging {
        store,
        cf,
        key: Vec::new(),
        group: Vec::new(),
        values: Vec::new(),
        packer: Packer::default(),
    };
    // (source, partition) to lane, and the last batch that was checked.
    let mut lanes: HashMap<(u32, u32), (u64, Option<BatchId>)> = HashMap::new();
    let mut key = Vec::new();
    deltas.for_each(&mut |d| {
        let known = lanes.get(&(d.source, d.partition)).copied();
        let lane = match known {
            Some((lane, checked)) if checked == Some(d.batch) => lane,
            _ => {
                let name = sources
                    .get(d.source as usize)
                    .ok_or_else(|| Error::bug(format!("store `{store}`: a delta of source number {}", d.source)))?;
                let p = SourcePartition::new(*name, d.partition);
                let (Some(row), Some(progress)) = (rows.get(&p), moved.get(&p)) else {
                    return Err(Error::bug(format!(
                        "store `{store}`: a delta of partition {p}, which nobody acquired"
                    )));
                };
                if !names(progress, d.batch) {
                    return Err(Error::bug(format!(
                        "store `{store}`: a delta of partition {p} in batch {}, which its cuts do not name",
                        d.batch.0
                    )));
                }
                lanes.insert((d.source, d.partition), (row.lane, Some(d.batch)));
                row.lane
            }
        };
        key.clear();
        layout::cell_key(d.batch, d.key, &mut key);
        if key != merging.key {
            merging.flush(batch)?;
            std::mem::swap(&mut key, &mut merging.key);
        }
        let from = merging.values.len();
        merging.values.extend_from_slice(d.value);
        merging.group.push((lane, from..merging.values.len()));
        Ok(())
    })?;
    merging.flush(batch)
}

impl RealtimeStore for RocksStore {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let core = &*self.core;
        let (db, mut rows) = core.begin()?;
        let (name, of) = rows.get_key_value(store).ok_or_else(|| core.unknown(store))?;
        let (name, found) = (*name, of.get(p));
        let fresh = of.values().map(|r| r.lane).max().map_or(0, |lane| lane + 1);
        let (progress, lane) = match repair(found.map(|r| &r.progress))? {
            Repair::Keep(progress) => (progress, found.map_or(fresh, |r| r.lane)),
            // What the old lane holds is nobody's from now on.
            Repair::Replace(progress) => (progress, fresh),
        };
        let epoch = found.map_or(0, |r| r.progress.epoch) + 1;
        let row = Row {
            lane,
            progress: Progress { epoch, ..progress },
        };
        let mut batch = WriteBatch::default();
        batch.put_cf(core.family(&db, store)?, layout::row_key(p), layout::row_bytes(&row)?);
        let progress = row.progress.clone();
        reach("acquire.before");
        core.write(&db, &mut rows, batch, |rows| {
            rows.entry(name).or_default().insert(p.clone(), row);
        })?;
        reach("acquire.written");
        Ok(progress)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        let core = &*self.core;
        let (db, mut rows) = core.begin()?;
        let mut moved: HashMap<&'static str, BTreeMap<SourcePartition, Progress>> = HashMap::new();
        for store in &core.stores {
            let of = rows.get(store).ok_or_else(|| core.unknown(store))?;
            let touched = commit
                .advances
                .iter()
                .filter_map(|a| of.get(&a.partition).map(|r| (a.partition.clone(), r.progress.clone())));
            let mut after = touched.collect();
            if let refused @ Committed::Refused { .. } = apply_advances(&mut after, commit.advances) {
                return Ok(refused);
            }
            moved.insert(store, after);
        }
        let mut batch = WriteBatch::default();
        for (store, deltas) in commit.deltas {
            let (Some(of), Some(after)) = (rows.get(store), moved.get(store)) else {
                return Err(core.unknown(store));
            };
            merge(
                store,
                core.family(&db, store)?,
                of,
                after,
                commit.sources,
                *deltas,
                &mut batch,
            )?;
        }
        for (store, after) in &moved {
            let (cf, of) = (core.family(&db, store)?, &rows[store]);
            for (p, progress) in after {
                let row = Row {
                    lane: of[p].lane,
                    progress: progress.clone(),
                };
                batch.put_cf(cf, layout::row_key(p), layout::row_bytes(&row)?);
            }
        }
        reach("commit.before");
        core.write(&db, &mut rows, batch, |rows| {
            for (store, after) in moved {
                for (p, progress) in after {
                    if let Some(row) = rows.get_mut(store).and_then(|of| of.get_mut(&p)) {
                        row.progress = progress;
                    }
                }
            }
        })?;
        reach("commit.written");
        Ok(Committed::Done)
    }

    fn stats(&self) -> Result<Option<StoreStats>> {
        stats::of(&self.core.db, &self.core.stores).map(Some)
    }

    /// A batch's cells are in one range of keys, of all partitions together. It is deleted when no partition's row names
    /// the batch any more; until then dropped cells stay where they are, and readers skip them by `retained_from`, which is
    /// raised in the same write.
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let core = &*self.core;
        let (db, mut rows) = core.begin()?;
        let (mut write, mut raised, mut dropped) = (WriteBatch::default(), Vec::new(), Vec::new());
        for store in &core.stores {
            let Some(row) = rows.get(store).and_then(|of| of.get(p)) else {
                continue;
            };
            let cf = core.family(&db, store)?;
            let mut row = row.clone();
            row.progress.retained_from = row.progress.retained_from.max(batch);
            let kept = row.progress.retained_from;
            row.progress.cuts.retain(|(b, _)| *b >= kept);
            write.put_cf(cf, layout::row_key(p), layout::row_bytes(&row)?);
            let others = || {
                rows[store]
                    .iter()
                    .filter(|(q, _)| *q != p)
                    .map(|(_, r)| &r.progress)
                    .chain([&row.progress])
            };
            let mut gone = core.db.watch(session::batches(&db, None, store, BatchId::MIN))?;
            gone.retain(|b| !others().any(|r| names(r, *b)));
            for (from, to) in gone.iter().map(|b| range(*b)) {
                write.delete_range_cf(cf, from, to);
            }
            dropped.push((*store, gone));
            raised.push((*store, row));
        }
        core.write(&db, &mut rows, write, |rows| {
            for (store, row) in raised {
                rows.entry(store).or_default().insert(p.clone(), row);
            }
        })?;
        reach("drop.written");
        core.delete_files(&db, &dropped)?;
        reach("drop.deleted");
        Ok(())
    }
}

/// A snapshot keeps the database open, and the namespace owned.
fn snapshot(core: &Arc<Core>) -> Result<Box<dyn Snapshot>> {
    Ok(Box::new(core.db.snapshot(core.clone())?))
}

/// What the server's threads read.
struct Shared(Arc<Core>);

impl RealtimeReader for Shared {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        snapshot(&self.0)
    }
}

impl RealtimeReader for RocksStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        snapshot(&self.core)
    }
}
