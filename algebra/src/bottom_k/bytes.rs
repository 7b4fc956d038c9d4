//! The bytes of all types here: a [`Form`] byte, then the entries, least key first: key and value, each as a part.
//! Values without bytes are left out. How many there are is told by the end.
//!
//! Decoding accepts only what encoding writes: keys ascend, and there are at most `N`.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{BottomK, Key, Payload};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, decode_part, merge_decoded, put_part};

const FORM: Form = Form::new("bottom-k", 1, HashId::None);

impl<K: Key, V: Payload, const N: usize> BottomK<K, V, N> {
    /// The type byte of `form`, then the entries.
    pub(super) fn encode_as(&self, form: Form, out: &mut Vec<u8>) {
        out.push(form.byte(0));
        for (key, value) in &self.entries {
            put_part(key, out);
            if V::WIDTH != Some(0) {
                put_part(value, out);
            }
        }
    }

    pub(super) fn decode_as(form: Form, bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, mut bytes) = form.split(bytes)?;
        if mode != 0 {
            return Err(form.unknown_mode(mode));
        }
        let mut core = Self::default();
        while !bytes.is_empty() {
            let n = core.entries.len();
            if core.is_full() {
                return Err(DecodeError::new(format!("more than {N} entries")));
            }
            let key: K = decode_part(&mut bytes).map_err(|e| e.within(format_args!("key {n}")))?;
            if core.entries.last().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError::new("keys do not ascend"));
            }
            let value = match V::WIDTH {
                Some(0) => V::decode(&[]),
                _ => decode_part(&mut bytes),
            };
            core.entries
                .push((key, value.map_err(|e| e.within(format_args!("value {n}")))?));
        }
        Ok(core)
    }
}

impl<K: Key, V: Payload, const N: usize> Codec for BottomK<K, V, N> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_as(FORM, out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_as(FORM, bytes)
    }
    fn schema() -> String {
        format!("bottom-k/{N}<{},{}>", K::schema(), V::schema())
    }
    fn json(&self) -> Value {
        let entry = |(key, value): &(K, V)| json!({ "key": key.json(), "value": value.json() });
        Value::Array(self.entries.iter().map(entry).collect())
    }
    fn magnitude(&self) -> f64 {
        self.entries.len() as f64
    }
}

/// The bytes of the value; its order is turned round.
impl<T: Codec> Codec for Reverse<T> {
    const WIDTH: Option<usize> = T::WIDTH;
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        T::decode(bytes).map(Self)
    }
    fn schema() -> String {
        format!("reverse<{}>", T::schema())
    }
    fn json(&self) -> Value {
        self.0.json()
    }
    fn magnitude(&self) -> f64 {
        self.0.magnitude()
    }
}

/// The bytes of a type whose only field `core` is a [`BottomK`].
macro_rules! bytes_of_its_core {
    () => {
        const MERGE: Option<$crate::codec::Merge> = Some($crate::codec::merge_decoded::<Self>);
        fn encode(&self, out: &mut Vec<u8>) {
            self.core.encode_as(FORM, out);
        }
        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            BottomK::decode_as(FORM, bytes).map(|core| Self { core })
        }
    };
}
pub(super) use bytes_of_its_core;
