//! Records that are a line or a payload as it stands.

use std::any::Any;
use std::ops::Range;

use super::{Format, utf8};
use crate::columns::ColumnBatch;
use crate::data::{AnyChunk as _, Chunk as _, Data};
use crate::decode::{BadRecord, SourceDecoder, tombstone};
use crate::error::{Error, Result};
use crate::log::RecordBatch;
use crate::time::Timestamp;

/// `str` and `[u8]`.
pub(crate) trait Line: Data {
    /// What they are called: in errors and in fingerprints.
    const WORDS: (&'static str, &'static str);
    /// # Errors
    /// Why a payload is no such record.
    fn read(payload: &[u8]) -> Result<&Self, String>;
}

impl Line for str {
    const WORDS: (&'static str, &'static str) = ("str", "text");
    fn read(payload: &[u8]) -> Result<&Self, String> {
        utf8(payload)
    }
}

/// Every byte as it is.
impl Line for [u8] {
    const WORDS: (&'static str, &'static str) = ("[u8]", "bytes");
    fn read(payload: &[u8]) -> Result<&Self, String> {
        Ok(payload)
    }
}

/// # Errors
/// When lines are not written in this format.
pub(crate) fn check_line<T: Line + ?Sized>(format: Format) -> Result<()> {
    match format {
        Format::Text => Ok(()),
        other => Err(Error::invalid(format!(
            "records of type {} are read as lines, not as {other}: use `+text`, or derive Record for a struct",
            T::WORDS.0
        ))),
    }
}

pub(crate) struct LineDecoder<T: Line + ?Sized> {
    time: Option<fn(&T) -> Timestamp>,
    decoded: T::Chunk,
    /// The entry of each decoded record.
    index: Vec<u32>,
    out: T::Chunk,
}

impl<T: Line + ?Sized> LineDecoder<T> {
    pub(crate) fn open(format: Format, time: Option<fn(&T) -> Timestamp>) -> Result<Box<dyn SourceDecoder>> {
        check_line::<T>(format)?;
        Ok(Box::new(Self {
            time,
            decoded: T::Chunk::default(),
            index: Vec::new(),
            out: T::Chunk::default(),
        }))
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
                    reason: tombstone(),
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
