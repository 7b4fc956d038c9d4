//! The laws of adding.

use std::collections::BTreeMap;
use std::thread;

use rufous_algebra::Semigroup;

use super::{Numbers, SampleKey, SampleValue, Samples, fine, reads};
use crate::kit::{MergeableStore, ReadableStore};

pub(super) fn check<K, V, S>(make: &impl Fn() -> S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    consecutive(&make(), samples);
    repeated_in_one_call(&make(), samples);
    for seed in 0..4 {
        random_history(&make(), samples, seed);
    }
    threads_add(&make(), samples);
}

/// Adds pairs to a plain map, and says what each key had before.
pub(super) fn add<K: SampleKey, V: Semigroup>(holds: &mut BTreeMap<K, V>, pairs: &[(K, V)]) -> Vec<Option<V>> {
    let one = |(key, value): &(K, V)| {
        let before = holds.get(key).cloned();
        let mut sum = before.clone();
        match &mut sum {
            Some(sum) => sum.combine(value),
            None => sum = Some(value.clone()),
        }
        holds.extend(sum.map(|sum| (key.clone(), sum)));
        before
    };
    pairs.iter().map(one).collect()
}

pub(super) fn merge_many<K, V>(store: &impl MergeableStore<K, V>, holds: &mut BTreeMap<K, V>, pairs: &[(K, V)])
where
    K: SampleKey,
    V: SampleValue + Semigroup,
{
    let answers = store.multi_merge(pairs.to_vec());
    assert_eq!(answers.len(), pairs.len(), "one answer a pair");
    let expected = add(holds, pairs);
    for (((key, _), answer), before) in pairs.iter().zip(answers).zip(expected) {
        let found = fine("a merge", key, answer);
        assert_eq!(found, before, "what key {key:?} had just before");
    }
}

/// The first finds nothing; each finds the sum of those before it.
fn consecutive<K, V, S>(store: &S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    assert!(
        store.multi_merge(Vec::new()).is_empty(),
        "nothing added is nothing answered"
    );
    let mut holds = BTreeMap::new();
    for round in 0..3 {
        for (i, key) in samples.keys().iter().enumerate() {
            let pair = (key.clone(), samples.value(i + round));
            let before = fine("a merge", key, store.merge(pair.0.clone(), pair.1.clone()));
            assert_eq!(
                vec![before],
                add(&mut holds, &[pair]),
                "what key {key:?} had just before"
            );
            let now = fine("a get", key, store.get(key));
            assert_eq!(now.as_ref(), holds.get(key), "key {key:?} after a merge");
        }
    }
    reads::answers_every_key(store, &holds, &[]);
}

fn repeated_in_one_call<K, V, S>(store: &S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    let mut holds = BTreeMap::new();
    let keys = &samples.keys()[..10];
    for round in 0..3 {
        let pairs: Vec<(K, V)> = (0..100)
            .map(|i| (keys[(i * i + round) % 10].clone(), samples.value(i)))
            .collect();
        merge_many(store, &mut holds, &pairs);
        reads::compare(store, &holds, keys);
    }
}

fn random_history<K, V, S>(store: &S, samples: &Samples<K, V>, seed: u64)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    let mut numbers = Numbers(seed ^ 0x5eed);
    let mut holds = BTreeMap::new();
    for step in 0..80 {
        let pairs: Vec<(K, V)> = (0..numbers.below(12))
            .map(|i| {
                (
                    samples.keys()[numbers.below(samples.keys().len())].clone(),
                    samples.value(step + i),
                )
            })
            .collect();
        merge_many(store, &mut holds, &pairs);
    }
    reads::compare(store, &holds, samples.keys());
}

/// All that the threads add is in the sums, whoever came first; and of all that add to a key exactly one found nothing.
fn threads_add<K, V, S>(store: &S, samples: &Samples<K, V>)
where
    K: SampleKey,
    V: SampleValue + Semigroup,
    S: ReadableStore<K, V> + MergeableStore<K, V>,
{
    const THREADS: usize = 4;
    let keys = &samples.keys()[..10];
    let first: usize = thread::scope(|scope| {
        let work = |thread: usize| {
            let mut first = 0;
            for round in 0..50 {
                // One by one and many at once, in orders that differ from thread to thread.
                let pairs: Vec<(K, V)> = (0..10)
                    .map(|i| {
                        (
                            keys[(i * 3 + thread * 7 + round) % 10].clone(),
                            samples.value((i + round) % 10),
                        )
                    })
                    .collect();
                let (one, many) = pairs.split_at(3);
                let mut answers: Vec<_> = one
                    .iter()
                    .map(|(key, value)| store.merge(key.clone(), value.clone()))
                    .collect();
                answers.extend(store.multi_merge(many.to_vec()));
                assert_eq!(answers.len(), 10, "one answer a pair");
                for ((key, _), answer) in pairs.iter().zip(answers) {
                    first += usize::from(fine("a merge by one of many threads", key, answer).is_none());
                }
            }
            first
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|t| t.join().expect("a thread that adds")).sum()
    });
    let mut holds = BTreeMap::new();
    for thread in 0..THREADS {
        for round in 0..50 {
            for i in 0..10 {
                let pair = (
                    keys[(i * 3 + thread * 7 + round) % 10].clone(),
                    samples.value((i + round) % 10),
                );
                add(&mut holds, &[pair]);
            }
        }
    }
    reads::compare(store, &holds, keys);
    assert_eq!(first, keys.len(), "merges that found nothing, of all threads");
}
