//! Reads of one point in time: a transaction that sees what was there when it began. It holds a connection until it is dropped, or
//! until the server ends it because it lay unused for too long.
//!
//! `OFFSET 0` keeps the planner from joining in another order: each key and batch is one look into the index, however large it thinks
//! the table is.

mod pages;

use std::cell::{Cell as Counter, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use rufous_core::{BatchId, Error, ErrorKind, Frontier, Result, SourcePartition};
use rufous_store_api::realtime::{floors, within};
use rufous_store_api::{Cell, KeyRange, Progress, ProgressRows, Snapshot, StoreStats, Until};
use tokio_postgres::types::Type;

use crate::cells::names;
use crate::column::Column;
use crate::db::{For, Params, Session};
use crate::failure::{Step, corrupt};
use crate::name::check_size;
use crate::realtime::Core;
use crate::rows::{self, COLUMNS, Known};
use crate::schema::Opened;
use crate::shape::{HEAD, head};
use pages::behind;

/// One point in time of a namespace.
pub(crate) struct PostgresSnapshot {
    core: Arc<Core>,
    session: RefCell<Option<Session>>,
    rows: HashMap<i32, Vec<Known>>,
    /// When the connection was used last: the server ends a transaction that lies unused.
    used: Counter<Instant>,
    /// Scans that run: one may be started inside another.
    depth: Counter<usize>,
    /// For how long an answer is waited for.
    until: Until,
}

/// A store as a read sees it.
struct Reading<'a> {
    store: &'a Opened,
    /// Where a part stands among the partitions, and its floor.
    places: HashMap<i32, (u32, BatchId)>,
    /// The batches that cells above the floors can be in.
    batches: BTreeSet<BatchId>,
}

/// Takes a snapshot.
pub(crate) fn take(core: &Arc<Core>, until: &Until) -> Result<Box<dyn Snapshot>> {
    let (session, schema, stores) = (
        core.db.session(For::Reading),
        core.db.schema().to_string(),
        core.namespace.ids(),
    );
    let (session, known) = core.db.wait_until("taking a snapshot", until, async move {
        let session = session.await?;
        // The first query decides what is seen.
        let sql = format!("SELECT {COLUMNS} FROM {schema}.progress WHERE store = ANY($1)");
        let there = format!("SELECT count(*) FROM {schema}.stores WHERE id = ANY($1)");
        let params: Params<'_> = &[&stores];
        let (begin, rows, there) = (
            session.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            session.query(&sql, params),
            session.query(&there, params),
        );
        let ((), rows, there) = futures_util::future::try_join3(begin, rows, there).await?;
        let there: i64 = there.first().map_or(Ok(0), |row| row.try_get(0))?;
        // One that was made again has other numbers: without this its rows would be taken for none.
        if usize::try_from(there) != Ok(stores.len()) {
            return Err(Error::try_again("the namespace was deleted meanwhile: open it again").into());
        }
        let known = rows.iter().map(rows::read).collect::<Step<Vec<_>>>()?;
        Ok((session, known))
    })?;
    let mut rows: HashMap<i32, Vec<Known>> = HashMap::new();
    for row in known {
        rows.entry(row.store).or_default().push(row);
    }
    rows.values_mut()
        .for_each(|of| of.sort_by(|a, b| a.partition.cmp(&b.partition)));
    Ok(Box::new(PostgresSnapshot {
        core: core.clone(),
        session: RefCell::new(Some(session)),
        rows,
        used: Counter::new(Instant::now()),
        depth: Counter::new(0),
        until: until.clone(),
    }))
}

/// What the tables of a namespace take.
pub(crate) fn stats(core: &Core) -> Result<StoreStats> {
    let (session, schema) = (core.db.session(For::Reading), core.db.schema().to_string());
    let tables: Vec<String> = core
        .namespace
        .ids()
        .iter()
        .map(|id| format!("{schema}.cells_{id}"))
        .collect();
    core.db.wait("looking at the size of tables", async move {
        let session = session.await?;
        let sql = "SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0)::int8, COALESCE(sum(pg_relation_size(c.oid)), 0)::int8, \
                   COALESCE(sum(greatest(c.reltuples, 0)), 0)::int8 FROM unnest($1::text[]) t JOIN pg_catalog.pg_class c ON c.oid = to_regclass(t)";
        let row = session.maybe(sql, &[&tables]).await?.ok_or_else(|| corrupt("sums without a row"))?;
        let number = |at: usize| Ok::<_, crate::failure::Failure>(u64::try_from(row.try_get::<_, i64>(at)?).unwrap_or(0));
        Ok(StoreStats {
            disk_bytes: number(0)?,
            table_bytes: number(1)?,
            keys: number(2)?,
            ..StoreStats::default()
        })
    })
}

impl PostgresSnapshot {
    /// The store, if it is written; `None`: the job has it, and nothing of it is there.
    fn store(&self, name: &str) -> Result<Option<&Opened>> {
        match self.core.namespace.store(name) {
            Some(store) => Ok(Some(store)),
            None if self.core.faces.iter().any(|f| f.name == name) => Ok(None),
            None => Err(self.core.unknown(name)),
        }
    }

    fn rows_of(&self, store: &Opened) -> &[Known] {
        self.rows.get(&store.id).map_or(&[], Vec::as_slice)
    }

    fn reading<'a>(&self, store: &'a Opened, from: &Frontier) -> Reading<'a> {
        let rows = self.rows_of(store);
        let partitions: Vec<(SourcePartition, Progress)> =
            rows.iter().map(|r| (r.partition.clone(), r.progress.clone())).collect();
        let (mut places, mut batches) = (HashMap::new(), BTreeSet::new());
        for ((row, floor), place) in rows.iter().zip(floors(&partitions, from)).zip(0..) {
            let floor = floor.max(row.progress.retained_from);
            places.insert(row.part, (place, floor));
            let named = row.progress.cuts.iter().map(|(b, _)| *b).chain([row.progress.batch]);
            batches.extend(named.filter(|b| *b >= floor && names(&row.progress, *b)));
        }
        Reading { store, places, batches }
    }

    /// Does something with the connection, which is lost when that fails.
    fn with<T: Send + 'static, F: Future<Output = (Session, Step<T>)> + Send + 'static>(
        &self,
        what: &str,
        f: impl FnOnce(Session) -> F,
    ) -> Result<T> {
        let session = self.session.borrow_mut().take().ok_or_else(|| {
            Error::try_again(format!(
                "{what}: the snapshot's connection failed before: take another snapshot"
            ))
        })?;
        let (run, limit) = (f(session), self.core.snapshot_timeout);
        let answer = self.core.db.wait_until(what, &self.until, async move {
            match run.await {
                (session, Ok(value)) => Ok((session, value)),
                (_, Err(failure)) => Err(failure),
            }
        });
        let (session, value) = match answer {
            // The server says so to nobody: it closes the connection.
            Err(e) if e.kind() == ErrorKind::TryAgain && self.used.get().elapsed() >= limit => {
                return Err(Error::try_again(format!(
                    "{what}: the snapshot was kept unused for more than {} ms, so the server ended it: take another snapshot",
                    limit.as_millis()
                ))
                .caused_by(e));
            }
            other => other?,
        };
        self.used.set(Instant::now());
        *self.session.borrow_mut() = Some(session);
        Ok(value)
    }
}

impl Snapshot for PostgresSnapshot {
    fn namespace(&self) -> &str {
        &self.core.of.namespace
    }

    fn set_until(&mut self, until: &Until) {
        self.until = until.clone();
    }

    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        let Some(store) = self.store(store)? else {
            return Ok(ProgressRows::default());
        };
        Ok(self
            .rows_of(store)
            .iter()
            .map(|r| (r.partition.clone(), r.progress.clone()))
            .collect())
    }

    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let mut found = vec![Vec::new(); keys.len()];
        let Some(store) = self.store(store)? else {
            return Ok(found);
        };
        let reading = self.reading(store, from);
        if keys.is_empty() || reading.batches.is_empty() {
            return Ok(found);
        }
        let (mut wanted, mut batches) = (Column::new(Type::BYTEA), Column::new(Type::INT8));
        keys.iter().for_each(|key| wanted.raw(&head(key).0));
        check_size(
            &format_args!("store `{}`: what is asked for", store.face.name),
            wanted.bytes(),
        )?;
        reading.batches.iter().for_each(|b| batches.int8(b.0));
        let sql = format!(
            "SELECT k.n, c.batch, c.part, c.value FROM unnest($1::bytea[]) WITH ORDINALITY k(key, n) CROSS JOIN unnest($2::int8[]) b(batch) \
             CROSS JOIN LATERAL (SELECT * FROM {}.cells_{} c WHERE c.batch = b.batch AND c.key = k.key OFFSET 0) c",
            self.core.db.schema(),
            store.id
        );
        let rows = self.with(
            &format!("reading keys of store `{}`", store.face.name),
            move |session| async move {
                let rows = session.query(&sql, &[&wanted, &batches]).await;
                (session, rows)
            },
        )?;
        for row in &rows {
            if let (place, Some(cell)) = self.read(&reading, row, 0)?
                && let Some(cells) = found.get_mut(place)
            {
                cells.push(cell);
            }
        }
        found
            .iter_mut()
            .for_each(|cells| cells.sort_by_key(|c| (c.batch, c.partition)));
        Ok(found)
    }

    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let Some(store) = self.store(store)? else {
            return Ok(());
        };
        let reading = self.reading(store, from);
        let f = &mut |_: usize, key: &[u8], cell: Cell| f(key, cell);
        if !prefix.is_empty() {
            let bounds = (prefix.get(..HEAD).unwrap_or(prefix).to_vec(), behind(prefix));
            return self.narrow(&reading, &[bounds], &|_, key| key.starts_with(prefix), f);
        }
        let Some(least) = reading.batches.first() else {
            return Ok(());
        };
        let mut floor = Column::new(Type::INT8);
        floor.int8(least.0);
        let select = format!(
            "SELECT 1::int8, batch, part, value, key, long_key FROM {}.cells_{} WHERE batch >= ($1::int8[])[1] ORDER BY batch, key, part",
            self.core.db.schema(),
            store.id
        );
        self.each(&reading, select, vec![floor], &|_, _| true, f)
    }

    fn ranges(
        &self,
        store: &str,
        ranges: &[KeyRange],
        from: &Frontier,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let Some(store) = self.store(store)? else {
            return Ok(());
        };
        let bounds: Vec<(Vec<u8>, Vec<u8>)> = { ranges.iter() }
            .map(|r| {
                let start = r.start.get(..HEAD).unwrap_or(&r.start).to_vec();
                let end = if r.end.len() > HEAD {
                    behind(&r.end)
                } else {
                    r.end.clone()
                };
                (start, end)
            })
            .collect();
        let wanted = |place: usize, key: &[u8]| ranges.get(place).is_some_and(|r| within(r, key));
        self.narrow(&self.reading(store, from), &bounds, &wanted, f)
    }
}

impl Drop for PostgresSnapshot {
    fn drop(&mut self) {
        if let Some(session) = self.session.borrow_mut().take() {
            // Nobody waits for it; when it fails the connection is closed.
            self.core.db.spawn(async move {
                let _ = session.rollback().await;
            });
        }
    }
}
