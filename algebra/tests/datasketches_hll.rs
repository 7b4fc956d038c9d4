//! HyperLogLog images: written here, read by the library, and the other way round.
#![cfg(feature = "datasketches")]

mod common;

use std::borrow::Cow;
use std::collections::BTreeMap;

use common::Rng;
use common::bytes::bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};
use rufous_algebra::apache::hll_image::{Content, from_image, to_image};
use rufous_algebra::laws::exact_trees;
use rufous_algebra::murmur::{MurmurItem, token};
use rufous_algebra::{ApacheHll, Codec, Hll};

const TYPES: [HllType; 3] = [HllType::Hll4, HllType::Hll6, HllType::Hll8];

/// The highest rank of each slot: the oracle, written apart from the code under test.
fn tokens(items: impl IntoIterator<Item = u64>) -> Vec<u32> {
    let mut highest: BTreeMap<u32, u32> = BTreeMap::new();
    for item in items {
        let token = token(item.murmur().unwrap());
        let rank = highest.entry(token >> 6).or_default();
        *rank = (token & 63).max(*rank);
    }
    highest.into_iter().map(|(slot, rank)| slot << 6 | rank).collect()
}

fn registers(lg_k: u8, tokens: &[u32]) -> Vec<u8> {
    let mut registers = vec![0u8; 1 << lg_k];
    for token in tokens {
        let register = &mut registers[(token >> 6) as usize & ((1 << lg_k) - 1)];
        *register = (*register).max((token & 63) as u8);
    }
    registers
}

fn native(lg_k: u8, kind: HllType, items: impl IntoIterator<Item = u64>) -> HllSketch {
    let mut sketch = HllSketch::new(lg_k, kind).unwrap();
    items.into_iter().for_each(|x| sketch.update(x));
    sketch
}

/// What the library makes of a sketch merged with another.
fn union(a: &HllSketch, b: &HllSketch) -> HllSketch {
    let mut union = HllUnion::new(a.lg_config_k()).unwrap();
    union.update(a);
    union.update(b);
    union.to_sketch(HllType::Hll8)
}

fn tokens_of(content: Content<'_>) -> Option<Vec<u32>> {
    match content {
        Content::Tokens(tokens) => Some(tokens.into_owned()),
        Content::Registers(_) => None,
    }
}

/// Export: our images decode in the library, with the composite estimate of a natively fed sketch to the bit, and
/// unions with native sketches have bit-equal estimates and the same registers.
#[test]
fn exported_images_are_the_library_s_own() {
    let mut rng = Rng(21);
    for lg_k in [4u8, 7, 8, 10, 12, 14] {
        for n in [
            0u64, 1, 2, 7, 8, 9, 10, 23, 24, 25, 95, 96, 97, 500, 1_000, 1_600, 10_000, 100_000,
        ] {
            let start = rng.next();
            let items = || (0..n).map(|i| start.wrapping_add(i));
            let tokens = tokens(items());
            let ours = HllSketch::deserialize(&to_image(lg_k, Content::Tokens(Cow::Borrowed(&tokens)))).unwrap();
            let theirs = native(lg_k, HllType::Hll8, items());
            let context = format!("lg_k {lg_k}, {n} items");
            assert_eq!(
                ours.composite_estimate().to_bits(),
                theirs.composite_estimate().to_bits(),
                "{context}"
            );
            let other = native(
                lg_k,
                HllType::Hll4,
                (0..n / 2 + 3).map(|i| (start ^ 1).wrapping_add(n / 2 + i)),
            );
            let (a, b) = (union(&ours, &other), union(&theirs, &other));
            // The library goes on with its running estimate where coupons are added to a sketch that was only fed.
            assert_eq!(
                a.composite_estimate().to_bits(),
                b.composite_estimate().to_bits(),
                "{context}"
            );
            if from_image(&other.serialize()).is_ok_and(|(_, content)| matches!(content, Content::Registers(_))) {
                assert_eq!(a.estimate().to_bits(), b.estimate().to_bits(), "{context}");
            }
            assert_eq!(from_image(&a.serialize()), from_image(&b.serialize()), "{context}");

            let dense = registers(lg_k, &tokens);
            let image = to_image(lg_k, Content::Registers(Cow::Borrowed(&dense)));
            let read = HllSketch::deserialize(&image).unwrap();
            if matches!(from_image(&theirs.serialize()), Ok((_, Content::Registers(_)))) {
                assert_eq!(
                    read.composite_estimate().to_bits(),
                    theirs.composite_estimate().to_bits(),
                    "{context}"
                );
            }
            assert_eq!(from_image(&image), Ok((lg_k, Content::Registers(Cow::Owned(dense)))));
        }
    }
}

/// Export at a million items, where the estimator is far into its range.
#[test]
fn a_million() {
    let items = || 0..1_000_000u64;
    let tokens = tokens(items());
    for lg_k in [10u8, 12, 14] {
        let ours = HllSketch::deserialize(&to_image(lg_k, Content::Tokens(Cow::Borrowed(&tokens)))).unwrap();
        let theirs = native(lg_k, HllType::Hll8, items());
        assert_eq!(
            ours.composite_estimate().to_bits(),
            theirs.composite_estimate().to_bits()
        );
        let other = native(lg_k, HllType::Hll6, 900_000..1_100_000u64);
        assert_eq!(
            union(&ours, &other).estimate().to_bits(),
            union(&theirs, &other).estimate().to_bits()
        );
    }
}

/// Import: lists, sets and arrays of all three kinds, fed or merged, hold what the items lead to.
#[test]
fn imported_images_hold_what_was_seen() {
    let mut rng = Rng(22);
    for lg_k in [4u8, 5, 8, 10, 12, 14] {
        for n in [0u64, 1, 7, 8, 24, 25, 96, 97, 500, 1_600, 20_000, 200_000] {
            let start = rng.next();
            let items = || (0..n).map(|i| start.wrapping_add(i));
            let expected = tokens(items());
            for kind in TYPES {
                let sketch = native(lg_k, kind, items());
                let (found, content) = from_image(&sketch.serialize()).unwrap();
                assert_eq!(found, lg_k);
                match content {
                    Content::Tokens(tokens) => assert_eq!(*tokens, expected, "{kind:?} {lg_k}, {n} items"),
                    Content::Registers(found) => {
                        assert_eq!(*found, registers(lg_k, &expected), "{kind:?} {lg_k}, {n} items");
                    }
                }
            }
        }
    }
}

/// Ranks that four bits cannot hold are exceptions, by the least rank and a list.
#[test]
fn high_ranks() {
    let mut tokens: Vec<u32> = (0..1u32 << 10).map(|slot| slot << 6 | 20).collect();
    for (slot, rank) in [(3, 63), (500, 36), (501, 34), (1_023, 40)] {
        tokens[slot] = (slot as u32) << 6 | rank;
    }
    let eight = HllSketch::deserialize(&to_image(10, Content::Tokens(Cow::Borrowed(&tokens)))).unwrap();
    for kind in TYPES {
        let mut union = HllUnion::new(10).unwrap();
        union.update(&eight);
        let image = union.to_sketch(kind).serialize();
        assert_eq!(
            from_image(&image),
            Ok((10, Content::Registers(Cow::Owned(registers(10, &tokens))))),
            "{kind:?}"
        );
    }
}

/// Images of other libraries may have unused places: lists of eight, sets and exceptions as tables, with zeros between.
#[test]
fn updatable_images() {
    let some = tokens(0..5);
    let coupon = |token: &u32| token.rotate_right(6).to_le_bytes();
    let mut list = vec![2, 1, 7, 12, 3, 0, 5, 2 << 2];
    some.iter().for_each(|token| list.extend_from_slice(&coupon(token)));
    list.extend_from_slice(&[0; 12]);
    assert_eq!(tokens_of(from_image(&list).unwrap().1), Some(some.clone()));
    let mut set = vec![3, 1, 7, 12, 5, 0, 0, 2 << 2 | 1, 5, 0, 0, 0];
    for token in &some {
        set.extend_from_slice(&[0; 4]);
        set.extend_from_slice(&coupon(token));
    }
    set.resize(12 + 4 * 32, 0);
    assert_eq!(tokens_of(from_image(&set).unwrap().1), Some(some));

    let native = native(4, HllType::Hll4, 0..100_000).serialize();
    let (_, expected) = from_image(&native).unwrap();
    let exceptions = native[36];
    // The same image with its exceptions in a table of 16.
    let mut table = native.clone();
    table[4] = 4;
    table[5] &= !8;
    if exceptions > 0 {
        table.resize(40 + 8 + 4 * 16, 0);
    }
    assert_eq!(from_image(&table).unwrap().1, expected);
}

/// Damaged images are an error or content in range: never a panic, never more memory than four times the image.
#[test]
fn damaged_images() {
    let mut images = Vec::new();
    for n in [0u64, 3, 20, 90, 3_000] {
        for kind in TYPES {
            images.push(native(8, kind, 0..n).serialize());
        }
    }
    let mut rng = Rng(23);
    let mut read = 0;
    for _ in 0..100_000 {
        let mut image = images[rng.below(images.len())].clone();
        for _ in 0..=rng.below(3) {
            let reach = if rng.below(2) == 0 { 44 } else { usize::MAX };
            let at = rng.below(image.len().min(reach));
            match rng.below(5) {
                0 if !image.is_empty() => image[at] ^= 1 << rng.below(8),
                1 if !image.is_empty() => image[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
                2 if !image.is_empty() => image[at] = rng.next() as u8,
                3 => image.insert(at, rng.next() as u8),
                _ => image.truncate(at),
            }
        }
        let mut found = None;
        let used = allocation_counter::measure(|| found = from_image(&image).ok());
        assert!(
            used.bytes_max <= 4 * image.len() as u64 + 512,
            "{} of {}",
            used.bytes_max,
            image.len()
        );
        let Some((lg_k, content)) = found else { continue };
        read += 1;
        match &content {
            Content::Tokens(tokens) => {
                assert!(tokens.windows(2).all(|two| two[0] >> 6 < two[1] >> 6));
                assert!(tokens.iter().all(|token| token & 63 > 0));
            }
            Content::Registers(registers) => {
                assert_eq!(registers.len(), 1 << lg_k);
                assert!(registers.iter().all(|rank| *rank < 64));
            }
        }
        // What was read is written, and read again: as it was, or as registers where there were too many coupons.
        let again = from_image(&to_image(lg_k, content.clone())).unwrap();
        match (&content, &again.1) {
            (Content::Tokens(tokens), Content::Registers(found)) => assert_eq!(**found, registers(lg_k, tokens)),
            _ => assert_eq!(again, (lg_k, content)),
        }
    }
    assert!(read > 10_000, "{read}");
}

/// A sketch here, fed with the same items: its image and the library's are read both ways, merge to the same state, and a
/// wider image folds to it.
#[test]
fn sketches_and_images_are_the_same() {
    let mut rng = Rng(22);
    for n in [0u64, 1, 7, 8, 50, 96, 97, 384, 385, 1_000, 20_000] {
        let start = rng.next();
        let items = || (0..n).map(|i| start.wrapping_add(i));
        let mut ours = ApacheHll::<12>::default();
        items().for_each(|x| ours.insert(&x));
        for kind in TYPES {
            let theirs = native(12, kind, items());
            assert_eq!(
                ApacheHll::<12>::from_apache(&theirs.serialize()).as_ref(),
                Ok(&ours),
                "{n} items"
            );
        }
        let wider = native(15, HllType::Hll8, items()).serialize();
        assert_eq!(
            ApacheHll::<12>::from_apache(&wider).as_ref(),
            Ok(&ours),
            "{n} items, wider"
        );
        let back = HllSketch::deserialize(&ours.to_apache()).unwrap();
        let estimate = native(12, HllType::Hll8, items()).composite_estimate();
        assert_eq!(back.composite_estimate().to_bits(), estimate.to_bits(), "{n} items");
        assert_eq!(ApacheHll::<12>::decode(&ours.to_bytes()).as_ref(), Ok(&ours));
    }
    let narrow = native(10, HllType::Hll8, 0..50_000).serialize();
    let error = ApacheHll::<12>::from_apache(&narrow).unwrap_err().to_string();
    assert!(error.contains("cannot become"), "{error}");
}

/// The hash is in the type and in the bytes: bytes of one are no value of the other.
#[test]
fn hashes_do_not_mix() {
    let mut ours = Hll::<12>::default();
    ours.insert("a");
    assert!(ApacheHll::<12>::decode(&ours.to_bytes()).is_err());
    assert_ne!(ApacheHll::<12>::schema(), Hll::<12>::schema());
}

/// Exact tier, for the second hash as well.
#[test]
fn trees_of_murmur() {
    let mut rng = Rng(23);
    for seed in 0..60 {
        let items: Vec<u64> = (0..rng.below(1_500)).map(|_| rng.next()).collect();
        exact_trees::<u64, ApacheHll<12>>(&items, 20, seed).unwrap();
        exact_trees::<u64, ApacheHll<5>>(&items[..items.len().min(40)], 100, seed).unwrap();
    }
}

/// The bytes of sketches with the second hash, around the change of form.
#[test]
fn format() {
    let sketch = |n: u64| {
        let mut sketch = ApacheHll::<8>::default();
        (0..n).for_each(|x| sketch.insert(&x));
        sketch
    };
    let mut file = bytes("hll-8-murmur3");
    for n in [0, 1, 2, 16, 17, 23, 24, 25, 100_000] {
        file = file.value(format!("0..{n}"), sketch(n));
    }
    file.check();
}
