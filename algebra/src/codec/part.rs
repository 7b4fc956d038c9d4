//! Parts of a value: as they are when their type has a width, otherwise behind their length.

use super::{Codec, DecodeError, put_varint, take, take_varint};

/// The width that parts of this type need no length for. Parts of no width at all are framed, so that they can be counted.
const fn unframed<T: Codec>() -> Option<usize> {
    match T::WIDTH {
        Some(0) | None => None,
        width => width,
    }
}

/// The width of two parts in a row, if both have one.
pub const fn width_of_two(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) if a > 0 && b > 0 => Some(a + b),
        _ => None,
    }
}

/// Appends what `write` appends, behind its length.
pub fn put_framed<R>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let at = out.len();
    // Most parts are short: one byte for the length, and only long ones are moved.
    out.push(0);
    let result = write(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        put_varint(len as u64, &mut prefix);
        out.splice(at..=at, prefix);
    }
    result
}

/// Appends `value` as a part.
#[inline]
pub fn put_part<T: Codec>(value: &T, out: &mut Vec<u8>) {
    if const { unframed::<T>().is_some() } {
        value.encode(out);
    } else {
        put_framed(out, |out| value.encode(out));
    }
}

/// Appends the bytes of a part that are known already.
pub fn put_part_bytes<T: Codec>(bytes: &[u8], out: &mut Vec<u8>) {
    if const { unframed::<T>().is_none() } {
        put_varint(bytes.len() as u64, out);
    }
    out.extend_from_slice(bytes);
}

/// Takes the bytes of a part off the front.
///
/// # Errors
/// When they are cut short.
#[inline]
pub fn take_part<'a, T: Codec>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let width = match const { unframed::<T>() } {
        Some(width) => width,
        None => {
            let len = take_varint(bytes)?;
            usize::try_from(len).map_err(|_| DecodeError::new("part longer than memory"))?
        }
    };
    take(bytes, width)
}

/// Takes a part off the front.
///
/// # Errors
/// When the bytes are cut short or no such value.
#[inline]
pub fn decode_part<T: Codec>(bytes: &mut &[u8]) -> Result<T, DecodeError> {
    T::decode(take_part::<T>(bytes)?)
}

/// Takes one part off the front of both, and appends their [merge](Codec::MERGE) as a part.
///
/// # Errors
/// When the bytes are cut short or no such values, or the type has no merge.
pub fn merge_parts<T: Codec>(a: &mut &[u8], b: &mut &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (a, b) = (take_part::<T>(a)?, take_part::<T>(b)?);
    let Some(merge) = T::MERGE else {
        return Err(DecodeError::new("these bytes cannot be merged undecoded"));
    };
    if const { unframed::<T>().is_some() } {
        merge(a, b, out)
    } else {
        put_framed(out, |out| merge(a, b, out))
    }
}

/// # Errors
/// When bytes are left over.
pub fn nothing_left(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::new(format!("{} bytes follow the value", bytes.len())))
    }
}
