//! Whether files are there that manifests name, for one who looks again and again at what can be gone back to.
//!
//! A file does not change under its name: far away, one that was opened and is what its manifest says is not opened again while a
//! listing shows it as it was then, and those that are to be opened are opened several at a time. What is near is opened each time.

use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rufous_core::{Error, Result};
use rufous_place::Listed;
use rufous_store_api::{Manifest, RunFile, Until};

use crate::Generations;

/// So many files far away are opened at a time.
const AT_ONCE: usize = 8;
/// What is known of files may hold so much.
const LIMIT: usize = 8 << 20;
/// And of one file beside its names and keys.
const EACH: usize = 256;

/// Files that were opened and were right. When there is no room for more, those that come are opened at each look.
#[derive(Debug, Default)]
pub struct Checked(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    files: HashMap<String, (Listed, RunFile)>,
    bytes: usize,
}

fn size(path: &str, run: &RunFile) -> usize {
    EACH + 3 * path.len() + run.first_key.len() + run.last_key.len()
}

/// A file that a manifest names.
#[derive(Clone, Debug)]
pub(crate) struct Named<'a> {
    /// A store or a sink, for messages.
    pub(crate) of: String,
    pub(crate) path: String,
    pub(crate) run: &'a RunFile,
}

/// Files as they are now.
pub struct Look<'a> {
    checked: &'a Checked,
    generations: &'a Generations,
    /// `None`: they are near.
    there: Option<HashMap<String, Listed>>,
}

impl Checked {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing that holds the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files far away are listed.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn look<'a>(&'a self, generations: &'a Generations) -> Result<Look<'a>> {
        let there: Option<HashMap<String, Listed>> = match generations.place.is_far() {
            true => {
                let files = generations.place.list(&generations.dir)?.into_iter();
                Some(files.map(|file| (file.path.clone(), file)).collect())
            }
            false => None,
        };
        if let Some(there) = &there {
            let mut known = self.lock();
            known.files.retain(|path, (file, _)| there.get(path) == Some(file));
            known.bytes = known.files.iter().map(|(path, (_, run))| size(path, run)).sum();
        }
        Ok(Look {
            checked: self,
            generations,
            there,
        })
    }
}

impl Look<'_> {
    /// Of each manifest whether a rollback finds its files.
    ///
    /// # Errors
    /// Each is that of [`Generations::check_files`].
    pub fn check(&self, manifests: &[&Manifest]) -> Vec<Result<()>> {
        let Some(there) = &self.there else {
            return manifests.iter().map(|m| self.generations.check_files(m)).collect();
        };
        let named: Vec<Result<Vec<Named<'_>>>> = manifests.iter().map(|m| self.generations.named(m)).collect();
        let failed = self.open(there, &named);
        let wrong = |file: &Named<'_>| {
            let is_it = |(path, run, _): &&(&str, &RunFile, Error)| *path == file.path && *run == file.run;
            failed.iter().find(is_it).map(|(.., e)| again(e).at(&file.of))
        };
        let whole = |files: &Result<Vec<Named<'_>>>| match files {
            Ok(files) => files.iter().find_map(wrong).map_or(Ok(()), Err),
            Err(e) => Err(again(e)),
        };
        named.iter().map(whole).collect()
    }

    /// Opens those that are not known, each once; what is wrong with which.
    fn open<'n>(
        &self,
        there: &HashMap<String, Listed>,
        named: &'n [Result<Vec<Named<'_>>>],
    ) -> Vec<(&'n str, &'n RunFile, Error)> {
        let mut seen = HashSet::new();
        let todo: Vec<&Named<'_>> = {
            let known = self.checked.lock();
            let is_known = |file: &Named<'_>| known.files.get(&file.path).is_some_and(|(_, run)| run == file.run);
            let all = named.iter().flatten().flatten();
            let all = all.filter(|file| !is_known(file));
            all.filter(|file| seen.insert((&file.path, format!("{:?}", file.run))))
                .collect()
        };
        let next = AtomicUsize::new(0);
        let work = || {
            let mut failed = Vec::new();
            while let Some(file) = todo.get(next.fetch_add(1, Relaxed)) {
                match self.generations.open_once(&file.path, file.run) {
                    Ok(()) => self.keep(there, file),
                    Err(e) => failed.push((file.path.as_str(), file.run, e)),
                }
            }
            failed
        };
        if todo.len() < 2 {
            return work();
        }
        // Whose deadline is in force for this thread, it is for those that work for it.
        let until = Until::of_thread();
        let work = || until.during(work);
        std::thread::scope(|scope| {
            let hands: Vec<_> = (0..AT_ONCE.min(todo.len())).map(|_| scope.spawn(work)).collect();
            let joined = hands.into_iter().map(|hand| hand.join());
            joined
                .flat_map(|done| done.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }

    fn keep(&self, there: &HashMap<String, Listed>, file: &Named<'_>) {
        // One that came after the listing is looked at again.
        let Some(listed) = there.get(&file.path) else { return };
        let size = size(&file.path, file.run);
        let mut known = self.checked.lock();
        if known.bytes + size <= LIMIT {
            let before = known
                .files
                .insert(file.path.clone(), (listed.clone(), file.run.clone()));
            if before.is_none() {
                known.bytes += size;
            }
        }
    }
}

/// The same error for one more manifest.
fn again(e: &Error) -> Error {
    let error = Error::new(e.kind(), e.message());
    match e.repair() {
        Some(repair) => error.repaired_by(repair),
        None => error,
    }
}
