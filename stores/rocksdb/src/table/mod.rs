//! Tables of written records: a database of the job beside the namespaces of its state, a column family a sink.
//!
//! Namespaces come and go with the job's code; tables stay. A row, the mark behind it and the count of writes are one synced
//! write. One process has the database open; its owner's lock is that of a namespace. Readers of other processes follow the
//! files as they grow ([`RocksTablesReader`]).
//!
//! ```text
//! <dir>/owner   who has it open: as in a namespace
//! <dir>/db/     the database
//! ```

pub mod layout;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocksdb::{BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, Options, WriteBatch, WriteOptions};
use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::WrittenId;
use rufous_store_api::points::reach;
use rufous_store_api::table::{Append, Claim, EachRow, TableFace, TableMark, TableReader, TableStore};
use rufous_store_api::{Hole, table::TableRow};

use crate::chain;
use crate::damage::{failed, of_table};
use crate::database::lock;
use crate::options;
use crate::owner::Owner;

pub use read::RocksTablesReader;

const MIB: usize = 1 << 20;

/// The tables of a job, which this process writes.
pub struct RocksTables {
    dir: PathBuf,
    memory: usize,
    sinks: Vec<String>,
    /// Before the owner: the database is closed before somebody else may open it.
    open: Mutex<Option<Open>>,
    _owner: Owner,
}

struct Open {
    db: Arc<DB>,
    /// What the families hold: this process is their only writer. Changed after a write succeeded.
    tables: HashMap<String, Known>,
}

/// What is known of a table besides its rows.
#[derive(Clone, Default)]
struct Known {
    marks: BTreeMap<SourcePartition, TableMark>,
    schemas: BTreeMap<u32, String>,
    /// Of the last write.
    writes: u64,
}

fn family<'a>(db: &'a DB, sink: &str) -> Result<&'a ColumnFamily> {
    db.cf_handle(&family_name(sink)).ok_or_else(|| {
        Error::invalid(format!(
            "{} has no table of sink `{sink}`: bind it when the tables are opened",
            db.path().display()
        ))
    })
}

/// Prefixed, because a sink may be called `default`.
fn family_name(sink: &str) -> String {
    format!("sink/{sink}")
}

/// The sinks that have a table on disk.
fn on_disk(path: &Path) -> Result<Vec<String>> {
    if !path.join("CURRENT").exists() {
        return Ok(Vec::new());
    }
    let families = DB::list_cf(&options::database(), path)
        .map_err(|e| of_table(failed(format_args!("cannot open {}", path.display()), e)))?;
    Ok(families
        .iter()
        .filter_map(|f| f.strip_prefix("sink/"))
        .map(str::to_string)
        .collect())
}

fn families(sinks: &[String], memory: usize) -> Vec<(String, Options)> {
    let cache = Cache::new_lru_cache(memory / 2);
    let memtable = (memory / 4 / sinks.len().max(1)).clamp(MIB, 8 * MIB);
    let mut small = Options::default();
    small.set_write_buffer_size(MIB);
    let mut all = vec![("default".to_string(), small)];
    for sink in sinks {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&cache);
        blocks.set_cache_index_and_filter_blocks(true);
        let mut o = Options::default();
        // The count of writes is all that is ever merged.
        o.set_merge_operator_associative("rufous-count-1", |_, old, parts| {
            chain::add(old.into_iter().chain(parts))
        });
        o.set_write_buffer_size(memtable);
        o.set_max_write_buffer_number(2);
        o.set_compression_type(DBCompressionType::Lz4);
        o.set_block_based_table_factory(&blocks);
        all.push((family_name(sink), o));
    }
    all
}

/// Everything of a family but its rows.
fn known(db: &DB, sink: &str) -> Result<Known> {
    let cf = family(db, sink)?;
    let mut known = Known {
        writes: chain::check(db, cf, sink)?,
        ..Known::default()
    };
    let mut it = db.raw_iterator_cf(cf);
    it.seek([layout::MARK]);
    while let Some((key, value)) = it.item() {
        match key.first() {
            Some(&layout::MARK) => {
                let p = layout::mark_partition(key)?;
                let mark = layout::mark(&p, value)?;
                known.marks.insert(p, mark);
            }
            Some(&layout::SCHEMA) => {
                let (number, text) = layout::schema(key, value)?;
                known.schemas.insert(number, text);
            }
            _ => break,
        }
        it.next();
    }
    it.status().map_err(|e| failed("cannot read the marks", e))?;
    Ok(known)
}

/// The rows of a family from an id on, of one point in time.
fn rows(db: &DB, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
    let mut it = db.raw_iterator_cf(family(db, sink)?);
    let mut schemas: BTreeMap<u32, String> = BTreeMap::new();
    it.seek([layout::SCHEMA]);
    while let Some((key, value)) = it.item().filter(|(key, _)| key.first() == Some(&layout::SCHEMA)) {
        schemas.extend([layout::schema(key, value)?]);
        it.next();
    }
    let mut key = vec![layout::ROW];
    if let Some(id) = from {
        key.extend_from_slice(&id.to_bytes());
    }
    it.seek(&key);
    while let Some((key, value)) = it.item() {
        let id = layout::row_id(key)?;
        let (schema, value) = layout::row(&id, value)?;
        let Some(schema) = schemas.get(&schema) else {
            return Err(Error::corrupt(format!(
                "row {} names schema {schema}, which is not there",
                id.of_sink(sink)
            )));
        };
        if !each(&id, schema, value)? {
            return Ok(());
        }
        it.next();
    }
    it.status().map_err(|e| failed("cannot read rows", e))
}

impl RocksTables {
    /// Opens the tables in `dir`, which is created when it is missing, for these sinks. Tables of other sinks stay as they are.
    ///
    /// # Errors
    /// `Closed` when another process has them open; `CorruptData` when they are damaged.
    pub fn open(dir: &Path, sinks: &[&str], memory: usize) -> Result<Self> {
        let owner = Owner::take(dir, Duration::from_millis(500))?;
        let mut all = on_disk(&dir.join("db"))?;
        for sink in sinks {
            if !all.iter().any(|known| known == sink) {
                all.push(sink.to_string());
            }
        }
        let tables = Self {
            dir: dir.into(),
            memory: memory.max(8 * MIB),
            sinks: all,
            open: Mutex::new(None),
            _owner: owner,
        };
        *lock(&tables.open) = Some(tables.load()?);
        Ok(tables)
    }

    fn load(&self) -> Result<Open> {
        let path = self.dir.join("db");
        // What is gone is damage, never a new beginning (see `options::is_empty`).
        options::is_empty(&self.dir).map_err(of_table)?;
        let mut o = options::database();
        o.create_if_missing(true);
        o.create_missing_column_families(true);
        let db = DB::open_cf_with_opts(&o, &path, families(&self.sinks, self.memory))
            .map_err(|e| of_table(failed(format_args!("cannot open {}", path.display()), e)))?;
        let of = |sink: &String| {
            let known = known(&db, sink).map_err(|e| of_table(e.at(format_args!("sink `{sink}`"))))?;
            Ok((sink.clone(), known))
        };
        let tables = self.sinks.iter().map(of).collect::<Result<_>>()?;
        Ok(Open {
            db: Arc::new(db),
            tables,
        })
    }

    fn closed(&self) -> Error {
        Error::try_again(format!(
            "{} is closed after a write that failed, and opened again by the next claim",
            self.dir.display()
        ))
    }

    fn db(&self) -> Result<Arc<DB>> {
        lock(&self.open)
            .as_ref()
            .map(|open| open.db.clone())
            .ok_or_else(|| self.closed())
    }

    /// Writes a mark and what comes with it: the rows, and the schema if it is a new one. A write that failed may be in the log
    /// all the same: nothing more is written through this handle.
    fn write(
        &self,
        open: &mut Option<Open>,
        table: &TableFace,
        p: &SourcePartition,
        mark: TableMark,
        rows: &[TableRow<'_>],
    ) -> Result<()> {
        let Some(Open { db, tables }) = open else {
            return Err(self.closed());
        };
        let cf = family(db, &table.sink)?;
        let known = tables.entry(table.sink.clone()).or_default();
        let mut batch = WriteBatch::default();
        let schema = known.schemas.iter().find(|(_, text)| **text == table.schema);
        let schema = match schema {
            Some((number, _)) => *number,
            None => {
                let number = known.schemas.keys().next_back().map_or(0, |n| n.saturating_add(1));
                let bytes = layout::schema_bytes(&table.schema);
                batch.put_cf(cf, layout::schema_key(number), bytes);
                number
            }
        };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for row in rows {
            key.clear();
            value.clear();
            layout::put_row_key(p, row.offset, row.number, &mut key);
            layout::put_row(schema, row.value, &mut value);
            batch.put_cf(cf, &key, &value);
        }
        batch.put_cf(cf, layout::mark_key(p), layout::mark_bytes(&mark)?);
        chain::write(cf, known.writes + 1, &mut batch);
        let mut o = WriteOptions::default();
        o.set_sync(true);
        reach("table.before");
        match db.write_opt(batch, &o) {
            Ok(()) => {
                reach("table.written");
                known.writes += 1;
                known.marks.insert(p.clone(), mark);
                known.schemas.insert(schema, table.schema.clone());
                Ok(())
            }
            Err(e) => {
                let path = self.dir.display();
                let e = of_table(failed(format_args!("cannot write to {path}"), e));
                *open = None;
                Err(e)
            }
        }
    }

    fn step(
        &self,
        table: &TableFace,
        p: &SourcePartition,
        next: impl FnOnce(&TableMark) -> Result<TableMark>,
        rows: &[TableRow<'_>],
    ) -> Result<()> {
        let mut open = lock(&self.open);
        let known = open.as_ref().ok_or_else(|| self.closed())?.tables.get(&table.sink);
        let Some(mark) = known.and_then(|known| known.marks.get(p)) else {
            return Err(Error::closed(format!("sink `{}`: {p} was not claimed", table.sink)));
        };
        let mark = next(mark)?;
        self.write(&mut open, table, p, mark, rows)
    }
}

impl TableReader for RocksTables {
    fn location(&self) -> String {
        self.dir.display().to_string()
    }
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        let db = self.db()?;
        if db.cf_handle(&family_name(sink)).is_none() {
            return Ok(Vec::new());
        }
        Ok(known(&db, sink).map_err(of_table)?.marks.into_iter().collect())
    }
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        rows(&*self.db()?, sink, from, each).map_err(of_table)
    }
}

impl TableStore for RocksTables {
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim> {
        let mut open = lock(&self.open);
        if open.is_none() {
            *open = Some(self.load()?);
        }
        let known = open.as_ref().and_then(|open| open.tables.get(&table.sink));
        let marks = known.map(|known| &known.marks);
        if let Some(other) = marks.and_then(|marks| marks.values().next()) {
            other.check_owner(table, &self.dir.display())?;
        }
        let mark = marks.and_then(|marks| marks.get(p)).cloned();
        let mut mark = mark.unwrap_or_else(|| TableMark::begun(table, start));
        if kept(Rule::SinkFence) {
            mark.epoch += 1;
        }
        let claim = Claim {
            epoch: mark.epoch,
            mark: mark.mark,
        };
        self.write(&mut open, table, p, mark, &[])?;
        Ok(claim)
    }
    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()> {
        let next = |mark: &TableMark| mark.advanced(append);
        self.step(table, append.partition, next, append.rows)
    }
    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()> {
        self.step(table, p, |mark| mark.passed(p, epoch, hole), &[])
    }
}
