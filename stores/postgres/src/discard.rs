//! What goes: cells that were dropped, and whole namespaces.

use rufous_core::{Error, Result};
use rufous_store_api::NamespaceOf;

use crate::db::{Db, For, Session};
use crate::failure::Step;
use crate::name::quoted;
use crate::options::PostgresOptions;
use crate::schema::{self, Identity};

/// How many cells one statement looks at: some of them are of other partitions, and stay.
const ROWS: i64 = 20_000;

/// Deletes the cells that nobody can see any more, a bounded number a transaction. What a crash leaves is deleted by the next call.
pub(crate) async fn sweep(session: &Session, schema: &str, stores: &[i32]) -> Step<()> {
    // How far the garbage at hand is deleted: keys ascend, so nothing is looked at twice.
    let mut reached: Option<((i32, i32, Option<i64>), (i64, Vec<u8>, i32))> = None;
    loop {
        session.begin("").await?;
        // Another process may be at it: then it is done there.
        let sql = format!(
            "SELECT store, part, below FROM {schema}.garbage WHERE store = ANY($1) ORDER BY store, part, below LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let Some(row) = session.maybe(&sql, &[&stores]).await? else {
            return session.commit().await;
        };
        let (store, part, below): (i32, i32, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let which = (store, part, below);
        let (batch, key, of) = match reached.take() {
            Some((garbage, at)) if garbage == which => at,
            // No partition has this number.
            _ => (i64::MIN, Vec::new(), i32::MIN),
        };
        let delete = format!(
            "WITH found AS (SELECT ctid, batch, key, part FROM {schema}.cells_{store} WHERE (batch, key, part) > ($1, $2, $3) AND batch < $5 \
             ORDER BY batch, key, part LIMIT {ROWS}), \
             gone AS (DELETE FROM {schema}.cells_{store} WHERE ctid = ANY(ARRAY(SELECT ctid FROM found WHERE part = $4))) \
             SELECT batch, key, part FROM found ORDER BY batch DESC, key DESC, part DESC LIMIT 1"
        );
        // No cell is in the last of all batches.
        let last = session
            .maybe(&delete, &[&batch, &key, &of, &part, &below.unwrap_or(i64::MAX)])
            .await?;
        match last {
            Some(last) => reached = Some((which, (last.try_get(0)?, last.try_get(1)?, last.try_get(2)?))),
            None => {
                let sql = format!(
                    "DELETE FROM {schema}.garbage WHERE store = $1 AND part = $2 AND below IS NOT DISTINCT FROM $3"
                );
                session.execute(&sql, &[&store, &part, &below]).await?;
            }
        }
        session.commit().await?;
    }
}

/// The namespaces of a job that are in a schema, with the bytes that they take.
///
/// # Errors
/// When the database cannot be asked.
pub fn namespaces(url: &str, options: &PostgresOptions, job: &str, instance: &str) -> Result<Vec<(String, u64)>> {
    let db = Db::new(url, options)?;
    let of = Identity::of_job(job, instance)?;
    let (session, db_name) = (db.session(For::Reading), db.location.to_string());
    let (name, schema) = (db.schema_name().to_string(), db.schema().to_string());
    db.wait(format!("listing the namespaces of job `{job}`"), async move {
        let session = session.await?;
        if !schema::is_made(&session, &db_name, &name).await? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT n.namespace, COALESCE(sum(pg_total_relation_size(to_regclass($3 || '.cells_' || s.id))), 0)::int8 \
             FROM {schema}.namespaces n LEFT JOIN {schema}.stores s ON s.namespace = n.id \
             WHERE n.job = $1 AND n.instance = $2 GROUP BY n.namespace ORDER BY n.namespace"
        );
        let rows = session.query(&sql, &[&of.job, &of.instance, &schema]).await?;
        let read = |row: &tokio_postgres::Row| {
            let bytes: i64 = row.try_get(1)?;
            Ok((row.try_get(0)?, u64::try_from(bytes).unwrap_or(0)))
        };
        rows.iter().map(read).collect()
    })
}

/// Deletes a namespace for good, in one transaction. `false`: it was not there. A process that still has it open can commit nothing more.
///
/// # Errors
/// When it cannot be deleted: nothing is, then.
pub fn discard(url: &str, options: &PostgresOptions, of: NamespaceOf<'_>) -> Result<bool> {
    let db = Db::new(url, options)?;
    let of = Identity::of(of)?;
    let (session, db_name) = (db.session(For::Writing), db.location.to_string());
    let (name, schema) = (db.schema_name().to_string(), db.schema().to_string());
    let what = format!("deleting namespace {} of job `{}`", of.namespace, of.job);
    db.wait(what, async move {
        let session = session.await?;
        if !schema::is_made(&session, &db_name, &name).await? {
            return Ok(false);
        }
        session.begin("").await?;
        schema::turn(&session).await?;
        let sql = format!(
            "SELECT n.id, s.id, s.store FROM {schema}.namespaces n LEFT JOIN {schema}.stores s ON s.namespace = n.id \
             WHERE n.job = $1 AND n.instance = $2 AND n.namespace = $3"
        );
        let rows = session.query(&sql, &[&of.job, &of.instance, &of.namespace]).await?;
        let Some(id) = rows.first().map(|row| row.try_get::<_, i32>(0)).transpose()? else {
            session.rollback().await?;
            return Ok(false);
        };
        // The rows first, in the order of commits: one that is on its way ends before.
        let stores: Vec<i32> = rows.iter().filter_map(|row| row.try_get(1).ok()).collect();
        let lock =
            format!("SELECT FROM {schema}.progress WHERE store = ANY($1) ORDER BY store, source, partition FOR UPDATE");
        session.query(&lock, &[&stores]).await?;
        // Views of whole answers that rest on its cells; the next publish makes them again. What people built on them refuses.
        let sql = format!(
            "SELECT v.name FROM {schema}.views v JOIN {schema}.current c USING (job, instance) \
             JOIN {schema}.generations g ON g.id = c.generation WHERE v.job = $1 AND v.instance = $2 AND g.namespace = $3"
        );
        for row in session.query(&sql, &[&of.job, &of.instance, &of.namespace]).await? {
            let view = quoted(row.try_get(0)?);
            session.batch(&format!("DROP VIEW IF EXISTS {schema}.{view}")).await?;
        }
        for row in &rows {
            let (Some(store), Some(name)) = (row.try_get::<_, Option<i32>>(1)?, row.try_get::<_, Option<String>>(2)?)
            else {
                continue;
            };
            let slug = schema::slug(&name);
            let sql = format!("DROP VIEW IF EXISTS {schema}.live_{slug}_{store}; DROP TABLE {schema}.cells_{store}");
            session.batch(&sql).await?;
        }
        let sql = format!("DELETE FROM {schema}.namespaces WHERE id = $1");
        if session.execute(&sql, &[&id]).await? != 1 {
            return Err(Error::bug("a namespace whose turn it was is gone").into());
        }
        session.commit().await?;
        Ok(true)
    })
}
