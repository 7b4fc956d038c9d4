//! Numbers of variable length, and floats with one form each.

use super::DecodeError;

/// Takes `n` bytes off the front.
///
/// # Errors
/// When fewer are left.
#[inline]
pub fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], DecodeError> {
    let Some((front, rest)) = bytes.split_at_checked(n) else {
        return Err(DecodeError::new(format!("wanted {n} bytes, {} left", bytes.len())));
    };
    *bytes = rest;
    Ok(front)
}

/// Appends an unsigned LEB128 number.
#[inline]
pub fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Maps small numbers of either sign to small unsigned ones (0, -1, 1, -2, ...), for [`put_varint`].
#[inline]
pub fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Takes an unsigned LEB128 number in its shortest form.
///
/// # Errors
/// When it is cut short, longer than 64 bits, or not in its shortest form.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut n = 0u64;
    for i in 0..10 {
        let Some((&b, rest)) = bytes.split_first() else {
            return Err(DecodeError::new("number cut short"));
        };
        *bytes = rest;
        if i == 9 && b > 1 {
            return Err(DecodeError::new("number longer than 64 bits"));
        }
        n |= u64::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            if b == 0 && i > 0 {
                return Err(DecodeError::new("number not in its shortest form"));
            }
            return Ok(n);
        }
    }
    Err(DecodeError::new("number longer than 64 bits"))
}

/// The bits of a float that are the same for all numbers that compare equal: no `-0.0`, and one not-a-number.
#[inline]
pub fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() {
        0x7ff8_0000_0000_0000
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}
