//! The realtime store, if it says how it is.

use super::{NONE, family, store};
use crate::app::metrics::{Family, Kind};
use crate::store_api::StoreStats;

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_store_disk_bytes",
        Kind::Gauge,
        NONE,
        "bytes of all files of the realtime store",
        |s, out| store(s, out, |x| x.disk_bytes.into()),
    ),
    family(
        "rufous_store_table_bytes",
        Kind::Gauge,
        NONE,
        "bytes of the files that hold its present state",
        |s, out| store(s, out, |x| x.table_bytes.into()),
    ),
    family(
        "rufous_store_memtable_bytes",
        Kind::Gauge,
        NONE,
        "bytes in memory that are in no such file yet",
        |s, out| store(s, out, |x| x.memtable_bytes.into()),
    ),
    family(
        "rufous_store_cache_bytes",
        Kind::Gauge,
        NONE,
        "bytes of blocks, indexes and filters in memory",
        |s, out| store(s, out, |x| x.cache_bytes.into()),
    ),
    family(
        "rufous_store_cache_capacity_bytes",
        Kind::Gauge,
        NONE,
        "the most that those should be",
        |s, out| store(s, out, |x| x.cache_capacity.into()),
    ),
    family(
        "rufous_store_pending_compaction_bytes",
        Kind::Gauge,
        NONE,
        "bytes that compaction has to rewrite, an estimate",
        |s, out| {
            store(s, out, |x| x.pending_compaction_bytes.into());
        },
    ),
    family(
        "rufous_store_keys",
        Kind::Gauge,
        NONE,
        "rows (batch, key), an estimate",
        |s, out| store(s, out, |x| x.keys.into()),
    ),
    family(
        "rufous_store_merges_total",
        Kind::Counter,
        NONE,
        "merges of values by reads, flushes and compactions",
        |s, out| store(s, out, |x| x.merges.into()),
    ),
    family(
        "rufous_store_merge_operands_total",
        Kind::Counter,
        NONE,
        "operands of those merges",
        |s, out| store(s, out, |x| x.operands.into()),
    ),
    family(
        "rufous_store_merge_depth",
        Kind::Gauge,
        NONE,
        "operands of a merge, the mean since the start",
        |s, out| {
            if let Some(depth) = s.store.as_ref().and_then(|x| x.operand_depth(&StoreStats::default())) {
                out.push(&[], depth);
            }
        },
    ),
    family(
        "rufous_store_snapshots",
        Kind::Gauge,
        NONE,
        "snapshots that are held",
        |s, out| store(s, out, |x| x.snapshots.into()),
    ),
    family(
        "rufous_store_background_errors_total",
        Kind::Counter,
        NONE,
        "failed flushes and compactions",
        |s, out| store(s, out, |x| x.background_errors.into()),
    ),
    family(
        "rufous_store_slowed",
        Kind::Gauge,
        NONE,
        "1 while writes are slowed down",
        |s, out| store(s, out, |x| x.slowed.into()),
    ),
    family(
        "rufous_store_stopped",
        Kind::Gauge,
        NONE,
        "1 while writes wait",
        |s, out| store(s, out, |x| x.stopped.into()),
    ),
];
