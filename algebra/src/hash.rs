//! The one hash of persisted sketches: XXH3 with seed 0 over an explicit encoding, of 64 or 128 bits, fixed for ever.
//! `std::hash` is neither portable nor stable between compilers and is never persisted.

use crate::codec::canonical_bits;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// An explicit byte encoding for hashing.
///
/// | type | bytes |
/// |---|---|
/// | text | its UTF-8 |
/// | integers | fixed width, little-endian, two's complement |
/// | `bool` | one byte, 0 or 1 |
/// | `f64` | canonical bits (one not-a-number, no `-0.0`), little-endian |
/// | bytes | as they are |
/// | tuples of 2 to 6 | each part preceded by its length as `u64`, little-endian |
///
/// **Laws:** values that compare equal have equal bytes, borrowed or owned; different values of one type have different
/// bytes. The width of an integer counts: `7u32` and `7u64` are different items. `usize` has no fixed width, so it has no
/// bytes. An item of your own type: absorb a tuple of what identifies it, or write this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no bytes to hash",
    note = "text, bytes, integers of fixed width, `bool`, `f64` and tuples of these do; `usize` is not the same everywhere"
)]
pub trait HashBytes {
    /// Appends the bytes. They are persisted through their hash: they may never change.
    fn write(&self, out: &mut Vec<u8>);
    /// XXH3-64, seed 0, of the bytes. Text and numbers are hashed where they are; only tuples allocate.
    fn hash64(&self) -> u64 {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        xxh3_64(&bytes)
    }
    /// XXH3-128, seed 0, of the bytes: two independent halves.
    fn hash128(&self) -> u128 {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        xxh3_128(&bytes)
    }
}

macro_rules! borrowed {
    ($($t:ty, $x:ident => $bytes:expr;)*) => {$(
        impl HashBytes for $t {
            fn write(&self, out: &mut Vec<u8>) {
                let $x = self;
                out.extend_from_slice($bytes);
            }
            #[inline]
            fn hash64(&self) -> u64 {
                let $x = self;
                xxh3_64($bytes)
            }
            #[inline]
            fn hash128(&self) -> u128 {
                let $x = self;
                xxh3_128($bytes)
            }
        }
    )*};
}
borrowed! {
    str, x => x.as_bytes();
    String, x => x.as_bytes();
    compact_str::CompactString, x => x.as_bytes();
    [u8], x => x;
    Vec<u8>, x => x;
    bool, x => &[u8::from(*x)];
    u8, x => &x.to_le_bytes();
    u16, x => &x.to_le_bytes();
    u32, x => &x.to_le_bytes();
    u64, x => &x.to_le_bytes();
    u128, x => &x.to_le_bytes();
    i8, x => &x.to_le_bytes();
    i16, x => &x.to_le_bytes();
    i32, x => &x.to_le_bytes();
    i64, x => &x.to_le_bytes();
    i128, x => &x.to_le_bytes();
    f64, x => &canonical_bits(*x).to_le_bytes();
}

impl<const N: usize> HashBytes for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    #[inline]
    fn hash64(&self) -> u64 {
        xxh3_64(self)
    }
    #[inline]
    fn hash128(&self) -> u128 {
        xxh3_128(self)
    }
}

impl<T: HashBytes + ?Sized> HashBytes for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
    #[inline]
    fn hash64(&self) -> u64 {
        (**self).hash64()
    }
    #[inline]
    fn hash128(&self) -> u128 {
        (**self).hash128()
    }
}

macro_rules! tuples {
    ($($n:ident $i:tt),+) => {
        impl<$($n: HashBytes),+> HashBytes for ($($n,)+) {
            fn write(&self, out: &mut Vec<u8>) {
                $(
                    // Without lengths ("ab", "c") and ("a", "bc") would be one item.
                    let at = out.len();
                    out.extend_from_slice(&[0; 8]);
                    self.$i.write(out);
                    let len = (out.len() - at - 8) as u64;
                    out[at..at + 8].copy_from_slice(&len.to_le_bytes());
                )+
            }
        }
    };
}
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors of XXH3: a hash that drifted would make every persisted sketch wrong in silence.
    #[test]
    fn published_vectors() {
        assert_eq!("".hash64(), 0x2d06_8005_38d3_94c2);
        assert_eq!("a".hash64(), 0xe6c6_32b6_1e96_4e1f);
        assert_eq!([0u8, 1, 2, 3, 4, 5, 6, 7].hash64(), 0x3a1c_2d7c_85af_88f8);
        assert_eq!(0x0706_0504_0302_0100u64.hash64(), 0x3a1c_2d7c_85af_88f8);
        assert_eq!("".hash128(), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        assert_eq!("a".hash128(), 0xa96f_af70_5af1_6834_e6c6_32b6_1e96_4e1f);
    }

    /// No two keys of eight bytes have the same hash: every step of XXH3 for that length can be undone. `CombineMap::fold_word`
    /// relies on it. (Y. Collet, xxHash, `XXH3_len_4to8_64b` and `XXH3_rrmxmx`.)
    #[test]
    fn eight_bytes_are_told_by_their_hash() {
        const PRIME: u64 = 0x9fb2_1c65_1e98_df25;
        /// Bytes 8 to 15 of the default secret, and 16 to 23, as numbers.
        const FLIP: u64 = 0x1cad_21f7_2c81_017c ^ 0xdb97_9083_e96d_d4de;
        let inverse = (0..6).fold(PRIME, |x, _| x.wrapping_mul(2_u64.wrapping_sub(PRIME.wrapping_mul(x))));
        assert_eq!(PRIME.wrapping_mul(inverse), 1);
        let undo = |hash: u64| {
            let mut h = hash ^ (hash >> 28) ^ (hash >> 56);
            h = h.wrapping_mul(inverse);
            // The sum carries no further than to bit 29, so bits 35 and up are as they were.
            h ^= (h >> 35) + 8;
            h = h.wrapping_mul(inverse);
            // As a polynomial modulo x^64 + 1 the step is 1 + x^24 + x^49, whose 64th power is 1.
            for _ in 0..63 {
                h ^= h.rotate_left(24) ^ h.rotate_left(49);
            }
            (h ^ FLIP).rotate_right(32)
        };
        let mut x = 1_u64;
        for i in 0..100_000_u64 {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            for key in [i, i << 32, !i, x, 1_u64.rotate_left(i as u32)] {
                assert_eq!(undo(xxh3_64(&key.to_le_bytes())), key);
            }
        }
    }

    /// Both hashes are of what `write` writes, whether or not a type overrides them; borrowed and owned forms agree.
    #[test]
    fn hash_is_of_the_written_bytes() {
        fn agree<T: HashBytes + ?Sized>(x: &T, bytes: &[u8]) {
            let mut out = Vec::new();
            x.write(&mut out);
            assert_eq!(out, bytes);
            assert_eq!(x.hash64(), xxh3_64(bytes));
            assert_eq!((&&x).hash64(), x.hash64());
            assert_eq!(x.hash128(), xxh3_128(bytes));
            assert_eq!((&&x).hash128(), x.hash128());
        }
        agree("rufous", b"rufous");
        agree(&String::from("rufous"), b"rufous");
        agree(&compact_str::CompactString::from("rufous"), b"rufous");
        agree(&b"rufous"[..], b"rufous");
        agree(b"rufous", b"rufous");
        agree(&b"rufous".to_vec(), b"rufous");
        agree(&true, &[1]);
        agree(&-2i16, &[0xfe, 0xff]);
        agree(&7u128, &7u128.to_le_bytes());
        agree(&-0.0, &[0; 8]);
        agree(&-f64::NAN, &0x7ff8_0000_0000_0000u64.to_le_bytes());
        agree(&("a", 2u8), &[1, 0, 0, 0, 0, 0, 0, 0, b'a', 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    /// Parts of a tuple cannot run into each other.
    #[test]
    fn tuples_are_framed() {
        assert_ne!(("ab", "c").hash64(), ("a", "bc").hash64());
        assert_ne!((("a", "b"), "c").hash64(), ("a", ("b", "c")).hash64());
    }
}
