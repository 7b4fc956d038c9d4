//! First and last, all and any, sets, counters and vectors: merge trees, and the bytes of the small types.

mod common;

use std::collections::BTreeSet;

use common::bytes::bytes;
use common::{Rng, absorbed};
use rufous_algebra::laws::{exact_trees, replayed_trees};
use rufous_algebra::{
    Affine, All, Any, Count, Elementwise, First, Last, Leftmost, Monoid, Reset, Rightmost, Saturating, Semigroup, Xor,
};

/// Exact tier: any merge tree has the bytes of one state; where they are idempotent also if items are seen again.
#[test]
fn trees() {
    let mut rng = Rng(1);
    for seed in 0..100 {
        let n = [0, 1, 2, 20, 150][seed as usize % 5];
        let bytes: Vec<u8> = (0..n).map(|_| rng.next() as u8).collect();
        exact_trees::<u8, Count>(&bytes, 100, seed).unwrap();
        exact_trees::<u8, Saturating<u8>>(&bytes, 100, seed).unwrap();
        exact_trees::<u8, Xor<u8>>(&bytes, 100, seed).unwrap();
        replayed_trees::<u8, All<u8>>(&bytes, 100, seed).unwrap();
        replayed_trees::<u8, Any<u8>>(&bytes, 100, seed).unwrap();
        exact_trees::<u8, BTreeSet<u8>>(&bytes, 50, seed).unwrap();
        replayed_trees::<u8, BTreeSet<u8>>(&bytes, 50, seed).unwrap();
        let pairs: Vec<(u8, u8)> = bytes.iter().map(|b| (b % 16, b / 16)).collect();
        exact_trees::<(u8, u8), First<u8, u8>>(&pairs, 50, seed).unwrap();
        replayed_trees::<(u8, u8), First<u8, u8>>(&pairs, 50, seed).unwrap();
        exact_trees::<(u8, u8), Last<u8, u8>>(&pairs, 50, seed).unwrap();
        replayed_trees::<(u8, u8), Last<u8, u8>>(&pairs, 50, seed).unwrap();
        let vectors: Vec<Vec<i8>> = bytes.iter().map(|b| vec![*b as i8 % 3; usize::from(b % 7)]).collect();
        exact_trees::<Vec<i8>, Elementwise<i8>>(&vectors, 100, seed).unwrap();
    }
}

/// First and last: by their own order, not by that of arrival; of equal times the value decides, not the arrival.
#[test]
fn first_and_last() {
    let events = [(5, "b"), (2, "z"), (2, "a"), (9, "c"), (9, "d")];
    let first: First<i32, &str> = absorbed(&events);
    let last: Last<i32, &str> = absorbed(&events);
    assert_eq!((first.order(), first.get()), (Some(&2), Some(&"a")));
    assert_eq!((last.order(), last.get()), (Some(&9), Some(&"d")));
    assert_eq!(First::<i32, &str>::zero().get(), None);
    let by_arrival: (Leftmost<(i32, &str)>, Rightmost<(i32, &str)>) = (absorbed(&events), absorbed(&events));
    assert_eq!(
        (by_arrival.0.get(), by_arrival.1.get()),
        (Some(&(5, "b")), Some(&(9, "d")))
    );
}

/// Saturating: stops, and stays, in one step or in many.
#[test]
fn counters_stop() {
    let many = Saturating(3u8).times(u64::MAX.try_into().unwrap());
    assert_eq!(
        (many, Saturating(0u8).times(u64::MAX.try_into().unwrap())),
        (Saturating(255), Saturating(0))
    );
    let mut count = Count::of(u64::MAX);
    count.combine(&Count::of(1));
    assert_eq!(count.get(), u64::MAX);
}

/// The bytes of the small types.
#[test]
fn format() {
    bytes("saturating")
        .value("0", Saturating(0u64))
        .value("max", Saturating(u64::MAX))
        .check();
    bytes("count").value("0", Count::of(0)).value("7", Count::of(7)).check();
    bytes("all").value("true", All(true)).value("false", All(false)).check();
    bytes("any").value("258", Any(258u16)).check();
    bytes("xor").value("258", Xor(258u128)).check();
    bytes("first")
        .value("nothing", First::zero())
        .value("3, a", First::of(3u64, "a".to_string()))
        .check();
    bytes("last")
        .value("nothing", Last::zero())
        .value("3, -1", Last::of(3u64, -1i64))
        .check();
    bytes("leftmost")
        .value("nothing", Leftmost::zero())
        .value("a", Leftmost::of("a".to_string()))
        .check();
    bytes("rightmost")
        .value("nothing", Rightmost::zero())
        .value("7", Rightmost::of(7u32))
        .check();
    bytes("affine")
        .value("identity", Affine::<97>::zero())
        .value("3, 96", Affine::new(3, 96))
        .check();
    bytes("reset")
        .value("nothing", Reset::plus(vec![]))
        .value("plus", Reset::plus(vec!["a".to_string(), String::new()]))
        .value("to", Reset::to(vec!["b".to_string()]))
        .element::<String>()
        .check();
    bytes("set-u16")
        .value("empty", BTreeSet::new())
        .value("258", BTreeSet::from([258u16]))
        .value("many", (0..1_000u32).map(|i| (i * i % 9_973) as u16).collect())
        .check();
    bytes("set-text")
        .value("empty", BTreeSet::new())
        .value("two", BTreeSet::from(["b".to_string(), String::new()]))
        .element::<String>()
        .check();
    bytes("array").value("three", [1u16, 2, 3]).check();
    bytes("array-text")
        .value("two", ["a".to_string(), String::new()])
        .element::<String>()
        .check();
    bytes("elementwise")
        .value("empty", Elementwise::new(vec![]))
        .value("5, 0, -5", Elementwise::new(vec![5i64, 0, -5]))
        .check();
}
