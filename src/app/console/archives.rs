//! What archives hold, kept from one look to the next. An entry of an index never changes, so a look asks only for what has come since; a
//! place far away is not even asked that within a few seconds, and then for many partitions at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::question::Question;
use crate::app::batches::{Opener, opener};
use crate::app::open::Context;
use crate::core::{Error, Result, SourceFace};
use crate::store_api::{Archive, IndexEntry, Manifest, Until};

/// What a place far away said is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// The same of its list of partitions, where there are some.
const LISTED_FOR: Duration = Duration::from_secs(30);
/// An archive that was deleted and made anew looks like one in which nothing has come: it is read anew so often.
const ANEW: Duration = Duration::from_secs(300);
/// How long it may take to find out how a source is cut.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many partitions of a place far away are asked for at a time.
const AT_ONCE: usize = 16;

/// By source.
#[derive(Default)]
pub(super) struct Archives(Mutex<HashMap<String, Arc<Slot>>>);

/// What the archive of a source says, as it is cut now.
struct Slot {
    spec: String,
    known: Mutex<Option<Arc<Known>>>,
    asked: Arc<Question<AllEnds>>,
}

/// Of all partitions that have an index.
pub(super) type AllEnds = Arc<BTreeMap<u32, Ends>>;

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
    /// Has the archive of a source asked, as it is cut now; `None`: there is none. `is_cut`: `manifest` is the current one, or that there
    /// is none is known.
    pub(super) fn ask(
        &self,
        context: &Context<'_>,
        face: &SourceFace,
        manifest: Option<&Manifest>,
        is_cut: bool,
    ) -> Option<Arc<Question<AllEnds>>> {
        let spec = manifest.and_then(|m| m.cut_specs.get(face.name));
        let slot = self.slot(face.name, spec.map(String::as_str).unwrap_or_default());
        let open = match is_cut || context.locations.contains_key(face.name) {
            // Where nobody says it the newest manifest is asked, though it was a moment ago.
            true => Until::from(Instant::now() + PATIENCE).during(|| opener(context, face, manifest)),
            false => Err(Error::try_again(format!(
                "how source `{}` is cut is said by the generations, which do not answer",
                face.name
            ))),
        };
        let asked = slot.asked.clone();
        match open.transpose()? {
            Ok(open) => asked.ask(move || slot.ends(open)),
            Err(e) => asked.ask(move || Err(e)),
        }
        Some(asked)
    }

    fn slot(&self, source: &str, spec: &str) -> Arc<Slot> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = all.get(source).filter(|slot| slot.spec == spec) {
            return slot.clone();
        }
        let slot = Arc::new(Slot {
            spec: spec.into(),
            known: Mutex::default(),
            asked: Arc::default(),
        });
        all.insert(source.into(), slot.clone());
        slot
    }

    /// Takes this one for the archive of a source.
    #[cfg(all(test, feature = "parquet"))]
    pub(super) fn put(&self, source: &str, spec: &str, archive: Arc<dyn Archive>) {
        let known = Known::new(archive, spec.into());
        *self.slot(source, spec).known.lock().unwrap() = Some(Arc::new(known));
    }

    /// Makes what they said so old that they are asked again.
    #[cfg(all(test, feature = "parquet"))]
    pub(super) fn age(&self) {
        for slot in self.0.lock().unwrap().values() {
            slot.asked.age();
            if let Some(known) = &*slot.known.lock().unwrap() {
                tests::age(known, GOOD_FOR);
            }
        }
    }
}

impl Slot {
    fn ends(&self, open: Opener) -> Result<AllEnds> {
        // One thread at a time is here.
        let mut kept = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match kept.as_ref().filter(|known| known.is_of(&self.spec)) {
            Some(known) => known.clone(),
            None => kept.insert(Arc::new(Known::new(open()?, self.spec.clone()))).clone(),
        };
        known.ends().map(Arc::new)
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
        let of_manifest = !spec.is_empty() && self.opened.elapsed() < ANEW;
        self.spec == spec && (of_manifest || self.is_good(Some(self.opened), GOOD_FOR))
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
pub(super) mod tests;
