//! What combinators share: asking a store for a part of the keys, and putting its answers back where the questions stood.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rufous_core::{Error, Result};

/// The answers of a store that was asked `n` questions. Where it gave another number of answers, nobody knows which belongs to
/// which: all of them are errors then.
pub(super) fn exactly<A>(n: usize, answers: Vec<Result<A>>) -> Vec<Result<A>> {
    let found = answers.len();
    if found == n {
        return answers;
    }
    let wrong = || Err(Error::bug(format!("a store gave {found} answers to {n} questions")));
    (0..n).map(|_| wrong()).collect()
}

/// For a place that [`exactly`] has filled: absence must not stand for it.
pub(super) fn missing() -> Error {
    Error::bug("an answer is missing")
}

/// The same error again: keys that share a fate each get an answer.
pub(super) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// An answer again.
pub(super) fn same<A: Clone>(answer: &Result<A>) -> Result<A> {
    match answer {
        Ok(answer) => Ok(answer.clone()),
        Err(e) => Err(again(e)),
    }
}

/// Asks for what could be asked; a question that failed is answered by its own error. Nothing to ask is no call.
pub(super) fn ask_what_is<Q, A>(
    questions: impl Iterator<Item = Result<Q>>,
    ask: impl FnOnce(Vec<Q>) -> Vec<Result<A>>,
) -> Vec<Result<A>> {
    let mut asked = Vec::new();
    let failed: Vec<Option<Error>> = questions
        .map(|question| match question {
            Ok(question) => {
                asked.push(question);
                None
            }
            Err(e) => Some(e),
        })
        .collect();
    let n = asked.len();
    let answers = if n == 0 { Vec::new() } else { exactly(n, ask(asked)) };
    let mut answers = answers.into_iter();
    let of = |failed: Option<Error>| match failed {
        Some(e) => Err(e),
        None => answers.next().unwrap_or_else(|| Err(missing())),
    };
    failed.into_iter().map(of).collect()
}

/// The different keys, in the order in which they first come, and for each question the place of its key among them.
pub(super) fn distinct<'a, K: Ord + Clone + 'a>(keys: impl Iterator<Item = &'a K>) -> (Vec<K>, Vec<usize>) {
    let mut places: BTreeMap<&K, usize> = BTreeMap::new();
    let mut different = Vec::new();
    let of = keys
        .map(|key| {
            *places.entry(key).or_insert_with(|| {
                different.push(key.clone());
                different.len() - 1
            })
        })
        .collect();
    (different, of)
}

/// Calls `f` with every item, on at most so many threads, this one among them; the results are in the order of the items. Where
/// the system gives no more threads, fewer do it.
pub(super) fn side_by_side<I: Send, R: Send>(
    items: Vec<I>,
    threads: NonZeroUsize,
    f: impl Fn(I) -> R + Sync,
) -> Vec<R> {
    let threads = threads.get().min(items.len());
    if threads <= 1 {
        return items.into_iter().map(f).collect();
    }
    let n = items.len();
    let todo = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(n));
    let work = || {
        loop {
            let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, item)) = next else { break };
            let result = f(item);
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((place, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every item is done once, and results stand where their items stood.
    #[test]
    fn results_are_in_order() {
        for threads in [1, 2, 7] {
            let results = side_by_side((0..100u64).collect(), NonZeroUsize::new(threads).unwrap(), |n| n * n);
            assert_eq!(results, (0..100u64).map(|n| n * n).collect::<Vec<_>>());
        }
    }

    /// Answers of another number than there were questions belong to nobody.
    #[test]
    fn a_store_that_loses_count_is_not_believed() {
        let answers = exactly(2, vec![Ok(1)]);
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(Result::is_err));
    }
}
