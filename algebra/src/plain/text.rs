//! Text: a length and UTF-8.

use compact_str::CompactString;
use serde_json::Value;

use crate::codec::{Codec, DecodeError, put_varint, take, take_varint};

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let n = take_varint(bytes)?;
    let n = usize::try_from(n).map_err(|_| DecodeError::new("text longer than memory"))?;
    std::str::from_utf8(take(bytes, n)?).map_err(|_| DecodeError::new("text is not UTF-8"))
}

macro_rules! texts {
    ($($t:ty)*) => {$(
        impl Codec for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                put_varint(self.len() as u64, out);
                out.extend_from_slice(self.as_bytes());
            }
            fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                Ok(take_text(bytes)?.into())
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
