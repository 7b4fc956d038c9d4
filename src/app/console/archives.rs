//! What archives hold, kept from one look to the next. An entry of an index never changes, so a look asks only for what has come since; a
//! place far away is not even asked that within a few seconds, and then for many partitions at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::batches::archive;
use crate::app::open::Context;
use crate::core::{Error, Result, SourceFace};
use crate::store_api::{Archive, IndexEntry, Manifest};

/// What a place far away said is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// The same of its list of partitions, where there are some.
const LISTED_FOR: Duration = Duration::from_secs(30);
/// So many partitions of a place far away are asked for at a time.
const AT_ONCE: usize = 16;

/// By source.
#[derive(Default)]
pub(super) struct Archives(Mutex<HashMap<String, Arc<Known>>>);

/// An archive, and the ends of its indexes.
pub(super) struct Known {
    archive: Arc<dyn Archive>,
    /// As the manifest says it; empty: there is no manifest yet, and it may change any moment.
    spec: String,
    opened: Instant,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    partitions: Vec<u32>,
    listed: Option<Instant>,
    ends: BTreeMap<u32, Ends>,
    asked: Option<Instant>,
}

/// The first entry of an index, and the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first: IndexEntry,
    pub(super) last: IndexEntry,
    /// That of the last one.
    number: u64,
}

impl Archives {
    /// The archive of a source, as it is cut now.
    pub(super) fn of(
        &self,
        context: &Context<'_>,
        face: &SourceFace,
        manifest: Option<&Manifest>,
    ) -> Result<Option<Arc<Known>>> {
        let spec = manifest.and_then(|m| m.cut_specs.get(face.name));
        let spec = spec.cloned().unwrap_or_default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(face.name).filter(|known| known.is_of(&spec)) {
            return Ok(Some(known.clone()));
        }
        let Some(archive) = archive(context, face, manifest)? else {
            return Ok(None);
        };
        let known = Arc::new(Known::new(archive, spec));
        all.insert(face.name.into(), known.clone());
        Ok(Some(known))
    }
}

impl Known {
    fn new(archive: Arc<dyn Archive>, spec: String) -> Self {
        Self {
            archive,
            spec,
            opened: Instant::now(),
            told: Mutex::default(),
        }
    }

    fn is_of(&self, spec: &str) -> bool {
        self.spec == spec && (!spec.is_empty() || self.is_good(Some(self.opened), GOOD_FOR))
    }

    /// What is near is asked anew each time.
    fn is_good(&self, at: Option<Instant>, time: Duration) -> bool {
        self.archive.is_far() && at.is_some_and(|at| at.elapsed() < time)
    }

    /// Of all partitions that have an index. Who comes while another one asks waits for the same answers.
    pub(super) fn ends(&self) -> Result<BTreeMap<u32, Ends>> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_good(told.asked, GOOD_FOR) {
            return Ok(told.ends.clone());
        }
        if told.partitions.is_empty() || !self.is_good(told.listed, LISTED_FOR) {
            told.partitions = self.archive.partitions()?;
            told.listed = Some(Instant::now());
        }
        let todo: Vec<_> = { told.partitions.iter() }
            .map(|partition| (*partition, told.ends.get(partition).cloned()))
            .collect();
        let (found, failed) = ask(&*self.archive, &todo);
        // Those that answered are known the next time.
        told.ends = found;
        match failed {
            Some(e) => Err(e),
            None => {
                told.asked = Some(Instant::now());
                Ok(told.ends.clone())
            }
        }
    }
}

/// The ends of all of them, and the first error.
fn ask(archive: &dyn Archive, todo: &[(u32, Option<Ends>)]) -> (BTreeMap<u32, Ends>, Option<Error>) {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut found, mut failed) = (Vec::new(), None);
        while let Some((partition, known)) = todo.get(next.fetch_add(1, Relaxed)) {
            match ends(archive, *partition, known.as_ref()) {
                Ok(ends) => found.extend(ends.map(|ends| (*partition, ends))),
                Err(e) => {
                    // Nobody goes on.
                    next.store(todo.len(), Relaxed);
                    failed = Some(e);
                }
            }
        }
        (found, failed)
    };
    let hands = if archive.is_far() { AT_ONCE.min(todo.len()) } else { 1 };
    let all: Vec<_> = match hands {
        0 | 1 => vec![work()],
        _ => std::thread::scope(|scope| {
            let hands: Vec<_> = (0..hands).map(|_| scope.spawn(work)).collect();
            let joined = hands.into_iter().map(|hand| hand.join());
            joined
                .map(|done| done.unwrap_or_else(|_| (Vec::new(), Some(Error::bug("a look at an archive panicked")))))
                .collect()
        }),
    };
    // What was known of those that were not asked any more is known still.
    let mut found: BTreeMap<u32, Ends> = BTreeMap::new();
    let mut failed = None;
    for (some, why) in all {
        found.extend(some);
        failed = failed.or(why);
    }
    if failed.is_some() {
        for (partition, known) in todo {
            if let Some(known) = known {
                found.entry(*partition).or_insert_with(|| known.clone());
            }
        }
    }
    (found, failed)
}

/// The ends of an index, from those that were known.
fn ends(archive: &dyn Archive, partition: u32, known: Option<&Ends>) -> Result<Option<Ends>> {
    let (first, from) = match known {
        // Mostly nothing has come: one question, where the last one is looked for by four.
        Some(known) if archive.is_far() => {
            let after = known.number.saturating_add(1);
            match archive.entry(partition, after)? {
                None => return Ok(Some(known.clone())),
                Some(_) => (known.first.clone(), after),
            }
        }
        Some(known) => (known.first.clone(), known.number),
        None => match archive.entry(partition, 0)? {
            Some(first) => (first, 0),
            None => return Ok(None),
        },
    };
    let last = archive.last(partition, from)?;
    Ok(last.map(|(number, last)| Ends { first, last, number }))
}

#[cfg(test)]
mod tests;
