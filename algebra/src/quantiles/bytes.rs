//! The bytes of a log-histogram: a [`Form`] byte, then for each bucket its distance from the one before (the first: its key,
//! zigzag) and its count (zigzag), as LEB128 numbers.
//!
//! A bucket's key is the top 18 bits of its centre's `f64`, negative for negative values. No distance and no count is zero,
//! numbers have their shortest form, and only keys that a value can have are decoded: so there is one encoding of a value.
//! Nothing counted takes 1 byte, one value 5, the integers from 1 to 10 take 23.

use serde_json::{Map, Value, json};

use super::Quantiles;
use super::bucket::Bucket;
use crate::codec::{Codec, DecodeError, Form, HashId, put_varint, take_varint, unzigzag, zigzag};

const FORM: Form = Form::new("log-histogram", 1, HashId::None);

impl Codec for Quantiles {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORM.byte(0));
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

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, mut bytes) = FORM.split(bytes)?;
        if mode != 0 {
            return Err(FORM.unknown_mode(mode));
        }
        let mut buckets: Vec<(Bucket, i64)> = Vec::new();
        while !bytes.is_empty() {
            let step = take_varint(&mut bytes)?;
            let key = match buckets.last() {
                None => unzigzag(step),
                Some(_) if step == 0 => return Err(DecodeError::new("log-histogram buckets do not ascend")),
                Some((before, _)) => i64::from(before.key()).saturating_add_unsigned(step),
            };
            let bucket = Bucket::from_key(key)
                .ok_or_else(|| DecodeError::new(format!("log-histogram bucket {key} has no values")))?;
            let count = unzigzag(take_varint(&mut bytes)?);
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
