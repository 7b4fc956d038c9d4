//! Reading tables of written records.

use std::collections::HashMap;

use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::WrittenId;
use rufous_store_api::table::{EachRow, TableMark, TableReader};
use tokio_postgres::Row;

use super::{PostgresTablesReader, mark, sink};
use crate::db::For;
use crate::decimal::Decimal;
use crate::failure::Step;
use crate::rows::partition;

/// Rows that are read at once: few where they are large.
const PAGES: [usize; 3] = [16, 256, 4096];
const PAGE_BYTES: usize = 1 << 20;

impl TableReader for PostgresTablesReader {
    fn location(&self) -> String {
        format!("schema `{}` of {}", self.db.schema_name(), self.db.location)
    }

    fn marks(&self, name: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        let (session, schema, of) = (
            self.db.session(For::Reading),
            self.db.schema().to_string(),
            self.of.clone(),
        );
        let name = name.to_string();
        self.db.wait(format!("reading the marks of sink `{name}`"), async move {
            let session = session.await?;
            let Some((id, owner)) = sink(&session, &schema, &of, &name).await? else {
                return Ok(Vec::new());
            };
            let sql = format!(
                "SELECT source, partition, epoch, mark, start, holes FROM {schema}.marks WHERE sink = $1 ORDER BY source, partition"
            );
            let rows = session.query(&sql, &[&id]).await?;
            rows.iter().map(|row| Ok((partition(row, 0)?, mark(row, 2, &owner, &name)?))).collect()
        })
    }

    fn rows(&self, name: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        let (session, schema, of) = (
            self.db.session(For::Reading),
            self.db.schema().to_string(),
            self.of.clone(),
        );
        let what = format!("reading sink `{name}`");
        let least = WrittenId::of(&SourcePartition::new("", 0), 0, 0);
        let (sink_name, from) = (name.to_string(), from.cloned().unwrap_or(least));
        let begun = self.db.wait(&what, async move {
            let session = session.await?;
            session.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let Some((id, _)) = sink(&session, &schema, &of, &sink_name).await? else {
                session.rollback().await?;
                return Ok(None);
            };
            let meanings = format!("SELECT id, meaning FROM {schema}.meanings WHERE sink = $1");
            let meanings = session.query(&meanings, &[&id]).await?;
            let meanings = meanings.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
            let meanings = meanings.collect::<Step<HashMap<i32, String>>>()?;
            let declare = format!(
                "DECLARE rows NO SCROLL CURSOR FOR SELECT source, partition, \"offset\", number, meaning, value FROM {schema}.rows_{id} \
                 WHERE (source, partition, \"offset\", number) >= ($1, $2, $3, $4) ORDER BY source, partition, \"offset\", number"
            );
            let (offset, number) = (Decimal(from.offset.into()), Decimal(from.number.into()));
            session.once(&declare, &[&from.source, &i64::from(from.partition), &offset, &number]).await?;
            Ok(Some((session, meanings)))
        })?;
        let Some((mut session, meanings)) = begun else {
            return Ok(());
        };
        let mut page = 0;
        loop {
            let size = PAGES.get(page).copied().unwrap_or(PAGES[0]);
            let rows;
            (session, rows) = self.db.wait(&what, async move {
                let rows = session.query(&format!("FETCH {size} FROM rows"), &[]).await?;
                Ok((session, rows))
            })?;
            let mut bytes = 0;
            for row in &rows {
                let (id, meaning, value) = row_of(row, &meanings, name)?;
                bytes += value.len();
                if !each(&id, meaning, value)? {
                    return Ok(());
                }
            }
            if rows.len() < size {
                break;
            }
            page = if bytes > PAGE_BYTES {
                page.saturating_sub(1)
            } else {
                (page + 1).min(PAGES.len() - 1)
            };
        }
        self.db.wait(&what, async move { session.commit().await })
    }
}

fn row_of<'a>(row: &'a Row, meanings: &'a HashMap<i32, String>, sink: &str) -> Result<(WrittenId, &'a str, &'a [u8])> {
    let read = || -> Option<_> {
        let (offset, number): (Decimal, Decimal) = (row.try_get(2).ok()?, row.try_get(3).ok()?);
        let p = partition(row, 0).ok()?;
        let id = WrittenId::of(&p, u64::try_from(offset.0).ok()?, u64::try_from(number.0).ok()?);
        let meaning = meanings.get(&row.try_get::<_, i32>(4).ok()?)?;
        Some((id, meaning.as_str(), row.try_get(5).ok()?))
    };
    read().ok_or_else(|| {
        Error::corrupt(format!(
            "sink `{sink}`: a row is not as it was written: restore the database"
        ))
    })
}
