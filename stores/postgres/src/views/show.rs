//! The views over a generation: their names, their queries, and what is checked before an answer is shown.

use rufous_core::{Error, KeyColumn, StoreFace};
use rufous_store_api::{Manifest, StoreGeneration};

use crate::cells::base;
use crate::db::Session;
use crate::failure::Step;
use crate::name::quoted;
use crate::schema::{self, Identity, columns, slug};
use crate::shape::Shape;

/// A store as SQL shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The store.
    pub store: String,
    /// How many keys the generation has.
    pub keys: u64,
    /// The view of the current generation alone.
    pub offline: String,
    /// The view of the whole answer; `Err`: there is none, and why.
    pub answer: std::result::Result<String, String>,
}

/// A store while it is published.
pub(super) struct Published {
    pub(super) face: StoreFace,
    pub(super) shape: Shape,
    pub(super) id: i32,
    pub(super) keys: u64,
    /// The condition on keys that are not dropped; `None`: SQL does not see the hops of these keys.
    pub(super) kept: Option<String>,
}

/// What of a manifest decides whether the whole answer can be shown.
#[derive(Clone)]
pub(super) struct Live {
    namespace: Option<String>,
    window: Option<String>,
}

impl Live {
    pub(super) fn of(manifest: &Manifest) -> Self {
        Self {
            namespace: manifest.realtime_namespace.clone(),
            window: manifest.window.map(|w| w.to_string()),
        }
    }
}

/// The condition that a hop is still kept: runs may have part of those that are dropped. `None`: parts before the hop have no columns, so
/// it has none either.
pub(super) fn kept(face: &StoreFace, of: &StoreGeneration) -> Option<String> {
    let parts = face.key.columns();
    if of.dropped.is_empty() || parts.last() != Some(&KeyColumn::Hop) {
        return Some("true".into());
    }
    if parts.contains(&KeyColumn::Opaque) {
        return None;
    }
    let hop = format!("key_{}", parts.len());
    let gone = of.dropped_hops().into_iter().map(|(size, until)| {
        let of_size = format!("{hop}_size = '{size}'");
        match size.fixed_ms() {
            Some(ms) => format!("{of_size} AND ({hop}_number::numeric + 1) * {ms} <= {}", until.0),
            None => of_size,
        }
    });
    let gone: Vec<String> = gone.map(|g| format!("({g})")).collect();
    Some(format!("NOT ({})", gone.join(" OR ")))
}

/// Makes the views over a generation.
pub(super) async fn show(
    session: &Session,
    schema: &str,
    of: &Identity,
    generation: i32,
    published: &[Published],
    live: &Live,
) -> Step<Vec<Shown>> {
    schema::turn(session).await?;
    forget(session, schema, of, published).await?;
    let mut shown = Vec::new();
    for p in published {
        let answer = answer(session, schema, of, generation, p, live).await?;
        let keys = p.shape.key_list();
        let offline = format!(
            "SELECT COALESCE(long_key, key) AS key{keys}, value FROM {schema}.offline_{id} WHERE {} AND (SELECT {schema}.seen({id}))",
            p.kept.as_deref().unwrap_or("true"),
            id = p.id
        );
        let (name, same) = view_name(session, schema, of, p).await?;
        let offline_name = format!("{name}_offline");
        replace(session, schema, &offline_name, same, &offline).await?;
        let answer = match answer {
            Ok(select) => {
                replace(session, schema, &name, same, &select).await?;
                Ok(name)
            }
            Err(why) => {
                // One that was there would go on with another generation.
                session
                    .batch(&format!("DROP VIEW IF EXISTS {schema}.{}", quoted(&name)))
                    .await?;
                Err(why)
            }
        };
        shown.push(Shown {
            store: p.face.name.into(),
            keys: p.keys,
            offline: offline_name,
            answer,
        });
    }
    Ok(shown)
}

/// Drops the views of stores that are not published any more: they would show an older generation for ever.
async fn forget(session: &Session, schema: &str, of: &Identity, published: &[Published]) -> Step<()> {
    let stores: Vec<&str> = published.iter().map(|p| p.face.name).collect();
    let sql =
        format!("DELETE FROM {schema}.views WHERE job = $1 AND instance = $2 AND store <> ALL($3) RETURNING name");
    for row in session.query(&sql, &[&of.job, &of.instance, &stores]).await? {
        let name: String = row.try_get(0)?;
        let (all, offline) = (quoted(&name), quoted(&format!("{name}_offline")));
        session
            .batch(&format!(
                "DROP VIEW IF EXISTS {schema}.{all}; DROP VIEW IF EXISTS {schema}.{offline}"
            ))
            .await?;
    }
    Ok(())
}

/// The query of the whole answer, or why there is none.
async fn answer(
    session: &Session,
    schema: &str,
    of: &Identity,
    generation: i32,
    p: &Published,
    live: &Live,
) -> Step<std::result::Result<String, String>> {
    let (keys, id) = (p.shape.key_list(), p.id);
    let value = format!("value::{}", base(&p.shape.value_type()));
    if let Some(window) = &live.window {
        return Ok(Err(format!(
            "the generation holds {window} only, which is not the whole answer"
        )));
    }
    let Some(kept) = &p.kept else {
        return Ok(Err(
            "hops are dropped, and SQL does not see the hops in keys of this type: ask the client".into(),
        ));
    };
    let Some(namespace) = &live.namespace else {
        // A bounded input has no live part (P8a): the check is of its holes.
        return Ok(Ok(format!(
            "SELECT COALESCE(long_key, key) AS key{keys}, {value} FROM {schema}.offline_{id} WHERE {kept} AND (SELECT {schema}.fits({generation}, 0))"
        )));
    };
    let sql = format!(
        "SELECT s.id, s.columns FROM {schema}.stores s JOIN {schema}.namespaces n ON n.id = s.namespace \
         WHERE n.job = $1 AND n.instance = $2 AND n.namespace = $3 AND s.store = $4"
    );
    let live = session
        .maybe(&sql, &[&of.job, &of.instance, namespace, &p.face.name])
        .await?;
    let Some(live) = live else {
        return Ok(Err(format!(
            "namespace {namespace} is not kept in this schema: the live part cannot be seen from here"
        )));
    };
    let (live, made): (i32, String) = (live.try_get(0)?, live.try_get(1)?);
    if p.shape.value.is_none() {
        return Ok(Err(format!(
            "values of `{}` are no numbers that SQL can add: ask the client",
            p.face.value.schema()
        )));
    }
    if made != columns(&p.shape) {
        return Ok(Err(format!("the live part has other columns ({made})")));
    }
    let sum = p.shape.wrapped("sum(value)");
    let ty = base(&p.shape.value_type());
    Ok(Ok(format!(
        "SELECT COALESCE(long_key, key) AS key{keys}, ({sum})::{ty} AS value FROM (\
         SELECT key, long_key{keys}, value FROM {schema}.offline_{id} UNION ALL \
         SELECT c.key, c.long_key{of_cells}, c.value FROM {schema}.cells_{live} c \
         JOIN {schema}.progress p ON p.store = {live} AND p.part = c.part AND c.batch >= p.retained_from \
         LEFT JOIN {schema}.frontiers f ON f.generation = {generation} AND f.source = p.source AND f.partition = p.partition \
         WHERE c.batch >= COALESCE(f.batch, -9223372036854775808)) layers \
         WHERE {kept} AND (SELECT {schema}.fits({generation}, {live})) GROUP BY key, long_key{keys}",
        of_cells = p
            .shape
            .keys
            .iter()
            .map(|k| format!(", c.{}", k.name))
            .collect::<String>(),
    )))
}

/// The name of a store's view, and whether the views that are there have its columns.
async fn view_name(session: &Session, schema: &str, of: &Identity, p: &Published) -> Step<(String, bool)> {
    let columns = columns(&p.shape);
    let sql = format!("SELECT name, columns FROM {schema}.views WHERE job = $1 AND instance = $2 AND store = $3");
    if let Some(row) = session.maybe(&sql, &[&of.job, &of.instance, &p.face.name]).await? {
        let same = row.try_get::<_, String>(1)? == columns;
        let sql = format!("UPDATE {schema}.views SET columns = $4 WHERE job = $1 AND instance = $2 AND store = $3");
        session
            .execute(&sql, &[&of.job, &of.instance, &p.face.name, &columns])
            .await?;
        return Ok((row.try_get(0)?, same));
    }
    let short = |name: &str| slug(name).chars().take(15).collect::<String>();
    let plain = format!("{}_{}_{}", short(&of.job), short(&of.instance), short(p.face.name));
    for n in 1..1000 {
        let name = if n == 1 { plain.clone() } else { format!("{plain}_{n}") };
        let sql = format!(
            "INSERT INTO {schema}.views (name, job, instance, store, columns) SELECT $1::text, $2, $3, $4, $5 \
             WHERE NOT EXISTS (SELECT FROM {schema}.views v WHERE v.name = $1 || '_offline' OR v.name || '_offline' = $1) \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace($6::text) \
                             AND c.relname IN ($1, $1 || '_offline')) \
             ON CONFLICT DO NOTHING"
        );
        if session
            .execute(&sql, &[&name, &of.job, &of.instance, &p.face.name, &columns, &schema])
            .await?
            == 1
        {
            return Ok((name, false));
        }
    }
    Err(Error::invalid(format!(
        "a thousand stores have views that are called `{plain}`: use another schema"
    ))
    .into())
}

/// Makes a view; one with the same columns keeps what people built on it.
async fn replace(session: &Session, schema: &str, name: &str, same: bool, select: &str) -> Step<()> {
    let name = format!("{schema}.{}", quoted(name));
    let drop = if same {
        String::new()
    } else {
        format!("DROP VIEW IF EXISTS {name}; ")
    };
    session
        .batch(&format!("{drop}CREATE OR REPLACE VIEW {name} AS {select}"))
        .await
}
