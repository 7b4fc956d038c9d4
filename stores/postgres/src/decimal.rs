//! Integers in columns of type `numeric`, in the binary form of the protocol: digits to the base 10,000.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// An integer of at most 127 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal(pub(crate) i128);

const BASE: u128 = 10_000;
const NEGATIVE: u16 = 0x4000;

impl Decimal {
    pub(crate) fn put(self, out: &mut impl BufMut) {
        let (mut rest, mut digits, mut n) = (self.0.unsigned_abs(), [0u16; 10], 0usize);
        while rest > 0 {
            digits[n] = (rest % BASE) as u16;
            rest /= BASE;
            n += 1;
        }
        // Zeros at the end are not written.
        let zeros = digits[..n].iter().take_while(|d| **d == 0).count();
        out.put_u16((n - zeros) as u16);
        out.put_i16(n as i16 - 1);
        out.put_u16(if self.0 < 0 { NEGATIVE } else { 0 });
        out.put_u16(0);
        for digit in digits[zeros..n].iter().rev() {
            out.put_u16(*digit);
        }
    }
}

impl ToSql for Decimal {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.put(out);
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Decimal {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let word = |i: usize| raw.get(2 * i..2 * i + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
        let read = || {
            let (n, weight, sign) = (word(0)?, word(1)? as i16, word(2)?);
            if raw.len() != 8 + 2 * usize::from(n) || (sign != 0 && sign != NEGATIVE) {
                return None;
            }
            let mut value = 0i128;
            for i in 0..usize::from(n) {
                let digit = i128::from(word(4 + i).filter(|d| u128::from(*d) < BASE)?);
                value = value.checked_mul(BASE as i128)?.checked_add(digit)?;
            }
            // Digits behind the point are no integer's.
            let zeros = i32::from(weight) + 1 - i32::from(n);
            let zeros = if n == 0 { 0 } else { u32::try_from(zeros).ok()? };
            let value = value.checked_mul((BASE as i128).checked_pow(zeros)?)?;
            Some(Self(if sign == NEGATIVE { -value } else { value }))
        };
        read().ok_or_else(|| "a number that is no integer, or a larger one than is ever written".into())
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_back() {
        let ends = [
            0,
            1,
            9_999,
            10_000,
            10_001,
            100_000_000,
            i64::MAX as i128,
            u64::MAX as i128,
            i128::from(u64::MAX) + 1,
        ];
        let mut n = 1i128;
        let many = std::iter::repeat_with(|| {
            n = n * 3 + 1;
            n % (1 << 100)
        });
        for n in ends.into_iter().chain(many.take(60)).flat_map(|n| [n, -n]) {
            let mut raw = BytesMut::new();
            Decimal(n).put(&mut raw);
            assert_eq!(Decimal::from_sql(&Type::NUMERIC, &raw).unwrap(), Decimal(n));
        }
    }

    /// The server's own forms: 20000 is one digit of weight 1; fractions and what is no number are refused.
    #[test]
    fn other_forms_are_read_or_refused() {
        let read = |words: &[u16]| {
            let raw: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
            Decimal::from_sql(&Type::NUMERIC, &raw).ok().map(|d| d.0)
        };
        assert_eq!(read(&[1, 1, 0, 0, 2]), Some(20_000));
        assert_eq!(read(&[0, 0, 0, 0]), Some(0));
        for bad in [
            &[1, 0xffff, 0, 2, 5000][..],
            &[0, 0, 0xc000, 0],
            &[2, 0, 0, 0, 1],
            &[1, 0, 0, 0, 10_000],
            &[1, 30_000, 0, 0, 1],
            &[],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
