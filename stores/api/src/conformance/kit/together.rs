//! Puts and merges of one store.

use std::collections::BTreeMap;
use std::thread;

use rufous_algebra::Semigroup;

use super::{Numbers, SampleKey, SampleValue, Samples, fine, merges, reads};
use crate::kit::FullStore;

pub(super) fn check<K, V, S>(make: &impl Fn() -> S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: FullStore<K, V>,
{
    for seed in 0..4 {
        let mut numbers = Numbers(seed ^ 0xf011);
        let keys: Vec<&K> = (0..12)
            .map(|_| &samples.keys()[numbers.below(samples.keys().len())])
            .collect();
        history(&make(), &keys, samples, seed, 150);
    }
    let store = &make();
    thread::scope(|scope| {
        for thread in 0..4usize {
            let keys: Vec<&K> = samples.keys().iter().skip(thread).step_by(4).take(8).collect();
            scope.spawn(move || history(store, &keys, samples, thread as u64, 150));
        }
    });
}

/// What one thread does to keys that nobody else writes, and what it finds.
fn history<K, V, S>(store: &S, keys: &[&K], samples: &Samples<K, V>, seed: u64, steps: usize)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: FullStore<K, V>,
{
    let mut numbers = Numbers(seed);
    let mut holds: BTreeMap<K, V> = BTreeMap::new();
    for step in 0..steps {
        let some: Vec<K> = (0..1 + numbers.below(5))
            .map(|_| keys[numbers.below(keys.len())].clone())
            .collect();
        match numbers.below(5) {
            0 => {
                let pairs: Vec<(K, Option<V>)> = some
                    .iter()
                    .map(|key| (key.clone(), (numbers.below(3) > 0).then(|| samples.value(step))))
                    .collect();
                for (key, done) in some.iter().zip(store.multi_put(pairs.clone())) {
                    fine("a put", key, done);
                }
                for (key, value) in pairs {
                    match value {
                        Some(value) => holds.insert(key, value),
                        None => holds.remove(&key),
                    };
                }
            }
            1 | 2 => {
                let pairs: Vec<(K, V)> = some.into_iter().map(|key| (key, samples.value(step))).collect();
                merges::merge_many(store, &mut holds, &pairs);
            }
            _ => reads::compare(store, &holds, &some),
        }
    }
    let all: Vec<K> = keys.iter().map(|key| (*key).clone()).collect();
    reads::compare(store, &holds, &all);
}
