//! From raw records to typed chunks. One decoder serves the live job, the archive and bulk runs, so that all layers read a
//! record alike.

use std::any::Any;
use std::ops::Range;

use crate::columns::ColumnBatch;
use crate::data::{Chunk as _, Data};
use crate::error::Result;
pub use crate::formats::Format;
use crate::formats::{Line, LineDecoder, Rows};
use crate::log::{Entry, RecordBatch};
use crate::record::{Field, Record};
use crate::time::Timestamp;

/// A record that cannot be read. It has a batch all the same (P1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Its index in the batch of records.
    pub entry: usize,
    /// Why, in lower case.
    pub reason: String,
}

/// Decodes batches of raw records, then hands out their typed chunks piece by piece.
pub trait SourceDecoder: Send {
    /// Decodes all entries but heartbeats. Entry `i` of `times` becomes its event time, where the source declares one.
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>);
    /// Decodes rows of columns instead.
    ///
    /// # Errors
    /// When the type has no fields (text), or has what columns lack ([`Message`](crate::Message)).
    fn decode_columns(
        &mut self,
        columns: &ColumnBatch,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()>;
    /// The good records among entries `[range)` as a chunk. Ranges are asked for in ascending order, each once.
    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any;
}

/// A record type that sources can carry: `str`, `[u8]`, what derives [`Record`], and [`Message`](crate::Message) of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a source",
    note = "add `#[derive(Record)]` to `{Self}`, or read `str` or `[u8]`"
)]
pub trait SourceRecord: Data {
    #[doc(hidden)]
    const FIELDS: Option<&'static [Field]>;
    /// What the records are, without fields: a part of the fingerprint.
    #[doc(hidden)]
    const KIND: &'static str;
    /// Whether they carry what a log knows beside the value.
    #[doc(hidden)]
    const MESSAGE: bool = false;
    #[doc(hidden)]
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>>;
    /// Appends a record of a list as if a log had handed it out.
    #[doc(hidden)]
    fn logged(chunk: &mut Self::Chunk, record: &Self, _offset: u64, _time: Timestamp) {
        chunk.add(record);
    }
}

macro_rules! lines {
    ($($t:ty)*) => {$(
        impl SourceRecord for $t {
            const FIELDS: Option<&'static [Field]> = None;
            const KIND: &'static str = <$t as Line>::WORDS.1;
            fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
                LineDecoder::<$t>::open(format, time)
            }
        }
    )*};
}
lines!(str[u8]);

impl<T: Record> SourceRecord for T {
    const FIELDS: Option<&'static [Field]> = Some(<T as Record>::FIELDS);
    const KIND: &'static str = "record";
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        Ok(OwnedDecoder::open(Rows::new::<T>(format)?, time))
    }
}

/// What the reason of a record without a value is.
#[cold]
pub(crate) fn tombstone() -> String {
    "no value (a tombstone): a source of `Message<_>` shows such records".into()
}

/// Makes owned records out of entries.
pub(crate) trait Read<T>: Send {
    /// Looks at all entries before the first is read.
    fn begin(&mut self, _: &RecordBatch) {}
    /// The record of entry `i`.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&mut self, records: &RecordBatch, i: usize, e: &Entry) -> Result<T, String>;
    /// Whether rows of columns can be read instead.
    ///
    /// # Errors
    /// What they lack.
    fn check_columns(&self) -> Result<()>;
    /// The record of a row.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read_columns(&mut self, columns: &ColumnBatch, row: usize) -> Result<T, String>;
    /// Appends the records of all rows; `false`: each must be asked for, and what was appended does not count.
    fn read_all(&mut self, columns: &ColumnBatch, out: &mut Vec<T>) -> bool;
}

impl<T: Record> Read<T> for Rows {
    #[inline]
    fn read(&mut self, records: &RecordBatch, _: usize, e: &Entry) -> Result<T, String> {
        Rows::read(self, records, e)
    }
    fn check_columns(&self) -> Result<()> {
        Ok(())
    }
    fn read_columns(&mut self, columns: &ColumnBatch, row: usize) -> Result<T, String> {
        Rows::of_columns(columns, row)
    }
    fn read_all(&mut self, columns: &ColumnBatch, out: &mut Vec<T>) -> bool {
        T::from_columns(columns, out)
    }
}

/// Decodes records that are kept in a vector.
pub(crate) struct OwnedDecoder<T, R> {
    reader: R,
    time: Option<fn(&T) -> Timestamp>,
    decoded: Vec<T>,
    index: Vec<u32>,
    /// How many of `decoded` were handed out (and moved) already.
    taken: usize,
    out: Vec<T>,
}

impl<T: Clone + Send + 'static, R: Read<T> + 'static> OwnedDecoder<T, R> {
    pub(crate) fn open(reader: R, time: Option<fn(&T) -> Timestamp>) -> Box<dyn SourceDecoder> {
        Box::new(Self {
            reader,
            time,
            decoded: Vec::new(),
            index: Vec::new(),
            taken: 0,
            out: Vec::new(),
        })
    }
    fn begin(&mut self, times: &mut Vec<Option<Timestamp>>) {
        self.decoded.clear();
        self.out.clear();
        self.index.clear();
        self.taken = 0;
        times.clear();
    }
    #[inline]
    fn accept(&mut self, i: usize, record: T) -> Option<Timestamp> {
        let time = self.time.map(|f| f(&record));
        self.decoded.push(record);
        self.index.push(i as u32);
        time
    }
}

impl<T: Clone + Send + 'static, R: Read<T> + 'static> SourceDecoder for OwnedDecoder<T, R> {
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>) {
        self.begin(times);
        self.reader.begin(records);
        for (i, e) in records.entries.iter().enumerate() {
            let mut time = None;
            if !e.heartbeat {
                match self.reader.read(records, i, e) {
                    Ok(record) => time = self.accept(i, record),
                    Err(reason) => bad.push(BadRecord { entry: i, reason }),
                }
            }
            times.push(time);
        }
    }
    fn decode_columns(
        &mut self,
        columns: &ColumnBatch,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()> {
        self.reader.check_columns()?;
        self.begin(times);
        if self.reader.read_all(columns, &mut self.decoded) && self.decoded.len() == columns.rows {
            self.index.extend(0..columns.rows as u32);
            match self.time {
                Some(f) => times.extend(self.decoded.iter().map(|record| Some(f(record)))),
                None => times.resize(columns.rows, None),
            }
            return Ok(());
        }
        self.decoded.clear();
        for i in 0..columns.rows {
            let time = match self.reader.read_columns(columns, i) {
                Ok(record) => self.accept(i, record),
                Err(reason) => {
                    bad.push(BadRecord { entry: i, reason });
                    None
                }
            };
            times.push(time);
        }
        Ok(())
    }
    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any {
        let from = self.index.partition_point(|&i| (i as usize) < range.start);
        let to = self.index.partition_point(|&i| (i as usize) < range.end);
        self.out.clear();
        // What was handed out whole is not looked into again: the steps may have taken it.
        if from == to {
            return &mut self.out;
        }
        if from == 0 && to == self.index.len() && self.taken == 0 {
            return &mut self.decoded;
        }
        let front = to.saturating_sub(self.taken).min(self.decoded.len());
        let skip = from.saturating_sub(self.taken);
        self.out.extend(self.decoded.drain(..front).skip(skip));
        self.taken += front;
        &mut self.out
    }
}
