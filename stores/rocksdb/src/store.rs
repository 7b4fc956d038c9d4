//! The owner of a namespace: acquire, commit, drop.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocksdb::{ColumnFamily, DB, WriteBatch, WriteOptions};
use rufous_core::{BatchId, Deltas, Error, Result, SourcePartition, StoreFace};
use rufous_store_api::realtime::apply_advances;
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};

use crate::failed;
use crate::layout::{self, Row};
use crate::options::{self, RocksOptions};
use crate::owner::Owner;
use crate::packed::Packer;
use crate::serve::Server;
use crate::session::{self, Session};

type Rows = BTreeMap<SourcePartition, Row>;

/// A namespace that this process owns.
pub struct RocksStore {
    /// First, so that readers are gone before the database is closed.
    server: Mutex<Option<Server>>,
    core: Arc<Core>,
}

struct Core {
    dir: PathBuf,
    namespace: String,
    stores: Vec<&'static str>,
    sync: bool,
    /// What the families hold. This process is their only writer, so checks are made here. Changed after a write
    /// succeeded; read again after one failed.
    rows: Mutex<HashMap<&'static str, Rows>>,
    /// How many snapshots are held. Files are deleted only while there are none: that ignores snapshots (P27).
    snapshots: Mutex<usize>,
    /// Before the owner: the database is closed before somebody else may open it.
    db: Arc<DB>,
    owner: Owner,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is guarded here is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RocksStore {
    /// Takes the namespace in `dir`, which is created when it is missing.
    ///
    /// # Errors
    /// `Closed` when another process owns it; `InvalidRequest` when it holds another namespace, or stores whose keys and values
    /// mean something else; `CorruptData` when it cannot be read.
    pub fn open(dir: &Path, namespace: &str, stores: &[StoreFace], options: RocksOptions) -> Result<Self> {
        let owner = Owner::take(dir, Duration::from_millis(options.lock_wait_ms))?;
        let db = Arc::new(options::open(&dir.join("db"), namespace, stores, options.cache_bytes)?);
        let core = Core {
            dir: dir.into(),
            namespace: namespace.into(),
            stores: stores.iter().map(|s| s.name).collect(),
            sync: options.sync,
            rows: Mutex::new(HashMap::new()),
            snapshots: Mutex::new(0),
            db,
            owner,
        };
        *lock(&core.rows) = core.load()?;
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
    fn load(&self) -> Result<HashMap<&'static str, Rows>> {
        self.stores
            .iter()
            .map(|s| Ok((*s, session::rows(&self.db, None, s)?.into_iter().collect())))
            .collect()
    }

    fn family(&self, store: &str) -> Result<&ColumnFamily> {
        self.db
            .cf_handle(&options::family(store))
            .ok_or_else(|| self.unknown(store))
    }

    fn unknown(&self, store: &str) -> Error {
        Error::invalid(format!(
            "{} has no store `{store}`: bind it when the namespace is opened",
            self.dir.display()
        ))
    }

    /// Writes all or nothing. Afterwards `rows` are what is on disk, whatever happened.
    fn write(
        &self,
        rows: &mut HashMap<&'static str, Rows>,
        batch: WriteBatch,
        then: impl FnOnce(&mut HashMap<&'static str, Rows>),
    ) -> Result<()> {
        let mut o = WriteOptions::default();
        o.set_sync(self.sync);
        match self.db.write_opt(batch, &o) {
            Ok(()) => then(rows),
            Err(e) => {
                // It may be in the log all the same (P12).
                if let Ok(found) = self.load() {
                    *rows = found;
                }
                return Err(failed(format_args!("cannot write to {}", self.dir.display()), e));
            }
        }
        Ok(())
    }

    /// Deletes whole files of dropped batches, unless a snapshot may need them; then they wait for compaction or the next
    /// drop. What says that they are dropped must be on disk first (P26).
    fn delete_files(&self, dropped: &[(&'static str, Vec<BatchId>)]) -> Result<()> {
        let snapshots = lock(&self.snapshots);
        if *snapshots > 0 || dropped.iter().all(|(_, b)| b.is_empty()) {
            return Ok(());
        }
        self.db
            .flush_wal(true)
            .map_err(|e| failed(format_args!("cannot sync {}", self.dir.display()), e))?;
        for (store, batches) in dropped {
            for (from, to) in batches.iter().map(|b| range(*b)) {
                let deleted = self.db.delete_file_in_range_cf(self.family(store)?, from, to);
                deleted.map_err(|e| failed(format_args!("store `{store}`: cannot delete files"), e))?;
            }
        }
        Ok(())
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
        let mut rows = lock(&core.rows);
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
        batch.put_cf(core.family(store)?, layout::row_key(p), layout::row_bytes(&row)?);
        let progress = row.progress.clone();
        core.write(&mut rows, batch, |rows| {
            rows.entry(name).or_default().insert(p.clone(), row);
        })?;
        Ok(progress)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        let core = &*self.core;
        let mut rows = lock(&core.rows);
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
                core.family(store)?,
                of,
                after,
                commit.sources,
                *deltas,
                &mut batch,
            )?;
        }
        for (store, after) in &moved {
            let (cf, of) = (core.family(store)?, &rows[store]);
            for (p, progress) in after {
                let row = Row {
                    lane: of[p].lane,
                    progress: progress.clone(),
                };
                batch.put_cf(cf, layout::row_key(p), layout::row_bytes(&row)?);
            }
        }
        core.write(&mut rows, batch, |rows| {
            for (store, after) in moved {
                for (p, progress) in after {
                    if let Some(row) = rows.get_mut(store).and_then(|of| of.get_mut(&p)) {
                        row.progress = progress;
                    }
                }
            }
        })?;
        Ok(Committed::Done)
    }

    /// A batch's cells are in one range of keys, of all partitions together. It is deleted when no partition's row names
    /// the batch any more; until then dropped cells stay where they are, and readers skip them by `retained_from`, which is
    /// raised in the same write.
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let core = &*self.core;
        let mut rows = lock(&core.rows);
        let (mut write, mut raised, mut dropped) = (WriteBatch::default(), Vec::new(), Vec::new());
        for store in &core.stores {
            let Some(row) = rows.get(store).and_then(|of| of.get(p)) else {
                continue;
            };
            let cf = core.family(store)?;
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
            let mut gone = session::batches(&core.db, None, store, BatchId::MIN)?;
            gone.retain(|b| !others().any(|r| names(r, *b)));
            for (from, to) in gone.iter().map(|b| range(*b)) {
                write.delete_range_cf(cf, from, to);
            }
            dropped.push((*store, gone));
            raised.push((*store, row));
        }
        core.write(&mut rows, write, |rows| {
            for (store, row) in raised {
                rows.entry(store).or_default().insert(p.clone(), row);
            }
        })?;
        core.delete_files(&dropped)
    }
}

/// A snapshot that is held: it keeps the database open and its files where they are.
struct Held(Arc<Core>);

impl Drop for Held {
    fn drop(&mut self) {
        *lock(&self.0.snapshots) -= 1;
    }
}

fn snapshot(core: &Arc<Core>) -> Result<Box<dyn Snapshot>> {
    *lock(&core.snapshots) += 1;
    let held = Held(core.clone());
    Ok(Box::new(Session::start(core.db.clone(), &core.namespace, false, held)?))
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
