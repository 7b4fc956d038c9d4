//! The bytes of a row group's columns, fetched as the decoder goes on: small columns at once, of large ones a window.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use rufous_core::{Error, Result};

use super::thrift::{Stop, page_head};
use crate::input::OpenFile;

/// A column of a row group that is not larger is read at once.
const WHOLE: u64 = 4 << 20;
/// Of a larger one so much is read at a time, or a page, if that is larger.
const WINDOW: u64 = 1 << 20;
/// All columns together are read in pieces of about so many bytes.
const ALL: u64 = 32 << 20;
/// As much as is needed to see a page's header at first, and at most.
const HEAD: u64 = 16 << 10;
const MOST_HEAD: u64 = 16 << 20;

/// The columns of one row group that are read.
#[derive(Clone)]
pub(super) struct Chunks(Arc<Columns>);

struct Columns {
    file: Arc<OpenFile>,
    columns: Vec<Column>,
    window: u64,
    /// Why the file could not be read: the decoder would keep no more than its words.
    failed: Mutex<Option<Error>>,
}

struct Column {
    place: Range<u64>,
    values: i64,
    unpacked: i64,
    /// Where what is in memory begins, and its bytes.
    held: Mutex<(u64, Bytes)>,
}

impl Chunks {
    /// Of the columns of a row group that `mask` selects. Nothing is read yet.
    pub(super) fn new(file: Arc<OpenFile>, group: &RowGroupMetaData, mask: &ProjectionMask) -> Result<Self> {
        let mut columns = Vec::new();
        for (i, column) in group.columns().iter().enumerate() {
            if !mask.leaf_included(i) {
                continue;
            }
            let (start, length) = super::guarded(&file, || Ok::<_, String>(column.byte_range()))?;
            let end = start.checked_add(length).filter(|end| *end <= file.bytes());
            let end = end.ok_or_else(|| {
                let why = format!(
                    "a column ends at byte {start} + {length}, the file has {}",
                    file.bytes()
                );
                super::damaged(&file.name, why)
            })?;
            columns.push(Column {
                place: start..end,
                values: column.num_values(),
                unpacked: column.uncompressed_size(),
                held: Mutex::default(),
            });
        }
        let each = ALL / (columns.len() as u64).max(1);
        for column in columns
            .iter()
            .filter(|c| c.place.end - c.place.start <= WHOLE.min(each))
        {
            column.hold(&file, column.place.clone())?;
        }
        Ok(Self(Arc::new(Columns {
            file,
            columns,
            window: WINDOW.min(each),
            failed: Mutex::default(),
        })))
    }

    /// What is behind an error of the decoder.
    pub(super) fn blame(&self, e: Error) -> Error {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.file.blame(failed.unwrap_or(e))
    }
}

impl Column {
    fn hold(&self, file: &OpenFile, wanted: Range<u64>) -> Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(wanted.end - wanted.start).unwrap_or(usize::MAX)];
        file.read_range(wanted.start, &mut bytes)?;
        let bytes = Bytes::from(bytes);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = (wanted.start, bytes.clone());
        Ok(bytes)
    }

    /// What is held from `start` on, if it is so much.
    fn held(&self, start: u64, length: u64) -> Option<Bytes> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(start.checked_sub(held.0)?).ok()?;
        let rest = held.1.len().checked_sub(from)?;
        (rest as u64 >= length).then(|| held.1.slice(from..))
    }
}

impl Columns {
    fn column(&self, start: u64) -> Result<&Column, ParquetError> {
        let column = self.columns.iter().find(|c| c.place.contains(&start));
        column.ok_or_else(|| ParquetError::EOF(format!("byte {start} is in no column that is read")))
    }

    /// At least `length` bytes of a column from `start` on, or all that there are.
    fn from(&self, start: u64, length: u64) -> Result<Bytes, ParquetError> {
        let column = self.column(start)?;
        let length = length.min(column.place.end - start);
        if let Some(bytes) = column.held(start, length) {
            return Ok(bytes);
        }
        let end = start + length.max(self.window).min(column.place.end - start);
        column.hold(&self.file, start..end).map_err(|e| {
            let words = e.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            ParquetError::General(words)
        })
    }

    /// The header of a page and what follows, when it does not say what cannot be: the decoder takes space for that.
    fn head(&self, start: u64) -> Result<Bytes, ParquetError> {
        let column = self.column(start)?;
        let malformed = |why: &str| Err(ParquetError::General(format!("the page header at byte {start}: {why}")));
        let mut wanted = HEAD;
        let (bytes, head) = loop {
            let bytes = self.from(start, wanted)?;
            match page_head(&bytes) {
                Ok(head) => break (bytes, head),
                Err(Stop::Malformed(why)) => return malformed(why),
                Err(Stop::Cut) if wanted < MOST_HEAD && (bytes.len() as u64) < column.place.end - start => {
                    wanted = (bytes.len() as u64).max(wanted) * 4;
                }
                Err(Stop::Cut) => return malformed("it has no end"),
            }
        };
        if head.unpacked > column.unpacked {
            return malformed("the page is larger than its column");
        }
        if head.values > column.values {
            return malformed("the page has more values than its column");
        }
        // An entry has a byte at least, or a length of four.
        if head.entries > head.unpacked {
            return malformed("the dictionary has more entries than bytes");
        }
        Ok(bytes)
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.file.bytes()
    }
}

impl ChunkReader for Chunks {
    type T = PageBytes;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(PageBytes {
            columns: self.0.clone(),
            start,
            rest: None,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.0.from(start, length as u64)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "a page of {length} bytes at byte {start} leaves its column"
            )));
        }
        Ok(bytes.slice(..length))
    }
}

/// What the decoder reads a page's header from. It asks for one also where it knows the header already, and then reads nothing.
pub(super) struct PageBytes {
    columns: Arc<Columns>,
    start: u64,
    rest: Option<Bytes>,
}

impl Read for PageBytes {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = match &mut self.rest {
            Some(rest) => rest,
            none => none.insert(self.columns.head(self.start).map_err(io::Error::other)?),
        };
        let n = into.len().min(rest.len());
        into[..n].copy_from_slice(&rest.split_to(n));
        Ok(n)
    }
}
