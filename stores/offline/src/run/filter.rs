//! A Bloom filter: 10 bits a key, 7 probes.
//!
//! Of keys that are not in it, (1 - e^(-7/10))^7 = 0.82 % seem to be (B. H. Bloom, "Space/time trade-offs in hash coding
//! with allowable errors", CACM 13, 1970). The probes of a key are a + i b for the two halves a, b of its XXH3-128 hash, which
//! is as good as 7 hashes (A. Kirsch, M. Mitzenmacher, "Less hashing, same performance: building a better Bloom filter",
//! 2006). A probe h is bit floor(h m / 2^64) of the m bits, bit n being bit n mod 8 of byte n / 8.

use xxhash_rust::xxh3::xxh3_128;

const BITS_A_KEY: usize = 10;
const PROBES: u64 = 7;

/// The hash of a key, from which its probes are made.
pub(super) fn hash(key: &[u8]) -> u128 {
    xxh3_128(key)
}

fn probes(hash: u128, len: usize) -> impl Iterator<Item = (usize, u8)> {
    let (a, b, bits) = (hash as u64, (hash >> 64) as u64, len as u128 * 8);
    (0..PROBES).map(move |i| {
        let bit = (u128::from(a.wrapping_add(i.wrapping_mul(b))) * bits) >> 64;
        ((bit >> 3) as usize, 1 << (bit & 7))
    })
}

/// The filter of keys with these hashes: as many bytes as they need, a multiple of 8.
pub(super) fn build(hashes: &[u128], filter: &mut Vec<u8>) {
    filter.clear();
    filter.resize((hashes.len() * BITS_A_KEY).div_ceil(64).max(1) * 8, 0);
    let len = filter.len();
    for (at, bit) in hashes.iter().flat_map(|h| probes(*h, len)) {
        if let Some(byte) = filter.get_mut(at) {
            *byte |= bit;
        }
    }
}

/// `false`: the key is surely absent.
pub(super) fn may_hold(filter: &[u8], hash: u128) -> bool {
    probes(hash, filter.len()).all(|(at, bit)| filter.get(at).is_none_or(|byte| byte & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key is found; of absent ones fewer than 1 in 100 seem to be there.
    #[test]
    fn absent_keys_are_told_apart() {
        for n in [1u64, 7, 1_000, 40_000] {
            let mut filter = Vec::new();
            let hashes: Vec<_> = (0..n).map(|i| hash(&i.to_be_bytes())).collect();
            build(&hashes, &mut filter);
            assert!(filter.len() % 8 == 0 && filter.len() as u64 <= n * 10 / 8 + 8);
            assert!(hashes.iter().all(|h| may_hold(&filter, *h)));
            let wrong = (n..n + 100_000)
                .filter(|i| may_hold(&filter, hash(&i.to_be_bytes())))
                .count();
            assert!(wrong < 1_000, "{wrong} of 100000 with {n} keys");
        }
    }

    /// The bits are persisted.
    #[test]
    fn bits_are_these() {
        let mut filter = Vec::new();
        build(&[1 << 122, 1 << 63, u128::MAX], &mut filter);
        assert_eq!(filter, [0x7f, 0, 0, 0, 0x01, 0, 0, 0x80]);
    }
}
