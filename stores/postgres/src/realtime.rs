//! A namespace: acquire, commit, drop, each in one transaction (P10a, P11, P26).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rufous_core::{BatchId, Error, Result, SourcePartition, StoreFace};
use rufous_store_api::points::reach;
use rufous_store_api::realtime::apply_advances;
use rufous_store_api::{
    Advance, Commit, Committed, NamespaceOf, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, StoreStats,
    Until,
};
use tokio_postgres::types::Type;

use crate::cells::{Gathered, gather};
use crate::column::Column;
use crate::db::{Db, For, Session};
use crate::discard::sweep;
use crate::failure::{Failure, Step};
use crate::options::PostgresOptions;
use crate::rows::{self, COLUMNS, Known};
use crate::schema::{self, Identity, Namespace, Opened, check_name};
use crate::snapshot;

/// What a handle shares with its snapshots.
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) namespace: Namespace,
    pub(crate) of: Identity,
    /// The stores that the job has, those that are not written yet among them.
    pub(crate) faces: Vec<StoreFace>,
    /// How long a snapshot may lie unused.
    pub(crate) snapshot_timeout: Duration,
    /// How often it was asked to delete what nobody sees, since that was last done.
    sweeps: AtomicU64,
}

/// A namespace in PostgreSQL that this process writes; others may write it, too, each for the partitions that it acquired last.
pub struct PostgresRealtime {
    core: Arc<Core>,
}

/// A namespace that is only read.
pub struct PostgresReader {
    core: Arc<Core>,
}

impl std::fmt::Debug for PostgresRealtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresRealtime({})", self.core.shown())
    }
}

impl std::fmt::Debug for PostgresReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresReader({})", self.core.shown())
    }
}

impl PostgresRealtime {
    /// Opens a namespace, which is made when it is missing.
    ///
    /// # Errors
    /// `InvalidRequest` when the location, the rights or what is there do not fit, with the repair; `TryAgain` when there is no
    /// answer within the bounds of `options`.
    pub fn open(url: &str, options: &PostgresOptions, of: NamespaceOf<'_>, stores: &[StoreFace]) -> Result<Self> {
        let core = Core::open(url, options, Identity::of(of)?, stores, true, &Until::default())?;
        let core = core.ok_or_else(|| Error::bug("a namespace that was opened to write is not there"))?;
        let core = Arc::new(core);
        // What a crash left.
        sweep_later(&core);
        Ok(Self { core })
    }

    /// A namespace to read, opened by then; `None`: it was never made.
    ///
    /// # Errors
    /// As [`open`](Self::open), and `TryAgain` when it is not open by then.
    pub fn reader(
        url: &str,
        options: &PostgresOptions,
        of: NamespaceOf<'_>,
        stores: &[StoreFace],
        until: &Until,
    ) -> Result<Option<PostgresReader>> {
        let core = Core::open(url, options, Identity::of(of)?, stores, false, until)?;
        Ok(core.map(|core| PostgresReader { core: Arc::new(core) }))
    }

    /// For messages: the location without the password, and the schema.
    pub fn location(&self) -> String {
        self.core.shown()
    }
}

impl PostgresReader {
    /// For messages: the location without the password, and the schema.
    pub fn location(&self) -> String {
        self.core.shown()
    }
}

impl Core {
    fn open(
        url: &str,
        options: &PostgresOptions,
        of: Identity,
        faces: &[StoreFace],
        write: bool,
        until: &Until,
    ) -> Result<Option<Self>> {
        let db = Db::new(url, options)?;
        let namespace = schema::open(&db, &of, faces, write, until)?;
        Ok(namespace.map(|namespace| Self {
            db,
            namespace,
            of,
            faces: faces.to_vec(),
            snapshot_timeout: options.snapshot_timeout,
            sweeps: AtomicU64::new(0),
        }))
    }

    fn shown(&self) -> String {
        format!("schema `{}` of {}", self.db.schema_name(), self.db.location)
    }

    fn store(&self, name: &str) -> Result<&Opened> {
        self.namespace.store(name).ok_or_else(|| self.unknown(name))
    }

    pub(crate) fn unknown(&self, store: &str) -> Error {
        Error::invalid(format!(
            "namespace {} in {} has no store `{store}`: bind it when the namespace is opened",
            self.of.namespace,
            self.shown()
        ))
    }
}

/// Deletes what nobody sees any more, beside everything else: it may be much, and nobody waits for it. It ends with the handle; the next
/// one goes on.
fn sweep_later(core: &Arc<Core>) {
    if core.sweeps.fetch_add(1, Relaxed) > 0 {
        return;
    }
    let (schema, stores, shared) = (core.db.schema().to_string(), core.namespace.ids(), Arc::downgrade(core));
    let session = core.db.session(For::Writing);
    core.db.spawn(async move {
        let swept = async {
            let session = session.await?;
            loop {
                // The handle is not held while it sweeps: who drops it does not wait.
                let Some(asked) = shared.upgrade().map(|core| core.sweeps.load(Relaxed)) else {
                    return Ok(());
                };
                sweep(&session, &schema, &stores).await?;
                let done = |core: Arc<Core>| core.sweeps.compare_exchange(asked, 0, Relaxed, Relaxed).is_ok();
                if shared.upgrade().is_none_or(done) {
                    reach("drop.deleted");
                    return Ok::<_, Failure>(());
                }
            }
        };
        if let Err(e) = swept.await {
            tracing::warn!(error = ?e, "dropped cells are not deleted yet: that goes on with the next drop");
            if let Some(core) = shared.upgrade() {
                core.sweeps.store(0, Relaxed);
            }
        }
    });
}

/// Locks the rows of some partitions in all these stores, in one order for all processes: one look into the index a row, in the order
/// in which they are named.
async fn lock(session: &Session, schema: &str, stores: &[i32], of: &[SourcePartition]) -> Step<Vec<Known>> {
    let mut wanted: Vec<(i32, &SourcePartition)> = { stores.iter() }
        .flat_map(|store| of.iter().map(move |p| (*store, p)))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (mut numbers, mut sources, mut partitions) = (
        Column::new(Type::INT4),
        Column::new(Type::TEXT),
        Column::new(Type::INT8),
    );
    for (store, p) in wanted {
        numbers.int4(store);
        sources.raw(p.source.as_bytes());
        partitions.int8(p.partition.into());
    }
    let sql = format!(
        "SELECT r.* FROM unnest($1::int4[], $2::text[], $3::int8[]) u(a, b, c) CROSS JOIN LATERAL (SELECT {COLUMNS} FROM {schema}.progress \
         WHERE store = u.a AND source = u.b AND partition = u.c FOR NO KEY UPDATE) r"
    );
    let rows = session.query(&sql, &[&numbers, &sources, &partitions]).await?;
    rows.iter().map(rows::read).collect()
}

async fn row_of(session: &Session, schema: &str, store: i32, p: &SourcePartition) -> Step<Option<Known>> {
    let known = lock(session, schema, &[store], std::slice::from_ref(p)).await?;
    Ok(known.into_iter().next())
}

/// The row of a partition, locked; one that was not there is made, and is nobody's until the transaction ends. `false`: it is new.
async fn own(session: &Session, schema: &str, store: i32, p: &SourcePartition) -> Step<(Known, bool)> {
    if let Some(known) = row_of(session, schema, store, p).await? {
        return Ok((known, true));
    }
    // Whoever makes it at the same time is waited for here.
    let sql =
        format!("INSERT INTO {schema}.progress (store, source, partition) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
    let made = session
        .execute(&sql, &[&store, &p.source, &i64::from(p.partition)])
        .await?;
    let known = row_of(session, schema, store, p).await?;
    let known = known.ok_or_else(|| {
        Failure::Own(Error::try_again(format!(
            "the row of partition {p} was deleted meanwhile"
        )))
    })?;
    Ok((known, made == 0))
}

impl RealtimeStore for PostgresRealtime {
    fn is_shared(&self) -> bool {
        true
    }

    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let core = &*self.core;
        let id = core.store(store)?.id;
        check_name("source", &p.source)?;
        let what = format!("acquiring partition {p} of store `{store}`");
        let (session, schema, of) = (core.db.session(For::Writing), core.db.schema().to_string(), p.clone());
        let (session, (found, is_old)) = core.db.wait(&what, async move {
            let session = session.await?;
            session.begin("").await?;
            let own = own(&session, &schema, id, &of).await?;
            Ok((session, own))
        })?;
        // The row stays locked meanwhile. When the repair fails, the connection is closed, which undoes all.
        let (progress, replaced) = match repair(is_old.then_some(&found.progress))? {
            Repair::Keep(progress) => (progress, false),
            Repair::Replace(progress) => (progress, is_old),
        };
        let before = if is_old { found.progress.epoch } else { 0 };
        let epoch = before
            .checked_add(1)
            .ok_or_else(|| Error::corrupt(format!("store `{store}`, partition {p}: the epoch is {before}")))?;
        let progress = Progress { epoch, ..progress };
        let written = progress.clone();
        let schema = core.db.schema().to_string();
        reach("acquire.before");
        core.db.wait(&what, async move {
            let mut part = found.part;
            if replaced {
                // What the old cells are filed under is nobody's from now on.
                let new = session
                    .maybe(
                        &format!("SELECT nextval('{}.parts')::int4", schema.replace('\'', "''")),
                        &[],
                    )
                    .await?;
                part = new.map_or(Ok(part), |row| row.try_get(0))?;
                let sql = format!("INSERT INTO {schema}.garbage (store, part) VALUES ($1, $2)");
                session.execute(&sql, &[&found.store, &found.part]).await?;
            }
            let known = Known {
                part,
                progress,
                ..found
            };
            rows::write(&session, &schema, &known).await?;
            session.commit().await?;
            Ok(())
        })?;
        if replaced {
            sweep_later(&self.core);
        }
        reach("acquire.written");
        Ok(written)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        let core = &*self.core;
        let mut gathered = Vec::new();
        for (store, deltas) in commit.deltas {
            gathered.push(gather(core.store(store)?, commit.sources, *deltas)?);
        }
        let (session, schema, stores) = (
            core.db.session(For::Writing),
            core.db.schema().to_string(),
            core.namespace.ids(),
        );
        let advances = commit.advances.to_vec();
        reach("commit.before");
        let done = core
            .db
            .wait("committing a chunk", write(session, schema, stores, advances, gathered))?;
        reach("commit.written");
        Ok(done)
    }

    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        let core = &*self.core;
        let (session, schema, stores) = (
            core.db.session(For::Writing),
            core.db.schema().to_string(),
            core.namespace.ids(),
        );
        let of = p.clone();
        let what = format!("dropping cells of partition {p} below {}", batch.show());
        let raise = async move {
            let session = session.await?;
            session.begin("").await?;
            let mut rows = lock(&session, &schema, &stores, &[of]).await?;
            rows.retain(|row| row.progress.retained_from < batch);
            for row in &mut rows {
                row.progress.retained_from = batch;
                row.progress.cuts.retain(|(b, _)| *b >= batch);
                let sql = format!("INSERT INTO {schema}.garbage (store, part, below) VALUES ($1, $2, $3)");
                session.execute(&sql, &[&row.store, &row.part, &batch.0]).await?;
            }
            rows::update(&session, &schema, &rows).await?;
            session.commit().await
        };
        core.db.wait(what, raise)?;
        // P26: raised first, deleted later.
        reach("drop.written");
        sweep_later(&self.core);
        Ok(())
    }

    fn stats(&self) -> Result<Option<StoreStats>> {
        snapshot::stats(&self.core).map(Some)
    }
}

/// The transaction of a commit (P11).
async fn write(
    session: impl Future<Output = Step<Session>>,
    schema: String,
    stores: Vec<i32>,
    advances: Vec<Advance>,
    gathered: Vec<Gathered>,
) -> Step<Committed> {
    let session = session.await?;
    let of: Vec<SourcePartition> = advances.iter().map(|a| a.partition.clone()).collect();
    // One behind the other: the rows are locked in the transaction that begins.
    let (begin, locked) = (session.begin(""), lock(&session, &schema, &stores, &of));
    let ((), known) = futures_util::future::try_join(begin, locked).await?;
    let mut rows: HashMap<i32, BTreeMap<SourcePartition, Progress>> =
        stores.iter().map(|s| (*s, BTreeMap::new())).collect();
    let mut parts: HashMap<(i32, SourcePartition), i32> = HashMap::new();
    for row in known {
        parts.insert((row.store, row.partition.clone()), row.part);
        rows.entry(row.store).or_default().insert(row.partition, row.progress);
    }
    for store in &stores {
        let Some(rows) = rows.get_mut(store) else { continue };
        if let refused @ Committed::Refused { .. } = apply_advances(rows, &advances) {
            session.rollback().await?;
            return Ok(refused);
        }
    }
    let moved: Vec<Known> = { rows.iter() }
        .flat_map(|(store, rows)| rows.iter().map(move |(p, progress)| (*store, p, progress)))
        .filter_map(|(store, p, progress)| {
            Some(Known {
                store,
                partition: p.clone(),
                part: *parts.get(&(store, p.clone()))?,
                progress: progress.clone(),
            })
        })
        .collect();
    let row = |store: i32, p: &SourcePartition| Some((*parts.get(&(store, p.clone()))?, rows.get(&store)?.get(p)?));
    // One behind the other on the connection.
    let merges = gathered.into_iter().map(|g| {
        let store = g.store.id;
        g.merge(&session, &schema, move |p| row(store, p))
    });
    let (_, merged) = futures_util::future::try_join(
        rows::update(&session, &schema, &moved),
        futures_util::future::try_join_all(merges),
    )
    .await?;
    drop(merged);
    session.commit().await?;
    Ok(Committed::Done)
}

impl RealtimeReader for PostgresRealtime {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.core, until)
    }
}

impl RealtimeReader for PostgresReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        snapshot::take(&self.core, until)
    }
}
