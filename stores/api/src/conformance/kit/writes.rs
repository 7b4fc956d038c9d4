//! The laws of writing.

use std::collections::BTreeMap;
use std::thread;

use super::{Numbers, SampleKey, SampleValue, Samples, fine, reads};
use crate::kit::ReadWriteStore;

pub(super) fn check<K: SampleKey, V: SampleValue, S: ReadWriteStore<K, V>>(
    make: &impl Fn() -> S,
    samples: &Samples<K, V>,
) {
    nothing_is_there(&make(), samples);
    one_key(&make(), samples);
    many_keys(&make(), samples);
    the_last_pair_counts(&make(), samples);
    for seed in 0..4 {
        random_history(&make(), samples, seed);
    }
    threads_write_their_own_keys(&make(), samples);
}

fn put<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, key: &K, value: Option<V>) {
    fine("a put", key, store.put(key.clone(), value));
}

fn put_many<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, pairs: &[(K, Option<V>)]) {
    let done = store.multi_put(pairs.to_vec());
    assert_eq!(done.len(), pairs.len(), "one answer a pair");
    for ((key, _), done) in pairs.iter().zip(done) {
        fine("a put among many", key, done);
    }
}

fn nothing_is_there<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, samples: &Samples<K, V>) {
    reads::answers_every_key(store, &BTreeMap::new(), samples.keys());
    assert!(
        store.multi_put(Vec::new()).is_empty(),
        "nothing put is nothing answered"
    );
}

/// Put, then get; put again; deleted is absent; deleting what is absent is fine.
fn one_key<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, samples: &Samples<K, V>) {
    let read = |key: &K| fine("a get", key, store.get(key));
    for (i, key) in samples.keys().iter().enumerate() {
        let (first, second) = (samples.value(2 * i), samples.value(2 * i + 1));
        put(store, key, None);
        assert_eq!(read(key), None, "key {key:?} was deleted before it was there");
        put(store, key, Some(first.clone()));
        assert_eq!(read(key), Some(first), "key {key:?} was put");
        put(store, key, Some(second.clone()));
        assert_eq!(read(key), Some(second.clone()), "key {key:?} was put again");
        put(store, key, None);
        assert_eq!(read(key), None, "key {key:?} was deleted");
        put(store, key, Some(second.clone()));
        assert_eq!(read(key), Some(second), "key {key:?} was put after it was deleted");
    }
}

fn many_keys<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, samples: &Samples<K, V>) {
    let (put, absent) = samples.keys().split_at(samples.keys().len() / 2);
    let holds: BTreeMap<K, V> = put
        .iter()
        .enumerate()
        .map(|(i, key)| (key.clone(), samples.value(i)))
        .collect();
    let pairs: Vec<_> = holds
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    put_many(store, &pairs);
    reads::answers_every_key(store, &holds, absent);
}

fn the_last_pair_counts<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, samples: &Samples<K, V>) {
    let [a, b, c, ..] = samples.keys() else {
        panic!("three keys")
    };
    let v = |n| Some(samples.value(n));
    put_many(
        store,
        &[
            (a.clone(), v(1)),
            (b.clone(), v(2)),
            (a.clone(), None),
            (c.clone(), None),
            (a.clone(), v(3)),
            (b.clone(), None),
            (c.clone(), v(4)),
        ],
    );
    let holds = BTreeMap::from([(a.clone(), samples.value(3)), (c.clone(), samples.value(4))]);
    reads::compare(store, &holds, &[a.clone(), b.clone(), c.clone()]);
}

fn random_history<K: SampleKey, V: SampleValue>(store: &impl ReadWriteStore<K, V>, samples: &Samples<K, V>, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut holds: BTreeMap<K, V> = BTreeMap::new();
    // Few keys, so that they meet.
    let keys: Vec<&K> = (0..12)
        .map(|_| &samples.keys()[numbers.below(samples.keys().len())])
        .collect();
    for step in 0..120 {
        let pairs: Vec<(K, Option<V>)> = (0..numbers.below(6))
            .map(|i| {
                let value = (numbers.below(4) > 0).then(|| samples.value(step * 8 + i));
                (keys[numbers.below(keys.len())].clone(), value)
            })
            .collect();
        put_many(store, &pairs);
        for (key, value) in pairs {
            match value {
                Some(value) => holds.insert(key, value),
                None => holds.remove(&key),
            };
        }
        let asked: Vec<K> = (0..numbers.below(8))
            .map(|_| keys[numbers.below(keys.len())].clone())
            .collect();
        reads::compare(store, &holds, &asked);
    }
}

fn threads_write_their_own_keys<K: SampleKey, V: SampleValue>(
    store: &impl ReadWriteStore<K, V>,
    samples: &Samples<K, V>,
) {
    const THREADS: usize = 4;
    let written: Vec<BTreeMap<K, V>> = thread::scope(|scope| {
        let work = |thread: usize| {
            let mut holds = BTreeMap::new();
            for round in 0..3 {
                for (i, key) in samples.keys().iter().enumerate().skip(thread).step_by(THREADS) {
                    let value = samples.value(i * 3 + round);
                    put(store, key, Some(value.clone()));
                    holds.insert(key.clone(), value);
                }
            }
            holds
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        let joined = threads.into_iter().map(|t| t.join().expect("a thread that writes"));
        joined.collect()
    });
    let holds: BTreeMap<K, V> = written.into_iter().flatten().collect();
    reads::compare(store, &holds, samples.keys());
}
