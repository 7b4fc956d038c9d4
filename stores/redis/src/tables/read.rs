//! Reading tables.

use std::sync::LazyLock;

use redis::{Script, Value};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::WrittenId;
use rufous_store_api::table::{EachRow, TableMark, TableReader};

use super::layout::{self, Kept};
use super::{RedisTables, both};
use crate::names;
use crate::options::RedisOptions;
use crate::server::{bytes, list};

static PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/page.lua")));

/// Rows of a page, and bytes after which it ends.
const ROWS: usize = 4096;
const ENOUGH: usize = 4 << 20;

impl RedisTables {
    /// Opens the tables of a job to be read: what the server promises is not asked.
    ///
    /// # Errors
    /// `InvalidRequest` when the URL is none.
    pub fn open_reader(url: &str, options: &RedisOptions, job: &str, instance: &str) -> Result<Box<dyn TableReader>> {
        Ok(Box::new(Self::reader(url, options, job, instance)?))
    }

    /// Rows of a partition below a mark that was read, from a bound on; `false`: enough was seen.
    fn partition_rows(
        &self,
        sink: &str,
        p: &SourcePartition,
        mark: &Kept,
        mut low: Vec<u8>,
        each: &mut dyn FnMut(u64, u64, &[u8]) -> Result<bool>,
    ) -> Result<bool> {
        let what = format!("read rows of sink `{sink}` in {}", self.place);
        loop {
            let answer = self.server.script(&what, &PAGE, &self.prefix, &|cmd| {
                cmd.arg(names::escaped(sink))
                    .arg(names::partition(p))
                    .arg(&low)
                    .arg(ROWS)
                    .arg(ENOUGH);
            })?;
            let odd = || self.server.odd(&what);
            let (head, rows) = list(&answer).and_then(|a| a.split_at_checked(4)).ok_or_else(odd)?;
            let now = match head.first().and_then(bytes).ok_or_else(odd)? {
                [] => None,
                bytes => Some(Kept::parse(bytes, p)?),
            };
            // After a crash that took the last writes with it.
            let Some(now) = now.filter(|now| now.mark.mark >= mark.mark.mark && now.rows >= mark.rows) else {
                return Err(Error::try_again(format!(
                    "cannot {what}: the server lost rows of {p} meanwhile; read again"
                )));
            };
            let (Some(Value::Int(values)), Some(Value::Int(ids))) = (head.get(1), head.get(2)) else {
                return Err(odd());
            };
            if [values, ids].map(|n| u64::try_from(*n).ok()) != [Some(now.rows); 2] {
                return Err(self.damaged(sink, p, now.rows, head.get(1..)));
            }
            let mut last = None;
            for pair in rows.chunks(2) {
                let id = pair.first().and_then(bytes).ok_or_else(odd)?;
                let (offset, number) = layout::parse_id(id, p)?;
                if offset >= mark.mark.mark {
                    return Ok(true);
                }
                let Some((_, value)) = both(pair) else {
                    return Err(self.damaged(sink, p, now.rows, head.get(1..)));
                };
                if !each(offset, number, value)? {
                    return Ok(false);
                }
                last = Some(id);
            }
            match (head.get(3), last) {
                (Some(Value::Int(1)), Some(last)) => low = [b"(", last].concat(),
                _ => return Ok(true),
            }
        }
    }
}

impl TableReader for RedisTables {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        let marks = self.known(sink)?.0.into_iter();
        Ok(marks.filter_map(|(p, found)| Some((p, found.kept?.mark))).collect())
    }

    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        let (marks, schemas) = self.known(sink)?;
        let first = from.map(WrittenId::partition);
        for (p, found) in &marks {
            let low = match (&first, from) {
                (Some(first), _) if p < first => continue,
                (Some(first), Some(from)) if p == first => [&b"["[..], &layout::id(from.offset, from.number)].concat(),
                _ => b"-".to_vec(),
            };
            let Some(mark) = &found.kept else { continue };
            let go_on = self.partition_rows(sink, p, mark, low, &mut |offset, number, bytes| {
                let id = WrittenId::of(p, offset, number);
                let (schema, value) = layout::row(&id.of_sink(sink), bytes)?;
                let schema = schemas.get(&schema).ok_or_else(|| {
                    Error::corrupt(format!(
                        "row {} names schema {schema}, which is not there",
                        id.of_sink(sink)
                    ))
                })?;
                each(&id, schema, value)
            })?;
            if !go_on {
                return Ok(());
            }
        }
        Ok(())
    }
}
