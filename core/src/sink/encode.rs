//! Written records as bytes.

use std::any::Any;

use rufous_algebra::Codec;
use serde_json::Value;

/// Records as bytes, end to end.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Encoded {
    /// The bytes of record `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        let from = i.checked_sub(1).and_then(|i| self.ends.get(i)).copied().unwrap_or(0);
        let to = self.ends.get(i).copied().unwrap_or(from);
        self.bytes.get(from..to).unwrap_or_default()
    }
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// The bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
    /// Forgets all, and keeps the space.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// Appends a record.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end();
    }
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// Appends the bytes of all records of a `Vec` of the port's records; `false`: it is none.
pub type Encode = fn(&dyn Any, &mut Encoded) -> bool;

fn each<T: 'static>(records: &dyn Any, out: &mut Encoded, put: impl Fn(&T, &mut Vec<u8>)) -> bool {
    let Some(records) = records.downcast_ref::<Vec<T>>() else {
        return false;
    };
    for record in records {
        put(record, &mut out.bytes);
        out.end();
    }
    true
}

pub(super) fn as_json<T: Codec + 'static>(records: &dyn Any, out: &mut Encoded) -> bool {
    each::<T>(records, out, |record, bytes| {
        // Writing into a vector does not fail, and a value has no keys that are no text.
        let _ = serde_json::to_writer(bytes, &record.json());
    })
}

pub(super) fn as_codec<T: Codec + 'static>(records: &dyn Any, out: &mut Encoded) -> bool {
    each::<T>(records, out, Codec::encode)
}

pub(super) fn as_text<T: AsRef<str> + 'static>(records: &dyn Any, out: &mut Encoded) -> bool {
    each::<T>(records, out, |record, bytes| {
        bytes.extend_from_slice(record.as_ref().as_bytes())
    })
}

/// The bytes of one record, as they were encoded, for people; an error says why they are none.
pub type Show = fn(&[u8]) -> Result<Value, String>;

pub(super) fn json_shown(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}

pub(super) fn text_shown(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    Ok(text.into())
}

pub(super) fn codec_shown<T: Codec>(bytes: &[u8]) -> Result<Value, String> {
    T::decode(bytes).map(|record| record.json()).map_err(|e| e.to_string())
}

/// Records as JSON, one line each.
#[derive(Clone, Copy, Debug)]
pub enum Json {}
/// Records as they are, for those that are text.
#[derive(Clone, Copy, Debug)]
pub enum Lines {}
