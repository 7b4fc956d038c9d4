//! How the keys and values of a store become columns: the canonical bytes of the key always; its parts beside them, for people who
//! ask by SQL; the value as a number where it is one, else as its canonical bytes.

use std::fmt::Write;

use rufous_algebra::DecodeError;
use rufous_core::{Addition, KeyColumn, KeyPart, NativeNumber, StoreFace, Timestamp};
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use crate::column::Column;
use crate::decimal::Decimal;

/// A longer key does not fit in an index: so much of it, and a hash of all of it, stand for it there.
pub(crate) const HEAD: usize = 1000;

/// The first instant of PostgreSQL's count, in milliseconds of ours.
const EPOCH_MS: i64 = 946_684_800_000;
/// What a `timestamptz` can be, in microseconds from there.
const INSTANTS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// A column of a part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartColumn {
    pub(crate) name: String,
    pub(crate) ty: Type,
}

/// The columns of a store.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    parts: Vec<KeyColumn>,
    pub(crate) keys: Vec<PartColumn>,
    pub(crate) value: Option<NativeNumber>,
}

/// The name of a type in a definition.
pub(crate) fn sql_type(ty: &Type) -> &'static str {
    match *ty {
        Type::BOOL => "boolean",
        Type::INT4 => "integer",
        Type::INT8 => "bigint",
        Type::NUMERIC => "numeric(20,0)",
        Type::TEXT => "text",
        Type::TIMESTAMPTZ => "timestamptz",
        _ => "bytea",
    }
}

/// What stands for a key in an index: itself, or of a long one its beginning and its hash.
pub(crate) fn head(key: &[u8]) -> (std::borrow::Cow<'_, [u8]>, Option<&[u8]>) {
    if key.len() <= HEAD {
        return (key.into(), None);
    }
    let mut head = key[..HEAD].to_vec();
    head.extend_from_slice(&Sha256::digest(key));
    (head.into(), Some(key))
}

impl Shape {
    pub(crate) fn of(face: &StoreFace) -> Self {
        Self::new(face.key.columns(), face.value.native())
    }

    pub(crate) fn new(mut parts: Vec<KeyColumn>, value: Option<NativeNumber>) -> Self {
        if let Some(at) = parts.iter().position(|p| *p == KeyColumn::Opaque) {
            parts.truncate(at);
        }
        let mut keys = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let mut add = |suffix: &str, ty: Type| {
                keys.push(PartColumn {
                    name: format!("key_{}{suffix}", i + 1),
                    ty,
                });
            };
            match part {
                KeyColumn::Integer {
                    signed: false,
                    bytes: 8,
                } => add("", Type::NUMERIC),
                KeyColumn::Integer { .. } => add("", Type::INT8),
                KeyColumn::Bool => add("", Type::BOOL),
                KeyColumn::Text => add("", Type::TEXT),
                KeyColumn::Time => add("", Type::TIMESTAMPTZ),
                KeyColumn::Bucket => {
                    add("", Type::TIMESTAMPTZ);
                    add("_ms", Type::INT8);
                }
                KeyColumn::Hop => {
                    add("", Type::TIMESTAMPTZ);
                    add("_size", Type::TEXT);
                    add("_number", Type::INT8);
                }
                KeyColumn::Opaque => {}
            }
        }
        Self { parts, keys, value }
    }

    /// The type of the value.
    pub(crate) fn value_type(&self) -> Type {
        match self.value {
            None => Type::BYTEA,
            Some(NativeNumber {
                signed: false,
                bytes: 8,
                ..
            }) => Type::NUMERIC,
            Some(_) => Type::INT8,
        }
    }

    /// Empty columns for the parts of keys.
    pub(crate) fn key_columns(&self) -> Vec<Column> {
        self.keys.iter().map(|k| Column::new(k.ty.clone())).collect()
    }

    /// `, key_1, key_2`: the columns of the parts, after others.
    pub(crate) fn key_list(&self) -> String {
        self.keys.iter().map(|k| format!(", {}", k.name)).collect()
    }

    /// Appends the parts of a key. A part that PostgreSQL has no value for (a text with a zero byte, an instant beyond its calendar)
    /// is null, and so is all of a key that cannot be read: the canonical bytes are beside it.
    pub(crate) fn put_key(&self, key: &[u8], columns: &mut [Column]) {
        let mut rest = Some(key);
        let mut columns = columns.iter_mut();
        let mut put = |f: &mut dyn FnMut(&mut Column)| {
            if let Some(column) = columns.next() {
                f(column);
            }
        };
        for part in &self.parts {
            let taken = rest.as_mut().map(|rest| part.take(rest));
            let Some(Ok(Some(taken))) = taken else {
                rest = None;
                let width = Self::new(vec![*part], None).keys.len();
                (0..width).for_each(|_| put(&mut Column::null));
                continue;
            };
            match taken {
                KeyPart::Integer(n) => put(&mut |c| c.integer(n)),
                KeyPart::Bool(b) => put(&mut |c| c.bool(b)),
                KeyPart::Text(t) if t.contains('\0') => put(&mut Column::null),
                KeyPart::Text(t) => put(&mut |c| c.raw(t.as_bytes())),
                KeyPart::Time(t) => put(&mut |c| put_instant(c, Some(t))),
                KeyPart::Bucket(bucket) => {
                    put(&mut |c| put_instant(c, Some(bucket.start())));
                    put(&mut |c| c.integer(bucket.size_ms().into()));
                }
                KeyPart::Hop(hop) => {
                    let size = hop.size();
                    let start = size
                        .fixed_ms()
                        .and_then(|ms| hop.number().checked_mul(i64::try_from(ms).ok()?));
                    put(&mut |c| put_instant(c, start.map(Timestamp)));
                    let mut text = Short::default();
                    // Sizes have a few letters.
                    let _ = write!(text, "{size}");
                    put(&mut |c| c.raw(text.bytes()));
                    put(&mut |c| c.int8(hop.number()));
                }
            }
        }
    }

    /// Appends a value.
    pub(crate) fn put_value(&self, value: &[u8], column: &mut Column) -> Result<(), DecodeError> {
        match self.value {
            None => column.raw(value),
            Some(native) => column.integer(native.decode(value)?),
        }
        Ok(())
    }

    /// The canonical bytes of a value that was read.
    pub(crate) fn value_of(&self, row: &tokio_postgres::Row, at: usize) -> Result<Vec<u8>, DecodeError> {
        let failed = |e: tokio_postgres::Error| DecodeError::new(e.to_string());
        let number = match (self.value, self.value_type()) {
            (None, _) => return row.try_get(at).map_err(failed),
            (Some(_), Type::NUMERIC) => row.try_get::<_, Decimal>(at).map_err(failed)?.0,
            (Some(_), _) => row.try_get::<_, i64>(at).map_err(failed)?.into(),
        };
        let mut out = Vec::new();
        match self.value {
            Some(native) => native.encode(number, &mut out)?,
            None => return Err(DecodeError::new("no number")),
        }
        Ok(out)
    }

    /// The sum of two numbers in SQL, as the algebra adds them, at both ends of their range too.
    pub(crate) fn added(&self, a: &str, b: &str) -> String {
        let Some(native) = self.value else {
            return b.into();
        };
        let (least, greatest, values) = (native.least(), native.greatest(), native.values());
        match (native.addition, self.value_type()) {
            (Addition::Saturating, _) => format!("LEAST({a} + {b}, {greatest})"),
            (Addition::Wrapping, Type::NUMERIC) => format!("({a} + {b}) % {values}"),
            // No sum of two halves leaves the range of a bigint.
            (Addition::Wrapping, _) if native.bytes == 8 => {
                let half = greatest / 2;
                let small = |n: &str| format!("{n} BETWEEN -{half} AND {half}");
                format!(
                    "CASE WHEN {} AND {} THEN {a} + {b} ELSE ({})::bigint END",
                    small(a),
                    small(b),
                    self.wrapped(&format!("({a})::numeric + {b}"))
                )
            }
            (Addition::Wrapping, _) => format!("({a} + {b} - ({least}) + {values}) % {values} + ({least})"),
        }
    }

    /// A sum that SQL made of many numbers, brought back into their range as the algebra does it.
    pub(crate) fn wrapped(&self, sum: &str) -> String {
        let Some(native) = self.value else {
            return sum.into();
        };
        let (least, greatest, values) = (native.least(), native.greatest(), native.values());
        match native.addition {
            Addition::Saturating => format!("LEAST({sum}, {greatest})"),
            Addition::Wrapping => format!("((({sum}) - ({least})) % {values} + {values}) % {values} + ({least})"),
        }
    }
}

/// A text of a few letters, without an allocation.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl Short {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let Some(to) = self.bytes.get_mut(self.length..end) else {
            return Err(std::fmt::Error);
        };
        to.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn put_instant(column: &mut Column, t: Option<Timestamp>) {
    let micros = t.and_then(|t| t.0.checked_sub(EPOCH_MS)?.checked_mul(1000));
    match micros.filter(|m| INSTANTS.contains(m)) {
        Some(micros) => column.int8(micros),
        None => column.null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_have_a_head() {
        let long = vec![7; HEAD + 1];
        let other = [&long[..], &[1]].concat();
        assert_eq!(head(&long[..HEAD]), (long[..HEAD].into(), None));
        let (a, whole) = head(&long);
        assert_eq!((a.len(), whole), (HEAD + 32, Some(&long[..])));
        assert!(a.starts_with(&long[..HEAD]) && a != head(&other).0);
    }

    #[test]
    fn what_follows_an_opaque_part_is_not_shown() {
        let shape = Shape::new(vec![KeyColumn::Text, KeyColumn::Opaque, KeyColumn::Bool], None);
        assert_eq!(shape.key_list(), ", key_1");
        let hop = Shape::new(vec![KeyColumn::Hop, KeyColumn::Bucket], None);
        assert_eq!(hop.key_list(), ", key_1, key_1_size, key_1_number, key_2, key_2_ms");
    }
}
