//! Faults in numbers: kill -9 at seeded instants, and a soak under faults of many kinds, of `job-word-count` over a real Kafka.
//! The oracle is the plain map that the producer keeps of what the broker took; where the broker dies, a fold over the log.

mod crash;
mod feed;
mod health;
mod logged;
mod place;
mod reads;
mod soak;
mod steady;

pub use crash::{Crashes, crash};
pub use feed::{Fed, Feed};
pub use place::Place;
pub use reads::{Reads, Seen, reads};
pub use soak::{Soak, soak};

use std::collections::BTreeMap;

use rufous::prelude::Codec;

use crate::run::Bytes;

/// How often each word was written.
pub type Counts = BTreeMap<String, u64>;

/// The time of the first record of a topic, in milliseconds: in 2023. Batches are hours of it, whatever the wall clock says.
const EPOCH: i64 = 470_000 * 3_600_000;

/// Partitions of the topics.
const PARTITIONS: i32 = 8;

/// The word of a number: three letters, 997 words.
fn word(n: u64) -> String {
    let n = n % 997;
    let letter = |n: u64| char::from(b'a' + (n % 26) as u8);
    [letter(n / 676), letter(n / 26), letter(n), 'x'].into_iter().collect()
}

/// Counts in the bytes of the store.
pub fn in_bytes(counts: &Counts) -> Bytes {
    let bytes = |(word, n): (&String, &u64)| (rufous::core::key::to_bytes(word.as_str()), n.to_bytes());
    counts.iter().map(bytes).collect()
}

/// The first words that differ, as `word: got, expected`.
fn differing(got: &Bytes, expected: &Bytes) -> String {
    let mut keys: Vec<_> = got.keys().chain(expected.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |of: &Bytes, key| of.get(key).and_then(|v| u64::decode(v).ok());
    let different = keys.into_iter().filter(|k| got.get(*k) != expected.get(*k));
    let shown: Vec<_> = different
        .take(5)
        .map(|k| format!("{}: {:?}, {:?}", k.escape_ascii(), value(got, k), value(expected, k)))
        .collect();
    shown.join("; ")
}

/// The sum of all counts.
fn total(answers: &Bytes) -> u64 {
    answers.values().filter_map(|v| u64::decode(v).ok()).sum()
}
