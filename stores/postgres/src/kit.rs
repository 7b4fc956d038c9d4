//! A plain store of keys and values in a table of its own: for users' own stores, not for a job's state.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::key::to_bytes;
use rufous_core::{Error, Key, NativeNumber, Result};
use rufous_store_api::{MergeableStore, ReadableStore, WritableStore};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use crate::cells::base;
use crate::column::Column;
use crate::db::{Db, For, Session};
use crate::failure::{Failure, Step};
use crate::name::check_size;
use crate::options::PostgresOptions;
use crate::schema::{self, check_name};
use crate::shape::{Shape, head};

/// How often a transaction that the server chose to undo, because two waited for each other, is tried.
const TRIES: usize = 4;

/// Keys and values in one table: [`ReadableStore`], [`WritableStore`] and, where values can be added, [`MergeableStore`]. Calls of one
/// store are each one transaction, also those of many keys, and several processes may use it at once: a merge is never lost.
pub struct PostgresStore<K, V> {
    db: Db,
    table: String,
    name: String,
    shape: Shape,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Key, V: Codec + Send + Sync + 'static> PostgresStore<K, V> {
    /// The store of this name, which is made when it is missing.
    ///
    /// # Errors
    /// As [`PostgresRealtime::open`](crate::PostgresRealtime::open).
    pub fn open(url: &str, options: &PostgresOptions, name: &str) -> Result<Self> {
        check_name("store", name)?;
        let db = Db::new(url, options)?;
        let mut parts = Vec::new();
        K::columns(&mut parts);
        let shape = Shape::new(parts, NativeNumber::of::<V>());
        let (meaning, columns) = (format!("{} -> {}", K::schema(), V::schema()), schema::columns(&shape));
        let (session, db_name) = (db.session(For::Writing), db.location.to_string());
        let (schema_name, schema, of, made) = (
            db.schema_name().to_string(),
            db.schema().to_string(),
            name.to_string(),
            columns.clone(),
        );
        let (wanted, at) = (meaning.clone(), db.schema().to_string());
        let (id, found, is): (i32, String, String) = db.wait(format!("opening store `{name}`"), async move {
            let session = session.await?;
            schema::make(&session, &db_name, &schema_name).await?;
            let known = format!("SELECT id, meaning, columns FROM {schema}.kits WHERE name = $1");
            let mut row = session.maybe(&known, &[&of]).await?;
            if row.is_none() {
                session.begin("").await?;
                schema::turn(&session).await?;
                let insert = format!(
                    "INSERT INTO {schema}.kits (name, meaning, columns) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id"
                );
                if let Some(new) = session.maybe(&insert, &[&of, &wanted, &made]).await? {
                    let id: i32 = new.try_get(0)?;
                    let create = format!("CREATE TABLE {schema}.kit_{id} (key bytea PRIMARY KEY, long_key bytea, {made}) WITH (fillfactor = 70)");
                    session.batch(&create).await?;
                }
                session.commit().await?;
                row = session.maybe(&known, &[&of]).await?;
            }
            let row = row.ok_or_else(|| Error::bug("a store that was just made is not there"))?;
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        })?;
        if found != meaning || is != columns {
            return Err(Error::invalid(format!(
                "store `{name}` in {} holds `{found}` ({is}), not `{meaning}` ({columns}): use another name",
                db.location
            )));
        }
        Ok(Self {
            table: format!("{at}.kit_{id}"),
            db,
            name: name.into(),
            shape,
            types: PhantomData,
        })
    }

    fn what(&self, does: &str) -> String {
        format!("{does} store `{}`", self.name)
    }

    /// A value from a column; `None` of null.
    fn value(&self, row: &Row, at: usize) -> Result<Option<V>> {
        let wrong = |e: rufous_algebra::DecodeError| {
            Error::corrupt(format!(
                "store `{}`: a value is none of `{}`: {e}",
                self.name,
                V::schema()
            ))
        };
        let raw = self.shape.value_of(row, at).map_err(wrong)?;
        V::decode(&raw).map(Some).map_err(wrong)
    }

    /// Rows as columns, in order of keys.
    fn rows<'a>(&self, rows: impl Iterator<Item = (&'a Vec<u8>, Option<Vec<u8>>)>) -> Result<Rows> {
        let mut all = Rows {
            keys: Column::new(Type::BYTEA),
            longs: Column::new(Type::BYTEA),
            parts: self.shape.key_columns(),
            values: Column::new(self.shape.value_type()),
        };
        for (key, value) in rows {
            let (head, long) = head(key);
            all.keys.raw(&head);
            match long {
                Some(key) => all.longs.raw(key),
                None => all.longs.null(),
            }
            self.shape.put_key(key, &mut all.parts);
            match value {
                None => all.values.null(),
                Some(value) => {
                    check_size(&format_args!("store `{}`: a value", self.name), value.len())?;
                    let put = self.shape.put_value(&value, &mut all.values);
                    put.map_err(|e| Error::bug(format!("store `{}`: a value that is none: {e}", self.name)))?;
                }
            }
        }
        let bytes = all.keys.bytes() + all.longs.bytes() + all.values.bytes();
        check_size(&format_args!("store `{}`: what is written", self.name), bytes)?;
        Ok(all)
    }

    /// The statement that writes such rows; `then`: what becomes of one that is there.
    fn upsert(&self, then: &str) -> String {
        let columns: String = { self.shape.keys.iter().enumerate() }
            .map(|(i, k)| format!(", ${}::{}[]", i + 4, base(&k.ty)))
            .collect();
        format!(
            "INSERT INTO {} AS t (key, long_key, value{}) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::{}[]{columns}) \
             ON CONFLICT (key) DO UPDATE SET value = {then}",
            self.table,
            self.shape.key_list(),
            base(&self.shape.value_type()),
        )
    }
}

/// Rows on their way.
struct Rows {
    keys: Column,
    longs: Column,
    parts: Vec<Column>,
    values: Column,
}

impl Rows {
    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut all: Vec<&(dyn ToSql + Sync)> = vec![&self.keys, &self.longs, &self.values];
        all.extend(self.parts.iter().map(|c| c as &(dyn ToSql + Sync)));
        all
    }
}

/// The same error for another key.
fn again(e: &Error) -> Error {
    Error::new(e.kind(), e.to_string())
}

/// Whether the server undid a transaction because two waited for each other: nothing of it is there.
fn was_a_knot(failure: &Failure) -> bool {
    let code = match failure {
        Failure::Server(e) => e.code(),
        _ => None,
    };
    code.is_some_and(|c| *c == SqlState::T_R_DEADLOCK_DETECTED || *c == SqlState::T_R_SERIALIZATION_FAILURE)
}

impl<K: Key, V: Codec + Send + Sync + 'static> ReadableStore<K, V> for PostgresStore<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let mut column = Column::new(Type::BYTEA);
        for key in keys {
            column.raw(&head(&to_bytes(key)).0);
        }
        let session = self.db.session(For::Reading);
        let sql = format!(
            "SELECT k.n, t.value FROM unnest($1::bytea[]) WITH ORDINALITY k(key, n) \
             CROSS JOIN LATERAL (SELECT value FROM {} t WHERE t.key = k.key OFFSET 0) t",
            self.table
        );
        let fits = check_size(
            &format_args!("store `{}`: what is asked for", self.name),
            column.bytes(),
        );
        let rows = fits.and_then(|()| {
            let ask = async move { session.await?.query(&sql, &[&column]).await };
            self.db.wait(self.what("reading"), ask)
        });
        match rows {
            Err(e) => keys.iter().map(|_| Err(again(&e))).collect(),
            Ok(rows) => {
                let mut answers: Vec<Result<Option<V>>> = keys.iter().map(|_| Ok(None)).collect();
                for row in &rows {
                    let n: i64 = row.try_get(0).unwrap_or(0);
                    if let Some(answer) = usize::try_from(n - 1).ok().and_then(|n| answers.get_mut(n)) {
                        *answer = self.value(row, 1);
                    }
                }
                answers
            }
        }
    }
}

impl<K: Key, V: Codec + Send + Sync + 'static> PostgresStore<K, V> {
    fn put_all(&self, pairs: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<()> {
        let set = self.rows(pairs.iter().filter(|(_, v)| v.is_some()).map(|(k, v)| (k, v.clone())))?;
        let mut gone = Column::new(Type::BYTEA);
        pairs
            .iter()
            .filter(|(_, v)| v.is_none())
            .for_each(|(k, _)| gone.raw(&head(k).0));
        let (insert, delete) = (
            self.upsert("excluded.value"),
            format!("DELETE FROM {} WHERE key = ANY($1)", self.table),
        );
        let sessions: Vec<_> = (0..TRIES).map(|_| self.db.session(For::Writing)).collect();
        self.db.wait(self.what("writing to"), async move {
            let mut last = None;
            for session in sessions {
                let session = session.await?;
                session.begin("").await?;
                let done = async {
                    session.execute(&insert, &set.params()).await?;
                    session.execute(&delete, &[&gone]).await
                };
                match done.await {
                    Ok(_) => return session.commit().await,
                    Err(e) if was_a_knot(&e) => last = Some(e),
                    Err(e) => return Err(e),
                }
            }
            Err(last.unwrap_or_else(|| Error::bug("no try").into()))
        })
    }
}

impl<K: Key, V: Codec + Send + Sync + 'static> WritableStore<K, V> for PostgresStore<K, V> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let n = pairs.len();
        let last = { pairs.into_iter() }
            .map(|(k, v)| (to_bytes(&k), v.map(|v| v.to_bytes())))
            .collect();
        let done = self.put_all(&last);
        (0..n)
            .map(|_| done.as_ref().map_or_else(|e| Err(again(e)), |()| Ok(())))
            .collect()
    }
}

/// What is there of keys that a transaction holds now, by head.
type Held = BTreeMap<Vec<u8>, Row>;

async fn hold(session: Session, sql: &str, rows: &Rows) -> Step<(Session, Held)> {
    session.begin("").await?;
    let mut held = Held::new();
    for row in session.query(sql, &rows.params()).await? {
        held.insert(row.try_get(0)?, row);
    }
    Ok((session, held))
}

impl<K: Key, V: Semigroup + Codec> PostgresStore<K, V> {
    /// Merges by key, and answers what was there before each: a corrupt value only fails those of its key.
    fn merge_all(&self, pairs: &[(Vec<u8>, V)]) -> Result<Vec<Result<Option<V>>>> {
        let mut by_key: BTreeMap<&Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (i, (key, _)) in pairs.iter().enumerate() {
            by_key.entry(key).or_default().push(i);
        }
        // A null makes the row of a key that is not there, and holds it as others are held; nobody else sees it.
        let lock = format!("{} RETURNING key, value, value IS NULL", self.upsert("t.value"));
        let sessions: Vec<_> = (0..TRIES).map(|_| self.db.session(For::Writing)).collect();
        let empty = self.rows(by_key.keys().map(|k| (*k, None)))?;
        let (session, held) = self.db.wait(self.what("merging into"), async move {
            let mut last = None;
            for session in sessions {
                match hold(session.await?, &lock, &empty).await {
                    Err(e) if was_a_knot(&e) => last = Some(e),
                    other => return other,
                }
            }
            Err(last.unwrap_or_else(|| Error::bug("no try").into()))
        })?;
        let mut answers: Vec<Result<Option<V>>> = pairs.iter().map(|_| Ok(None)).collect();
        let mut sums: BTreeMap<&Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (key, places) in &by_key {
            let found = match held.get(&*head(key).0) {
                Some(row) if row.try_get::<_, bool>(2).unwrap_or(false) => Ok(None),
                Some(row) => self.value(row, 1),
                None => Err(Error::bug("a key that was written was not answered")),
            };
            let mut now = match found {
                Ok(now) => now,
                Err(e) => {
                    places.iter().for_each(|i| answers[*i] = Err(again(&e)));
                    continue;
                }
            };
            for i in places {
                let value = pairs[*i].1.clone();
                answers[*i] = Ok(now.clone());
                match &mut now {
                    Some(now) => now.combine_owned(value),
                    None => now = Some(value),
                }
            }
            if let Some(now) = now {
                sums.insert(key, now.to_bytes());
            }
        }
        let set = self.rows(sums.into_iter().map(|(k, v)| (k, Some(v))))?;
        let write = self.upsert("excluded.value");
        self.db.wait(self.what("merging into"), async move {
            session.execute(&write, &set.params()).await?;
            session.commit().await
        })?;
        Ok(answers)
    }
}

impl<K: Key, V: Semigroup + Codec> MergeableStore<K, V> for PostgresStore<K, V> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        let n = pairs.len();
        let pairs: Vec<(Vec<u8>, V)> = pairs.into_iter().map(|(k, v)| (to_bytes(&k), v)).collect();
        match self.merge_all(&pairs) {
            Ok(answers) => answers,
            Err(e) => (0..n).map(|_| Err(again(&e))).collect(),
        }
    }
}
