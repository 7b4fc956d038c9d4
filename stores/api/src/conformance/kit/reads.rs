//! The laws of reading.

use std::collections::BTreeMap;

use super::{SampleKey, SampleValue, fine};
use crate::kit::ReadableStore;

pub(super) fn answers_every_key<K: SampleKey, V: SampleValue>(
    store: &impl ReadableStore<K, V>,
    holds: &BTreeMap<K, V>,
    absent: &[K],
) {
    assert_eq!(store.multi_get(&[]).len(), 0, "nothing asked is nothing answered");
    for key in holds.keys().chain(absent) {
        let found = fine("a get", key, store.get(key));
        assert_eq!(found.as_ref(), holds.get(key), "what the store has of key {key:?}");
    }
    // Those that are there and those that are not in turn, then backwards, then each three times.
    let mut mixed: Vec<&K> = Vec::new();
    let (mut there, mut not) = (holds.keys(), absent.iter());
    loop {
        match (there.next(), not.next()) {
            (None, None) => break,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
    let backwards = mixed.iter().rev().copied();
    let thrice = mixed.iter().flat_map(|key| [*key; 3]);
    let asked: Vec<K> = mixed.iter().copied().chain(backwards).chain(thrice).cloned().collect();
    compare(store, holds, &asked);
    // More than one call of a store's own may take.
    let many: Vec<K> = asked
        .iter()
        .cycle()
        .take(if asked.is_empty() { 0 } else { 5_000 })
        .cloned()
        .collect();
    compare(store, holds, &many);
}

/// One answer a key, in the order asked, each that of the plain map.
pub(super) fn compare<K: SampleKey, V: SampleValue>(
    store: &impl ReadableStore<K, V>,
    holds: &BTreeMap<K, V>,
    asked: &[K],
) {
    let answers = store.multi_get(asked);
    assert_eq!(answers.len(), asked.len(), "one answer a key asked");
    for (key, answer) in asked.iter().zip(answers) {
        let found = fine("a get among many", key, answer);
        assert_eq!(found.as_ref(), holds.get(key), "the answer to key {key:?} among many");
    }
}

pub(super) fn failures_stay_alone<K: SampleKey, V: SampleValue>(
    store: &impl ReadableStore<K, V>,
    holds: &BTreeMap<K, V>,
    failing: &[K],
) {
    assert!(!failing.is_empty() && !holds.is_empty(), "failing keys, and others");
    for key in failing {
        assert!(store.get(key).is_err(), "key {key:?} must fail, alone too");
    }
    let sound = holds.keys().filter(|key| !failing.contains(key));
    let mut asked: Vec<K> = Vec::new();
    for (i, key) in sound.enumerate() {
        asked.push(key.clone());
        asked.push(failing[i % failing.len()].clone());
    }
    let answers = store.multi_get(&asked);
    assert_eq!(answers.len(), asked.len(), "one answer a key asked");
    for (key, answer) in asked.iter().zip(answers) {
        if failing.contains(key) {
            assert!(
                answer.is_err(),
                "a failure must not pass for {:?} of key {key:?}",
                answer.ok()
            );
        } else {
            let found = fine("a get beside keys that fail", key, answer);
            assert_eq!(found.as_ref(), holds.get(key), "key {key:?} beside keys that fail");
        }
    }
}
