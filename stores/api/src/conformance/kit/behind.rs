//! Write-behind over a store: nothing is lost, and little is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use super::{Numbers, fine};
use crate::kit::{AddingStore, Adds, Behind, MergeableStore, ReadableStore, WriteBehind, Writes};

/// Adds `additions` numbers to `keys` keys of an empty store, through [`WriteBehind`] and by several threads, and compares every sum with a
/// plain map. With room for all keys and no flush before the end, the store gets one addition a key: `added / sent` of what is
/// returned is the ratio by which writes were cut.
///
/// # Panics
/// Where a sum is not what was added, or `limit` was not kept.
pub fn write_behind<S>(store: S, limit: Behind, additions: usize, keys: usize) -> Writes
where
    S: ReadableStore<String, u64> + MergeableStore<String, u64> + 'static,
{
    const THREADS: usize = 4;
    let store = Arc::new(store);
    let behind = fine(
        "a thread",
        &"write-behind",
        WriteBehind::new(Adds(Arc::clone(&store)), limit),
    );
    let parts: Vec<BTreeMap<String, u64>> = thread::scope(|scope| {
        let work = |thread: usize| {
            let mut numbers = Numbers(thread as u64);
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            let mut left = additions / THREADS + usize::from(thread < additions % THREADS);
            while left > 0 {
                let n = left.min(100);
                let pairs: Vec<(String, u64)> = (0..n)
                    .map(|_| (format!("key {}", numbers.below(keys)), numbers.below(1000) as u64))
                    .collect();
                for (key, value) in &pairs {
                    *sums.entry(key.clone()).or_default() += value;
                }
                for (i, done) in behind.multi_add(pairs).into_iter().enumerate() {
                    fine("an addition", &i, done);
                }
                left -= n;
            }
            sums
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("a thread that adds"))
            .collect()
    });
    fine("a flush", &"everything", behind.flush());
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (key, value) in parts.into_iter().flatten() {
        *sums.entry(key).or_default() += value;
    }
    let keys: Vec<String> = sums.keys().cloned().collect();
    for (key, found) in keys.iter().zip(store.multi_get(&keys)) {
        assert_eq!(
            fine("a get", key, found),
            sums.get(key).copied(),
            "the sum of key {key:?}"
        );
    }
    let writes = behind.writes();
    assert_eq!(writes.added, additions as u64, "every addition was accepted");
    assert!(writes.sent >= sums.len() as u64, "each key was sent at least once");
    let unclear = behind.close();
    assert!(unclear.is_empty(), "{} sums are unclear", unclear.len());
    writes
}
