//! Writing every copy, and taking back what too few of them took.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use rufous_core::{Error, Result};

use super::{Replicated, by_key};
use crate::kit::ask::{again, distinct, exactly, missing, same, side_by_side};
use crate::kit::{ReadWriteStore, WritableStore};

impl<K, V, S> WritableStore<K, V> for Replicated<S>
where
    K: Ord + Hash + Clone + Debug + Send + Sync,
    V: Clone + Send + Sync,
    S: ReadWriteStore<K, V>,
{
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let (keys, of) = distinct(pairs.iter().map(|(key, _)| key));
        let _writing = self.stripes.write(keys.iter());
        // The last value of each key is all that is left of the others.
        let mut last: BTreeMap<K, Option<V>> = BTreeMap::new();
        last.extend(pairs);
        let pairs: Vec<(K, Option<V>)> = keys.into_iter().filter_map(|key| last.remove_entry(&key)).collect();
        let done = if self.roll_back {
            self.write_or_undo(&pairs)
        } else {
            let done = by_key(pairs.len(), self.each_copy(|copy| copy.multi_put(pairs.clone())));
            pairs
                .iter()
                .zip(done)
                .map(|((key, _), done)| self.enough(key, &done))
                .collect()
        };
        of.into_iter()
            .map(|place| done.get(place).map_or_else(|| Err(missing()), same))
            .collect()
    }
}

/// What a copy had, and what became of the write.
type Attempt<V> = (Option<V>, Result<()>);

impl<S> Replicated<S> {
    /// Whether enough copies took a write.
    fn enough<K: Debug>(&self, key: &K, done: &[Result<()>]) -> Result<()> {
        let needed = self.writes.of(self.n);
        let took = done.iter().filter(|done| done.is_ok()).count();
        match done.iter().find_map(|done| done.as_ref().err()) {
            Some(e) if took < needed => {
                let text = format!(
                    "key {key:?}: {took} of {} copies took the write and {needed} must: {e}",
                    self.n
                );
                Err(Error::new(e.kind(), text).caused_by(again(e)))
            }
            _ => Ok(()),
        }
    }

    /// Writes different keys; where too few copies took a key, each gets back what it had.
    fn write_or_undo<K, V>(&self, pairs: &[(K, Option<V>)]) -> Vec<Result<()>>
    where
        K: Ord + Clone + Debug + Send + Sync,
        V: Clone + Send + Sync,
        S: ReadWriteStore<K, V>,
    {
        let keys: Vec<K> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let attempts = by_key(keys.len(), self.each_copy(|copy| attempt(copy, &keys, pairs)));
        let mut answers = Vec::with_capacity(keys.len());
        let mut undo: Vec<Vec<(K, Option<V>)>> = self.copies.iter().map(|_| Vec::new()).collect();
        for (key, attempts) in keys.iter().zip(attempts) {
            let mut had = Vec::new();
            let mut done = Vec::new();
            for attempt in attempts {
                match attempt {
                    Ok((before, outcome)) => {
                        had.push(Some(before));
                        done.push(outcome);
                    }
                    // What it has is not known: it was not written.
                    Err(e) => {
                        had.push(None);
                        done.push(Err(e));
                    }
                }
            }
            let enough = self.enough(key, &done);
            if enough.is_err() {
                for (undo, had) in undo.iter_mut().zip(had) {
                    undo.extend(had.map(|had| (key.clone(), had)));
                }
            }
            answers.push(enough);
        }
        let stuck = self.undo(undo);
        let say = |(key, answer): (&K, Result<()>)| {
            answer.map_err(|e| {
                let what = match stuck.get(key) {
                    None => "what the copies had is put back".to_string(),
                    Some(e) => format!("what a copy had could not be put back: {e}"),
                };
                Error::new(e.kind(), format!("{e}; {what}")).caused_by(e)
            })
        };
        keys.iter().zip(answers).map(say).collect()
    }

    /// Puts back what each copy had, and says of which keys one could not.
    fn undo<K, V>(&self, undo: Vec<Vec<(K, Option<V>)>>) -> BTreeMap<K, Error>
    where
        K: Ord + Clone + Send + Sync,
        V: Send,
        S: WritableStore<K, V>,
    {
        let copies: Vec<_> = self
            .copies
            .iter()
            .zip(undo)
            .filter(|(_, undo)| !undo.is_empty())
            .collect();
        let stuck = side_by_side(copies, self.n, |(copy, undo)| {
            let keys: Vec<K> = undo.iter().map(|(key, _)| key.clone()).collect();
            let done = exactly(keys.len(), copy.multi_put(undo));
            keys.into_iter()
                .zip(done)
                .filter_map(|(key, done)| Some((key, done.err()?)))
                .collect::<Vec<_>>()
        });
        stuck.into_iter().flatten().collect()
    }
}

/// Reads what a copy has, and writes the keys of which that is known.
fn attempt<K: Clone, V: Clone, S: ReadWriteStore<K, V>>(
    copy: &S,
    keys: &[K],
    pairs: &[(K, Option<V>)],
) -> Vec<Result<Attempt<V>>> {
    let had = exactly(keys.len(), copy.multi_get(keys));
    let known = pairs.iter().zip(&had).filter(|(_, had)| had.is_ok());
    let known: Vec<(K, Option<V>)> = known.map(|(pair, _)| pair.clone()).collect();
    let n = known.len();
    let done = if n == 0 {
        Vec::new()
    } else {
        exactly(n, copy.multi_put(known))
    };
    let mut done = done.into_iter();
    let one = |had: Result<Option<V>>| Ok((had?, done.next().unwrap_or_else(|| Err(missing()))));
    had.into_iter().map(one).collect()
}
