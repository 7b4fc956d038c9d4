//! The bytes of a row group's columns, read in one go each: the decoder then does no I/O at all.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};
use rufous_core::{Error, Result};

/// Pieces of a file, in memory.
pub(super) struct Chunks {
    len: u64,
    /// (where it begins in the file, its bytes)
    pieces: Vec<(u64, Bytes)>,
}

impl Chunks {
    /// Reads the columns of a row group that `mask` selects.
    pub(super) fn read(path: &Path, group: &RowGroupMetaData, mask: &ProjectionMask) -> Result<Self> {
        let fail = |e| Error::io("cannot read", path, e);
        let mut file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        let mut pieces = Vec::new();
        for (i, column) in group.columns().iter().enumerate() {
            if !mask.leaf_included(i) {
                continue;
            }
            let (start, length) = super::guarded(path, || Ok::<_, String>(column.byte_range()))?;
            // Checked before anything of this size is allocated.
            if start.checked_add(length).is_none_or(|end| end > len) {
                return Err(super::damaged(
                    path,
                    format!("a column ends at byte {start} + {length}, the file has {len}"),
                ));
            }
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            file.seek(SeekFrom::Start(start))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(fail)?;
            pieces.push((start, Bytes::from(bytes)));
        }
        Ok(Self { len, pieces })
    }

    /// What was read from `start` on, if anything.
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let inside = |(at, bytes): &&(u64, Bytes)| *at <= start && start - *at < bytes.len() as u64;
        let piece = self.pieces.iter().find(inside);
        let (at, bytes) =
            piece.ok_or_else(|| ParquetError::EOF(format!("byte {start} is in no column that is read")))?;
        Ok(bytes.slice((start - at) as usize..))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Chunks {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "a page of {length} bytes at byte {start} leaves its column"
            )));
        }
        Ok(bytes.slice(..length))
    }
}
