//! Keys of fixed width.

use rufous_algebra::codec::take;
use serde_json::Value;

use super::{AsKey, Key, KeyError, KeyOf};
use crate::native::KeyColumn;
use crate::time::{TimeBucket, Timestamp};

/// Takes the next part as typed.
pub(crate) fn next<'a>(parts: &mut &[&'a str], what: &str) -> Result<&'a str, KeyError> {
    let Some((first, rest)) = parts.split_first() else {
        return Err(KeyError::new(format!("a part is missing: {what}")));
    };
    *parts = rest;
    Ok(first)
}

macro_rules! integers {
    ($($t:ty, $u:ty, $flip:expr;)*) => {$(
        impl AsKey for $t {
            type Key = $t;
            #[inline]
            fn encode_key(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&((*self as $u) ^ $flip).to_be_bytes());
            }
        }
        impl KeyOf<$t> for $t {}
        impl KeyOf<&$t> for $t {}
        impl Key for $t {
            #[inline]
            fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
                let mut raw = [0; size_of::<$t>()];
                raw.copy_from_slice(take(bytes, size_of::<$t>())?);
                Ok((<$u>::from_be_bytes(raw) ^ $flip) as $t)
            }
            fn schema() -> String {
                stringify!($t).into()
            }
            fn parts(&self, out: &mut Vec<Value>) {
                out.push(Value::from(*self));
            }
            fn columns(out: &mut Vec<KeyColumn>) {
                out.push(KeyColumn::Integer { signed: <$t>::MIN != 0, bytes: size_of::<$t>() as u32 });
            }
            fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
                let text = next(parts, stringify!($t))?;
                text.parse().map_err(|e| KeyError::new(format!("`{text}` is no {}: {e}", stringify!($t))))
            }
        }
    )*};
}
integers!(u8, u8, 0; u16, u16, 0; u32, u32, 0; u64, u64, 0; i8, u8, 1 << 7; i16, u16, 1 << 15; i32, u32, 1 << 31; i64, u64, 1 << 63;);

impl AsKey for bool {
    type Key = bool;
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}
impl KeyOf<bool> for bool {}
impl Key for bool {
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        match u8::decode_key(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            b => Err(KeyError::new(format!("byte {b} is no bool"))),
        }
    }
    fn schema() -> String {
        "bool".into()
    }
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Bool);
    }
    fn parts(&self, out: &mut Vec<Value>) {
        out.push(Value::from(*self));
    }
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
        let text = next(parts, "bool")?;
        text.parse()
            .map_err(|_| KeyError::new(format!("`{text}` is neither true nor false")))
    }
}

impl AsKey for TimeBucket {
    type Key = TimeBucket;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.size_ms().encode_key(out);
        self.index().encode_key(out);
    }
}
impl KeyOf<TimeBucket> for TimeBucket {}
impl KeyOf<&TimeBucket> for TimeBucket {}
impl Key for TimeBucket {
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        let (size, index) = (u64::decode_key(bytes)?, i64::decode_key(bytes)?);
        Self::from_parts(size, index).ok_or_else(|| KeyError::new(format!("{size} ms is no size of a time bucket")))
    }
    fn schema() -> String {
        "time-bucket".into()
    }
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Bucket);
    }
    fn parts(&self, out: &mut Vec<Value>) {
        out.push(Value::String(self.to_string()));
    }
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
        Self::parse(next(parts, "time bucket")?).map_err(|e| KeyError::new(e.to_string()))
    }
}

impl AsKey for Timestamp {
    type Key = Timestamp;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.0.encode_key(out);
    }
}
impl KeyOf<Timestamp> for Timestamp {}
impl Key for Timestamp {
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        i64::decode_key(bytes).map(Self)
    }
    fn schema() -> String {
        "time/ms".into()
    }
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Time);
    }
    fn parts(&self, out: &mut Vec<Value>) {
        out.push(Value::String(self.to_string()));
    }
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
        Self::parse(next(parts, "time")?).map_err(|e| KeyError::new(e.to_string()))
    }
}
