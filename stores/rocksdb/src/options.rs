//! Settings of the database, and opening it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, Options, WriteBufferManager};
use rufous_core::{Result, StoreFace};

use crate::chain;
use crate::damage::{damaged, failed};
use crate::meta::{Meta, not_of_the_job};
use crate::packed;
use crate::session::Memo;

const MIB: usize = 1 << 20;

/// How a namespace is kept.
#[derive(Clone, Debug)]
pub struct RocksOptions {
    /// Wait for the disk at every commit. Without it a crash of the process loses nothing, and a power cut the last
    /// commits, whole ones: the log is read again from there.
    pub sync: bool,
    /// Bytes of memory for the whole database, all stores together: blocks that were read, with the files' indexes and
    /// filters, and what was written and is not in a file yet. At least 8 MiB are used. A single commit that is larger than
    /// a quarter of it exceeds it by its own size while it is written.
    pub memory: usize,
    /// How long a new owner waits for readers that are just looking who owns the namespace.
    pub lock_wait_ms: u64,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            sync: false,
            memory: 128 * MIB,
            lock_wait_ms: 500,
        }
    }
}

/// How often values were merged, and how many operands they had: what reads and compactions pay for commits.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    pub(crate) calls: AtomicU64,
    pub(crate) operands: AtomicU64,
}

/// A database and what belongs to it.
pub(crate) struct Opened {
    pub(crate) db: Arc<DB>,
    pub(crate) cache: Cache,
    pub(crate) cache_bytes: usize,
    pub(crate) merges: Arc<Merges>,
    /// What its snapshots share.
    pub(crate) memo: Arc<Memo>,
}

/// The column family of a store. Prefixed, because a store may be called `default`.
pub(crate) fn family(store: &str) -> String {
    format!("store/{store}")
}

/// Settings of any database of ours.
pub(crate) fn database() -> Options {
    // Not `track_and_verify_wals`: it refuses what a kill in the middle of an opening leaves (no log yet). See `chain`.
    let mut o = Options::default();
    // A log that outgrows this flushes the memtables that hold it back: replay at open stays short.
    o.set_max_total_wal_size(64 * MIB as u64);
    // What is behind a damaged or unfinished record of the log is not there: the rows stand where the last whole commit left
    // them, and the job reads on from there (P16).
    o.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    o.set_paranoid_checks(true);
    o.set_keep_log_file_num(4);
    o.set_max_log_file_size(4 * MIB);
    // All files stay open: a missing one is noticed at once. Their indexes and filters are in the block cache.
    o.set_max_open_files(-1);
    // Each input of a compaction has a buffer of this size.
    o.set_compaction_readahead_size(MIB / 2);
    o
}

fn families(stores: &[StoreFace], cache: &Cache, memory: usize, merges: &Arc<Merges>) -> Vec<(String, Options)> {
    // Chains of operands end at a flush of the memtable: larger ones cost readers. Two of them may exist at once.
    let memtable = (memory / 4 / stores.len().max(1)).clamp(MIB, 16 * MIB);
    let mut small = Options::default();
    small.set_write_buffer_size(MIB);
    let mut all = vec![("default".to_string(), small)];
    for store in stores {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        blocks.set_bloom_filter(10.0, false);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut o = Options::default();
        o.set_merge_operator_associative("rufous-packed-1", packed::counting(store.value, merges.clone()));
        o.set_write_buffer_size(memtable);
        o.set_max_write_buffer_number(2);
        // Small files, so that whole ones fall out of a dropped batch.
        o.set_target_file_size_base(4 * MIB as u64);
        o.set_compression_type(DBCompressionType::Lz4);
        o.set_block_based_table_factory(&blocks);
        all.push((family(store.name), o));
    }
    all
}

/// Opens for writing; creates what is missing. The caller owns the namespace.
pub(crate) fn open(dir: &Path, namespace: &str, stores: &[StoreFace], memory: usize) -> Result<Opened> {
    let path = dir.join("db");
    let mut o = database();
    o.create_if_missing(true);
    o.create_missing_column_families(true);
    let at = |e| failed(format_args!("cannot open {}", path.display()), e);
    let meta = Meta::new(namespace, stores);
    // Before RocksDB writes anything: what was written for something else stays as it is.
    if !is_empty(dir)? {
        match Meta::of_file(dir)? {
            // The database says the same, and asking it costs to read its log twice.
            Some(known) => known.check(&path, namespace, stores, true)?,
            None => {
                let known = DB::list_cf(&o, &path).map_err(at)?;
                let families = known.iter().filter_map(|f| f.strip_prefix("store/"));
                for name in families {
                    if !stores.iter().any(|s| s.name == name) {
                        return Err(not_of_the_job(&path.display(), name));
                    }
                }
                check(&open_read_only(dir, namespace, &[])?, &path, namespace, stores)?;
            }
        }
    }
    meta.write_file(dir)?;
    let memory = memory.max(8 * MIB);
    let cache = Cache::new_lru_cache(memory);
    // What is in memtables is taken from the cache's room. Writers are not stopped by it: with a full disk they would never go on.
    o.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        memory / 2,
        false,
        cache.clone(),
    ));
    let merges = Arc::default();
    let db = DB::open_cf_with_opts(&o, &path, families(stores, &cache, memory, &merges)).map_err(at)?;
    // A directory of another namespace whose file was replaced.
    check(&db, &path, namespace, stores)?;
    meta.write_row(&db, &path)?;
    Ok(Opened {
        db: Arc::new(db),
        cache,
        cache_bytes: memory,
        merges,
        memo: Arc::default(),
    })
}

/// Whether there is no database yet.
///
/// # Errors
/// `CorruptData` when there was one, and the file that says so is gone.
pub(crate) fn is_empty(dir: &Path) -> Result<bool> {
    let path = dir.join("db");
    if path.join("CURRENT").exists() {
        return Ok(false);
    }
    let mut files = std::fs::read_dir(&path).into_iter().flatten().flatten();
    let left = files.any(|e| {
        let name = e.file_name();
        let name = name.to_string_lossy();
        // Not MANIFEST: a crash while a database is made leaves one before there is CURRENT.
        name.ends_with(".sst") || name.ends_with(".log")
    });
    if left {
        return Err(damaged(format_args!(
            "{} has tables and no file CURRENT",
            path.display()
        )));
    }
    Ok(true)
}

/// Opens for reading, without a lock: what was written last is read from the write-ahead log into memory.
pub(crate) fn open_read_only(dir: &Path, namespace: &str, stores: &[StoreFace]) -> Result<DB> {
    let path = dir.join("db");
    let families = families(stores, &Cache::new_lru_cache(8 * MIB), 64 * MIB, &Arc::default());
    let db = DB::open_cf_with_opts_for_read_only(&database(), &path, families, false)
        .map_err(|e| failed(format_args!("cannot open {} for reading", path.display()), e))?;
    check(&db, &path, namespace, stores)?;
    for store in stores {
        if let Some(cf) = db.cf_handle(&family(store.name)) {
            chain::check(&db, cf, store.name)?;
        }
    }
    Ok(db)
}

fn check(db: &DB, path: &Path, namespace: &str, stores: &[StoreFace]) -> Result<()> {
    match Meta::of_database(db, path)? {
        Some(meta) => meta.check(path, namespace, stores, false),
        None => Ok(()),
    }
}
