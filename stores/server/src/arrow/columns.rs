//! Keys and values as columns.
//!
//! `key` is the key as text, `key_0`, `key_1`, .. its parts by their types; parts behind one that is opaque cannot be seen. A value that is an
//! integer is `value`. Any other is `value` as JSON text, `estimate`, `lower` and `upper` where it has such (sketches do), and `bytes`, which are
//! canonical. In batches `error` says which key has damaged bytes.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder, UInt64Builder,
};
use arrow_schema::{DataType, Field, TimeUnit};
use rufous_core::{Error, KeyColumn, KeyPart, NativeNumber, Result, StoreFace};
use serde_json::Value;

use crate::reply::value_json;

enum Part {
    Signed(Int64Builder),
    Unsigned(UInt64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Time(TimestampMillisecondBuilder),
}

impl Part {
    fn of(column: &KeyColumn) -> Option<Self> {
        Some(match column {
            KeyColumn::Integer { signed: true, .. } => Self::Signed(Int64Builder::new()),
            KeyColumn::Integer { signed: false, .. } => Self::Unsigned(UInt64Builder::new()),
            KeyColumn::Bool => Self::Bool(BooleanBuilder::new()),
            KeyColumn::Text | KeyColumn::Bucket | KeyColumn::Hop => Self::Text(StringBuilder::new()),
            KeyColumn::Time => Self::Time(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            KeyColumn::Opaque => return None,
        })
    }
    fn data_type(&self) -> DataType {
        match self {
            Self::Signed(_) => DataType::Int64,
            Self::Unsigned(_) => DataType::UInt64,
            Self::Bool(_) => DataType::Boolean,
            Self::Text(_) => DataType::Utf8,
            Self::Time(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }
    fn put(&mut self, part: Option<KeyPart<'_>>) -> Result<()> {
        let other = || Error::bug("a part of a key is of another type than its column");
        let number = |_| Error::bug("a part of a key is out of its column's range");
        match (self, part) {
            (Self::Signed(b), Some(KeyPart::Integer(n))) => b.append_value(i64::try_from(n).map_err(number)?),
            (Self::Unsigned(b), Some(KeyPart::Integer(n))) => b.append_value(u64::try_from(n).map_err(number)?),
            (Self::Bool(b), Some(KeyPart::Bool(v))) => b.append_value(v),
            (Self::Text(b), Some(KeyPart::Text(t))) => b.append_value(t),
            (Self::Text(b), Some(KeyPart::Bucket(v))) => b.append_value(v.to_string()),
            (Self::Text(b), Some(KeyPart::Hop(v))) => b.append_value(v.to_string()),
            (Self::Time(b), Some(KeyPart::Time(t))) => b.append_value(t.0),
            _ => return Err(other()),
        }
        Ok(())
    }
    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Signed(b) => Arc::new(b.finish()),
            Self::Unsigned(b) => Arc::new(b.finish()),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
        }
    }
}

#[derive(Default)]
struct Other {
    json: StringBuilder,
    estimate: Float64Builder,
    lower: Float64Builder,
    upper: Float64Builder,
    bytes: BinaryBuilder,
}

enum Values {
    Signed(NativeNumber, Int64Builder),
    Unsigned(NativeNumber, UInt64Builder),
    Other(Box<Other>),
}

/// Columns that are being filled.
pub(super) struct Columns {
    key: StringBuilder,
    parts: Vec<(KeyColumn, Part)>,
    values: Values,
    errors: Option<StringBuilder>,
    bytes: usize,
}

impl Columns {
    pub(super) fn new(face: &StoreFace, errors: bool) -> Self {
        let seen = face.key.columns().into_iter().map_while(|c| {
            let part = Part::of(&c)?;
            Some((c, part))
        });
        Self {
            key: StringBuilder::new(),
            parts: seen.collect(),
            values: match face.value.native() {
                Some(n) if n.signed => Values::Signed(n, Int64Builder::new()),
                Some(n) => Values::Unsigned(n, UInt64Builder::new()),
                None => Values::Other(Box::default()),
            },
            errors: errors.then(StringBuilder::new),
            bytes: 0,
        }
    }

    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::new("key", DataType::Utf8, false)];
        let parts = self.parts.iter().enumerate();
        fields.extend(parts.map(|(i, (_, part))| Field::new(format!("key_{i}"), part.data_type(), false)));
        match self.values {
            Values::Signed(..) => fields.push(Field::new("value", DataType::Int64, true)),
            Values::Unsigned(..) => fields.push(Field::new("value", DataType::UInt64, true)),
            Values::Other(_) => {
                fields.push(Field::new("value", DataType::Utf8, true));
                fields.extend(["estimate", "lower", "upper"].map(|n| Field::new(n, DataType::Float64, true)));
                fields.push(Field::new("bytes", DataType::Binary, true));
            }
        }
        fields.extend(self.errors.iter().map(|_| Field::new("error", DataType::Utf8, true)));
        fields
    }

    pub(super) fn rows(&self) -> usize {
        self.key.len()
    }
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row; `None`: surely absent. Nothing is added when it fails.
    pub(super) fn put(&mut self, face: &StoreFace, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        // What can fail comes first, so that columns stay of one length.
        let number = |native: &NativeNumber| {
            let n = value.map(|bytes| native.decode(bytes)).transpose();
            n.map_err(|e| {
                value_json(face, key, value)
                    .err()
                    .unwrap_or_else(|| Error::corrupt(e.to_string()))
            })
        };
        match &mut self.values {
            Values::Signed(native, to) => to.append_option(number(native)?.and_then(|n| i64::try_from(n).ok())),
            Values::Unsigned(native, to) => to.append_option(number(native)?.and_then(|n| u64::try_from(n).ok())),
            Values::Other(other) => {
                let json = value_json(face, key, value)?;
                let part = |names: [&str; 2]| names.iter().find_map(|n| json.get(*n).and_then(Value::as_f64));
                // Only what has bounds is an estimate.
                let bounds = part(["low", "low"]).zip(part(["high", "high"]));
                other
                    .estimate
                    .append_option(bounds.and_then(|_| part(["estimate", "value"])));
                other.lower.append_option(bounds.map(|b| b.0));
                other.upper.append_option(bounds.map(|b| b.1));
                other.json.append_option(value.map(|_| json.to_string()));
                other.bytes.append_option(value);
            }
        }
        if let Some(errors) = &mut self.errors {
            errors.append_null();
        }
        self.bytes += value.map_or(0, <[u8]>::len);
        self.put_key(face, key)
    }
    /// Adds a row for a key that has damaged bytes.
    pub(super) fn put_error(&mut self, face: &StoreFace, key: &[u8], e: &Error) -> Result<()> {
        match &mut self.values {
            Values::Signed(_, to) => to.append_null(),
            Values::Unsigned(_, to) => to.append_null(),
            Values::Other(other) => {
                other.json.append_null();
                other.estimate.append_null();
                other.lower.append_null();
                other.upper.append_null();
                other.bytes.append_null();
            }
        }
        if let Some(errors) = &mut self.errors {
            errors.append_value(e.to_string());
        }
        self.put_key(face, key)
    }
    /// A key that cannot be read ends the whole answer: nothing is added to it any more.
    fn put_key(&mut self, face: &StoreFace, key: &[u8]) -> Result<()> {
        let wrong =
            |e: &dyn std::fmt::Display| Error::corrupt(format!("store `{}`: a key cannot be read: {e}", face.name));
        let mut rest = key;
        for (column, part) in &mut self.parts {
            part.put(column.take(&mut rest).map_err(|e| wrong(&e))?)?;
        }
        self.key.append_value(face.key.text(key).map_err(|e| wrong(&e))?);
        self.bytes += key.len();
        Ok(())
    }

    /// The rows, which are taken away.
    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        let mut all: Vec<ArrayRef> = vec![Arc::new(self.key.finish())];
        all.extend(self.parts.iter_mut().map(|(_, part)| part.finish()));
        match &mut self.values {
            Values::Signed(_, b) => all.push(Arc::new(b.finish())),
            Values::Unsigned(_, b) => all.push(Arc::new(b.finish())),
            Values::Other(o) => {
                all.push(Arc::new(o.json.finish()));
                all.push(Arc::new(o.estimate.finish()));
                all.push(Arc::new(o.lower.finish()));
                all.push(Arc::new(o.upper.finish()));
                all.push(Arc::new(o.bytes.finish()));
            }
        }
        all.extend(self.errors.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        self.bytes = 0;
        all
    }
}
