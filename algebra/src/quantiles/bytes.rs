//! The bytes of a log-histogram: a version byte (1), the number of buckets, then for each its distance from the one before
//! (the first: its key, zigzag) and its count (zigzag), all as LEB128 numbers.
//!
//! A bucket's key is the top 18 bits of its centre's `f64`, negative for negative values. No distance and no count is zero,
//! numbers have their shortest form, and only keys that a value can have are decoded: so there is one encoding of a value.
//! Nothing counted takes 2 bytes, one value 6, the integers from 1 to 10 take 24.

use serde_json::{Map, Value, json};

use super::Quantiles;
use super::bucket::Bucket;
use crate::codec::{Codec, DecodeError, put_varint, take_varint, unzigzag, zigzag};

const VERSION: u8 = 1;

impl Codec for Quantiles {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_varint(self.buckets.len() as u64, out);
        let mut before = None;
        for (bucket, count) in &self.buckets {
            let key = bucket.key();
            match before {
                None => put_varint(zigzag(i64::from(key)), out),
                Some(before) => put_varint(u64::from(key.abs_diff(before)), out),
            }
            put_varint(zigzag(*count), out);
            before = Some(key);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let version = u8::decode(bytes)?;
        if version != VERSION {
            return Err(DecodeError::new(format!("log-histogram version {version} is unknown")));
        }
        let n = take_varint(bytes)?;
        // The number is only a claim: no more memory than the bytes, two for each bucket at least, can fill.
        let room = usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len() / 2);
        let mut buckets: Vec<(Bucket, i64)> = Vec::with_capacity(room);
        for _ in 0..n {
            let step = take_varint(bytes)?;
            let key = match buckets.last() {
                None => unzigzag(step),
                Some(_) if step == 0 => return Err(DecodeError::new("log-histogram buckets do not ascend")),
                Some((before, _)) => i64::from(before.key()).saturating_add_unsigned(step),
            };
            let bucket = Bucket::from_key(key)
                .ok_or_else(|| DecodeError::new(format!("log-histogram bucket {key} has no values")))?;
            let count = unzigzag(take_varint(bytes)?);
            if count == 0 {
                return Err(DecodeError::new("log-histogram count of zero"));
            }
            buckets.push((bucket, count));
        }
        Ok(Self { buckets, last: 0 })
    }

    fn schema() -> String {
        "log-histogram/6".into()
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("count".into(), self.count().into());
        for (name, q) in [("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            object.insert(
                name.into(),
                self.quantile(q).map_or(
                    Value::Null,
                    |b| json!({ "value": b.value, "low": b.low, "high": b.high }),
                ),
            );
        }
        Value::Object(object)
    }

    fn magnitude(&self) -> f64 {
        self.count() as f64
    }
}
