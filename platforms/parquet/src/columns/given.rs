//! A column that the name of a directory gives to all rows of a file.

use rufous_core::record::{FieldType, FieldValue, Value};
use rufous_core::{Column, ColumnData, Timestamp};

/// The one value of such a column, as what its field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Time(i64),
    Text(String),
}

impl Given {
    /// Reads it as a column of a CSV file is read, but that the empty text is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(value: Option<&str>, ty: FieldType) -> Result<Self, String> {
        let Some(text) = value else {
            return Ok(Self::Null);
        };
        let integer = || {
            text.parse()
                .map(Self::Integer)
                .or_else(|_| text.parse().map(Self::Unsigned))
        };
        let read = match ty {
            FieldType::Text => Some(Self::Text(text.into())),
            FieldType::Bool => text.parse().ok().map(Self::Bool),
            FieldType::Integer => integer().ok(),
            FieldType::Float => text.parse().ok().filter(|x: &f64| x.is_finite()).map(Self::Float),
            FieldType::Timestamp => {
                let time = match text.parse() {
                    Ok(ms) => Some(Timestamp(ms)),
                    Err(_) => Timestamp::from_value(Value::Text(text)).ok(),
                };
                time.map(|t| Self::Time(t.0))
            }
        };
        read.ok_or_else(|| format!("is no {ty}"))
    }

    /// Makes a column of it.
    pub(super) fn fill(&self, rows: usize, column: &mut Column) {
        column.valid = None;
        column.data = match self {
            Self::Null => ColumnData::Missing,
            Self::Bool(b) => ColumnData::Bool(vec![*b; rows]),
            Self::Integer(n) => ColumnData::Integer(vec![*n; rows]),
            Self::Unsigned(n) => ColumnData::Unsigned(vec![*n; rows]),
            Self::Float(x) => ColumnData::Float(vec![*x; rows]),
            Self::Time(ms) => ColumnData::Time(vec![*ms; rows]),
            Self::Text(t) => ColumnData::Text {
                text: t.repeat(rows),
                ends: (1..=rows).map(|i| i * t.len()).collect(),
            },
        };
    }
}
