//! Tables of written records: rows and mark in one transaction (O23).

mod read;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::points::reach;
use rufous_store_api::table::{Append, Claim, EachRow, TableFace, TableMark, TableReader, TableStore};
use rufous_store_api::{Hole, WrittenId};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use crate::column::Column;
use crate::db::{Db, For, Session};
use crate::decimal::Decimal;
use crate::failure::{Step, corrupt};
use crate::name::check_size;
use crate::options::PostgresOptions;
use crate::schema::{self, Identity, check_name, is_made};

/// What one statement takes at most.
const ROWS: usize = 16 << 10;
const BYTES: usize = 8 << 20;
/// The tables of a job's sinks, to write and to read.
pub struct PostgresTables {
    reader: PostgresTablesReader,
    /// The numbers of schema texts, by sink.
    meanings: Mutex<HashMap<(i32, String), i32>>,
}

/// The tables of a job's sinks, to read.
pub struct PostgresTablesReader {
    db: Db,
    of: Identity,
}

impl PostgresTables {
    /// The tables of a job and instance. What is missing is made.
    ///
    /// # Errors
    /// As [`PostgresRealtime::open`](crate::PostgresRealtime::open).
    pub fn open(url: &str, options: &PostgresOptions, job: &str, instance: &str) -> Result<Self> {
        let reader = PostgresTablesReader {
            db: Db::new(url, options)?,
            of: Identity::of_job(job, instance)?,
        };
        let (session, db_name) = (reader.db.session(For::Writing), reader.db.location.to_string());
        let name = reader.db.schema_name().to_string();
        reader
            .db
            .wait(format!("opening the tables of job `{job}`"), async move {
                schema::make(&session.await?, &db_name, &name).await
            })?;
        Ok(Self {
            reader,
            meanings: Mutex::default(),
        })
    }

    /// The same to read; `None`: nothing was ever made there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn reader(
        url: &str,
        options: &PostgresOptions,
        job: &str,
        instance: &str,
    ) -> Result<Option<PostgresTablesReader>> {
        let reader = PostgresTablesReader {
            db: Db::new(url, options)?,
            of: Identity::of_job(job, instance)?,
        };
        let (session, db_name) = (reader.db.session(For::Reading), reader.db.location.to_string());
        let name = reader.db.schema_name().to_string();
        let made = reader
            .db
            .wait(format!("opening the tables of job `{job}`"), async move {
                is_made(&session.await?, &db_name, &name).await
            })?;
        Ok(made.then_some(reader))
    }

    /// The number of a sink's schema text. It is written by itself: one that nobody uses does no harm.
    fn meaning(&self, sink: i32, meaning: &str) -> Result<i32> {
        let key = (sink, meaning.to_string());
        if let Some(id) = self.meanings.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*id);
        }
        let db = &self.reader.db;
        let (session, schema, text) = (db.session(For::Writing), db.schema().to_string(), meaning.to_string());
        let id = db.wait("noting what rows mean", async move {
            let session = session.await?;
            let known = format!("SELECT min(id) FROM {schema}.meanings WHERE sink = $1 AND meaning = $2");
            if let Some(row) = session.maybe(&known, &[&sink, &text]).await?
                && let Some(id) = row.try_get(0)?
            {
                return Ok(id);
            }
            let insert = format!("INSERT INTO {schema}.meanings (sink, meaning) VALUES ($1, $2) RETURNING id");
            let row = session.maybe(&insert, &[&sink, &text]).await?;
            let row = row.ok_or_else(|| Error::bug("a schema text that was just noted has no number"))?;
            Ok(row.try_get(0)?)
        })?;
        self.meanings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, id);
        Ok(id)
    }
}

/// The table of a sink: its number, and whose it is.
async fn sink(session: &Session, schema: &str, of: &Identity, sink: &str) -> Step<Option<(i32, String)>> {
    let sql = format!("SELECT id, owner FROM {schema}.sinks WHERE job = $1 AND instance = $2 AND sink = $3");
    let row = session.maybe(&sql, &[&of.job, &of.instance, &sink]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// A mark from these columns on: epoch, mark, start, holes.
fn mark(row: &Row, at: usize, owner: &str, sink: &str) -> Step<TableMark> {
    let number = |at: usize| {
        let Decimal(n) = row.try_get(at)?;
        u64::try_from(n).map_err(|_| {
            corrupt(format_args!(
                "sink `{sink}`: a mark has {n} where an offset or epoch stands"
            ))
        })
    };
    let Json(holes) = row.try_get::<_, Json<Vec<Hole>>>(at + 3)?;
    Ok(TableMark {
        of: owner.into(),
        sink: sink.into(),
        epoch: number(at)?,
        mark: number(at + 1)?,
        start: number(at + 2)?,
        holes,
    })
}

/// The mark of a partition, locked.
async fn locked(
    session: &Session,
    schema: &str,
    (id, owner): &(i32, String),
    table: &str,
    p: &SourcePartition,
) -> Step<Option<TableMark>> {
    let sql = format!(
        "SELECT epoch, mark, start, holes FROM {schema}.marks WHERE sink = $1 AND source = $2 AND partition = $3 FOR NO KEY UPDATE"
    );
    let row = session.maybe(&sql, &[id, &p.source, &i64::from(p.partition)]).await?;
    row.map(|row| mark(&row, 0, owner, table)).transpose()
}

async fn save(session: &Session, schema: &str, sink: i32, p: &SourcePartition, mark: &TableMark) -> Step<()> {
    let sql = format!(
        "UPDATE {schema}.marks SET epoch = $4, mark = $5, holes = $6 WHERE sink = $1 AND source = $2 AND partition = $3"
    );
    let (epoch, at) = (Decimal(mark.epoch.into()), Decimal(mark.mark.into()));
    session
        .execute(
            &sql,
            &[
                &sink,
                &p.source,
                &i64::from(p.partition),
                &epoch,
                &at,
                &Json(&mark.holes),
            ],
        )
        .await
        .map(drop)
}

fn not_claimed(table: &str, p: &SourcePartition) -> Error {
    Error::closed(format!("sink `{table}`: {p} was not claimed"))
}

/// Rows of an append as columns, in pieces that a statement takes.
fn columns(append: &Append<'_>, meaning: i32) -> Result<Vec<[Column; 4]>> {
    let new = || [Type::NUMERIC, Type::NUMERIC, Type::INT4, Type::BYTEA].map(Column::new);
    let (mut all, mut piece, mut n) = (Vec::new(), new(), 0);
    for row in append.rows {
        if n >= ROWS || piece[3].bytes() >= BYTES {
            all.push(std::mem::replace(&mut piece, new()));
            n = 0;
        }
        check_size(
            &format_args!("a record of partition {}", append.partition),
            row.value.len(),
        )?;
        let [offset, number, means, value] = &mut piece;
        offset.decimal(row.offset.into());
        number.decimal(row.number.into());
        means.int4(meaning);
        value.raw(row.value);
        n += 1;
    }
    if n > 0 {
        all.push(piece);
    }
    Ok(all)
}

impl TableStore for PostgresTables {
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim> {
        check_name("sink", &table.sink)?;
        check_name("source", &p.source)?;
        let db = &self.reader.db;
        let (session, schema, of) = (
            db.session(For::Writing),
            db.schema().to_string(),
            self.reader.of.clone(),
        );
        let (table, p, place) = (table.clone(), p.clone(), self.reader.location());
        let what = format!("claiming partition {p} of sink `{}`", table.sink);
        db.wait(what, async move {
            let session = session.await?;
            session.begin("").await?;
            let mut known = sink(&session, &schema, &of, &table.sink).await?;
            if known.is_none() {
                schema::turn(&session).await?;
                known = sink(&session, &schema, &of, &table.sink).await?;
            }
            let known = match known {
                Some(known) => known,
                None => (make(&session, &schema, &of, &table).await?, table.of.clone()),
            };
            let owner = TableMark {
                of: known.1.clone(),
                ..TableMark::begun(&table, start)
            };
            owner.check_owner(&table, &place)?;
            let mut mark = locked(&session, &schema, &known, &table.sink, &p).await?;
            if mark.is_none() {
                let sql = format!(
                    "INSERT INTO {schema}.marks (sink, source, partition, epoch, mark, start, holes) VALUES ($1, $2, $3, 0, $4, $4, '[]') \
                     ON CONFLICT DO NOTHING"
                );
                session.execute(&sql, &[&known.0, &p.source, &i64::from(p.partition), &Decimal(start.into())]).await?;
                mark = locked(&session, &schema, &known, &table.sink, &p).await?;
            }
            let mut mark = mark.ok_or_else(|| Error::try_again(format!("{what_for} was deleted meanwhile", what_for = p)))?;
            if kept(Rule::SinkFence) {
                mark.epoch = mark.epoch.saturating_add(1);
            }
            save(&session, &schema, known.0, &p, &mark).await?;
            session.commit().await?;
            Ok(Claim {
                epoch: mark.epoch,
                mark: mark.mark,
            })
        })
    }

    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()> {
        let db = &self.reader.db;
        let what = format!(
            "writing rows of partition {} to sink `{}`",
            append.partition, table.sink
        );
        let (session, schema, of) = (
            db.session(For::Writing),
            db.schema().to_string(),
            self.reader.of.clone(),
        );
        let name = table.sink.clone();
        let known = db.wait(&what, async move { sink(&session.await?, &schema, &of, &name).await })?;
        let known = known.ok_or_else(|| not_claimed(&table.sink, append.partition))?;
        let pieces = columns(append, self.meaning(known.0, &table.schema)?)?;
        let (session, schema) = (db.session(For::Writing), db.schema().to_string());
        let (name, p, epoch, from, to) = (
            table.sink.clone(),
            append.partition.clone(),
            append.epoch,
            append.from,
            append.to,
        );
        reach("table.before");
        db.wait(&what, async move {
            let session = session.await?;
            session.begin("").await?;
            let mark = locked(&session, &schema, &known, &name, &p)
                .await?
                .ok_or_else(|| not_claimed(&name, &p))?;
            let next = mark.advanced(&Append {
                partition: &p,
                epoch,
                from,
                to,
                rows: &[],
            })?;
            let insert = format!(
                "INSERT INTO {schema}.rows_{} (source, partition, \"offset\", number, meaning, value) \
                 SELECT $1, $2, * FROM unnest($3::numeric[], $4::numeric[], $5::int4[], $6::bytea[])",
                known.0
            );
            let n = i64::from(p.partition);
            for [offset, number, meaning, value] in &pieces {
                session
                    .execute(&insert, &[&p.source, &n, offset, number, meaning, value])
                    .await?;
            }
            save(&session, &schema, known.0, &p, &next).await?;
            session.commit().await
        })?;
        reach("table.written");
        Ok(())
    }

    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()> {
        let db = &self.reader.db;
        let (session, schema, of) = (
            db.session(For::Writing),
            db.schema().to_string(),
            self.reader.of.clone(),
        );
        let (name, p, hole) = (table.sink.clone(), p.clone(), hole.clone());
        db.wait(
            format!("noting what was lost of partition {p} in sink `{name}`"),
            async move {
                let session = session.await?;
                session.begin("").await?;
                let known = sink(&session, &schema, &of, &name)
                    .await?
                    .ok_or_else(|| not_claimed(&name, &p))?;
                let mark = locked(&session, &schema, &known, &name, &p)
                    .await?
                    .ok_or_else(|| not_claimed(&name, &p))?;
                let next = mark.passed(&p, epoch, &hole)?;
                save(&session, &schema, known.0, &p, &next).await?;
                session.commit().await
            },
        )
    }
}

/// Makes the table of a sink; whoever else would waits meanwhile.
async fn make(session: &Session, schema: &str, of: &Identity, table: &TableFace) -> Step<i32> {
    let sql = format!("INSERT INTO {schema}.sinks (job, instance, sink, owner) VALUES ($1, $2, $3, $4) RETURNING id");
    let row = session
        .maybe(&sql, &[&of.job, &of.instance, &table.sink, &table.of])
        .await?;
    let id: i32 = row
        .ok_or_else(|| Error::bug("a sink that was just made has no number"))?
        .try_get(0)?;
    session
        .batch(&format!(
            "CREATE TABLE {schema}.rows_{id} (source text COLLATE \"C\" NOT NULL, partition bigint NOT NULL, \"offset\" numeric(20,0) NOT NULL, \
             number numeric(20,0) NOT NULL, meaning integer NOT NULL, value bytea NOT NULL, PRIMARY KEY (source, partition, \"offset\", number))"
        ))
        .await?;
    Ok(id)
}

impl TableReader for PostgresTables {
    fn location(&self) -> String {
        self.reader.location()
    }
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        self.reader.marks(sink)
    }
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        self.reader.rows(sink, from, each)
    }
}
