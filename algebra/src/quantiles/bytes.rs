//! The bytes of a log-histogram: a [`Form`] byte, then for each bucket its distance from the one before (the first: its key,
//! zigzag) and its count (zigzag), as LEB128 numbers.
//!
//! A bucket's key is the top 18 bits of its centre's `f64`, negative for negative values. No distance and no count is zero,
//! numbers have their shortest form, and only keys that a value can have are decoded: so there is one encoding of a value.
//! Nothing counted takes 1 byte, one value 5, the integers from 1 to 10 take 23.

use serde_json::{Map, Value, json};

use super::Quantiles;
use super::bucket::Bucket;
use super::entry::Entry;
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, put_varint, take_varint, unzigzag, zigzag};

const FORM: Form = Form::new("log-histogram", 1, HashId::None);

/// Writes buckets as they come, ascending.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    before: Option<i32>,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(FORM.byte(0));
        Self { out, before: None }
    }
    #[inline]
    fn put(&mut self, bucket: Bucket, count: i64) {
        let key = bucket.key();
        match self.before {
            None => put_varint(zigzag(i64::from(key)), self.out),
            Some(before) => put_varint(u64::from(key.abs_diff(before)), self.out),
        }
        put_varint(zigzag(count), self.out);
        self.before = Some(key);
    }
}

/// Reads them again, checked.
struct Reader<'a> {
    bytes: &'a [u8],
    before: Option<i32>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match FORM.split(bytes)? {
            (0, bytes) => Ok(Self { bytes, before: None }),
            (mode, _) => Err(FORM.unknown_mode(mode)),
        }
    }
    #[inline]
    fn next(&mut self) -> Result<Option<(Bucket, i64)>, DecodeError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let step = take_varint(&mut self.bytes)?;
        let key = match self.before {
            None => unzigzag(step),
            Some(_) if step == 0 => return Err(DecodeError::new("log-histogram buckets do not ascend")),
            Some(before) => i64::from(before).saturating_add_unsigned(step),
        };
        let bucket = Bucket::from_key(key)
            .ok_or_else(|| DecodeError::new(format!("log-histogram bucket {key} has no values")))?;
        let count = unzigzag(take_varint(&mut self.bytes)?);
        if count == 0 {
            return Err(DecodeError::new("log-histogram count of zero"));
        }
        self.before = Some(bucket.key());
        Ok(Some((bucket, count)))
    }
}

/// Adds counts as they are read.
fn merge(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (mut a, mut b) = (Reader::new(a)?, Reader::new(b)?);
    let mut writer = Writer::new(out);
    let (mut mine, mut theirs) = (a.next()?, b.next()?);
    loop {
        let key = |next: &Option<(Bucket, i64)>| next.map_or(i32::MAX, |(b, _)| b.key());
        let (x, y) = (key(&mine), key(&theirs));
        let (Some((bucket, n)), m) = (if x <= y { (mine, theirs) } else { (theirs, mine) }) else {
            return Ok(());
        };
        let sum = match m {
            Some((_, m)) if x == y => n.wrapping_add(m),
            _ => n,
        };
        if sum != 0 {
            writer.put(bucket, sum);
        }
        if x <= y {
            mine = a.next()?;
        }
        if y <= x {
            theirs = b.next()?;
        }
    }
}

impl Codec for Quantiles {
    const MERGE: Option<Merge> = Some(merge);

    fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        self.buckets().for_each(|(bucket, count)| writer.put(bucket, count));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes)?;
        // A bucket takes two bytes at least, and here eight.
        let mut this = Self {
            list: Vec::with_capacity(reader.bytes.len() / 2),
            ..Self::default()
        };
        while let Some((bucket, count)) = reader.next()? {
            match Entry::new(bucket, count) {
                Some(entry) => this.list.push(entry),
                None => this.add_large(bucket, count),
            }
        }
        Ok(this)
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
