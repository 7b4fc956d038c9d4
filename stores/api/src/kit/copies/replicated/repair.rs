//! Copies that missed a write get what the others have. Nobody calls this but the user.

use std::fmt::Debug;
use std::hash::Hash;

use rufous_core::Result;

use super::{Quorum, Replicated, by_key};
use crate::kit::ReadWriteStore;
use crate::kit::ask::{distinct, exactly, missing, same};

/// What became of the copies of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Copies that said something else, and were written.
    pub mended: usize,
    /// Copies that could not be read or written: they are as they were, or mended.
    pub failed: usize,
}

impl<S> Replicated<S> {
    /// Writes what most copies say of each key into those that say something else. So many must agree that a write which was answered
    /// with success cannot be undone: more than half, and more than can have missed it.
    ///
    /// # Errors
    /// A key's own, when too few copies agree: then nothing of it is written.
    pub fn repair<K, V>(&self, keys: &[K]) -> Vec<Result<Repaired>>
    where
        K: Ord + Hash + Clone + Debug + Send + Sync,
        V: PartialEq + Clone + Send + Sync,
        S: ReadWriteStore<K, V>,
    {
        let (different, of) = distinct(keys.iter());
        let _writing = self.stripes.write(different.iter());
        let may_have_missed = self.n.get() - self.writes.of(self.n);
        let needed = Quorum::Majority.of(self.n).max(may_have_missed + 1);
        let said = self.each_copy(|copy| exactly(different.len(), copy.multi_get(&different)));
        let agreed: Vec<Result<Option<V>>> = {
            let again: Vec<Vec<Result<Option<V>>>> = said.iter().map(|said| said.iter().map(same).collect()).collect();
            let of = by_key(different.len(), again);
            different
                .iter()
                .zip(of)
                .map(|(key, said)| self.agreed(key, needed, said))
                .collect()
        };
        let mut repaired = vec![Repaired::default(); different.len()];
        for (copy, said) in self.copies.iter().zip(said) {
            let mut places = Vec::new();
            let mut pairs = Vec::new();
            let each = different.iter().zip(&agreed).zip(said).zip(&mut repaired);
            for (((key, agreed), said), repaired) in each {
                match (agreed, said) {
                    (Ok(_), Err(_)) => repaired.failed += 1,
                    (Ok(value), Ok(said)) if said != *value => {
                        pairs.push((key.clone(), value.clone()));
                        places.push(repaired);
                    }
                    _ => {}
                }
            }
            if pairs.is_empty() {
                continue;
            }
            for (place, done) in places.into_iter().zip(exactly(pairs.len(), copy.multi_put(pairs))) {
                match done {
                    Ok(()) => place.mended += 1,
                    Err(_) => place.failed += 1,
                }
            }
        }
        let outcome = |place: usize| match (agreed.get(place), repaired.get(place)) {
            (Some(Ok(_)), Some(repaired)) => Ok(*repaired),
            (Some(agreed), _) => same(agreed).map(|_| Repaired::default()),
            _ => Err(missing()),
        };
        of.into_iter().map(outcome).collect()
    }
}
