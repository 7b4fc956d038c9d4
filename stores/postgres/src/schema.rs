//! The tables of a schema, and what is checked when a namespace is opened. Whoever makes something holds one lock, so several
//! processes may open at once.

use rufous_core::{Error, Result, StoreFace};
use rufous_store_api::{NamespaceOf, Until};

use crate::db::{Db, For, Session};
use crate::failure::Step;
use crate::name::{check_text, quoted};
use crate::shape::{Shape, sql_type};

/// The version of everything in a schema.
pub(crate) const FORMAT: i32 = 1;
/// The oldest server whose SQL this is.
const OLDEST_SERVER: i32 = 120_000;
/// Whoever makes tables holds this ("rufous").
const MAKING: i64 = 0x7275_666f_7573;
/// Of a name that stands in an index.
const LONGEST_NAME: usize = 500;

/// What a namespace is known by.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) job: String,
    pub(crate) instance: String,
    pub(crate) namespace: String,
}

impl Identity {
    /// What several namespaces of a job share.
    pub(crate) fn of_job(job: &str, instance: &str) -> Result<Self> {
        Self::of(NamespaceOf::new(job, instance, ""))
    }

    pub(crate) fn of(
        NamespaceOf {
            job,
            instance,
            namespace,
        }: NamespaceOf<'_>,
    ) -> Result<Self> {
        for (what, name) in [("job", job), ("instance", instance), ("namespace", namespace)] {
            check_name(what, name)?;
        }
        Ok(Self {
            job: job.into(),
            instance: instance.into(),
            namespace: namespace.into(),
        })
    }
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    check_text(what, name)?;
    if name.len() > LONGEST_NAME {
        return Err(Error::invalid(format!(
            "{what} `{}...` has {} bytes: PostgreSQL keeps names of at most {LONGEST_NAME}; use a shorter one",
            name.chars().take(40).collect::<String>(),
            name.len()
        )));
    }
    Ok(())
}

/// A store that is open.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) id: i32,
    pub(crate) face: StoreFace,
    pub(crate) shape: Shape,
}

/// A namespace that is open: its number, and its stores in the order in which all processes lock their rows.
#[derive(Clone)]
pub(crate) struct Namespace {
    pub(crate) stores: Vec<Opened>,
}

impl Namespace {
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.stores.iter().map(|s| s.id).collect()
    }
    pub(crate) fn store(&self, name: &str) -> Option<&Opened> {
        self.stores.iter().find(|s| s.face.name == name)
    }
}

/// The columns of keys and values, as a definition; compared at open.
pub(crate) fn columns(shape: &Shape) -> String {
    let keys = shape.keys.iter().map(|k| format!("{} {}, ", k.name, sql_type(&k.ty)));
    format!("{}value {}", keys.collect::<String>(), sql_type(&shape.value_type()))
}

/// The part of a view's name that a person recognises.
pub(crate) fn slug(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(plain).take(40).collect()
}

/// The tables of format 1.
const TABLES: &str = include_str!("tables.sql");

/// Waits its turn to make tables, until the transaction ends.
pub(crate) async fn turn(session: &Session) -> Step<()> {
    session
        .query("SELECT pg_advisory_xact_lock($1)", &[&MAKING])
        .await
        .map(drop)
}

/// Whether the schema holds tables of ours, and of this format.
pub(crate) async fn is_made(session: &Session, db_name: &str, schema: &str) -> Step<bool> {
    let known = session
        .query(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), EXISTS (SELECT FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'meta')",
            &[&schema],
        )
        .await?;
    let Some(row) = known.first() else {
        return Ok(false);
    };
    let (version, encoding): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if version < OLDEST_SERVER {
        let (is, least) = (version / 10_000, OLDEST_SERVER / 10_000);
        return Err(Error::invalid(format!("{db_name} is PostgreSQL {is}: use {least} or later")).into());
    }
    if encoding != "UTF8" {
        return Err(Error::invalid(format!(
            "{db_name} has encoding {encoding}, which does not hold every text: create the database with ENCODING 'UTF8'"
        ))
        .into());
    }
    if !row.try_get::<_, bool>(2)? {
        return Ok(false);
    }
    let sql = format!("SELECT format FROM {}.meta", quoted(schema));
    let format: Option<i32> = session.maybe(&sql, &[]).await?.map(|row| row.try_get(0)).transpose()?;
    match format {
        Some(FORMAT) => Ok(true),
        Some(other) => Err(Error::invalid(format!(
            "schema `{schema}` of {db_name} has format {other}, this build reads {FORMAT}: use the build that wrote it, or another schema"
        ))
        .into()),
        None => Err(Error::corrupt(format!(
            "schema `{schema}` of {db_name} has a table `meta` without a row: it is not ours, or was damaged; use another schema"
        ))
        .into()),
    }
}

/// Makes the tables if they are not there.
pub(crate) async fn make(session: &Session, db_name: &str, schema: &str) -> Step<()> {
    if is_made(session, db_name, schema).await? {
        return Ok(());
    }
    session.begin("").await?;
    turn(session).await?;
    if !is_made(session, db_name, schema).await? {
        let there = session
            .maybe("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", &[&schema])
            .await?;
        if there.is_none() {
            // Asked first: with IF NOT EXISTS the right to create schemas would be needed all the same.
            session.batch(&format!("CREATE SCHEMA {}", quoted(schema))).await?;
        }
        // In a text that stands in quotes, quotes are doubled.
        let parts = format!("'{}.parts'", quoted(schema).replace('\'', "''"));
        session
            .batch(&TABLES.replace('@', &quoted(schema)).replace("'#parts'", &parts))
            .await?;
    }
    session.commit().await
}

/// The stores of a namespace, by name: number, meaning, columns. `None`: there is no such namespace.
async fn stores(
    session: &Session,
    schema: &str,
    of: &Identity,
) -> Step<Option<(i32, Vec<(i32, String, String, String)>)>> {
    let sql = format!(
        "SELECT n.id, s.id, s.store, s.meaning, s.columns FROM {schema}.namespaces n LEFT JOIN {schema}.stores s ON s.namespace = n.id \
         WHERE n.job = $1 AND n.instance = $2 AND n.namespace = $3"
    );
    let rows = session.query(&sql, &[&of.job, &of.instance, &of.namespace]).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let id = first.try_get(0)?;
    let mut found = Vec::new();
    for row in &rows {
        if let Some(store) = row.try_get::<_, Option<i32>>(1)? {
            found.push((store, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?));
        }
    }
    Ok(Some((id, found)))
}

async fn make_namespace(session: &Session, schema: &str, of: &Identity, faces: &[StoreFace]) -> Step<()> {
    session.begin("").await?;
    turn(session).await?;
    let sql = format!(
        "INSERT INTO {schema}.namespaces (job, instance, namespace) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
    );
    session.execute(&sql, &[&of.job, &of.instance, &of.namespace]).await?;
    let Some((namespace, known)) = stores(session, schema, of).await? else {
        return Err(Error::bug("a namespace that was just made is not there").into());
    };
    for face in faces
        .iter()
        .filter(|f| !known.iter().any(|(_, name, ..)| name == f.name))
    {
        let columns = columns(&Shape::of(face));
        let sql = format!(
            "INSERT INTO {schema}.stores (namespace, store, meaning, columns) VALUES ($1, $2, $3, $4) RETURNING id"
        );
        let row = session
            .maybe(&sql, &[&namespace, &face.name, &face.schema(), &columns])
            .await?;
        let id: i32 = row
            .ok_or_else(|| Error::bug("a store that was just made has no number"))?
            .try_get(0)?;
        // Cells of the batch that runs are changed at every commit: with room on their page the index need not be.
        let keys = Shape::of(face).key_list();
        session
            .batch(&format!(
                "CREATE TABLE {schema}.cells_{id} (batch bigint NOT NULL, key bytea NOT NULL, part integer NOT NULL, long_key bytea, \
                 {columns} NOT NULL, PRIMARY KEY (batch, key, part)) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05); \
                 CREATE VIEW {schema}.live_{slug}_{id} AS SELECT p.source, p.partition, c.batch, COALESCE(c.long_key, c.key) AS key{keys}, c.value \
                 FROM {schema}.cells_{id} c JOIN {schema}.progress p ON p.part = c.part AND p.store = {id} AND c.batch >= p.retained_from",
                slug = slug(face.name),
            ))
            .await?;
    }
    session.commit().await
}

/// Opens a namespace by then; `write`: what is missing is made. `None`: it was never made.
pub(crate) fn open(
    db: &Db,
    of: &Identity,
    faces: &[StoreFace],
    write: bool,
    until: &Until,
) -> Result<Option<Namespace>> {
    for face in faces {
        check_name("store", face.name)?;
    }
    let (db_name, name, schema) = (
        db.location.to_string(),
        db.schema_name().to_string(),
        db.schema().to_string(),
    );
    let shown = format!(
        "namespace {} of job `{}` in schema `{name}` of {db_name}",
        of.namespace, of.job
    );
    let (of, all) = (of.clone(), faces.to_vec());
    let to = if write { For::Writing } else { For::Reading };
    let (session, wanted) = (db.session(to), all.clone());
    let what = format!("opening namespace {} of job `{}`", of.namespace, of.job);
    let found = db.wait_until(&what, until, async move {
        let session = session.await?;
        if write {
            make(&session, &db_name, &name).await?;
        } else if !is_made(&session, &db_name, &name).await? {
            return Ok(None);
        }
        let known = stores(&session, &schema, &of).await?;
        let has = |face: &StoreFace| matches!(&known, Some((_, s)) if s.iter().any(|(_, name, ..)| name == face.name));
        if !write || wanted.iter().all(has) {
            return Ok(known);
        }
        make_namespace(&session, &schema, &of, &wanted).await?;
        stores(&session, &schema, &of).await
    })?;
    let Some((_, found)) = found else {
        return Ok(None);
    };
    if let Some((_, name, ..)) = found
        .iter()
        .find(|(_, name, ..)| write && !all.iter().any(|f| f.name == name))
    {
        return Err(Error::invalid(format!(
            "{shown} holds store `{name}`, which this job does not have: use the job that wrote it, or another namespace"
        )));
    }
    let mut opened = Vec::new();
    for face in &all {
        // A reader's job may be newer than what is written: such a store is empty.
        let Some((id, _, meaning, made)) = found.iter().find(|(_, name, ..)| name == face.name) else {
            continue;
        };
        let shape = Shape::of(face);
        if !face.reads(meaning) || *made != columns(&shape) {
            return Err(Error::invalid(format!(
                "{shown}: store `{}` was written as `{meaning}` ({made}), and this job declares `{}` ({}): give the changed job a new \
                 version, so that it gets a namespace of its own",
                face.name,
                face.schema(),
                columns(&shape)
            )));
        }
        opened.push(Opened {
            id: *id,
            face: *face,
            shape,
        });
    }
    opened.sort_by_key(|s| s.id);
    Ok(Some(Namespace { stores: opened }))
}
