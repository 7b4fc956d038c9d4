//! Sums of encodings: what a store does when it merges.

use super::{Codec, DecodeError};
use crate::semigroup::Semigroup;

/// Appends the encoding of the sum of two encodings.
pub type Merge = fn(&[u8], &[u8], &mut Vec<u8>) -> Result<(), DecodeError>;

/// Adds encodings to a value; `false`: nothing was done.
pub type AddAll<V> = fn(&mut V, &[&[u8]]) -> Result<bool, DecodeError>;

/// A [`Codec::MERGE`] that decodes: for types whose sum cannot be seen in the bytes. What holds such a value can then still
/// merge its other parts undecoded.
///
/// # Errors
/// When bytes are no such value.
pub fn merge_decoded<V: Semigroup + Codec>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let mut sum = V::decode(a)?;
    sum.combine_owned(V::decode(b)?);
    sum.encode(out);
    Ok(())
}

/// The merge of undecoded bytes, when both the sum and the bytes are made part by part.
const fn undecoded<V: Semigroup + Codec>() -> Option<Merge> {
    if V::BY_PARTS { V::MERGE } else { None }
}

/// Appends the canonical bytes of the sum of two values given as bytes; decodes only what it must.
///
/// # Errors
/// When bytes are no such value. `out` may then hold more than before.
pub fn merge_bytes<V: Semigroup + Codec>(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match const { undecoded::<V>() } {
        Some(merge) => merge(a, b, out),
        None => merge_decoded::<V>(a, b, out),
    }
}

/// Up to as many encodings are merged one after the other without decoding; more of them gain from bulk sums.
const FEW: usize = 4;
/// So many values are decoded at a time.
const BULK: usize = 64;

/// Appends the canonical bytes of the sum of values given as bytes, in the order given; `false` of nothing. A single value
/// is copied unchecked.
///
/// # Errors
/// When bytes are no such value. `out` may then hold more than before.
pub fn sum_bytes<V: Semigroup + Codec>(
    parts: &mut dyn Iterator<Item = &[u8]>,
    out: &mut Vec<u8>,
) -> Result<bool, DecodeError> {
    let Some(first) = parts.next() else { return Ok(false) };
    let Some(second) = parts.next() else {
        out.extend_from_slice(first);
        return Ok(true);
    };
    let mut head = vec![first, second];
    let mut next = parts.next();
    while head.len() < FEW
        && let Some(part) = next
    {
        head.push(part);
        next = parts.next();
    }
    if let (Some(merge), None) = (const { undecoded::<V>() }, next) {
        let (mut sum, mut spare) = (Vec::new(), Vec::new());
        merge(first, second, &mut sum)?;
        for part in &head[2..] {
            spare.clear();
            merge(&sum, part, &mut spare)?;
            std::mem::swap(&mut sum, &mut spare);
        }
        out.extend_from_slice(&sum);
        return Ok(true);
    }
    let mut rest = head.into_iter().chain(next).chain(parts);
    let mut some = Vec::new();
    let mut values = Vec::new();
    let mut sum: Option<V> = None;
    loop {
        some.clear();
        // The first makes a sum that the others may be added to.
        let n = if V::ADD_ALL.is_some() && sum.is_none() { 1 } else { BULK };
        some.extend(rest.by_ref().take(n));
        if let (Some(add_all), Some(sum)) = (V::ADD_ALL, &mut sum)
            && !some.is_empty()
            && add_all(sum, &some)?
        {
            continue;
        }
        for part in &some {
            values.push(V::decode(part)?);
        }
        if values.is_empty() {
            break;
        }
        let bulk = V::sum_all(&values);
        match (&mut sum, bulk) {
            (Some(sum), Some(bulk)) => sum.combine_owned(bulk),
            (sum, bulk) => *sum = bulk,
        }
        values.clear();
    }
    if let Some(sum) = &sum {
        sum.encode(out);
    }
    Ok(true)
}
