//! Structs out of whatever format names their fields.

use super::Format;
use super::csv::CsvRows;
use super::json::{Names, read_row};
use crate::columns::ColumnBatch;
use crate::decode::tombstone;
use crate::error::{Error, Result};
use crate::log::{Entry, RecordBatch};
use crate::record::{Record, Row};

/// Reads records of one struct.
pub(crate) enum Rows {
    Json { scratch: Vec<String> },
    Csv(Box<CsvRows>),
}

struct Fields<T>(T);

impl<T: Record> Fields<T> {
    const NAMES: Names = Names::new(T::FIELDS);
}

impl Rows {
    /// # Errors
    /// When such a struct is not written in this format.
    pub(crate) fn new<T: Record>(format: Format) -> Result<Self> {
        match format {
            Format::JsonLines => Ok(Self::Json { scratch: Vec::new() }),
            Format::Csv(csv) => Ok(Self::Csv(Box::new(CsvRows::new(csv, T::FIELDS)?))),
            Format::Text => Err(Error::invalid(
                "a struct is read from JSON, CSV or Parquet, not from plain text: use `+jsonl` or `+csv`",
            )),
        }
    }
    /// The record in an entry's value.
    ///
    /// # Errors
    /// Why there is none.
    #[inline]
    pub(crate) fn read<T: Record>(&mut self, records: &RecordBatch, e: &Entry) -> Result<T, String> {
        let record = |row: &Row<'_>| T::from_row(row).map_err(|e| e.to_string());
        match self {
            Self::Json { scratch } => {
                let json = records.value(e).ok_or_else(tombstone)?;
                read_row(json, Fields::<T>::NAMES, scratch, record)
            }
            Self::Csv(rows) => rows.read(records, e, record),
        }
    }
    /// The record in a row of columns.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn of_columns<T: Record>(columns: &ColumnBatch, row: usize) -> Result<T, String> {
        T::from_row(&columns.row(T::FIELDS, row)).map_err(|e| e.to_string())
    }
}
