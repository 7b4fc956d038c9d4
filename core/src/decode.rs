//! From raw records to typed chunks. One decoder serves the live job, the archive and bulk runs, so that all layers read a
//! record alike.

use std::any::Any;
use std::ops::Range;

use crate::columns::ColumnBatch;
use crate::data::{AnyChunk as _, Chunk as _, TextChunk};
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
    #[doc(hidden)]
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>>;
}

impl SourceRecord for str {
    const FIELDS: Option<&'static [Field]> = None;
    fn decoder(format: Format, time: Option<fn(&Self) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        match format {
            Format::Text => Ok(Box::new(TextDecoder {
                time,
                decoded: TextChunk::default(),
                index: Vec::new(),
                out: TextChunk::default(),
            })),
            Format::JsonLines => Err(Error::invalid(
                "records of type str are read as text, not as JSON lines: use `+text`, or derive Record for a struct",
            )),
        }
    }
}

struct TextDecoder {
    time: Option<fn(&str) -> Timestamp>,
    decoded: TextChunk,
    /// The entry of each decoded text.
    index: Vec<u32>,
    out: TextChunk,
}

impl SourceDecoder for TextDecoder {
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>) {
        self.decoded.clear();
        self.index.clear();
        times.clear();
        for (i, e) in records.entries.iter().enumerate() {
            let mut time = None;
            match records.value(e).map(std::str::from_utf8) {
                _ if e.heartbeat => {}
                Some(Ok(text)) => {
                    time = self.time.map(|f| f(text));
                    self.decoded.push(text);
                    self.index.push(i as u32);
                }
                Some(Err(e)) => bad.push(BadRecord {
                    entry: i,
                    reason: format!("not UTF-8 at byte {}", e.valid_up_to()),
                }),
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
        Err(Error::invalid(
            "records of type str have no columns: derive Record for a struct to read Parquet",
        ))
    }
    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any {
        let from = self.index.partition_point(|&i| (i as usize) < range.start);
        let to = self.index.partition_point(|&i| (i as usize) < range.end);
        if from == 0 && to == self.index.len() {
            return &mut self.decoded;
        }
        self.out.clear();
        for text in self.decoded.iter().skip(from).take(to - from) {
            self.out.push(text);
        }
        &mut self.out
    }
}

impl<T: Record> SourceRecord for T {
    const FIELDS: Option<&'static [Field]> = Some(<T as Record>::FIELDS);
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
        if from == 0 && to == self.index.len() && self.taken == 0 {
            return &mut self.decoded;
        }
        self.out.clear();
        let front = to.saturating_sub(self.taken).min(self.decoded.len());
        let skip = from.saturating_sub(self.taken);
        self.out.extend(self.decoded.drain(..front).skip(skip));
        self.taken += front;
        &mut self.out
    }
}
