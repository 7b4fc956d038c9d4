//! The same keys in several stores, so that some of them may fail.

mod repair;
mod write;

use std::fmt::Debug;
use std::num::NonZeroUsize;

use rufous_core::{Error, Result};

use super::Quorum;
use crate::kit::ReadableStore;
use crate::kit::ask::{exactly, missing, side_by_side};
use crate::kit::stripes::Stripes;

pub use repair::Repaired;

/// Copies of a store. A read asks for as many equal answers as its [`Quorum`] says, and is an error where there are fewer; with
/// [`Quorum::One`] the first copy that does not fail is believed. A write goes to every copy, and is an error unless enough of them took it.
/// Copies are written, and asked for more than one answer, side by side: a call takes as long as its slowest copy, so give copies a bounded wait.
///
/// Nothing is repaired unless you [say so](Self::repair). A failed write may be in some copies; with [`roll_back`](Self::roll_back) what each
/// copy had before is put back.
///
/// There is no merge here: a copy that missed one would be wrong for ever after, and could not say so. `.merged_by_put()` above it reads
/// by quorum and puts the sum.
pub struct Replicated<S> {
    copies: Vec<S>,
    n: NonZeroUsize,
    reads: Quorum,
    writes: Quorum,
    roll_back: bool,
    /// Two writes of a key must not meet the copies in different orders, which would part them for ever.
    stripes: Stripes,
}

impl<S> Replicated<S> {
    /// Copies, and how many a read and a write need.
    ///
    /// # Errors
    /// `InvalidRequest` without copies.
    pub fn new(copies: Vec<S>, reads: Quorum, writes: Quorum) -> Result<Self> {
        let n = NonZeroUsize::new(copies.len())
            .ok_or_else(|| Error::invalid("a replicated store without copies: give it one at least"))?;
        Ok(Self {
            copies,
            n,
            reads,
            writes,
            roll_back: false,
            stripes: Stripes::default(),
        })
    }
    /// A write that too few copies took is taken back: what each had before is put into it again, a deletion only where nothing was. A copy
    /// whose value could not be read before is not written at all. Costs a read of every copy.
    #[must_use]
    pub fn roll_back(mut self) -> Self {
        self.roll_back = true;
        self
    }
    /// Whether a read meets at least one copy that took the last write.
    pub fn reads_meet_writes(&self) -> bool {
        self.reads.of(self.n) + self.writes.of(self.n) > self.n.get()
    }

    /// What every copy answers.
    fn each_copy<A: Send>(&self, ask: impl Fn(&S) -> Vec<Result<A>> + Sync) -> Vec<Vec<Result<A>>>
    where
        S: Sync,
    {
        side_by_side(self.copies.iter().collect(), self.n, |copy: &S| ask(copy))
    }

    /// Asks one copy after the other for what all before it failed to answer.
    fn first<K: Clone, V>(&self, keys: &[K]) -> Vec<Result<Option<V>>>
    where
        S: ReadableStore<K, V>,
    {
        let mut answers: Vec<Result<Option<V>>> = keys.iter().map(|_| Err(missing())).collect();
        for copy in &self.copies {
            let open = keys.iter().zip(&mut answers).filter(|(_, answer)| answer.is_err());
            let (asked, places): (Vec<K>, Vec<_>) = open.map(|(key, answer)| (key.clone(), answer)).unzip();
            if asked.is_empty() {
                break;
            }
            for (place, found) in places.into_iter().zip(exactly(asked.len(), copy.multi_get(&asked))) {
                *place = found;
            }
        }
        answers
    }

    /// The answer that at least `needed` copies give to one key.
    fn agreed<K: Debug, V: PartialEq>(
        &self,
        key: &K,
        needed: usize,
        said: Vec<Result<Option<V>>>,
    ) -> Result<Option<V>> {
        let n = said.len();
        let mut counts: Vec<(Option<V>, usize)> = Vec::new();
        let mut failure = None;
        let mut failures = 0;
        for answer in said {
            match answer {
                Err(e) => {
                    failures += 1;
                    failure.get_or_insert(e);
                }
                Ok(value) => match counts.iter_mut().find(|(other, _)| *other == value) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((value, 1)),
                },
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let most = counts.first().map_or(0, |(_, count)| *count);
        match counts.into_iter().next() {
            Some((value, count)) if count >= needed => Ok(value),
            _ => Err(match failure {
                Some(e) => {
                    let text =
                        format!("key {key:?}: {most} of {n} copies agree and {needed} must, {failures} failed: {e}");
                    Error::new(e.kind(), text).caused_by(e)
                }
                None => Error::try_again(format!(
                    "key {key:?}: {most} of {n} copies agree and {needed} must: try again where a write is going on, otherwise write the key, or \
                     `repair` it where most copies agree"
                )),
            }),
        }
    }
}

/// The answers of copies, by key.
fn by_key<A>(keys: usize, copies: Vec<Vec<Result<A>>>) -> Vec<Vec<Result<A>>> {
    let mut of: Vec<Vec<Result<A>>> = (0..keys).map(|_| Vec::new()).collect();
    for answers in copies {
        for (of, answer) in of.iter_mut().zip(exactly(keys, answers)) {
            of.push(answer);
        }
    }
    of
}

impl<K, V, S> ReadableStore<K, V> for Replicated<S>
where
    K: Clone + Debug + Sync,
    V: PartialEq + Send,
    S: ReadableStore<K, V>,
{
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let needed = self.reads.of(self.n);
        if needed == 1 {
            return self.first(keys);
        }
        let said = by_key(keys.len(), self.each_copy(|copy| copy.multi_get(keys)));
        keys.iter()
            .zip(said)
            .map(|(key, said)| self.agreed(key, needed, said))
            .collect()
    }
}
