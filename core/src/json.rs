//! One JSON object into the slots of a record, without allocation: texts are borrowed from the input, those with escapes
//! are copied into scratch space.
//!
//! A field's name may be a path into nested objects ([`Field::path`]). What is read is what the path leads to in the object
//! as a whole: of a repeated name the last counts, also of an object on the way, which replaces all that an earlier one of
//! its name held. An object on the way that is missing or null leaves its fields null; anything else in its place is an
//! error. All other content is skipped: that allocates only where it nests, a byte a level, and its depth is not limited.

#[cfg(test)]
mod tests;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

use crate::record::{Field, Row, Value, Values};

#[derive(Clone, Copy)]
enum Slot<'de> {
    Value(Value<'de>),
    Scratch,
}

/// The fields of a record type, and whether all are names of the outermost object. Known at compile time.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    fields: &'static [Field],
    plain: bool,
}

impl Names {
    pub(crate) const fn new(fields: &'static [Field]) -> Self {
        let (mut plain, mut i) = (true, 0);
        while i < fields.len() {
            let (name, mut j) = (fields[i].name.as_bytes(), 0);
            while j < name.len() {
                plain &= !matches!(name[j], b'.' | b'\\');
                j += 1;
            }
            i += 1;
        }
        Self { fields, plain }
    }
}

/// Parses `json` and calls `f` with the values of the fields. Unknown fields are skipped; of a repeated field the last counts.
pub(crate) fn read_row<T>(
    json: &[u8],
    names: Names,
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    // The slots live on the stack: two sizes keep small records from clearing a kilobyte each.
    match names.fields.len() {
        0..=16 => read::<16, T>(json, names, scratch, f),
        17..=256 => read::<256, T>(json, names, scratch, f),
        n => Err(format!("a record has at most 256 fields, this type has {n}")),
    }
}

fn read<const N: usize, T>(
    json: &[u8],
    names: Names,
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let fields = names.fields;
    let mut slots = [Slot::Value(Value::Null); N];
    scratch.resize_with(fields.len(), String::new);
    let mut input = serde_json::Deserializer::from_slice(json);
    Object {
        names,
        prefix: "",
        expected: &mut 0,
        slots: &mut slots,
        scratch,
    }
    .deserialize(&mut input)
    .map_err(|e| describe(&e))?;
    input.end().map_err(|e| describe(&e))?;
    let mut values = [Value::Null; N];
    for (i, slot) in slots.iter().enumerate().take(fields.len()) {
        values[i] = match slot {
            Slot::Value(v) => *v,
            Slot::Scratch => Value::Text(&scratch[i]),
        };
    }
    f(&Row {
        fields,
        values: Values::Slots(&values[..fields.len()]),
    })
}

#[cold]
fn describe(e: &serde_json::Error) -> String {
    let text = e.to_string();
    // The line within one record is always 1: only the column helps.
    let text = text.split(" at line ").next().unwrap_or(&text);
    format!("not a JSON object of this record: {text} at column {}", e.column())
}

struct Object<'a, 'de> {
    names: Names,
    /// The path to this object, as names begin that lead into it: nothing, or with a dot at its end.
    prefix: &'static str,
    /// The field that is tried first.
    expected: &'a mut usize,
    slots: &'a mut [Slot<'de>],
    scratch: &'a mut [String],
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        if self.prefix.is_empty() {
            d.deserialize_map(self)
        } else {
            d.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.fields.get(*self.expected) {
            Some(field) if !self.prefix.is_empty() => write!(f, "an object on the way to `{}`", field.name),
            _ => f.write_str("a JSON object"),
        }
    }
    /// Null on the way to a field; the outermost object is asked for as a map and never gets here.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(found) = map.next_key_seed(Name {
            names: self.names,
            prefix: self.prefix,
            expected: *self.expected,
        })? {
            match found {
                Found::Value(i) => {
                    self.slots[i] = map.next_value_seed(Scalar {
                        scratch: &mut self.scratch[i],
                    })?;
                    *self.expected = i + 1;
                }
                Found::Within(i, prefix) => {
                    for (slot, field) in self.slots.iter_mut().zip(self.names.fields) {
                        if field.name.starts_with(prefix) {
                            *slot = Slot::Value(Value::Null);
                        }
                    }
                    *self.expected = i;
                    map.next_value_seed(Object {
                        names: self.names,
                        prefix,
                        expected: &mut *self.expected,
                        slots: &mut *self.slots,
                        scratch: &mut *self.scratch,
                    })?;
                }
                Found::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// What a key of an object is to the fields.
enum Found {
    /// The field with this index.
    Value(usize),
    /// The field with this index, and perhaps others, lies within; their names begin like this.
    Within(usize, &'static str),
    Other,
}

/// Finds the field of a key. Writers repeat their order, so the field after the last one is tried first.
struct Name {
    names: Names,
    prefix: &'static str,
    expected: usize,
}

impl Name {
    fn try_field(&self, i: usize, key: &str) -> Found {
        let name = self.names.fields[i].name;
        if self.names.plain {
            return if name == key { Found::Value(i) } else { Found::Other };
        }
        let Some(rest) = name.strip_prefix(self.prefix) else {
            return Found::Other;
        };
        let (mut rest, mut key) = (rest.bytes(), key.bytes());
        loop {
            let expected = match rest.next() {
                None if key.len() == 0 => return Found::Value(i),
                Some(b'.') if key.len() == 0 => return Found::Within(i, &name[..name.len() - rest.len()]),
                None | Some(b'.') => return Found::Other,
                Some(b'\\') => rest.next(),
                byte => byte,
            };
            if key.next() != expected {
                return Found::Other;
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Found;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Found;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let all = 0..self.names.fields.len();
        let first = self.expected.min(all.end);
        let found = |i: usize| match self.try_field(i, key) {
            Found::Other => None,
            found => Some(found),
        };
        Ok((first..all.end.min(first + 1))
            .chain(all)
            .find_map(found)
            .unwrap_or(Found::Other))
    }
}

struct Scalar<'a> {
    scratch: &'a mut String,
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = Slot<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Slot<'de>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = Slot<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number, bool or null")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(Value::Bool(v)))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(Value::Integer(v)))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(i64::try_from(v).map_or(Value::Unsigned(v), Value::Integer)))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(Value::Float(v)))
    }
    fn visit_unit<E>(self) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(Value::Null))
    }
    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Slot<'de>, E> {
        Ok(Slot::Value(Value::Text(v)))
    }
    fn visit_str<E>(self, v: &str) -> Result<Slot<'de>, E> {
        self.scratch.clear();
        self.scratch.push_str(v);
        Ok(Slot::Scratch)
    }
}
