//! Progress rows as rows of the table `progress`.

use rufous_core::{BatchId, SourcePartition, Timestamp};
use rufous_store_api::{Hole, Progress};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use crate::column::Column;
use crate::db::Session;
use crate::decimal::Decimal;
use crate::failure::{Failure, Step, corrupt};

/// The columns that [`read`] expects, in its order.
pub(crate) const COLUMNS: &str = "store, source, partition, part, epoch, next, batch, retained_from, cuts, holes, topic_id, \
     leader_epoch, last_time, cut_spec, fingerprint, released, running";

/// A progress row, and where its cells are.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The number of the store.
    pub(crate) store: i32,
    pub(crate) partition: SourcePartition,
    /// What the cells of the partition are filed under. A rebuild takes another one, so what it leaves behind is nobody's.
    pub(crate) part: i32,
    pub(crate) progress: Progress,
}

fn unsigned(row: &Row, at: usize) -> Step<u64> {
    let Decimal(n) = row.try_get(at)?;
    u64::try_from(n).map_err(|_| corrupt(format_args!("a progress row has {n} where an offset or epoch stands")))
}

pub(crate) fn partition(row: &Row, source: usize) -> Step<SourcePartition> {
    let (name, n): (String, i64) = (row.try_get(source)?, row.try_get(source + 1)?);
    let n = u32::try_from(n).map_err(|_| corrupt(format_args!("a row names partition {n} of source `{name}`")))?;
    Ok(SourcePartition::new(name, n))
}

pub(crate) fn read(row: &Row) -> Step<Known> {
    let json = |e: tokio_postgres::Error| corrupt(format_args!("cuts or holes of a progress row cannot be read: {e}"));
    let Json(cuts) = row.try_get::<_, Json<Vec<(BatchId, u64)>>>(8).map_err(json)?;
    let Json(holes) = row.try_get::<_, Json<Vec<Hole>>>(9).map_err(json)?;
    let time = |at| Ok::<_, Failure>(row.try_get::<_, Option<i64>>(at)?.map(Timestamp));
    Ok(Known {
        store: row.try_get(0)?,
        partition: partition(row, 1)?,
        part: row.try_get(3)?,
        progress: Progress {
            epoch: unsigned(row, 4)?,
            next: unsigned(row, 5)?,
            batch: BatchId(row.try_get(6)?),
            retained_from: BatchId(row.try_get(7)?),
            cuts,
            holes,
            topic_id: row.try_get(10)?,
            leader_epoch: row.try_get(11)?,
            last_time: time(12)?,
            cut_spec: row.try_get(13)?,
            fingerprint: row.try_get(14)?,
            released: row.try_get(15)?,
            running: time(16)?,
        },
    })
}

/// What of a row a commit or a drop changes, for many rows in one statement.
pub(crate) async fn update(session: &Session, schema: &str, rows: &[Known]) -> Step<()> {
    let (mut part, mut next, mut batch, mut retained) = (
        Column::new(Type::INT4),
        Column::new(Type::NUMERIC),
        Column::new(Type::INT8),
        Column::new(Type::INT8),
    );
    let (mut cuts, mut holes) = (Vec::new(), Vec::new());
    let (mut leader, mut last, mut running) = (
        Column::new(Type::INT4),
        Column::new(Type::INT8),
        Column::new(Type::INT8),
    );
    let time = |column: &mut Column, t: Option<Timestamp>| match t {
        Some(t) => column.int8(t.0),
        None => column.null(),
    };
    for Known { part: id, progress, .. } in rows {
        part.int4(*id);
        next.decimal(progress.next.into());
        batch.int8(progress.batch.0);
        retained.int8(progress.retained_from.0);
        cuts.push(Json(&progress.cuts));
        holes.push(Json(&progress.holes));
        leader.int4(progress.leader_epoch);
        time(&mut last, progress.last_time);
        time(&mut running, progress.running);
    }
    let sql = format!(
        "UPDATE {schema}.progress p SET next = u.next, batch = u.batch, retained_from = u.retained, cuts = u.cuts, holes = u.holes, \
         leader_epoch = u.leader, last_time = u.last, running = u.running \
         FROM unnest($1::int4[], $2::numeric[], $3::int8[], $4::int8[], $5::json[], $6::json[], $7::int4[], $8::int8[], $9::int8[]) \
         u(part, next, batch, retained, cuts, holes, leader, last, running) WHERE p.part = u.part"
    );
    let changed = session
        .execute(
            &sql,
            &[&part, &next, &batch, &retained, &cuts, &holes, &leader, &last, &running],
        )
        .await?;
    if changed != rows.len() as u64 {
        return Err(corrupt(format_args!(
            "{changed} of {} progress rows could be changed: two have one part",
            rows.len()
        )));
    }
    Ok(())
}

/// Writes a whole row of which there is one already.
pub(crate) async fn write(session: &Session, schema: &str, known: &Known) -> Step<()> {
    let p = &known.progress;
    let sql = format!(
        "UPDATE {schema}.progress SET part = $4, epoch = $5, next = $6, batch = $7, retained_from = $8, cuts = $9, holes = $10, \
         topic_id = $11, leader_epoch = $12, last_time = $13, cut_spec = $14, fingerprint = $15, released = $16, running = $17 \
         WHERE store = $1 AND source = $2 AND partition = $3"
    );
    let of = i64::from(known.partition.partition);
    session
        .execute(
            &sql,
            &[
                &known.store,
                &known.partition.source,
                &of,
                &known.part,
                &Decimal(p.epoch.into()),
                &Decimal(p.next.into()),
                &p.batch.0,
                &p.retained_from.0,
                &Json(&p.cuts),
                &Json(&p.holes),
                &p.topic_id,
                &p.leader_epoch,
                &p.last_time.map(|t| t.0),
                &p.cut_spec,
                &p.fingerprint,
                &p.released,
                &p.running.map(|t| t.0),
            ],
        )
        .await
        .map(drop)
}
