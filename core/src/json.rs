//! One JSON object into the slots of a record, without allocation: texts are borrowed from the input, those with escapes
//! are copied into scratch space.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

use crate::record::{Field, Row, Value, Values};

#[derive(Clone, Copy)]
enum Slot<'de> {
    Value(Value<'de>),
    Scratch,
}

/// Parses `json` and calls `f` with the values of `fields`. Unknown fields are skipped; of a repeated field the last counts.
pub(crate) fn read_row<T>(
    json: &[u8],
    fields: &'static [Field],
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    // The slots live on the stack: two sizes keep small records from clearing a kilobyte each.
    match fields.len() {
        0..=16 => read::<16, T>(json, fields, scratch, f),
        17..=256 => read::<256, T>(json, fields, scratch, f),
        n => Err(format!("a record has at most 256 fields, this type has {n}")),
    }
}

fn read<const N: usize, T>(
    json: &[u8],
    fields: &'static [Field],
    scratch: &mut Vec<String>,
    f: impl FnOnce(&Row<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let mut slots = [Slot::Value(Value::Null); N];
    scratch.resize_with(fields.len(), String::new);
    let mut input = serde_json::Deserializer::from_slice(json);
    Object {
        fields,
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
    fields: &'static [Field],
    slots: &'a mut [Slot<'de>],
    scratch: &'a mut [String],
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(field) = map.next_key_seed(Name {
            fields: self.fields,
            expected,
        })? {
            match field {
                Some(i) => {
                    self.slots[i] = map.next_value_seed(Scalar {
                        scratch: &mut self.scratch[i],
                    })?;
                    expected = i + 1;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The index of a field by its name. Writers repeat their order, so the field after the last one is tried first.
struct Name {
    fields: &'static [Field],
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if self.fields.get(self.expected).is_some_and(|f| f.name == name) {
            return Ok(Some(self.expected));
        }
        Ok(self.fields.iter().position(|f| f.name == name))
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
