//! Murmur3-x64-128 with the input rules of Apache DataSketches: sketches that hash so can be merged with theirs.
//!
//! XXH3 ([`crate::hash`]) is faster and the hash of everything that need not leave this library. The algorithm is A.
//! Appleby's MurmurHash3 (public domain).
//!
//! ```
//! use rufous_algebra::murmur::{MurmurItem, SEED, murmur3_x64_128, token};
//! assert_eq!(7u8.murmur(), 7i64.murmur(), "the width of an integer does not count");
//! assert_eq!("".murmur(), None, "empty text is no item");
//! assert_eq!("a".murmur(), Some(murmur3_x64_128(b"a", SEED)));
//! assert!(token([5, 1 << 63]) == 5 << 6 | 1);
//! ```

use crate::codec::canonical_bits;

/// The seed that all DataSketches have unless told otherwise.
pub const SEED: u64 = 9001;

/// An item as DataSketches hashes it.
///
/// | type | bytes |
/// |---|---|
/// | integers up to 64 bits | widened to `i64`, 8 bytes, little-endian |
/// | text | its UTF-8; empty text is ignored |
/// | bytes | as they are; none are ignored |
/// | `f64` | one not-a-number, no `-0.0`, 8 bytes, little-endian |
///
/// **Law:** items that are equal in Java, C++ or Python are equal here. Unlike with [`HashBytes`](crate::HashBytes),
/// items of different types may be, too: `7u8` and `7i64` are one item, and so are text and its bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no item of an Apache DataSketches sketch",
    note = "text, bytes, integers up to 64 bits and `f64` are"
)]
pub trait MurmurItem {
    /// Shows the bytes that are hashed; none mean that the item is ignored.
    fn with_bytes<R>(&self, see: impl FnOnce(&[u8]) -> R) -> R;

    /// The hash with [`SEED`], `None` for an item that is ignored.
    #[inline]
    fn murmur(&self) -> Option<[u64; 2]> {
        self.with_bytes(|bytes| (!bytes.is_empty()).then(|| murmur3_x64_128(bytes, SEED)))
    }
}

macro_rules! items {
    ($($t:ty, $x:ident => $bytes:expr;)*) => {$(
        impl MurmurItem for $t {
            #[inline]
            fn with_bytes<R>(&self, see: impl FnOnce(&[u8]) -> R) -> R {
                let $x = self;
                see($bytes)
            }
        }
    )*};
}
items! {
    str, x => x.as_bytes();
    String, x => x.as_bytes();
    compact_str::CompactString, x => x.as_bytes();
    [u8], x => x;
    Vec<u8>, x => x;
    u8, x => &i64::from(*x).to_le_bytes();
    u16, x => &i64::from(*x).to_le_bytes();
    u32, x => &i64::from(*x).to_le_bytes();
    u64, x => &x.to_le_bytes();
    i8, x => &i64::from(*x).to_le_bytes();
    i16, x => &i64::from(*x).to_le_bytes();
    i32, x => &i64::from(*x).to_le_bytes();
    i64, x => &x.to_le_bytes();
    f64, x => &canonical_bits(*x).to_le_bytes();
}

impl<T: MurmurItem + ?Sized> MurmurItem for &T {
    #[inline]
    fn with_bytes<R>(&self, see: impl FnOnce(&[u8]) -> R) -> R {
        (**self).with_bytes(see)
    }
}

/// The coupon of a hash as `slot << 6 | rank`: the slot is the low 26 bits of the first half, the rank the number of
/// leading zeros of the second half plus one, at most 63. (DataSketches writes the same as `rank << 26 | slot`.)
#[inline]
pub const fn token([low, high]: [u64; 2]) -> u32 {
    let zeros = high.leading_zeros();
    let rank = if zeros < 62 { zeros + 1 } else { 63 };
    (low as u32 & 0x3ff_ffff) << 6 | rank
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

#[inline]
const fn mix1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}
#[inline]
const fn mix2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}
#[inline]
const fn finish(mut k: u64) -> u64 {
    k = (k ^ (k >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    k = (k ^ (k >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// Up to eight bytes, little-endian.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(eight) => u64::from_le_bytes(eight),
        Err(_) => bytes.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)),
    }
}

/// MurmurHash3, the 128-bit variant for 64-bit machines, with one seed for both halves.
#[inline]
pub fn murmur3_x64_128(bytes: &[u8], seed: u64) -> [u64; 2] {
    let (mut h1, mut h2) = (seed, seed);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        let (a, b) = block.split_at(8);
        h1 ^= mix1(word(a));
        h1 = h1
            .rotate_left(27)
            .wrapping_add(h2)
            .wrapping_mul(5)
            .wrapping_add(0x52dc_e729);
        h2 ^= mix2(word(b));
        h2 = h2
            .rotate_left(31)
            .wrapping_add(h1)
            .wrapping_mul(5)
            .wrapping_add(0x3849_5ab5);
    }
    let (a, b) = tail.split_at(tail.len().min(8));
    // Of no bytes the mixed word is 0, which changes nothing.
    h2 ^= mix2(word(b));
    h1 ^= mix1(word(a));
    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    [h1, h2.wrapping_add(h1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published vectors of Murmur3-x64-128: a hash that drifted could no longer be merged with other languages'.
    #[test]
    fn published_vectors() {
        assert_eq!(murmur3_x64_128(b"", 0), [0, 0]);
        assert_eq!(
            murmur3_x64_128(b"The quick brown fox jumps over the lazy dog", 0),
            [0xe34b_bc7b_bc07_1b6c, 0x7a43_3ca9_c49a_9347]
        );
        assert_eq!(
            murmur3_x64_128(b"The quick brown fox jumps over the lazy cog", 0),
            [0x658c_a970_ff85_269a, 0x43fe_e3ea_a68e_5c3e]
        );
    }

    /// The rank ends at 63, as it does in DataSketches.
    #[test]
    fn ranks() {
        assert_eq!(token([0, u64::MAX]), 1);
        assert_eq!(token([0, 2]), 63);
        assert_eq!(token([0, 1]), 63);
        assert_eq!(token([u64::MAX, 0]), 0x3ff_ffff << 6 | 63);
    }
}
