//! Messages out of raw records: one pass fills the arena, a second one decodes values beside it.

use std::sync::Arc;

use super::arena::{Arena, Payload, ReadPayload};
use super::{Around, Message};
use crate::columns::ColumnBatch;
use crate::decode::{OwnedDecoder, Read, SourceDecoder, SourceRecord};
use crate::error::{Error, Result};
use crate::formats::Format;
use crate::log::{Entry, RecordBatch, Span};
use crate::record::Field;
use crate::time::Timestamp;

impl<T: Payload + ?Sized> SourceRecord for Message<T> {
    const FIELDS: Option<&'static [Field]> = <T as Payload>::FIELDS;
    const KIND: &'static str = <T as Payload>::KIND;
    const MESSAGE: bool = true;
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        let reader = Messages::<T> {
            values: T::reader(format)?,
            arena: Arc::default(),
            staged: Vec::new(),
        };
        Ok(OwnedDecoder::open(reader, time))
    }
    fn logged(chunk: &mut Vec<Self>, record: &Self, offset: u64, time: Timestamp) {
        let mut record = record.clone();
        (record.around.offset, record.around.time) = (offset, Some(time));
        chunk.push(record);
    }
}

struct Messages<T: Payload + ?Sized> {
    values: T::Reader,
    arena: Arc<Arena>,
    staged: Vec<Staged>,
}

/// What the arena holds of an entry.
struct Staged {
    key: Span,
    headers: Span,
    /// `None`: it has no value.
    value: Option<Result<Span, String>>,
}

impl<T: Payload + ?Sized> Read<Message<T>> for Messages<T> {
    fn begin(&mut self, records: &RecordBatch) {
        self.staged.clear();
        // A batch that nobody keeps anything of leaves its space to the next one.
        if Arc::get_mut(&mut self.arena).is_none() {
            self.arena = Arc::default();
        }
        let Some(arena) = Arc::get_mut(&mut self.arena) else {
            return;
        };
        arena.clear();
        let values = &mut self.values;
        self.staged.extend(records.entries.iter().map(|e| {
            let mut copy = |bytes: Option<&[u8]>| bytes.map_or(Span::NONE, |bytes| arena.push(bytes));
            Staged {
                key: copy(records.key(e)),
                headers: copy(records.headers(e)),
                value: records.value(e).map(|value| values.stage(value, arena)),
            }
        }));
    }
    fn read(&mut self, records: &RecordBatch, i: usize, e: &Entry) -> Result<Message<T>, String> {
        let staged = self.staged.get_mut(i).ok_or("not staged")?;
        let value = match staged.value.take() {
            Some(staged) => Some(self.values.read(records, e, staged?)?),
            None => None,
        };
        Ok(Message {
            value,
            around: Around {
                arena: self.arena.clone(),
                key: staged.key,
                headers: staged.headers,
                partition: records.partition,
                offset: e.offset,
                time: e.time(),
            },
        })
    }
    fn check_columns(&self) -> Result<()> {
        Err(Error::invalid(
            "a Parquet input has no keys, headers, log timestamps or offsets, which a source of `Message` hands out: read \
             `Source<T>` instead of `Source<Message<T>>`, or the archive of a stream",
        ))
    }
    fn read_columns(&mut self, _: &ColumnBatch, _: usize) -> Result<Message<T>, String> {
        Err("rows of columns are no messages".into())
    }
    fn read_all(&mut self, _: &ColumnBatch, _: &mut Vec<Message<T>>) -> bool {
        false
    }
}
