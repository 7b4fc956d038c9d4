//! Records: structs read from JSON fields or columns by field name. Nothing is allocated but `String` fields, and `Text`
//! fields of more than 24 bytes.

use compact_str::CompactString;
use std::fmt;

use crate::columns::{ColumnBatch, ColumnData};
use crate::time::Timestamp;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// true or false
    Bool,
    /// any integer
    Integer,
    /// a floating-point number
    Float,
    /// text
    Text,
    /// an instant: text in RFC 3339 or ISO 8601, or milliseconds since 1970
    Timestamp,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Text => "text",
            Self::Timestamp => "timestamp",
        })
    }
}

/// A field of a record type: the name of a JSON field or a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the input, or the [path](Self::path) of names to it.
    pub name: &'static str,
    /// What it holds.
    pub ty: FieldType,
    /// Whether it may be missing or null.
    pub optional: bool,
}

impl Field {
    /// The names on the way to its value, the outermost first: `repo.name` is `name` within `repo`, a JSON object or a struct
    /// column. A backslash makes a dot, or a backslash, a character of the name: `a\.b` is one name of three characters.
    pub fn path(&self) -> Vec<String> {
        let (mut path, mut part) = (Vec::new(), String::new());
        let mut name = self.name.chars();
        while let Some(c) = name.next() {
            match c {
                '.' => path.push(std::mem::take(&mut part)),
                '\\' => part.extend(name.next()),
                c => part.push(c),
            }
        }
        path.push(part);
        path
    }
}

/// A type that is read from named fields. Use `#[derive(Record)]`.
pub trait Record: Clone + Send + 'static {
    /// The fields in the order in which [`from_row`](Self::from_row) asks for them.
    const FIELDS: &'static [Field];
    /// Builds the record from one row.
    ///
    /// # Errors
    /// When a field is missing or of another kind; the message names it.
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError>;
    /// Appends the records of all rows, column by column: what [`from_row`](Self::from_row) would make of each. `false`: not
    /// all of them can be read so, and nothing that was appended counts; then each row is asked for.
    fn from_columns(_: &ColumnBatch, _: &mut Vec<Self>) -> bool {
        false
    }
}

/// One field's value in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// missing or null
    Null,
    /// true or false
    Bool(bool),
    /// an integer
    Integer(i64),
    /// an integer above `i64::MAX`
    Unsigned(u64),
    /// a floating-point number
    Float(f64),
    /// text
    Text(&'a str),
    /// an instant
    Time(Timestamp),
}

/// The values of one record, in the order of [`Record::FIELDS`].
pub struct Row<'a> {
    pub(crate) fields: &'static [Field],
    pub(crate) values: Values<'a>,
}

pub(crate) enum Values<'a> {
    Slots(&'a [Value<'a>]),
    Columns(&'a ColumnBatch, usize),
}

impl Row<'_> {
    /// Field `i` as a `T`.
    ///
    /// # Errors
    /// When it is missing or of another kind.
    #[inline]
    pub fn get<T: FieldValue>(&self, i: usize) -> Result<T, RecordError> {
        let value = match self.values {
            Values::Slots(slots) => slots[i],
            Values::Columns(columns, row) => columns.value(i, row),
        };
        T::from_value(value).map_err(|found| RecordError::new(&self.fields[i], found))
    }
}

/// A record could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError(CompactString);

impl RecordError {
    #[cold]
    fn new(field: &Field, found: String) -> Self {
        if found.is_empty() {
            Self(compact_str::format_compact!("field `{}` is missing", field.name))
        } else {
            Self(compact_str::format_compact!(
                "field `{}` is {found}, not {}",
                field.name,
                field.ty
            ))
        }
    }
    /// With a reason of one's own, in lower case.
    #[cold]
    pub fn because(reason: impl fmt::Display) -> Self {
        Self(compact_str::format_compact!("{reason}"))
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecordError {}

/// A type that a record's field may have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a record",
    note = "fields are bool, integers, floats, `Text`, `String`, `Timestamp`, or an `Option` of these"
)]
pub trait FieldValue: Sized {
    /// What it holds.
    const TYPE: FieldType;
    /// Whether it may be missing.
    const OPTIONAL: bool = false;
    /// Converts; an error describes what was found (empty: nothing).
    ///
    /// # Errors
    /// When the value is of another kind or out of range.
    fn from_value(value: Value<'_>) -> Result<Self, String>;
    /// What [`from_value`](Self::from_value) makes of field `i` in every row; `None` when it makes an error of one.
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        each(columns, i)
    }
}

/// The values of a column without nulls, with a loop that knows their kind; other columns go value by value.
macro_rules! by_kind {
    ($columns:ident, $i:ident, $($kind:ident($v:ident) => $read:expr),+) => {
        match $columns.whole($i) {
            $(Some(ColumnData::$kind($v)) if $v.len() == $columns.rows => $read,)+
            _ => each($columns, $i),
        }
    };
}

/// The texts of a column without nulls.
fn texts<T: FieldValue>(columns: &ColumnBatch, i: usize, f: impl Fn(&str) -> T) -> Option<Vec<T>> {
    let Some(ColumnData::Text { text, ends }) = columns.whole(i) else {
        return each(columns, i);
    };
    let (mut out, mut from) = (Vec::with_capacity(ends.len()), 0);
    for &end in ends {
        out.push(f(text.get(from..end)?));
        from = end;
    }
    Some(out)
}

/// What `from_column` does unless it knows better.
fn each<T: FieldValue>(columns: &ColumnBatch, i: usize) -> Option<Vec<T>> {
    (0..columns.rows)
        .map(|row| T::from_value(columns.value(i, row)).ok())
        .collect()
}

#[cold]
fn found(value: Value<'_>) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(b) => b.to_string(),
        Value::Integer(n) => n.to_string(),
        Value::Unsigned(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Text(t) => format!("\"{}\"", t.chars().take(40).collect::<String>()),
        Value::Time(t) => t.to_string(),
    }
}

macro_rules! integer_fields {
    ($($t:ty)*) => {$(
        impl FieldValue for $t {
            const TYPE: FieldType = FieldType::Integer;
            #[inline]
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                match value {
                    Value::Integer(n) => <$t>::try_from(n).map_err(|_| found(value)),
                    Value::Unsigned(n) => <$t>::try_from(n).map_err(|_| found(value)),
                    _ => Err(found(value)),
                }
            }
            fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
                by_kind!(columns, i, Integer(v) => {
                    // One look at the whole column: a loop that ends early is not done several values at a time.
                    let fits = v.iter().fold(true, |fits, n| fits & <$t>::try_from(*n).is_ok());
                    fits.then(|| v.iter().map(|n| *n as $t).collect())
                })
            }
        }
    )*};
}
integer_fields!(u8 u16 u32 u64 i8 i16 i32 i64);

impl FieldValue for bool {
    const TYPE: FieldType = FieldType::Bool;
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        if let Value::Bool(b) = value {
            Ok(b)
        } else {
            Err(found(value))
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        by_kind!(columns, i, Bool(v) => Some(v.clone()))
    }
}

impl FieldValue for f64 {
    const TYPE: FieldType = FieldType::Float;
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Float(x) => Ok(x),
            Value::Integer(n) => Ok(n as f64),
            Value::Unsigned(n) => Ok(n as f64),
            _ => Err(found(value)),
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        by_kind!(columns, i,
            Float(v) => Some(v.clone()),
            Integer(v) => Some(v.iter().map(|n| *n as f64).collect()))
    }
}

impl FieldValue for CompactString {
    const TYPE: FieldType = FieldType::Text;
    #[inline]
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        if let Value::Text(t) = value {
            Ok(CompactString::new(t))
        } else {
            Err(found(value))
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        texts(columns, i, |t| CompactString::new(t))
    }
}

impl FieldValue for String {
    const TYPE: FieldType = FieldType::Text;
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        if let Value::Text(t) = value {
            Ok(t.to_string())
        } else {
            Err(found(value))
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        texts(columns, i, str::to_string)
    }
}

impl FieldValue for Timestamp {
    const TYPE: FieldType = FieldType::Timestamp;
    #[inline]
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Time(t) => Ok(t),
            Value::Integer(ms) => Ok(Timestamp(ms)),
            Value::Text(t) => crate::time::parse_fast(t).ok_or_else(|| found(value)),
            _ => Err(found(value)),
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        by_kind!(columns, i,
            Time(v) => Some(v.iter().map(|ms| Timestamp(*ms)).collect()),
            Integer(v) => Some(v.iter().map(|ms| Timestamp(*ms)).collect()))
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: FieldType = T::TYPE;
    const OPTIONAL: bool = true;
    #[inline]
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        if value == Value::Null {
            Ok(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
    fn from_column(columns: &ColumnBatch, i: usize) -> Option<Vec<Self>> {
        match columns.whole(i) {
            Some(_) => Some(T::from_column(columns, i)?.into_iter().map(Some).collect()),
            None => each(columns, i),
        }
    }
}
