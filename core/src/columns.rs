//! A batch of columns: how bulk readers hand rows to a decoder without knowing the record type.

use crate::record::{Field, Row, Value, Values};
use crate::time::Timestamp;

/// Columns of equal length, in the order of [`Record::FIELDS`](crate::Record::FIELDS).
#[derive(Clone, Debug, Default)]
pub struct ColumnBatch {
    /// One column a field.
    pub columns: Vec<Column>,
    /// The number of rows.
    pub rows: usize,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The values; those of null rows are arbitrary.
    pub data: ColumnData,
    /// Which rows hold a value; `None`: all.
    pub valid: Option<Vec<bool>>,
}

/// The values of a column.
#[derive(Clone, Debug)]
pub enum ColumnData {
    /// The column is not in the file: every row is null.
    Missing,
    /// true or false
    Bool(Vec<bool>),
    /// integers
    Integer(Vec<i64>),
    /// integers that may exceed `i64::MAX`
    Unsigned(Vec<u64>),
    /// floating-point numbers
    Float(Vec<f64>),
    /// instants in milliseconds
    Time(Vec<i64>),
    /// texts end to end; row `i` is `[ends[i-1], ends[i])`
    Text {
        /// all texts
        text: String,
        /// where each one ends
        ends: Vec<usize>,
    },
}

impl ColumnBatch {
    /// The value of field `column` in `row`.
    #[inline]
    pub(crate) fn value(&self, column: usize, row: usize) -> Value<'_> {
        let Some(Column { data, valid }) = self.columns.get(column) else {
            return Value::Null;
        };
        if valid.as_ref().is_some_and(|v| !v[row]) {
            return Value::Null;
        }
        match data {
            ColumnData::Missing => Value::Null,
            ColumnData::Bool(v) => Value::Bool(v[row]),
            ColumnData::Integer(v) => Value::Integer(v[row]),
            ColumnData::Unsigned(v) => Value::Unsigned(v[row]),
            ColumnData::Float(v) => Value::Float(v[row]),
            ColumnData::Time(v) => Value::Time(Timestamp(v[row])),
            ColumnData::Text { text, ends } => {
                let from = if row == 0 { 0 } else { ends[row - 1] };
                Value::Text(&text[from..ends[row]])
            }
        }
    }

    /// The data of field `column`, if every row holds a value.
    pub(crate) fn whole(&self, column: usize) -> Option<&ColumnData> {
        let Column { data, valid } = self.columns.get(column)?;
        (valid.is_none() && !matches!(data, ColumnData::Missing)).then_some(data)
    }

    pub(crate) fn row(&self, fields: &'static [Field], row: usize) -> Row<'_> {
        Row {
            fields,
            values: Values::Columns(self, row),
        }
    }
}
