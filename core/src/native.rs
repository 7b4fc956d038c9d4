//! What a place with columns of its own types, as a database of tables has them, can keep of keys and values so that its users
//! read, add and join them: the canonical bytes are the truth, and this says how they are seen.

use std::any::TypeId;
use std::borrow::Cow;

use rufous_algebra::codec::take;
use rufous_algebra::{Count, DecodeError, Saturating};

use crate::key::{Key, KeyError};
use crate::time::{TimeBucket, Timestamp};
use crate::window::Hop;

/// How integers are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// Modulo the number of values: what is above the greatest begins again at the least.
    Wrapping,
    /// What is above the greatest is the greatest.
    Saturating,
}

/// Values that are integers: their canonical bytes are its bytes, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeNumber {
    /// How they are added.
    pub addition: Addition,
    /// Whether they may be negative.
    pub signed: bool,
    /// How many bytes they have: 1 to 8.
    pub bytes: u32,
}

impl NativeNumber {
    /// Of a type of values, if its sum and its bytes are those of an integer of at most 64 bits.
    pub fn of<V: 'static>() -> Option<Self> {
        let same = |other: TypeId| TypeId::of::<V>() == other;
        macro_rules! known {
            ($addition:ident, $signed:literal: $($t:ty)*) => {
                $(if same(TypeId::of::<$t>()) {
                    return Some(Self { addition: Addition::$addition, signed: $signed, bytes: size_of::<$t>() as u32 });
                })*
            };
        }
        known!(Wrapping, false: u8 u16 u32 u64);
        known!(Wrapping, true: i8 i16 i32 i64);
        known!(Saturating, false: Saturating<u8> Saturating<u16> Saturating<u32> Saturating<u64> Count);
        None
    }
    /// The least value.
    pub fn least(&self) -> i128 {
        if self.signed { -(1 << (8 * self.bytes - 1)) } else { 0 }
    }
    /// The greatest value.
    pub fn greatest(&self) -> i128 {
        self.least() + self.values() - 1
    }
    /// How many values there are.
    pub fn values(&self) -> i128 {
        1 << (8 * self.bytes)
    }
    /// The number whose canonical bytes these are.
    ///
    /// # Errors
    /// When there are more or fewer of them.
    pub fn decode(&self, bytes: &[u8]) -> Result<i128, DecodeError> {
        if bytes.len() != self.bytes as usize {
            return Err(DecodeError::new(format!(
                "wanted {} bytes, not {}",
                self.bytes,
                bytes.len()
            )));
        }
        let n = bytes.iter().rev().fold(0, |n, b| n << 8 | i128::from(*b));
        Ok(if n > self.greatest() { n - self.values() } else { n })
    }
    /// Appends the canonical bytes of a number.
    ///
    /// # Errors
    /// When it is none of these values.
    pub fn encode(&self, n: i128, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        if n < self.least() || n > self.greatest() {
            let (least, greatest) = (self.least(), self.greatest());
            return Err(DecodeError::new(format!("{n} is not in {least} to {greatest}")));
        }
        out.extend_from_slice(&n.to_le_bytes()[..self.bytes as usize]);
        Ok(())
    }
}

/// What a part of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyColumn {
    /// An integer of so many bytes.
    Integer {
        /// Whether it may be negative.
        signed: bool,
        /// How many bytes it has: 1 to 8.
        bytes: u32,
    },
    /// A truth value.
    Bool,
    /// A text.
    Text,
    /// An instant.
    Time,
    /// A time bucket.
    Bucket,
    /// A hop of a windowed store.
    Hop,
    /// Something else: where it ends is not known, so what comes after it cannot be seen.
    Opaque,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// An integer.
    Integer(i128),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(Cow<'a, str>),
    /// An instant.
    Time(Timestamp),
    /// A time bucket.
    Bucket(TimeBucket),
    /// A hop.
    Hop(Hop),
}

impl KeyColumn {
    /// Takes the part off the front of a key's canonical bytes; `None` of an opaque one, which takes nothing.
    ///
    /// # Errors
    /// When the bytes do not begin with such a part.
    pub fn take<'a>(&self, key: &mut &'a [u8]) -> Result<Option<KeyPart<'a>>, KeyError> {
        Ok(Some(match self {
            Self::Integer { signed, bytes } => {
                let n = take(key, *bytes as usize)?
                    .iter()
                    .fold(0, |n, b| n << 8 | i128::from(*b));
                // The sign bit is flipped, so that they are ordered as their bytes.
                KeyPart::Integer(if *signed { n - (1 << (8 * bytes - 1)) } else { n })
            }
            Self::Bool => KeyPart::Bool(bool::decode_key(key)?),
            Self::Text => KeyPart::Text(take_text(key)?),
            Self::Time => KeyPart::Time(Timestamp::decode_key(key)?),
            Self::Bucket => KeyPart::Bucket(TimeBucket::decode_key(key)?),
            Self::Hop => KeyPart::Hop(Hop::decode_key(key)?),
            Self::Opaque => return Ok(None),
        }))
    }
}

/// A text without what is escaped is borrowed.
fn take_text<'a>(key: &mut &'a [u8]) -> Result<Cow<'a, str>, KeyError> {
    let Some(end) = memchr::memchr2(0, 1, key).filter(|at| key.get(*at) == Some(&0)) else {
        return String::decode_key(key).map(Cow::Owned);
    };
    let text = std::str::from_utf8(take(key, end)?).map_err(|e| KeyError::new(format!("a text is no UTF-8: {e}")))?;
    take(key, 1)?;
    Ok(Cow::Borrowed(text))
}

#[cfg(test)]
mod tests {
    use rufous_algebra::{Codec, Max, Semigroup};

    use super::*;
    use crate::key::to_bytes;
    use crate::window::HopSize;

    fn agrees<V: Semigroup + Codec>(values: &[V], expected: &[i128]) {
        let native = NativeNumber::of::<V>().expect("a number");
        for (v, n) in values.iter().zip(expected) {
            assert_eq!(native.decode(&v.to_bytes()), Ok(*n), "{}", V::schema());
            let mut bytes = Vec::new();
            native.encode(*n, &mut bytes).unwrap();
            assert_eq!(bytes, v.to_bytes());
        }
        assert_eq!(
            (native.least(), native.greatest()),
            (expected[0], expected[expected.len() - 1])
        );
        assert!(native.encode(native.greatest() + 1, &mut Vec::new()).is_err());
        assert!(native.encode(native.least() - 1, &mut Vec::new()).is_err());
        assert!(native.decode(&[0; 9]).is_err() && native.decode(&[]).is_err());
    }

    /// The number of a value is the number that the value is, at both ends of every type.
    #[test]
    fn numbers_are_the_values() {
        agrees(&[u8::MIN, 7, u8::MAX], &[0, 7, 255]);
        agrees(&[u64::MIN, 1 << 63, u64::MAX], &[0, 1 << 63, (1 << 64) - 1]);
        agrees(&[i32::MIN, -1, 0, i32::MAX], &[-(1 << 31), -1, 0, (1 << 31) - 1]);
        agrees(&[i64::MIN, -1, i64::MAX], &[-(1 << 63), -1, (1 << 63) - 1]);
        agrees(&[Count::of(0), Count::of(u64::MAX)], &[0, (1 << 64) - 1]);
        agrees(&[Saturating(0u16), Saturating(u16::MAX)], &[0, 65_535]);
    }

    /// What is no integer, or is added in another way, is no number.
    #[test]
    fn other_values_are_bytes() {
        assert_eq!(NativeNumber::of::<Max<u64>>(), None);
        assert_eq!(NativeNumber::of::<u128>(), None);
        assert_eq!(NativeNumber::of::<(u64,)>(), None);
        assert_eq!(NativeNumber::of::<String>(), None);
    }

    fn parts<K: Key>(key: &K) -> Vec<KeyPart<'static>> {
        let (bytes, mut columns) = (to_bytes(key), Vec::new());
        K::columns(&mut columns);
        let mut rest = bytes.as_slice();
        let own = |part| match part {
            KeyPart::Text(t) => KeyPart::Text(Cow::Owned(t.into_owned())),
            KeyPart::Integer(n) => KeyPart::Integer(n),
            KeyPart::Bool(b) => KeyPart::Bool(b),
            KeyPart::Time(t) => KeyPart::Time(t),
            KeyPart::Bucket(b) => KeyPart::Bucket(b),
            KeyPart::Hop(h) => KeyPart::Hop(h),
        };
        let parts = columns.iter().map(|c| own(c.take(&mut rest).unwrap().expect("a part")));
        let parts = parts.collect();
        assert!(rest.is_empty());
        for cut in 0..bytes.len() {
            let mut rest = &bytes[..cut];
            assert!(
                columns.iter().any(|c| c.take(&mut rest).is_err()),
                "{cut} bytes are no key"
            );
        }
        parts
    }

    /// The parts of a key are those that it was made of, whatever is escaped or negative in them.
    #[test]
    fn parts_are_the_keys() {
        let text = |t: &'static str| KeyPart::Text(Cow::Borrowed(t));
        for t in ["", "a", "plain text", "zero\0byte", "\u{1}", "é\u{10ffff}"] {
            assert_eq!(parts(&t.to_string()), [text(t)]);
        }
        for n in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(parts(&(n, true)), [KeyPart::Integer(n.into()), KeyPart::Bool(true)]);
        }
        assert_eq!(
            parts(&(7u8, u64::MAX)),
            [KeyPart::Integer(7), KeyPart::Integer(u64::MAX.into())]
        );
        let hour = TimeBucket::hour(Timestamp(-1));
        let found = parts(&("k".to_string(), hour, Timestamp(-5)));
        assert_eq!(found, [text("k"), KeyPart::Bucket(hour), KeyPart::Time(Timestamp(-5))]);
        let hop = Hop::from(TimeBucket::day(Timestamp(0)));
        assert_eq!(hop.size(), HopSize::days(1));
        assert_eq!(parts(&(3u32, hop)), [KeyPart::Integer(3), KeyPart::Hop(hop)]);
    }
}
