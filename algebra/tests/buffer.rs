//! Buffers lose nothing: what comes out of them adds up to what went in, against a map from the standard library.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rufous_algebra::buffer::{Budgeted, Buffer, CombineMap, HotFront};
use rufous_algebra::laws::rule::conserves;
use rufous_algebra::{Hll, Quantiles, Semigroup};

type Puts = Vec<(Vec<u8>, Vec<u16>)>;

/// Few keys, so that they meet; some empty, some long.
fn puts() -> impl Strategy<Value = Puts> {
    let key = prop_oneof![
        Just(vec![]),
        (0u8..20).prop_map(|k| vec![k]),
        (0u8..6).prop_map(|k| vec![k; 300]),
    ];
    proptest::collection::vec((key, proptest::collection::vec(any::<u16>(), 0..3)), 0..300)
}

proptest! {
    /// Conservation, with lists: also the order of each key's values is kept. Budgets from nothing to everything.
    #[test]
    fn conservation(puts in puts(), budget in prop_oneof![Just(0usize), 1usize..3_000, Just(usize::MAX)]) {
        conserves(&mut Budgeted::new(budget), &puts)?;
        conserves(&mut HotFront::<_, _, 1>::new(Budgeted::new(budget)), &puts)?;
        conserves(&mut HotFront::<_, _, 8>::new(Budgeted::new(budget)), &puts)?;
        conserves(&mut HotFront::<_, _, 2>::new(HotFront::<_, _, 4>::new(Budgeted::new(budget))), &puts)?;
    }

    /// The map against a map, with hashes that all collide: keys decide.
    #[test]
    fn colliding_hashes(puts in puts(), mask in prop_oneof![Just(0u64), Just(1), Just(u64::MAX)]) {
        let (mut map, mut expected) = (CombineMap::default(), BTreeMap::<Vec<u8>, Vec<u16>>::new());
        for (key, value) in &puts {
            let hash = xxhash_rust::xxh3::xxh3_64(key) & mask;
            map.fold(hash, key, value.clone(), |v| v, |sum, v| sum.combine_owned(v)).unwrap();
            expected.entry(key.clone()).or_default().extend(value);
        }
        prop_assert_eq!(map.len(), expected.len());
        let mut out = Vec::new();
        map.drain_sorted(&mut |key, value| out.push((key.to_vec(), value)));
        prop_assert_eq!(out, expected.into_iter().collect::<Vec<_>>());
        prop_assert!(map.is_empty() && map.bytes() == 0);
    }
}

proptest! {
    /// Hints are taken before a chunk is folded: of keys that come within it, of a table that grows meanwhile, of hashes
    /// that collide. They change nothing.
    #[test]
    fn hints_may_be_wrong(puts in puts(), chunk in 1usize..40, mask in prop_oneof![Just(0u64), Just(3), Just(u64::MAX)]) {
        let (mut map, mut expected) = (CombineMap::default(), BTreeMap::<Vec<u8>, Vec<u16>>::new());
        let mut hints = Vec::new();
        for puts in puts.chunks(chunk) {
            let hashes: Vec<u64> = puts.iter().map(|(key, _)| xxhash_rust::xxh3::xxh3_64(key) & mask).collect();
            map.look_ahead(&hashes, &mut hints);
            prop_assert_eq!(hints.len(), hashes.len());
            // The hints of another key, too.
            hints.rotate_left(hashes.len() / 3);
            for (((key, value), hash), hint) in puts.iter().zip(&hashes).zip(&hints) {
                map.fold_hinted(*hint, *hash, key, value.clone(), |v| v, |sum, v| sum.combine_owned(v)).unwrap();
                expected.entry(key.clone()).or_default().extend(value);
            }
        }
        for (key, value) in &expected {
            prop_assert_eq!(map.get_hashed(xxhash_rust::xxh3::xxh3_64(key) & mask, key), Some(value));
        }
        let got: BTreeMap<_, _> = map.iter().map(|(key, value)| (key.to_vec(), value.clone())).collect();
        prop_assert_eq!(got.len(), map.len());
        prop_assert_eq!(got, expected);
    }
}

/// A buffer that forgets is found.
#[test]
fn a_loss_is_found() {
    struct Forgets(Budgeted<Vec<u16>>);
    impl Buffer<Vec<u16>> for Forgets {
        fn put(&mut self, key: &[u8], value: Vec<u16>, out: &mut dyn FnMut(&[u8], Vec<u16>)) {
            if key != [3] {
                self.0.put(key, value, out);
            }
        }
        fn flush(&mut self, out: &mut dyn FnMut(&[u8], Vec<u16>)) {
            self.0.flush(out);
        }
        fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
    }
    let broken = conserves(
        &mut Forgets(Budgeted::new(100)),
        &[(vec![2], vec![1]), (vec![3], vec![2])],
    );
    assert!(broken.unwrap_err().to_string().contains("conserved"));
}

/// A map that is larger than a cache leads its hints on and fetches what they point at; keys of eight bytes are told by their
/// hash, beside shorter and longer ones. The sums are those of a plain map, however old the hints.
#[test]
fn large_maps_are_looked_at_ahead() {
    use rufous_algebra::HashBytes as _;
    let (mut map, mut expected) = (CombineMap::<u64>::default(), BTreeMap::<Vec<u8>, u64>::new());
    let (mut x, mut hints, mut kept) = (7_u64, Vec::new(), Vec::new());
    for round in 0..400_usize {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for _ in 0..500 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (x >> 40) % 60_000;
            keys.push(match key % 8 {
                0 => key.to_be_bytes()[..7].to_vec(),
                1 => [&key.to_be_bytes()[..], b"\0"].concat(),
                _ => key.to_be_bytes().to_vec(),
            });
        }
        let hashes: Vec<u64> = keys.iter().map(|k| k[..].hash64()).collect();
        map.look_ahead(&hashes, &mut hints);
        if round % 7 == 3 {
            // Hints of other keys, from a table that has grown since.
            hints.clone_from(&kept);
        }
        for ((key, hash), hint) in keys.iter().zip(&hashes).zip(&hints) {
            let add = |sum: &mut u64, n| *sum += n;
            match key.first_chunk::<8>().filter(|_| key.len() == 8) {
                Some(word) => map.fold_word(*hint, *hash, word, 1, |n| n, add).unwrap(),
                None => map.fold_hinted(*hint, *hash, key, 1, |n| n, add).unwrap(),
            }
            *expected.entry(key.clone()).or_default() += 1;
        }
        kept.clone_from(&hints);
    }
    assert!(map.bytes() > 2 << 20, "{} bytes", map.bytes());
    let got: BTreeMap<_, _> = map.iter().map(|(key, n)| (key.to_vec(), *n)).collect();
    assert_eq!((map.len(), got), (expected.len(), expected));
}

/// A glance changes nothing, sparse or dense.
#[test]
fn a_glance_changes_nothing() {
    use rufous_algebra::{Absorb, Codec};
    let (mut plain, mut glanced) = (Hll::<4>::default(), Hll::<4>::default());
    for i in 0..1_000_i64 {
        plain.absorb(&i);
        let before = glanced.to_bytes();
        let _ = glanced.glance(&i);
        assert_eq!(glanced.to_bytes(), before);
        glanced.absorb(&i);
    }
    assert_eq!(plain.to_bytes(), glanced.to_bytes());
}

/// The budget sees what sketches keep on the heap: a few keys with large sketches are over it, and bytes are those in use.
#[test]
fn the_budget_sees_sketches() {
    let mut map = CombineMap::<(Hll<14>, Quantiles)>::default();
    let mut last = 0;
    for i in 0..50_000i64 {
        map.fold(
            1,
            b"key",
            i,
            |_| (Hll::default(), Quantiles::default()),
            |(users, delays), i| {
                users.insert(&i);
                delays.insert(i);
            },
        )
        .unwrap();
        if i == 10 {
            last = map.bytes();
        }
    }
    let (users, delays) = map.get_hashed(1, b"key").unwrap();
    assert!(map.bytes() > last + (1 << 14), "{} after {last}", map.bytes());
    assert!(map.bytes() >= users.heap_bytes() + delays.heap_bytes());
    assert!(map.bytes() < users.heap_bytes() + delays.heap_bytes() + 300);
}
