//! From raw records to typed chunks. One decoder serves the live job, the archive and bulk runs, so that all layers read a
//! record alike.

use std::any::Any;
use std::ops::Range;

use crate::columns::ColumnBatch;
use crate::data::{AnyChunk as _, Chunk as _};
use crate::error::{Error, Result};
use crate::json::{Names, read_row};
use crate::log::RecordBatch;
use crate::record::{Field, Record};
use crate::time::Timestamp;

/// How a record is written in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A line or payload of UTF-8 text; of any bytes where the record type is `[u8]`.
    Text,
    /// A JSON object a line or payload.
    JsonLines,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::JsonLines => "jsonl",
        })
    }
}

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
    /// When the type has no fields (text).
    fn decode_columns(
        &mut self,
        columns: &ColumnBatch,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()>;
    /// The good records among entries `[range)` as a chunk. Ranges are asked for in ascending order, each once.
    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any;
}

/// A record type that sources can carry: `str`, `[u8]`, and what derives [`Record`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a source",
    note = "add `#[derive(Record)]` to `{Self}`, or read `str` or `[u8]`"
)]
pub trait SourceRecord: crate::data::Data {
    #[doc(hidden)]
    const FIELDS: Option<&'static [Field]>;
    /// What the records are, without fields: a part of the fingerprint.
    #[doc(hidden)]
    const KIND: &'static str;
    #[doc(hidden)]
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>>;
}

/// Records that are a line or a payload as it stands.
pub(crate) trait Line: crate::data::Data {
    /// What they are called: in errors and in fingerprints.
    const WORDS: (&'static str, &'static str);
    /// # Errors
    /// Why a payload is no such record.
    fn read(payload: &[u8]) -> Result<&Self, String>;
}

impl Line for str {
    const WORDS: (&'static str, &'static str) = ("str", "text");
    fn read(payload: &[u8]) -> Result<&Self, String> {
        std::str::from_utf8(payload).map_err(|e| format!("not UTF-8 at byte {}", e.valid_up_to()))
    }
}

/// Every byte as it is.
impl Line for [u8] {
    const WORDS: (&'static str, &'static str) = ("[u8]", "bytes");
    fn read(payload: &[u8]) -> Result<&Self, String> {
        Ok(payload)
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

struct LineDecoder<T: Line + ?Sized> {
    time: Option<fn(&T) -> Timestamp>,
    decoded: T::Chunk,
    /// The entry of each decoded record.
    index: Vec<u32>,
    out: T::Chunk,
}

impl<T: Line + ?Sized> LineDecoder<T> {
    fn open(format: Format, time: Option<fn(&T) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        match format {
            Format::Text => Ok(Box::new(Self {
                time,
                decoded: T::Chunk::default(),
                index: Vec::new(),
                out: T::Chunk::default(),
            })),
            Format::JsonLines => Err(Error::invalid(format!(
                "records of type {} are read as lines, not as JSON lines: use `+text`, or derive Record for a struct",
                T::WORDS.0
            ))),
        }
    }
}

impl<T: Line + ?Sized> SourceDecoder for LineDecoder<T> {
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>) {
        self.decoded.clear();
        self.index.clear();
        times.clear();
        for (i, e) in records.entries.iter().enumerate() {
            let mut time = None;
            match records.value(e).map(T::read) {
                _ if e.heartbeat => {}
                Some(Ok(record)) => {
                    time = self.time.map(|f| f(record));
                    self.decoded.add(record);
                    self.index.push(i as u32);
                }
                Some(Err(reason)) => bad.push(BadRecord { entry: i, reason }),
                None => bad.push(BadRecord {
                    entry: i,
                    reason: "no value".into(),
                }),
            }
            times.push(time);
        }
    }
    fn decode_columns(
        &mut self,
        _: &ColumnBatch,
        _: &mut Vec<Option<Timestamp>>,
        _: &mut Vec<BadRecord>,
    ) -> Result<()> {
        Err(Error::invalid(format!(
            "records of type {} have no columns: derive Record for a struct to read Parquet",
            T::WORDS.0
        )))
    }
    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any {
        let from = self.index.partition_point(|&i| (i as usize) < range.start);
        let to = self.index.partition_point(|&i| (i as usize) < range.end);
        self.out.clear();
        // What was handed out whole is not looked into again: the steps may have taken it.
        if from == to {
            return &mut self.out;
        }
        if from == 0 && to == self.index.len() {
            return &mut self.decoded;
        }
        for record in self.decoded.iter_from(from).take(to - from) {
            self.out.add(record);
        }
        &mut self.out
    }
}

impl<T: Record> SourceRecord for T {
    const FIELDS: Option<&'static [Field]> = Some(<T as Record>::FIELDS);
    const KIND: &'static str = "record";
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        match format {
            Format::JsonLines => Ok(Box::new(RecordDecoder::<T> {
                time,
                decoded: Vec::new(),
                index: Vec::new(),
                taken: 0,
                out: Vec::new(),
                scratch: Vec::new(),
            })),
            Format::Text => Err(Error::invalid(
                "a struct is read from JSON lines or Parquet, not from plain text: use `+jsonl`",
            )),
        }
    }
}

struct RecordDecoder<T> {
    time: Option<fn(&T) -> Timestamp>,
    decoded: Vec<T>,
    index: Vec<u32>,
    /// How many of `decoded` were handed out (and moved) already.
    taken: usize,
    out: Vec<T>,
    scratch: Vec<String>,
}

impl<T: Record> RecordDecoder<T> {
    const NAMES: Names = Names::new(<T as Record>::FIELDS);

    fn begin(&mut self, times: &mut Vec<Option<Timestamp>>) {
        self.decoded.clear();
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

impl<T: Record> SourceDecoder for RecordDecoder<T> {
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>) {
        self.begin(times);
        for (i, e) in records.entries.iter().enumerate() {
            let mut time = None;
            if !e.heartbeat {
                let read = match records.value(e) {
                    Some(json) => read_row(json, Self::NAMES, &mut self.scratch, |row| {
                        T::from_row(row).map_err(|e| e.to_string())
                    }),
                    None => Err("no value".to_string()),
                };
                match read {
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
        self.begin(times);
        for i in 0..columns.rows {
            let time = match T::from_row(&columns.row(<T as Record>::FIELDS, i)) {
                Ok(record) => self.accept(i, record),
                Err(e) => {
                    bad.push(BadRecord {
                        entry: i,
                        reason: e.to_string(),
                    });
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
