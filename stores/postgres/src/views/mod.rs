//! Generations for people who ask by SQL: a table a generation and store, switched in one transaction, and views over them. The view of a
//! store adds the live cells at and above the frontier to the current generation, after it has checked that both layers divide the log
//! at the same offsets (P28): where they do not, it raises an error, and never shows a part for the whole.

mod show;

use std::future::Future;
use std::time::{Duration, Instant};

use rufous_core::{Error, Frontier, Result, StoreFace};
use rufous_store_api::{GenerationStore, Manifest, StoreGeneration};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, Type};

use crate::column::Column;
use crate::db::{Db, For, Session};
use crate::failure::{Failure, Step};
use crate::load::load;
use crate::options::PostgresOptions;
use crate::schema::{self, Identity, check_name, columns};
use crate::shape::Shape;
use show::{Live, Published, kept, show};

pub use show::Shown;

/// Of the lock that publishers of one job hold.
const PUBLISHING: i32 = 0x0072_7566;

/// How long a publisher first stands in the way of those who come behind it; each try is twice as long as the one before.
const FIRST_TRY: Duration = Duration::from_millis(200);
/// The longest one: queries that end within this time never keep a publish out.
const LAST_TRY: Duration = Duration::from_secs(30);
/// How long all others come first, between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// The generations of a job in a database.
pub struct PostgresViews {
    db: Db,
    of: Identity,
    /// How many generations keep their tables beside the current one.
    keep: u32,
    /// How long a statement of a publish may take.
    patience: Duration,
}

impl PostgresViews {
    /// The generations of a job and instance. What is missing is made.
    ///
    /// # Errors
    /// As [`PostgresRealtime::open`](crate::PostgresRealtime::open).
    pub fn open(url: &str, options: &PostgresOptions, job: &str, instance: &str) -> Result<Self> {
        let db = Db::new(url, options)?;
        let of = Identity::of_job(job, instance)?;
        let (session, db_name, name) = (
            db.session(For::Writing),
            db.location.to_string(),
            db.schema_name().to_string(),
        );
        db.wait(format!("opening the generations of job `{job}`"), async move {
            schema::make(&session.await?, &db_name, &name).await
        })?;
        Ok(Self {
            db,
            of,
            keep: 1,
            patience: Duration::from_secs(3600),
        })
    }

    /// Keeps the tables of so many generations beside the current one (1): queries that began before a switch read them to their
    /// end in any case.
    #[must_use]
    pub fn keep(mut self, generations: u32) -> Self {
        self.keep = generations;
        self
    }

    /// How long one statement may take while a generation is loaded, and how long the publish then waits for queries that read
    /// the views (an hour).
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit;
        self
    }

    /// For messages: the location without the password, and the schema.
    pub fn location(&self) -> String {
        format!("schema `{}` of {}", self.db.schema_name(), self.db.location)
    }

    /// The number of the manifest that is shown; `None`: none yet.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub fn current(&self) -> Result<Option<u64>> {
        let (session, schema, of) = (
            self.db.session(For::Reading),
            self.db.schema().to_string(),
            self.of.clone(),
        );
        self.db.wait("asking for the current generation", async move {
            Ok(current(&session.await?, &schema, &of)
                .await?
                .map(|(_, manifest)| manifest))
        })
    }

    /// Loads the generation of a manifest and makes it the one that is shown, all in one transaction: readers see the old one until
    /// it is whole. Stores that are not among `faces` are not shown any more. To publish the current manifest again changes nothing but
    /// the views.
    ///
    /// # Errors
    /// `InvalidRequest` when a later manifest is shown already, or a store is not the one that the manifest names; what
    /// [`GenerationStore::scan`] returns; the database's own. The generation that was shown is shown still, then.
    pub fn publish(
        &self,
        manifest: &Manifest,
        faces: &[StoreFace],
        generations: &dyn GenerationStore,
    ) -> Result<Vec<Shown>> {
        let number =
            i64::try_from(manifest.number).map_err(|_| Error::invalid("the manifest's number is too large"))?;
        if manifest.job != self.of.job {
            return Err(Error::invalid(format!(
                "the manifest is of job `{}`, not `{}`",
                manifest.job, self.of.job
            )));
        }
        let mut stores = Vec::new();
        for face in faces {
            check_name("store", face.name)?;
            let generation = manifest.stores.get(face.name).filter(|g| face.reads(&g.schema)).ok_or_else(|| {
                Error::invalid(format!(
                    "manifest {number} has no generation of store `{}` as `{}`: publish it with the job that made it",
                    face.name,
                    face.schema()
                ))
            })?;
            stores.push((*face, generation));
        }
        let what = format!("publishing manifest {number} of job `{}`", manifest.job);
        let (mut session, generation) = match self.begin(&what, manifest, number)? {
            (session, Begun::New(generation)) => (session, generation),
            (session, Begun::Shown(generation)) => {
                return self.shown_again(&what, session, generation, &stores, manifest);
            }
        };
        let mut published = Vec::new();
        for (face, of) in stores {
            let loaded;
            (session, loaded) = self.load(session, generation, face, of, generations)?;
            published.push(loaded);
        }
        let shown = self.switch(&what, session, generation, published, Live::of(manifest))?;
        self.tidy();
        Ok(shown)
    }

    /// Waits for its turn, and notes the generation if it is not the one that is shown. The transaction is open.
    fn begin(&self, what: &str, manifest: &Manifest, number: i64) -> Result<(Session, Begun)> {
        let (session, schema, of, patience) = (
            self.db.session(For::Writing),
            self.db.schema().to_string(),
            self.of.clone(),
            self.patience,
        );
        let m = manifest.clone();
        self.db.wait(what, async move {
            let mut session = session.await?;
            session.begin("").await?;
            session.patience(patience).await?;
            let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
            session.query(lock, &[&PUBLISHING, &format!("{}/{}", of.job, of.instance)]).await?;
            match current(&session, &schema, &of).await? {
                Some((_, shown)) if shown > m.number => {
                    return Err(Error::invalid(format!(
                        "manifest {} is older than manifest {shown}, which is shown: publish the newest (a rollback is one, too)",
                        m.number
                    ))
                    .into());
                }
                Some((generation, shown)) if shown == m.number => return Ok((session, Begun::Shown(generation))),
                _ => {}
            }
            let sql = format!(
                "INSERT INTO {schema}.generations (job, instance, manifest, line, fingerprint, namespace, covered_until, created_at, \
                 holes, event_time, not_repeatable) VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::float8 / 1000), $9, $10, $11) RETURNING id"
            );
            let row = session
                .maybe(
                    &sql,
                    &[
                        &of.job,
                        &of.instance,
                        &number,
                        &m.line,
                        &m.fingerprint,
                        &m.realtime_namespace,
                        &m.covered_until,
                        // PostgreSQL's calendar ends earlier than ours.
                        &Some(m.created_at.0 as f64).filter(|ms| ms.abs() < 8e15),
                        &Json(&m.holes),
                        &m.window.map(|w| w.to_string()),
                        &Json(&m.not_repeatable),
                    ],
                )
                .await?;
            let id: i32 = row.ok_or_else(|| Error::bug("a generation that was just noted has no number"))?.try_get(0)?;
            frontier(&session, &schema, id, &m.frontier).await?;
            Ok((session, Begun::New(id)))
        })
    }

    fn load(
        &self,
        session: Session,
        generation: i32,
        face: StoreFace,
        of: &StoreGeneration,
        generations: &dyn GenerationStore,
    ) -> Result<(Session, Published)> {
        let (schema, shape) = (self.db.schema().to_string(), Shape::of(&face));
        let columns = columns(&shape);
        let meaning = face.schema();
        let (session, id) = self.db.wait(format!("making a table for store `{}`", face.name), async move {
            let sql = format!("INSERT INTO {schema}.offline (generation, store, meaning, columns, keys) VALUES ($1, $2, $3, $4, 0) RETURNING id");
            let row = session.maybe(&sql, &[&generation, &face.name, &meaning, &columns]).await?;
            let id: i32 = row.ok_or_else(|| Error::bug("a store that was just noted has no number"))?.try_get(0)?;
            let create = format!("CREATE TABLE {schema}.offline_{id} (key bytea PRIMARY KEY, long_key bytea, {columns} NOT NULL)");
            session.batch(&create).await?;
            Ok((session, id))
        })?;
        let table = format!("{}.offline_{id}", self.db.schema());
        let (session, keys) = load(&self.db, session, &table, &face, of, generations)?;
        let kept = kept(&face, of);
        Ok((
            session,
            Published {
                face,
                shape,
                id,
                keys,
                kept,
            },
        ))
    }

    /// Makes the generation the current one.
    fn switch(
        &self,
        what: &str,
        session: Session,
        generation: i32,
        published: Vec<Published>,
        live: Live,
    ) -> Result<Vec<Shown>> {
        let (schema, of, patience) = (self.db.schema().to_string(), self.of.clone(), self.patience);
        self.db.wait(what, async move {
            for p in &published {
                let sql = format!("UPDATE {schema}.offline SET keys = $2 WHERE id = $1");
                session
                    .execute(&sql, &[&p.id, &i64::try_from(p.keys).unwrap_or(i64::MAX)])
                    .await?;
                session.batch(&format!("ANALYZE {schema}.offline_{}", p.id)).await?;
            }
            let shown = in_turn(&session, patience, || {
                show(&session, &schema, &of, generation, &published, &live)
            })
            .await?;
            let sql = format!(
                "INSERT INTO {schema}.current (job, instance, generation) VALUES ($1, $2, $3) \
                 ON CONFLICT (job, instance) DO UPDATE SET generation = excluded.generation"
            );
            session.execute(&sql, &[&of.job, &of.instance, &generation]).await?;
            session.commit().await?;
            Ok(shown)
        })
    }

    /// The same generation: its live namespace may have been made since.
    fn shown_again(
        &self,
        what: &str,
        session: Session,
        generation: i32,
        stores: &[(StoreFace, &StoreGeneration)],
        manifest: &Manifest,
    ) -> Result<Vec<Shown>> {
        let (schema, of, patience) = (self.db.schema().to_string(), self.of.clone(), self.patience);
        let stores: Vec<(StoreFace, Option<String>)> = stores.iter().map(|(f, g)| (*f, kept(f, g))).collect();
        let live = Live::of(manifest);
        self.db.wait(what, async move {
            let mut published = Vec::new();
            for (face, kept) in stores {
                let sql = format!("SELECT id, keys FROM {schema}.offline WHERE generation = $1 AND store = $2");
                let row = session.maybe(&sql, &[&generation, &face.name]).await?.ok_or_else(|| {
                    Error::invalid(format!(
                        "the manifest was published without store `{}`: publish the next one with it",
                        face.name
                    ))
                })?;
                published.push(Published {
                    face,
                    shape: Shape::of(&face),
                    id: row.try_get(0)?,
                    keys: u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or(0),
                    kept,
                });
            }
            let shown = in_turn(&session, patience, || {
                show(&session, &schema, &of, generation, &published, &live)
            })
            .await?;
            session.commit().await?;
            Ok(shown)
        })
    }

    /// Drops the tables of generations that are not kept. The publish is done: what cannot be dropped now goes with the next.
    fn tidy(&self) {
        let (session, schema, of, keep) = (
            self.db.session(For::Writing),
            self.db.schema().to_string(),
            self.of.clone(),
            i64::from(self.keep),
        );
        let done = self.db.wait("dropping the tables of older generations", async move {
            let session = session.await?;
            let sql = format!(
                "SELECT g.id, array(SELECT o.id FROM {schema}.offline o WHERE o.generation = g.id) FROM {schema}.generations g \
                 WHERE g.job = $1 AND g.instance = $2 AND g.manifest < (SELECT c.manifest FROM {schema}.current x \
                 JOIN {schema}.generations c ON c.id = x.generation WHERE x.job = $1 AND x.instance = $2) ORDER BY g.manifest DESC OFFSET $3"
            );
            let old = session.query(&sql, &[&of.job, &of.instance, &keep]).await?;
            for row in old {
                let (id, tables): (i32, Vec<i32>) = (row.try_get(0)?, row.try_get(1)?);
                session.begin("").await?;
                for table in tables {
                    session.batch(&format!("DROP TABLE {schema}.offline_{table}")).await?;
                }
                session.execute(&format!("DELETE FROM {schema}.generations WHERE id = $1"), &[&id]).await?;
                session.commit().await?;
            }
            Ok(())
        });
        if let Err(e) = done {
            tracing::warn!(error = ?e, "tables of older generations are kept for now");
        }
    }
}

/// A publish in its turn.
enum Begun {
    /// The generation is noted under this number.
    New(i32),
    /// It is the one that is shown.
    Shown(i32),
}

/// Does `change`, which locks the views, a try at a time: a query keeps a view locked until its transaction ends, and who comes behind
/// a publisher that waits for it waits as well. What was loaded is kept from try to try.
async fn in_turn<T, F: Future<Output = Step<T>>>(
    session: &Session,
    patience: Duration,
    change: impl Fn() -> F,
) -> Step<T> {
    let until = Instant::now() + patience;
    let mut wait = FIRST_TRY;
    loop {
        let begin = format!("SAVEPOINT views; SET LOCAL lock_timeout = {}", wait.as_millis());
        session.batch(&begin).await?;
        match change().await {
            Err(Failure::Server(e)) if is_locked(&e) && Instant::now() < until => {
                tracing::debug!(?wait, "queries read the views: the publish waits for its turn");
                session.batch("ROLLBACK TO SAVEPOINT views").await?;
                tokio::time::sleep(PAUSE).await;
                wait = (wait * 2).min(LAST_TRY);
            }
            done => return done,
        }
    }
}

fn is_locked(e: &tokio_postgres::Error) -> bool {
    let locked = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
    e.code().is_some_and(|code| locked.contains(code))
}

/// The generation that is shown, and the number of its manifest.
async fn current(session: &Session, schema: &str, of: &Identity) -> Step<Option<(i32, u64)>> {
    let sql = format!(
        "SELECT g.id, g.manifest FROM {schema}.current c JOIN {schema}.generations g ON g.id = c.generation WHERE c.job = $1 AND c.instance = $2"
    );
    let row = session.maybe(&sql, &[&of.job, &of.instance]).await?;
    row.map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or(0))))
        .transpose()
}

async fn frontier(session: &Session, schema: &str, generation: i32, frontier: &Frontier) -> Step<()> {
    let sources: Vec<&str> = frontier.0.keys().map(|p| p.source.as_str()).collect();
    let [mut partitions, mut batches, mut cuts, mut before] =
        [Type::INT8, Type::INT8, Type::NUMERIC, Type::INT8].map(Column::new);
    for (p, cut) in &frontier.0 {
        partitions.int8(p.partition.into());
        batches.int8(cut.batch.0);
        cuts.decimal(cut.cut.into());
        before.int8(cut.batch_before.0);
    }
    let sql = format!(
        "INSERT INTO {schema}.frontiers (generation, source, partition, batch, cut, batch_before) \
         SELECT $1, * FROM unnest($2::text[], $3::int8[], $4::int8[], $5::numeric[], $6::int8[])"
    );
    session
        .execute(&sql, &[&generation, &sources, &partitions, &batches, &cuts, &before])
        .await
        .map(drop)
}
