//! A store of a generation on its way into a table, by binary `COPY`.

use std::pin::Pin;

use bytes::Bytes;
use rufous_core::{Error, Result, StoreFace};
use rufous_store_api::{GenerationStore, StoreGeneration};
use tokio_postgres::CopyInSink;
use tokio_postgres::types::Type;

use crate::column::Column;
use crate::db::{Db, Session};
use crate::shape::{Shape, head};

/// What is sent at once.
const PIECE: usize = 1 << 20;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1i16).to_be_bytes();

/// The connection goes into each piece of work and comes back.
type Copying = (Session, Pin<Box<CopyInSink<Bytes>>>);

/// Loads a store into an empty table of its shape; the session comes back with the number of keys.
pub(crate) fn load(
    db: &Db,
    session: Session,
    table: &str,
    face: &StoreFace,
    generation: &StoreGeneration,
    generations: &dyn GenerationStore,
) -> Result<(Session, u64)> {
    let shape = Shape::of(face);
    let what = format!("loading store `{}`", face.name);
    let sql = format!(
        "COPY {table} (key, long_key{}, value) FROM STDIN (FORMAT binary)",
        shape.key_list()
    );
    let begun: Copying = db.wait(&what, async move {
        let sink = session.copy(&sql).await?;
        Ok((session, sink))
    })?;
    let mut copying = Some(begun);
    let mut send = |piece: Vec<u8>| -> Result<()> {
        let (session, mut sink) = copying
            .take()
            .ok_or_else(|| Error::bug("a copy goes on after it failed"))?;
        copying = Some(db.wait(&what, async move {
            session.feed(&mut sink, piece).await?;
            Ok((session, sink))
        })?);
        Ok(())
    };
    let fields = (3 + shape.keys.len()) as i16;
    let (mut keys, mut piece) = (0u64, HEADER.to_vec());
    let (mut columns, mut bytes, mut value) = (
        shape.key_columns(),
        Column::new(Type::BYTEA),
        Column::new(shape.value_type()),
    );
    generations.scan(face, generation, &[], &mut |key, v| {
        // Runs may have part of a hop that is dropped.
        if generation.may_be_dropped(key).is_some() {
            return Ok(());
        }
        piece.extend_from_slice(&fields.to_be_bytes());
        let (head, long) = head(key);
        bytes.raw(&head);
        bytes.drain_into(&mut piece);
        match long {
            Some(key) => bytes.raw(key),
            None => bytes.null(),
        }
        bytes.drain_into(&mut piece);
        shape.put_key(key, &mut columns);
        columns.iter_mut().for_each(|c| c.drain_into(&mut piece));
        let put = shape.put_value(v, &mut value);
        put.map_err(|e| {
            Error::corrupt(format!(
                "store `{}`: a generation has a value that is none: {e}",
                face.name
            ))
        })?;
        value.drain_into(&mut piece);
        keys += 1;
        if piece.len() >= PIECE {
            send(std::mem::take(&mut piece))?;
        }
        Ok(())
    })?;
    piece.extend_from_slice(&END);
    send(piece)?;
    let (session, mut sink) = copying
        .take()
        .ok_or_else(|| Error::bug("a copy ended before its end"))?;
    let (session, copied) = db.wait(&what, async move {
        let copied = session.finish(&mut sink).await?;
        Ok((session, copied))
    })?;
    if copied != keys {
        return Err(Error::bug(format!(
            "{what}: {copied} of {keys} keys came to be in {table}"
        )));
    }
    Ok((session, keys))
}
