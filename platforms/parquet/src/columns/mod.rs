//! A user's Parquet files as columns, in bulk: only the columns that a record type names are read, a row group at a
//! time, and they are handed out as [`ColumnBatch`]es that are used again and again. The row's number is its offset.
//!
//! A field's name may be a path: `repo.name` is the field `name` of the struct column `repo`, and of such a column only the
//! leaves that are named are read. A null struct makes its leaves null.
//!
//! Files: `chunks` (the bytes of a row group), `convert` (arrow arrays to columns), and here what a file offers.

mod chunks;
mod convert;
mod repeated;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch as Arrays;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use rufous_core::{Column, ColumnBatch, ColumnData, Error, Field, Result};

use chunks::Chunks;

/// About how many rows are handed out at once.
const ROWS: usize = 4096;

/// One Parquet file, read as the fields of a record type. Several threads may read row groups of it at once.
#[derive(Debug)]
pub(crate) struct FileReader {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// Per field: where its column is; `None`: the file has none.
    places: Vec<Option<Place>>,
    fields: &'static [Field],
    rows: u64,
}

/// A column among those that are read, and the names from it to a leaf.
#[derive(Debug)]
struct Place {
    column: usize,
    inner: Vec<String>,
}

impl FileReader {
    /// Reads the footer and finds the fields' columns by name.
    ///
    /// # Errors
    /// `InvalidRequest` when a field that is no `Option` has no column, or a column is of another kind than its field;
    /// the message names file, column and repair. `CorruptData` when the file is no Parquet file or damaged.
    pub(crate) fn open(path: &Path, fields: &'static [Field]) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("cannot open", path, e))?;
        let found = guarded(path, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
        let schema = found.schema().clone();
        let mut found_at = Vec::with_capacity(fields.len());
        for field in fields {
            let names = field.path();
            let at = match find(&schema, &names) {
                Ok((root, ty)) => {
                    convert::check(ty, field).map_err(|why| {
                        Error::invalid(format!("file {}: column `{}` {why}", path.display(), field.name))
                    })?;
                    Some((root, names))
                }
                Err(Absent::NoStruct(why)) => {
                    return Err(Error::invalid(format!(
                        "file {}: column `{}`: {why}",
                        path.display(),
                        field.name
                    )));
                }
                Err(Absent::Missing(_)) if field.optional => None,
                Err(Absent::Missing(has)) => {
                    return Err(Error::invalid(format!(
                        "file {} has no column `{}` ({has}): name the column with #[record(name = ...)] or make it an Option",
                        path.display(),
                        field.name,
                    )));
                }
            };
            found_at.push(at);
        }
        let mut read: Vec<usize> = found_at.iter().flatten().map(|(root, _)| *root).collect();
        read.sort_unstable();
        read.dedup();
        let metadata = guarded(path, || {
            let schema = plain(&schema, &read);
            ArrowReaderMetadata::try_new(
                found.metadata().clone(),
                ArrowReaderOptions::new().with_schema(Arc::new(schema)),
            )
        })?;
        let leaves = metadata.parquet_schema().columns().iter();
        let paths: Vec<&[String]> = leaves.map(|leaf| leaf.path().parts()).collect();
        let leaf = |(_, names): &(usize, Vec<String>)| paths.iter().position(|path| *path == &names[..]);
        let mask = ProjectionMask::leaves(metadata.parquet_schema(), found_at.iter().flatten().filter_map(leaf));
        let place = |(root, mut names): (usize, Vec<String>)| {
            let column = read.binary_search(&root).ok()?;
            names.remove(0);
            Some(Place { column, inner: names })
        };
        let places = found_at.into_iter().map(|at| at.and_then(place)).collect();
        let groups = metadata.metadata().row_groups();
        let rows = groups
            .iter()
            .try_fold(0u64, |sum, g| sum.checked_add(u64::try_from(g.num_rows()).ok()?));
        let rows = rows.filter(|r| i64::try_from(*r) == Ok(metadata.metadata().file_metadata().num_rows()));
        let rows = rows.ok_or_else(|| damaged(path, "its row groups do not add up to its rows"))?;
        Ok(Self {
            path: path.into(),
            metadata,
            mask,
            places,
            fields,
            rows,
        })
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

    /// Reads row group `i` in order, about 4096 rows at a time; the columns are in the order of the fields.
    ///
    /// # Errors
    /// `CorruptData` that names the file, when it is damaged or was changed since it was opened; or the first error of
    /// `f`.
    pub(crate) fn read_row_group(&self, i: usize, f: &mut dyn FnMut(&ColumnBatch) -> Result<()>) -> Result<()> {
        let path = &self.path;
        let group = self.metadata.metadata().row_groups().get(i);
        let group = group.ok_or_else(|| Error::bug(format!("{} has no row group {i}", path.display())))?;
        let wanted = group.num_rows();
        let chunks = Chunks::read(path, group, &self.mask)?;
        let mut reader = guarded(path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
                .with_projection(self.mask.clone())
                .with_row_groups(vec![i])
                .with_batch_size(ROWS)
                .build()
        })?;
        let missing = || Column {
            data: ColumnData::Missing,
            valid: None,
        };
        let mut batch = ColumnBatch {
            columns: self.fields.iter().map(|_| missing()).collect(),
            rows: 0,
        };
        let mut rows = 0i64;
        while let Some(arrays) = guarded(path, || reader.next().transpose())? {
            guarded(path, || self.convert(&arrays, &mut batch))?;
            rows = rows.saturating_add_unsigned(batch.rows as u64);
            f(&batch)?;
        }
        if rows != wanted {
            return Err(damaged(
                path,
                format!("row group {i} has {rows} rows, its footer says {wanted}"),
            ));
        }
        Ok(())
    }

    fn convert(&self, arrays: &Arrays, batch: &mut ColumnBatch) -> Result<(), String> {
        batch.rows = arrays.num_rows();
        for ((place, field), column) in self.places.iter().zip(self.fields).zip(&mut batch.columns) {
            let Some(place) = place else { continue };
            if let Some(array) = arrays.columns().get(place.column) {
                convert::leaf(array, &place.inner, column).map_err(|why| format!("column `{}` {why}", field.name))?;
            }
        }
        Ok(())
    }
}

/// Why a file has no such column.
enum Absent {
    /// What it has where the path ends.
    Missing(String),
    /// Something on the way has no fields.
    NoStruct(String),
}

/// The top column of a path and the type of its leaf.
fn find<'a>(schema: &'a Schema, names: &[String]) -> Result<(usize, &'a DataType), Absent> {
    let has = |fields: &Fields| fields.iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    let (first, inner) = names.split_first().ok_or_else(|| Absent::Missing(String::new()))?;
    let Some((root, column)) = schema.fields().find(first) else {
        let dotted = names.join(".");
        let hint = match schema.fields().find(&dotted) {
            Some(_) if !inner.is_empty() => format!("; `{dotted}` is written `{}`", dotted.replace('.', "\\.")),
            _ => String::new(),
        };
        return Err(Absent::Missing(format!("it has: {}{hint}", has(schema.fields()))));
    };
    let (mut ty, mut outer) = (column.data_type(), first);
    for name in inner {
        let DataType::Struct(fields) = ty else {
            return Err(Absent::NoStruct(format!(
                "`{outer}` is of type {ty}, which has no field `{name}`: only struct columns have fields"
            )));
        };
        let Some((_, field)) = fields.find(name) else {
            return Err(Absent::Missing(format!("`{outer}` has: {}", has(fields))));
        };
        (ty, outer) = (field.data_type(), name);
    }
    Ok((root, ty))
}

/// The file's schema with the columns that are read as plain texts: how arrow once held them in memory (dictionaries,
/// views) is nothing to us, and reading them as such costs more.
fn plain(schema: &Schema, read: &[usize]) -> Schema {
    let fields = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, f)| match read.contains(&i) {
            true => plain_field(f),
            false => f.clone(),
        });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let ty = match field.data_type() {
        DataType::Dictionary(_, of) => match **of {
            DataType::Utf8View => DataType::Utf8,
            ref of => of.clone(),
        },
        DataType::Utf8View => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(ty))
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::corrupt(format!(
        "file {}: {why}; replace it by an undamaged Parquet file",
        path.display()
    ))
}

/// Why reading failed.
enum Failure {
    Io(io::Error),
    Damaged(String),
}

impl From<ParquetError> for Failure {
    fn from(e: ParquetError) -> Self {
        match e {
            ParquetError::External(e) => match e.downcast::<io::Error>() {
                Ok(e) => Self::Io(*e),
                Err(e) => Self::Damaged(e.to_string()),
            },
            e => Self::Damaged(e.to_string()),
        }
    }
}

impl From<ArrowError> for Failure {
    fn from(e: ArrowError) -> Self {
        Self::Damaged(e.to_string())
    }
}

impl From<String> for Failure {
    fn from(e: String) -> Self {
        Self::Damaged(e)
    }
}

/// Errors get the file's name. The last guard too: the Parquet decoder may panic on hostile bytes.
fn guarded<T, E: Into<Failure>>(path: &Path, f: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|e| match e.into() {
            Failure::Io(e) => Error::io("cannot read", path, e),
            Failure::Damaged(why) => damaged(path, why),
        }),
        Err(_) => Err(damaged(path, "its Parquet data is malformed (the decoder panicked)")),
    }
}
