//! What a store shows of itself.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use rocksdb::{DB, properties as p};
use rufous_core::Result;
use rufous_store_api::StoreStats;

use crate::damage::failed;
use crate::database::Database;
use crate::options;

pub(crate) fn of(database: &Database, stores: &[&str]) -> Result<StoreStats> {
    let db = database.get()?;
    let (cache_bytes, cache_capacity, merges, operands) = database.with(|o| {
        (
            o.cache.get_usage() as u64,
            o.cache_bytes as u64,
            o.merges.calls.load(Relaxed),
            o.merges.operands.load(Relaxed),
        )
    })?;
    let mut stats = StoreStats {
        disk_bytes: size_of_files(db.path()),
        cache_bytes,
        cache_capacity,
        merges,
        operands,
        snapshots: database.snapshots() as u64,
        stopped: database.is_broken(),
        damaged: database.is_suspect(),
        ..StoreStats::default()
    };
    for store in stores {
        let get = |name| of_family(&db, store, name);
        stats.memtable_bytes += get(p::CUR_SIZE_ALL_MEM_TABLES)?;
        stats.pending_compaction_bytes += get(p::ESTIMATE_PENDING_COMPACTION_BYTES)?;
        stats.keys += get(p::ESTIMATE_NUM_KEYS)?;
        stats.table_bytes += get(p::LIVE_SST_FILES_SIZE)?;
        // Of the whole database, whichever family is asked.
        stats.stopped |= get(p::IS_WRITE_STOPPED)? > 0;
        stats.slowed |= get(p::ACTUAL_DELAYED_WRITE_RATE)? > 0;
        stats.background_errors = stats.background_errors.max(get(p::BACKGROUND_ERRORS)?);
    }
    Ok(stats)
}

fn of_family(db: &DB, store: &str, name: &rocksdb::properties::PropName) -> Result<u64> {
    let Some(cf) = db.cf_handle(&options::family(store)) else {
        return Ok(0);
    };
    let value = db.property_int_value_cf(cf, name);
    Ok(value
        .map_err(|e| failed(format_args!("store `{store}`: no figures"), e))?
        .unwrap_or(0))
}

fn size_of_files(path: &Path) -> u64 {
    // Files that go meanwhile are nobody's any more.
    let sizes = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| Some(e.metadata().ok()?.len()));
    sizes.sum()
}
