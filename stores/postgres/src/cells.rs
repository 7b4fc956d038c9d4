//! Deltas on their way into cells: gathered as columns, so that a statement takes thousands of them.

use std::collections::{HashMap, HashSet};

use rufous_core::{BatchId, Deltas, Error, Result, SourcePartition};
use rufous_store_api::Progress;
use tokio_postgres::types::Type;

use crate::column::Column;
use crate::db::Session;
use crate::failure::{Step, corrupt};
use crate::name::check_size;
use crate::schema::Opened;
use crate::shape::head;

/// What one statement takes at most.
const ROWS: usize = 16 << 10;
const BYTES: usize = 8 << 20;

/// Cells for one statement.
struct Chunk {
    batches: Column,
    keys: Column,
    longs: Column,
    parts: Vec<Column>,
    values: Column,
    /// The partition of each, as a place in [`Gathered::lanes`].
    lanes: Vec<u32>,
    /// Where the values lie that are merged here: their bytes and their ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Chunk {
    fn new(store: &Opened) -> Self {
        Self {
            batches: Column::new(Type::INT8),
            keys: Column::new(Type::BYTEA),
            longs: Column::new(Type::BYTEA),
            parts: store.shape.key_columns(),
            values: Column::new(store.shape.value_type()),
            lanes: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }
    fn is_full(&self) -> bool {
        let bytes = self.keys.bytes() + self.longs.bytes() + self.values.bytes() + self.bytes.len();
        self.lanes.len() >= ROWS || bytes >= BYTES
    }
    fn value(&self, i: usize) -> Option<&[u8]> {
        let from = match i.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(from..*self.ends.get(i)?)
    }
}

/// The deltas of one store.
pub(crate) struct Gathered {
    pub(crate) store: Opened,
    chunks: Vec<Chunk>,
    /// The partitions that cells are of.
    lanes: Vec<SourcePartition>,
    /// The batches of each partition that it has cells of.
    batches: HashSet<(u32, BatchId)>,
}

/// Gathers what a store adds. Nothing is sent yet, so nothing is written when it fails.
pub(crate) fn gather(store: &Opened, sources: &[&str], deltas: &dyn Deltas) -> Result<Gathered> {
    let mut lanes: HashMap<(u32, u32), u32> = HashMap::new();
    let mut gathered = Gathered {
        store: store.clone(),
        chunks: Vec::new(),
        lanes: Vec::new(),
        batches: HashSet::new(),
    };
    let name = store.face.name;
    let mut last = None;
    let mut chunk = Chunk::new(store);
    deltas.for_each(&mut |d| {
        let lane = match lanes.get(&(d.source, d.partition)) {
            Some(lane) => *lane,
            None => {
                let source = sources
                    .get(d.source as usize)
                    .ok_or_else(|| Error::bug(format!("store `{name}`: a delta of source number {}", d.source)))?;
                let lane = gathered.lanes.len() as u32;
                gathered.lanes.push(SourcePartition::new(*source, d.partition));
                lanes.insert((d.source, d.partition), lane);
                lane
            }
        };
        if last != Some((lane, d.batch)) {
            gathered.batches.insert((lane, d.batch));
            last = Some((lane, d.batch));
        }
        if chunk.is_full() {
            gathered.chunks.push(std::mem::replace(&mut chunk, Chunk::new(store)));
        }
        check_size(
            &format_args!("store `{name}`, batch {}: a cell", d.batch.0),
            d.key.len() + d.value.len(),
        )?;
        let (head, long) = head(d.key);
        chunk.batches.int8(d.batch.0);
        chunk.keys.raw(&head);
        match long {
            Some(key) => chunk.longs.raw(key),
            None => chunk.longs.null(),
        }
        store.shape.put_key(d.key, &mut chunk.parts);
        if store.shape.value.is_some() {
            let put = store.shape.put_value(d.value, &mut chunk.values);
            put.map_err(|e| {
                Error::bug(format!(
                    "store `{name}`, batch {}: a delta that is no value: {e}",
                    d.batch.0
                ))
            })?;
        } else {
            chunk.bytes.extend_from_slice(d.value);
            chunk.ends.push(chunk.bytes.len());
        }
        chunk.lanes.push(lane);
        Ok(())
    })?;
    if !chunk.lanes.is_empty() {
        gathered.chunks.push(chunk);
    }
    Ok(gathered)
}

/// Whether a partition can have cells of this batch: its cuts name every batch that it has records of.
pub(crate) fn names(row: &Progress, batch: BatchId) -> bool {
    batch >= row.retained_from && (batch == row.batch || row.cuts.binary_search_by_key(&batch, |(b, _)| *b).is_ok())
}

impl Gathered {
    /// Where the cells of each lane are filed: `rows` are the store's own, as this commit leaves them.
    fn parts<'a>(&self, row: impl Fn(&SourcePartition) -> Option<(i32, &'a Progress)>) -> Step<Vec<i32>> {
        let name = self.store.face.name;
        let mut parts = Vec::with_capacity(self.lanes.len());
        let mut rows = Vec::with_capacity(self.lanes.len());
        for p in &self.lanes {
            let (part, progress) = row(p).ok_or_else(|| {
                Error::bug(format!(
                    "store `{name}`: a delta of partition {p}, which nobody acquired"
                ))
            })?;
            parts.push(part);
            rows.push(progress);
        }
        for (lane, batch) in &self.batches {
            if let (Some(p), Some(row)) = (self.lanes.get(*lane as usize), rows.get(*lane as usize))
                && !names(row, *batch)
            {
                return Err(Error::bug(format!(
                    "store `{name}`: a delta of partition {p} in batch {}, which its cuts do not name",
                    batch.0
                ))
                .into());
            }
        }
        Ok(parts)
    }

    /// Merges the cells, inside the transaction that holds their rows.
    pub(crate) async fn merge<'a>(
        self,
        session: &Session,
        schema: &str,
        row: impl Fn(&SourcePartition) -> Option<(i32, &'a Progress)>,
    ) -> Step<()> {
        let parts = self.parts(row)?;
        let (table, shape) = (format!("{schema}.cells_{}", self.store.id), &self.store.shape);
        let columns: String = shape
            .keys
            .iter()
            .enumerate()
            .map(|(i, k)| format!(", ${}::{}[]", i + 6, base(&k.ty)))
            .collect();
        let list = shape.key_list();
        let insert = format!(
            "INSERT INTO {table} AS t (batch, key, part, long_key, value{list}) \
             SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int4[], $4::bytea[], $5::{}[]{columns}) \
             ON CONFLICT (batch, key, part) DO UPDATE SET value = {}",
            base(&shape.value_type()),
            shape.added("t.value", "excluded.value"),
        );
        let mut sent = Vec::new();
        for chunk in &self.chunks {
            let mut part = Column::new(Type::INT4);
            for lane in &chunk.lanes {
                part.int4(parts.get(*lane as usize).copied().unwrap_or_default());
            }
            sent.push(self.send(session, &table, &insert, chunk, part));
        }
        // One behind the other on the connection: none waits for the answer of the one before.
        futures_util::future::try_join_all(sent).await.map(drop)
    }

    async fn send(&self, session: &Session, table: &str, insert: &str, chunk: &Chunk, part: Column) -> Step<()> {
        let merged;
        let values = if self.store.shape.value.is_some() {
            &chunk.values
        } else {
            merged = self.merged(session, table, chunk, &part).await?;
            &merged
        };
        let mut params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            vec![&chunk.batches, &chunk.keys, &part, &chunk.longs, values];
        params.extend(
            chunk
                .parts
                .iter()
                .map(|c| c as &(dyn tokio_postgres::types::ToSql + Sync)),
        );
        session.execute(insert, &params).await.map(drop)
    }

    /// Values as the algebra adds them to what is there. Nobody else changes these cells: the rows are locked.
    async fn merged(&self, session: &Session, table: &str, chunk: &Chunk, part: &Column) -> Step<Column> {
        let name = self.store.face.name;
        let select = format!(
            "SELECT u.n, c.value FROM unnest($1::int8[], $2::bytea[], $3::int4[]) WITH ORDINALITY u(batch, key, part, n) CROSS JOIN LATERAL \
             (SELECT value FROM {table} c WHERE c.batch = u.batch AND c.key = u.key AND c.part = u.part OFFSET 0) c ORDER BY u.n"
        );
        let there = session.query(&select, &[&chunk.batches, &chunk.keys, part]).await?;
        let mut there = there.iter().peekable();
        let mut values = Column::new(Type::BYTEA);
        let mut sum = Vec::new();
        for i in 0..chunk.lanes.len() {
            let new = chunk.value(i).ok_or_else(|| Error::bug("a delta without a value"))?;
            let old = match there.peek() {
                Some(row) if row.try_get::<_, i64>(0)? == i as i64 + 1 => there.next(),
                _ => None,
            };
            let Some(old) = old else {
                values.raw(new);
                continue;
            };
            sum.clear();
            let old: &[u8] = old.try_get(1)?;
            let summed = self.store.face.value.sum(&mut [old, new].into_iter(), &mut sum);
            summed.map_err(|e| {
                corrupt(format_args!(
                    "store `{name}`: a cell in {table} cannot be added to: {e}"
                ))
            })?;
            values.raw(&sum);
        }
        Ok(values)
    }
}

/// A type without its width: how an array of it is written.
pub(crate) fn base(ty: &Type) -> &'static str {
    match *ty {
        Type::NUMERIC => "numeric",
        _ => crate::shape::sql_type(ty),
    }
}
