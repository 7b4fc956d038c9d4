//! Decoding survives hostile bytes: it never panics, and what it accepts encodes to the same bytes (canonical).

mod common;

use std::collections::BTreeMap;

use common::{Rng, hll, max_tokens, quantiles};
use proptest::prelude::*;
use rufous_algebra::{Codec, Hll, Max, Quantiles};

fn survives<T: Codec>(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(value) = T::decode(&mut rest) else { return false };
    assert_eq!(
        value.to_bytes(),
        bytes[..bytes.len() - rest.len()],
        "accepted, but not canonical"
    );
    // What people are shown must survive what hostile bytes decode to.
    let _ = (value.json(), value.magnitude());
    true
}

type Nested = BTreeMap<String, (Option<Vec<u16>>, f64, bool, Max<String>)>;

proptest! {
    /// Any bytes at all.
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        survives::<Nested>(&bytes);
        survives::<Vec<String>>(&bytes);
        survives::<Quantiles>(&bytes);
        survives::<Hll<4>>(&bytes);
        survives::<Hll<12>>(&bytes);
    }

    /// Any bytes after a valid header.
    #[test]
    fn random_bytes_after_a_header(mode in 0u8..4, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        survives::<Hll<4>>(&[&[1 << 5 | mode << 3], bytes.as_slice()].concat());
        survives::<Quantiles>(&[&[1], bytes.as_slice()].concat());
    }
}

/// Valid encodings with random bytes altered, cut or repeated.
#[test]
fn corrupted_encodings() {
    fn corrupt<T: Codec>(valid: &[u8], rounds: usize, rng: &mut Rng) {
        assert!(survives::<T>(valid));
        for _ in 0..rounds {
            let mut bytes = valid.to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len());
                match rng.below(4) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes[at] = rng.next() as u8,
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, rng.next() as u8),
                }
            }
            survives::<T>(&bytes);
        }
    }
    let mut rng = Rng(4);
    let n = max_tokens(8);
    for sketch in [hll::<8>([]), hll([1]), hll(0..10), hll(0..n), hll(0..n + 1)] {
        corrupt::<Hll<8>>(&sketch.to_bytes(), 4_000, &mut rng);
    }
    let histogram = quantiles((0..50).map(|_| rng.wide()));
    corrupt::<Quantiles>(&histogram.to_bytes(), 10_000, &mut rng);
    let nested: Nested = BTreeMap::from([
        ("a".into(), (Some(vec![1, 2]), 1.5, true, Max::of("x".into()))),
        ("b".into(), (None, f64::NEG_INFINITY, false, Max::default())),
    ]);
    corrupt::<Nested>(&nested.to_bytes(), 10_000, &mut rng);
}

/// A dense state has as many registers in use as the tokens above the threshold leave at the least, here 193 of 2^18:
/// those that tokens of all the slots of 192 registers and one more would.
#[test]
fn dense_states_are_full_enough() {
    let dense = |registers: usize| {
        let mut bytes = vec![0; 1 + (1 << 18) / 4 * 3];
        bytes[0] = 0x28;
        // Four registers of rank 1 in three bytes: bits 0, 6, 12 and 18.
        (0..registers).for_each(|i| bytes[1 + i / 4 * 3 + i % 4 * 6 / 8] |= 1 << (i % 4 * 6 % 8));
        bytes
    };
    assert!(!survives::<Hll<18>>(&dense(192)));
    assert!(survives::<Hll<18>>(&dense(193)));
}

/// Malformed on purpose: each is an error that says what is wrong.
#[test]
fn named_errors() {
    fn error<T: Codec>(bytes: &[u8]) -> String {
        T::decode_all(bytes).err().expect("an error").to_string()
    }
    let token = |slot: u32, rank: u32| (slot << 6 | rank).to_le_bytes();
    let sparse = |tokens: &[[u8; 4]]| [&[0x20, tokens.len() as u8], tokens.concat().as_slice()].concat();
    let cases = [
        (error::<Hll<4>>(&[]), "wanted 1 bytes, 0 left"),
        (error::<Hll<4>>(&[0x40]), "hll header 0x40 is unknown"),
        (error::<Hll<4>>(&[0x21]), "hll header 0x21 is unknown"),
        (error::<Hll<4>>(&[0x38, 0]), "1 bytes follow the value"),
        (
            error::<Hll<4>>(&sparse(&[token(1, 1)])),
            "1 sparse hll tokens: from 2 to 3",
        ),
        (
            error::<Hll<4>>(&sparse(&[token(1, 1), token(2, 1), token(3, 1), token(4, 1)])),
            "4 sparse hll tokens: from 2 to 3",
        ),
        (
            error::<Hll<4>>(&sparse(&[token(2, 1), token(1, 1)])),
            "hll tokens do not ascend",
        ),
        (
            error::<Hll<4>>(&sparse(&[token(1, 1), token(1, 2)])),
            "hll tokens do not ascend",
        ),
        (
            error::<Hll<4>>(&sparse(&[token(1, 0), token(2, 1)])),
            "hll token with rank 0: from 1 to 39",
        ),
        (
            error::<Hll<4>>(&sparse(&[token(1, 40), token(2, 1)])),
            "hll token with rank 40: from 1 to 39",
        ),
        (
            error::<Hll<4>>(&[&[0x28][..], &[0xff; 12]].concat()),
            "hll register 63: from 0 to 39",
        ),
        (
            error::<Hll<4>>(&[&[0x28][..], &[0; 12]].concat()),
            "dense hll with fewer items than a sparse one",
        ),
        (error::<Hll<4>>(&[0x28; 12]), "wanted 12 bytes, 11 left"),
        (error::<Quantiles>(&[2, 0]), "log-histogram version 2 is unknown"),
        (error::<Quantiles>(&[1, 1, 0, 0]), "log-histogram count of zero"),
        (
            error::<Quantiles>(&[1, 1, 2, 2]),
            "log-histogram bucket 1 has no values",
        ),
        (
            error::<Quantiles>(&[1, 2, 0, 2, 0, 2]),
            "log-histogram buckets do not ascend",
        ),
        (error::<Quantiles>(&[1, 0x80, 0]), "number not in its shortest form"),
        (
            error::<Quantiles>(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]),
            "number cut short",
        ),
        (error::<BTreeMap<u8, u8>>(&[2, 1, 0, 1, 0]), "map keys do not ascend"),
        (error::<BTreeMap<u8, u8>>(&[2, 2, 0, 1, 0]), "map keys do not ascend"),
        (error::<BTreeMap<u8, u8>>(&[1]), "map cut short"),
        (
            error::<Vec<u8>>(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7]),
            "list cut short",
        ),
        (error::<String>(&[0xff, 0xff, 0x03, b'a']), "wanted 65535 bytes, 1 left"),
        (error::<String>(&[1, 0xff]), "text is not UTF-8"),
        (error::<bool>(&[2]), "byte 2 is no bool"),
        (error::<Option<u8>>(&[2, 0]), "option tag 2"),
        (error::<f64>(&(-0.0f64).to_le_bytes()), "f64 bits are not canonical"),
        (
            error::<f64>(&0x7ff0_0000_0000_0001u64.to_le_bytes()),
            "f64 bits are not canonical",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}
