//! Text: UTF-8 as it is. No sum: which of two texts would it be?

use compact_str::CompactString;
use serde_json::Value;

use crate::codec::{Codec, DecodeError};

macro_rules! texts {
    ($($t:ty)*) => {$(
        impl Codec for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::new("text is not UTF-8"))?;
                Ok(text.into())
            }
            fn schema() -> String {
                "text".into()
            }
            fn json(&self) -> Value {
                Value::String(self.to_string())
            }
            fn magnitude(&self) -> f64 {
                self.len() as f64
            }
        }
    )*};
}
texts!(String CompactString);
