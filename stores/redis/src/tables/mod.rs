//! Tables of written records: rows by source, partition, offset and number, and a mark a partition that changes with them (O23).
//!
//! A write is one script that compares the mark's bytes with those that the writer read: a claim that came between has another epoch,
//! so what is written is written by the last one who claimed. Rows are never changed, and lie below the mark: so whoever reads the
//! marks first and rows below them afterwards sees one point in time.

mod layout;
mod read;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use redis::{Cmd, Script, Value};
use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::Hole;
use rufous_store_api::points::reach;
use rufous_store_api::table::{Append, Claim, TableFace, TableMark, TableRow, TableStore};

use crate::names;
use crate::options::RedisOptions;
use crate::server::{Server, bytes, list, text};
use crate::staged::{Pairs, stage};
use layout::{FORMAT, Kept};

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/append.lua")));

/// How often a write is tried again that met another one.
const ATTEMPTS: usize = 8;

/// The tables of a job in Redis. Several processes may write them, each the partitions that it claimed last.
pub struct RedisTables {
    server: Server,
    prefix: String,
    /// For messages.
    place: String,
}

/// A mark as it is, or none.
struct Found {
    kept: Option<Kept>,
    bytes: Vec<u8>,
}

/// Rows on their way, by id.
struct Rows {
    ids: Vec<[u8; 16]>,
    values: Vec<Range<usize>>,
    bytes: Vec<u8>,
}

impl Pairs for Rows {
    fn count(&self) -> usize {
        self.ids.len()
    }
    fn size(&self, at: usize) -> usize {
        self.values.get(at).map_or(0, |v| v.len() + 16)
    }
    fn put(&self, at: Range<usize>, cmd: &mut Cmd) {
        let of = |r: &Range<usize>| r.clone();
        let ids = self.ids.get(of(&at)).unwrap_or_default();
        for (id, value) in ids.iter().zip(self.values.get(at).unwrap_or_default()) {
            cmd.arg(id).arg(self.bytes.get(of(value)).unwrap_or_default());
        }
    }
}

impl Rows {
    /// Refuses what no reader would find: rows outside the step of the mark, or twice.
    fn of(sink: &str, schema: u32, p: &SourcePartition, step: Range<u64>, rows: &[TableRow<'_>]) -> Result<Self> {
        let mut all = Self {
            ids: Vec::with_capacity(rows.len()),
            values: Vec::with_capacity(rows.len()),
            bytes: Vec::new(),
        };
        for row in rows {
            let id = layout::id(row.offset, row.number);
            if !step.contains(&row.offset) || all.ids.last().is_some_and(|last| *last >= id) {
                return Err(Error::bug(format!(
                    "sink `{sink}`: row {}/{} of {p} is not in order between offsets {} and {}",
                    row.offset, row.number, step.start, step.end
                )));
            }
            let from = all.bytes.len();
            layout::put_row(schema, row.value, &mut all.bytes);
            all.ids.push(id);
            all.values.push(from..all.bytes.len());
        }
        Ok(all)
    }
}

impl RedisTables {
    /// Opens the tables of a job.
    ///
    /// # Errors
    /// `InvalidRequest` when the URL is none, the server refuses the user, or may lose or evict what it holds; `TryAgain` when it does
    /// not answer in time.
    pub fn open(url: &str, options: &RedisOptions, job: &str, instance: &str) -> Result<Self> {
        let tables = Self::reader(url, options, job, instance)?;
        tables.server.promises()?;
        Ok(tables)
    }

    fn reader(url: &str, options: &RedisOptions, job: &str, instance: &str) -> Result<Self> {
        let server = Server::new(url, options)?;
        Ok(Self {
            place: format!("tables of job {job} ({instance}) in {}", server.location()),
            prefix: names::tables(job, instance),
            server,
        })
    }

    fn key(&self, kind: &str, sink: &str) -> String {
        format!("{}{kind}/{}", self.prefix, names::escaped(sink))
    }

    /// The marks and the schemas of a sink, read in this order.
    fn known(&self, sink: &str) -> Result<(BTreeMap<SourcePartition, Found>, BTreeMap<u32, String>)> {
        let what = format!("read the marks of sink `{sink}` in {}", self.place);
        let get = |kind: &str| {
            let mut cmd = redis::cmd("HGETALL");
            cmd.arg(self.key(kind, sink));
            cmd
        };
        let answers = self.server.pipeline(&what, &[get("marks"), get("schemas")])?;
        let odd = || self.server.odd(&what);
        let corrupt = |e: Error| e.at(format_args!("{}, sink `{sink}`", self.place));
        let fields = |i: usize| answers.get(i).and_then(list).ok_or_else(odd);
        let mut marks = BTreeMap::new();
        for pair in fields(0)?.chunks(2) {
            let (field, mark) = both(pair).ok_or_else(odd)?;
            let p = names::partition_of(field).ok_or_else(|| {
                corrupt(Error::corrupt(format!(
                    "a mark's field `{}` names no partition",
                    field.escape_ascii()
                )))
            })?;
            let kept = Kept::parse(mark, &p).map_err(corrupt)?;
            let bytes = mark.to_vec();
            marks.insert(
                p,
                Found {
                    kept: Some(kept),
                    bytes,
                },
            );
        }
        let mut schemas = BTreeMap::new();
        for pair in fields(1)?.chunks(2) {
            let (field, schema) = both(pair).ok_or_else(odd)?;
            let number = std::str::from_utf8(field).ok().and_then(|n| n.parse().ok());
            let schema = std::str::from_utf8(schema).ok();
            match (number, schema) {
                (Some(number), Some(schema)) => schemas.insert(number, schema.to_string()),
                _ => return Err(corrupt(Error::corrupt("a schema cannot be read"))),
            };
        }
        Ok((marks, schemas))
    }

    /// Changes a mark, and writes what comes with it. `next` sees the marks of the sink and the partition's own.
    fn change(
        &self,
        table: &TableFace,
        p: &SourcePartition,
        rows: &[TableRow<'_>],
        next: &dyn Fn(&BTreeMap<SourcePartition, Found>, Option<&TableMark>) -> Result<TableMark>,
    ) -> Result<TableMark> {
        let what = format!("write to sink `{}` in {}", table.sink, self.place);
        for _ in 0..ATTEMPTS {
            let (marks, schemas) = self.known(&table.sink)?;
            let found = marks.get(p);
            let own = found.and_then(|f| f.kept.as_ref());
            let mark = next(&marks, own.map(|k| &k.mark))?;
            let known = schemas.iter().find(|(_, text)| **text == table.schema).map(|(n, _)| *n);
            let schema = known.unwrap_or_else(|| schemas.keys().next_back().map_or(0, |n| n.saturating_add(1)));
            let had = own.map_or(0, |k| k.rows);
            let step = own.map_or(mark.mark, |k| k.mark.mark)..mark.mark;
            let rows = Rows::of(&table.sink, schema, p, step, rows)?;
            let after = Kept {
                format: FORMAT,
                rows: had.saturating_add(rows.ids.len() as u64),
                mark: mark.clone(),
            };
            let after = after.bytes()?;
            let before = found.map_or(&[][..], |f| f.bytes.as_slice());
            let staged = stage(&self.server, &self.prefix, &what, &[&rows])?;
            reach("table.before");
            let answer = self.server.script(&what, &APPEND, &self.prefix, &|cmd| {
                cmd.arg(names::escaped(&table.sink)).arg(names::partition(p));
                cmd.arg(before)
                    .arg(&after)
                    .arg(had)
                    .arg(schema)
                    .arg(&table.schema)
                    .arg(rows.ids.len());
                match staged.first() {
                    Some(staged) => {
                        cmd.arg(staged);
                    }
                    None => {
                        cmd.arg("");
                        rows.put(0..rows.ids.len(), cmd);
                    }
                }
            })?;
            match list(&answer).and_then(|a| a.first()).and_then(text) {
                Some("done") => {
                    reach("table.written");
                    return Ok(mark);
                }
                Some("moved") => {}
                Some("damaged") => {
                    return Err(self.damaged(&table.sink, p, had, list(&answer).unwrap_or_default().get(1..)));
                }
                Some("unstaged") => {
                    return Err(Error::try_again(format!(
                        "cannot {what}: pieces of it expired or were evicted before they were taken; nothing was written"
                    )));
                }
                _ => return Err(self.server.odd(&what)),
            }
        }
        Err(Error::try_again(format!(
            "cannot {what}: the mark of {p} changed {ATTEMPTS} times meanwhile"
        )))
    }

    fn damaged(&self, sink: &str, p: &SourcePartition, had: u64, found: Option<&[Value]>) -> Error {
        let count = |i: usize| match found.and_then(|f| f.get(i)) {
            Some(Value::Int(n)) => *n,
            _ => 0,
        };
        Error::corrupt(format!(
            "{}, sink `{sink}`: {p} should have {had} rows, and has {} values and {} ids: somebody else wrote or deleted them; \
             delete the keys `*/{}/{}` and the mark, and write the sink again",
            self.place,
            count(0),
            count(1),
            names::escaped(sink),
            names::partition(p)
        ))
    }
}

/// Field and value.
fn both(pair: &[Value]) -> Option<(&[u8], &[u8])> {
    Some((pair.first().and_then(bytes)?, pair.get(1).and_then(bytes)?))
}

fn claimed<'a>(table: &TableFace, p: &SourcePartition, mark: Option<&'a TableMark>) -> Result<&'a TableMark> {
    mark.ok_or_else(|| Error::closed(format!("sink `{}`: {p} was not claimed", table.sink)))
}

impl TableStore for RedisTables {
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim> {
        let mark = self.change(table, p, &[], &|marks, own| {
            if let Some(other) = marks.values().find_map(|f| f.kept.as_ref()) {
                other.mark.check_owner(table, &self.place)?;
            }
            let mut mark = own.cloned().unwrap_or_else(|| TableMark::begun(table, start));
            if kept(Rule::SinkFence) {
                mark.epoch = mark.epoch.saturating_add(1);
            }
            Ok(mark)
        })?;
        Ok(Claim {
            epoch: mark.epoch,
            mark: mark.mark,
        })
    }

    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()> {
        let next = |_: &_, own: Option<&TableMark>| claimed(table, append.partition, own)?.advanced(append);
        self.change(table, append.partition, append.rows, &next).map(|_| ())
    }

    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()> {
        let next = |_: &_, own: Option<&TableMark>| claimed(table, p, own)?.passed(p, epoch, hole);
        self.change(table, p, &[], &next).map(|_| ())
    }
}
