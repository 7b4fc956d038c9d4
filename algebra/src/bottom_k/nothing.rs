//! The value of an entry that is all key.

use serde_json::Value;

use crate::codec::{Codec, DecodeError, nothing_left};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nothing;

impl Codec for Nothing {
    const WIDTH: Option<usize> = Some(0);
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        nothing_left(bytes).map(|()| Self)
    }
    fn schema() -> String {
        "nothing".into()
    }
    fn json(&self) -> Value {
        Value::Null
    }
    fn magnitude(&self) -> f64 {
        0.0
    }
}
