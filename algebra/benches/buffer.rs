//! The combining map beside `HashMap` of the standard library, and a front for hot keys before it: a stream of words, as
//! skewed as words are (Zipf, s = 1), with few and with many different ones.

#[path = "common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use common::contest;
use rufous_algebra::buffer::{Budgeted, Buffer, CombineMap, HotFront};
use rufous_algebra::laws::Rng;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Clone, Copy, Default)]
struct Xxh3(u64);
impl BuildHasher for Xxh3 {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        *self
    }
}
impl Hasher for Xxh3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

const WORDS: usize = 1_000_000;

/// Words of a Zipf distribution: the rank of each is `n^u` for a uniform `u`.
fn words(different: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng(5);
    (0..WORDS)
        .map(|_| {
            let u = rng.next() as f64 / u64::MAX as f64;
            format!("word{}", (different as f64).powf(u) as usize).into_bytes()
        })
        .collect()
}

fn main() {
    for different in [1_000, 100_000] {
        let words = words(different);
        let mut expected: HashMap<&[u8], u64> = HashMap::new();
        words.iter().for_each(|w| *expected.entry(w).or_default() += 1);
        let mut map = CombineMap::<u64>::default();
        words.iter().for_each(|w| map.combine(w, 1).unwrap());
        let exact = map.len() == expected.len() && map.iter().all(|(key, n)| expected[key] == *n);
        let total = |buffer: &mut dyn Buffer<u64>| {
            let mut total = 0;
            words.iter().for_each(|w| buffer.put(w, 1, &mut |_, n| total += n));
            buffer.flush(&mut |_, n| total += n);
            total
        };
        let exact = exact && total(&mut HotFront::<_, _, 256>::new(Budgeted::new(usize::MAX))) == WORDS as u64;
        let mut std_map: HashMap<Vec<u8>, u64, Xxh3> = HashMap::default();
        let mut budgeted = Budgeted::new(usize::MAX);
        let mut front = HotFront::<_, _, 256>::new(Budgeted::new(usize::MAX));
        let mut large_front = HotFront::<_, _, 4096>::new(Budgeted::new(usize::MAX));
        contest(
            format!("combine words, {} different of a million", expected.len()),
            WORDS as u64,
        )
        .contender("CombineMap", || {
            map.clear();
            words.iter().for_each(|w| map.combine(w, 1).unwrap());
        })
        .contender("HashMap<Vec<u8>, u64>, xxh3, entry", || {
            std_map.clear();
            words.iter().for_each(|w| *std_map.entry(w.clone()).or_default() += 1);
        })
        .contender("HashMap<&[u8], u64>, xxh3: keys that stay", || {
            let mut map: HashMap<&[u8], u64, Xxh3> = HashMap::default();
            words.iter().for_each(|w| *map.entry(w).or_default() += 1);
            map.len()
        })
        .contender("Budgeted, with its flush", || total(&mut budgeted))
        .contender("HotFront of 256 before it, with its flush", || total(&mut front))
        .contender("HotFront of 4096 before it, with its flush", || total(&mut large_front))
        .exact(exact)
        .run();
    }
}
