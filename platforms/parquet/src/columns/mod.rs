//! A user's Parquet files as columns, in bulk: only the columns that a record type names are read, a row group at a
//! time, and they are handed out as [`ColumnBatch`]es that are used again and again. The row's number is its offset.
//!
//! A field's name may be a path: `repo.name` is the field `name` of the struct column `repo`, and of such a column only the
//! leaves that are named are read. A null struct makes its leaves null. A field without a column may be named by a directory
//! on the way to the file (`dt=2024-01-01`); a column of the file counts before that.
//!
//! Files: `footer` (what a file holds), `fields` (where a record's fields are in it), `given` (columns from names of
//! directories), `chunks` (the bytes of a row group), `thrift` (headers, checked before they are believed), `convert` (arrow
//! arrays to columns), `bounds` (what a file notes of event times), `within` (the pages that are left of a row group), `repeated` (values with the number of their rows), `file` (a file whose footer is read when it is
//! needed), and here what a file offers.

mod bounds;
mod chunks;
mod convert;
mod fields;
mod file;
mod footer;
mod given;
mod repeated;
#[cfg(test)]
mod tests;
mod thrift;
mod within;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch as Arrays;
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use rufous_core::{Column, ColumnBatch, ColumnData, Error, Field, Result};

use crate::input::storage::Version;
use crate::input::{InputFile, OpenFile};
pub(crate) use bounds::{Left, Times};
use chunks::Chunks;
pub(crate) use file::ParquetFile;

/// About how many rows are handed out at once.
const ROWS: usize = 4096;

/// One Parquet file, read as the fields of a record type. Several threads may read row groups of it at once.
#[derive(Debug)]
pub(crate) struct FileReader {
    file: InputFile,
    name: String,
    /// What it was when its footer was read. Its row groups are read from no other content.
    version: Version,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// Per field.
    places: Vec<Place>,
    fields: &'static [Field],
    rows: u64,
}

/// Where a field's values come from.
#[derive(Debug)]
enum Place {
    /// A column among those that are read, and the names from it to a leaf.
    Column {
        column: usize,
        inner: Vec<String>,
    },
    Given(given::Given),
    Missing,
}

impl FileReader {
    /// Reads the footer and finds the fields' columns by name.
    ///
    /// # Errors
    /// `InvalidRequest` when a field that is no `Option` has no column, or a column is of another kind than its field;
    /// the message names file, column and repair. `CorruptData` when the file is no Parquet file or damaged.
    pub(crate) fn open(input: &InputFile, fields: &'static [Field]) -> Result<Self> {
        Self::new(input, input.open()?, fields)
    }

    fn new(input: &InputFile, file: OpenFile, fields: &'static [Field]) -> Result<Self> {
        let found = Arc::new(footer::read(&file)?);
        let as_it_is = guarded(&file, || {
            ArrowReaderMetadata::try_new(found.clone(), ArrowReaderOptions::new())
        })?;
        let schema = as_it_is.schema();
        let found_at = fields.iter().map(|field| fields::place(input, schema, field));
        let found_at: Vec<fields::Place> = found_at.collect::<Result<_>>()?;
        let mut read: Vec<usize> = found_at
            .iter()
            .filter_map(|at| match at {
                fields::Place::Column { root, .. } => Some(*root),
                _ => None,
            })
            .collect();
        read.sort_unstable();
        read.dedup();
        let metadata = guarded(&file, || {
            let schema = fields::plain(schema, &read);
            ArrowReaderMetadata::try_new(found.clone(), ArrowReaderOptions::new().with_schema(Arc::new(schema)))
        })?;
        let leaves = metadata.parquet_schema().columns().iter();
        let paths: Vec<&[String]> = leaves.map(|leaf| leaf.path().parts()).collect();
        let leaf = |at: &fields::Place| match at {
            fields::Place::Column { names, .. } => paths.iter().position(|path| *path == &names[..]),
            _ => None,
        };
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), found_at.iter().filter_map(leaf));
        can_unpack(&file.name, &found, &mask)?;
        let place = |at| match at {
            fields::Place::Column { root, mut names } => {
                names.remove(0);
                let column = read.binary_search(&root).unwrap_or(usize::MAX);
                Place::Column { column, inner: names }
            }
            fields::Place::Given(given) => Place::Given(given),
            fields::Place::Missing => Place::Missing,
        };
        let places = found_at.into_iter().map(place).collect();
        let groups = found.row_groups();
        let rows = groups
            .iter()
            .try_fold(0u64, |sum, g| sum.checked_add(u64::try_from(g.num_rows()).ok()?));
        let rows = rows.filter(|r| i64::try_from(*r) == Ok(found.file_metadata().num_rows()));
        let rows = rows.ok_or_else(|| damaged(&file.name, "its row groups do not add up to its rows"))?;
        Ok(Self {
            file: input.clone(),
            name: file.name,
            version: file.version,
            metadata,
            mask,
            places,
            fields,
            rows,
        })
    }

    /// The file, as messages name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The bytes of the columns that are read.
    pub(crate) fn bytes(&self) -> u64 {
        let leaves = self
            .metadata
            .metadata()
            .row_groups()
            .iter()
            .flat_map(|group| group.columns().iter().enumerate());
        let read = leaves.filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0))
            .sum()
    }

    /// The number of row groups.
    pub(crate) fn row_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Row group `i` and its columns, open.
    fn group(&self, i: usize) -> Result<(&RowGroupMetaData, Arc<OpenFile>, Chunks)> {
        let group = self.metadata.metadata().row_groups().get(i);
        let group = group.ok_or_else(|| Error::bug(format!("{} has no row group {i}", self.name)))?;
        let file = Arc::new(self.file.open_as(&self.version)?);
        let chunks = Chunks::new(file.clone(), group, &self.mask).map_err(|e| file.blame(e))?;
        Ok((group, file, chunks))
    }

    /// Reads row group `i` in order, about 4096 rows at a time; the columns are in the order of the fields.
    ///
    /// # Errors
    /// `CorruptData` that names the file, when it is damaged; `TryAgain` when it was written to since it was opened; or the
    /// first error of `f`.
    pub(crate) fn read_row_group(&self, i: usize, f: &mut dyn FnMut(&ColumnBatch) -> Result<()>) -> Result<()> {
        let (group, file, chunks) = self.group(i)?;
        let wanted = group.num_rows();
        let mut reader = guarded(&file, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), self.metadata.clone())
                .with_projection(self.mask.clone())
                .with_row_groups(vec![i])
                .with_batch_size(ROWS)
                .build()
        })
        .map_err(|e| chunks.blame(e))?;
        let missing = || Column {
            data: ColumnData::Missing,
            valid: None,
        };
        let mut batch = ColumnBatch {
            columns: self.fields.iter().map(|_| missing()).collect(),
            rows: 0,
        };
        let mut rows = 0i64;
        loop {
            let next = guarded(&file, || reader.next().transpose()).map_err(|e| chunks.blame(e))?;
            let Some(arrays) = next else { break };
            guarded(&file, || self.convert(&arrays, &mut batch)).map_err(|e| chunks.blame(e))?;
            rows = rows.saturating_add_unsigned(batch.rows as u64);
            f(&batch)?;
        }
        if rows != wanted {
            let why = format!("row group {i} has {rows} rows, its footer says {wanted}");
            return Err(chunks.blame(damaged(&self.name, why)));
        }
        file.check()
    }

    fn convert(&self, arrays: &Arrays, batch: &mut ColumnBatch) -> Result<(), String> {
        let before = std::mem::replace(&mut batch.rows, arrays.num_rows());
        for ((place, field), column) in self.places.iter().zip(self.fields).zip(&mut batch.columns) {
            match place {
                Place::Column { column: at, inner } => {
                    let array = arrays.columns().get(*at).ok_or("a column was not read")?;
                    convert::leaf(array, inner, column).map_err(|why| format!("column `{}` {why}", field.name))?;
                }
                Place::Given(given) if before != batch.rows => given.fill(batch.rows, column),
                Place::Given(_) | Place::Missing => {}
            }
        }
        Ok(())
    }
}

/// Refuses columns that are packed in ways that nobody here can unpack.
fn can_unpack(file: &str, metadata: &ParquetMetaData, mask: &ProjectionMask) -> Result<()> {
    for group in metadata.row_groups() {
        for (leaf, column) in group.columns().iter().enumerate() {
            let packing = column.compression();
            if mask.leaf_included(leaf) && matches!(packing, Compression::BROTLI(_) | Compression::LZO) {
                return Err(Error::invalid(format!(
                    "file {file}: column `{}` is compressed by {packing}, which cannot be read: write it with zstd, snappy, gzip, \
                     lz4 or uncompressed",
                    column.column_path().string()
                )));
            }
        }
    }
    Ok(())
}

fn damaged(file: &str, why: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("file {file}: {why}; replace it by an undamaged Parquet file"))
}

/// What the decoder says.
struct Damage(String);

impl From<ParquetError> for Damage {
    fn from(e: ParquetError) -> Self {
        Self(e.to_string())
    }
}

impl From<ArrowError> for Damage {
    fn from(e: ArrowError) -> Self {
        Self(e.to_string())
    }
}

impl From<String> for Damage {
    fn from(e: String) -> Self {
        Self(e)
    }
}

/// Errors get the file's name. The last guard too: the Parquet decoder may panic on hostile bytes.
fn guarded<T, E: Into<Damage>>(file: &OpenFile, f: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|e| damaged(&file.name, e.into().0)),
        Err(_) => Err(damaged(
            &file.name,
            "its Parquet data is malformed (the decoder panicked)",
        )),
    }
}
