//! Settings of the database, and what is checked when it is opened.

use std::collections::BTreeMap;
use std::path::Path;

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options};
use rufous_core::{Error, Result, StoreFace};
use serde::{Deserialize, Serialize};

use crate::{failed, packed};

/// The version of everything in the directory.
pub const FORMAT: u32 = 1;
/// Where the description lies in the default column family.
const META: &[u8] = b"meta";

/// How a namespace is kept.
#[derive(Clone, Debug)]
pub struct RocksOptions {
    /// Wait for the disk at every commit. Without it a crash of the process loses nothing, and a power cut the last
    /// commits, whole ones: the log is read again from there.
    pub sync: bool,
    /// Memory for blocks that were read, for all stores of the namespace.
    pub cache_bytes: usize,
    /// How long a new owner waits for readers that are just looking who owns the namespace.
    pub lock_wait_ms: u64,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            sync: false,
            cache_bytes: 64 << 20,
            lock_wait_ms: 500,
        }
    }
}

/// What a database says of itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    format: u32,
    namespace: String,
    stores: BTreeMap<String, String>,
}

/// The column family of a store. Prefixed, because a store may be called `default`.
pub(crate) fn family(store: &str) -> String {
    format!("store/{store}")
}

fn database() -> Options {
    let mut o = Options::default();
    // A log that outgrows this flushes the memtables that hold it back: replay at open stays short.
    o.set_max_total_wal_size(64 << 20);
    o.set_keep_log_file_num(4);
    o.set_max_open_files(-1);
    o
}

fn families(stores: &[StoreFace], cache: &Cache) -> Vec<(String, Options)> {
    let mut all = vec![("default".to_string(), Options::default())];
    for store in stores {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        blocks.set_bloom_filter(10.0, false);
        let mut o = Options::default();
        o.set_merge_operator_associative("rufous-packed-1", packed::operator(store.value));
        // Chains of operands end at a flush of the memtable: larger ones cost readers.
        o.set_write_buffer_size(16 << 20);
        // Small files, so that whole ones fall out of a dropped batch.
        o.set_target_file_size_base(4 << 20);
        o.set_compression_type(DBCompressionType::Lz4);
        o.set_block_based_table_factory(&blocks);
        all.push((family(store.name), o));
    }
    all
}

/// Opens for writing; creates what is missing. The caller owns the namespace.
pub(crate) fn open(path: &Path, namespace: &str, stores: &[StoreFace], cache_bytes: usize) -> Result<DB> {
    let mut o = database();
    o.create_if_missing(true);
    o.create_missing_column_families(true);
    let at = |e| failed(format_args!("cannot open {}", path.display()), e);
    if path.join("CURRENT").exists() {
        // Before RocksDB writes anything: what was written for something else stays as it is.
        let known = DB::list_cf(&o, path).map_err(at)?;
        for name in known.iter().filter_map(|f| f.strip_prefix("store/")) {
            if !stores.iter().any(|s| s.name == name) {
                return Err(Error::invalid(format!(
                    "{} holds store `{name}`, which this job does not have: use the job that wrote it, or another namespace",
                    path.display()
                )));
            }
        }
        check(&open_read_only(path, namespace, &[])?, path, namespace, stores)?;
    }
    let cache = Cache::new_lru_cache(cache_bytes);
    let db = DB::open_cf_with_opts(&o, path, families(stores, &cache)).map_err(at)?;
    let stores = stores.iter().map(|s| (s.name.to_string(), s.schema())).collect();
    let meta = serde_json::to_vec(&Meta {
        format: FORMAT,
        namespace: namespace.into(),
        stores,
    });
    let meta = meta.map_err(|e| Error::bug("a description cannot be written as JSON").caused_by(e))?;
    if db.get(META).map_err(at)?.as_deref() != Some(&meta) {
        db.put(META, meta).map_err(at)?;
    }
    Ok(db)
}

/// Opens for reading, without a lock: what was written last is read from the write-ahead log into memory.
pub(crate) fn open_read_only(path: &Path, namespace: &str, stores: &[StoreFace]) -> Result<DB> {
    let families = families(stores, &Cache::new_lru_cache(8 << 20));
    let db = DB::open_cf_with_opts_for_read_only(&database(), path, families, false)
        .map_err(|e| failed(format_args!("cannot open {} for reading", path.display()), e))?;
    check(&db, path, namespace, stores)?;
    Ok(db)
}

fn check(db: &DB, path: &Path, namespace: &str, stores: &[StoreFace]) -> Result<()> {
    let place = path.display();
    let bytes = db
        .get(META)
        .map_err(|e| failed(format_args!("cannot read {place}"), e))?;
    // A crash between creation and the first write leaves a database that holds nothing at all.
    let Some(bytes) = bytes else { return Ok(()) };
    let meta: Meta = serde_json::from_slice(&bytes)
        .map_err(|e| Error::corrupt(format!("the description in {place} cannot be read: {e}")).caused_by(e))?;
    if meta.format != FORMAT {
        return Err(Error::invalid(format!(
            "{place} has format {}, this build reads {FORMAT}: use the build that wrote it",
            meta.format
        )));
    }
    if meta.namespace != namespace {
        return Err(Error::invalid(format!(
            "{place} holds namespace {}, not {namespace}: a directory was moved or copied",
            meta.namespace
        )));
    }
    for store in stores {
        if let Some(schema) = meta.stores.get(store.name).filter(|s| !store.reads(s)) {
            return Err(Error::invalid(format!(
                "{place}: store `{}` was written as `{schema}`, and this job declares `{}`: give the changed job a new version, so that it gets a namespace of its own",
                store.name,
                store.schema()
            )));
        }
    }
    Ok(())
}
