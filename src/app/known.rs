//! Manifests and what lies beside them, kept from one look to the next. What is kept of a file is told only while a listing shows the file
//! as it was: one that was deleted is told no more, and one that was replaced is read again. A place far away is asked for several
//! files at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rufous_place::Listed;
use rufous_store_offline::{Checked, Manifests};

use crate::core::Result;
use crate::store_api::{Manifest, ManifestLog};

/// So many files are asked for at a time.
pub(super) const AT_ONCE: usize = 8;
/// What was read of so many bytes is kept.
const LIMIT: u64 = 16 << 20;

/// Files with a number each, as values; the newest of them, as many as there is room for.
pub(super) struct Kept<V> {
    limit: u64,
    files: Mutex<BTreeMap<u64, (Listed, Arc<V>)>>,
}

impl<V> Default for Kept<V> {
    fn default() -> Self {
        Self::within(LIMIT)
    }
}

impl<V> Kept<V> {
    /// What was read of so many bytes.
    fn within(limit: u64) -> Self {
        Self {
            limit,
            files: Mutex::default(),
        }
    }

    /// Those of these numbers, in their order. `there`: all that are there; `read`: how those are read that are not known.
    pub(super) fn get(
        &self,
        there: &BTreeMap<u64, Listed>,
        numbers: &[u64],
        read: &dyn Fn(&[u64]) -> Result<Vec<Option<V>>>,
    ) -> Result<Vec<Option<Arc<V>>>> {
        let lock = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<u64, Arc<V>> = {
            let mut files = lock();
            files.retain(|number, (file, _)| there.get(number) == Some(file));
            let known = numbers.iter().filter_map(|n| Some((*n, files.get(n)?.1.clone())));
            known.collect()
        };
        let mut todo: Vec<u64> = numbers.iter().copied().filter(|n| !found.contains_key(n)).collect();
        todo.retain(|n| there.contains_key(n));
        for some in todo.chunks(AT_ONCE) {
            let values = read(some)?;
            let mut files = lock();
            for (number, value) in some.iter().zip(values) {
                let Some(value) = value.map(Arc::new) else { continue };
                found.insert(*number, value.clone());
                files.extend(there.get(number).map(|file| (*number, (file.clone(), value))));
            }
            let mut bytes: u64 = files.values().map(|(file, _)| file.bytes).sum();
            while bytes > self.limit
                && let Some((_, (file, _))) = files.pop_first()
            {
                bytes = bytes.saturating_sub(file.bytes);
            }
        }
        Ok(numbers.iter().map(|n| found.get(n).cloned()).collect())
    }
}

/// Of the manifests of a job.
#[derive(Default)]
pub(super) struct Known {
    manifests: Kept<Manifest>,
    /// What they name.
    pub(super) files: Checked,
}

impl Known {
    /// The manifests of these numbers. `there`: [`files`](Manifests::files) of this look.
    pub(super) fn manifests(
        &self,
        log: &Manifests,
        there: &BTreeMap<u64, Listed>,
        numbers: &[u64],
    ) -> Result<Vec<Option<Arc<Manifest>>>> {
        let read = |some: &[u64]| log.get_many(some);
        self.manifests.get(there, numbers, &read)
    }

    /// The newest of those that are there.
    ///
    /// # Errors
    /// Those of [`newest`](ManifestLog::newest).
    pub(super) fn newest_of(&self, log: &Manifests, there: &BTreeMap<u64, Listed>) -> Result<Option<Arc<Manifest>>> {
        let (Some(first), Some(last)) = (there.keys().next(), there.keys().next_back()) else {
            return Ok(None);
        };
        if last - first == there.len() as u64 - 1
            && let Some(newest) = self.manifests(log, there, &[*last])?.pop().flatten()
        {
            return Ok(Some(newest));
        }
        // One is missing, or they change meanwhile.
        Ok(log.newest(0)?.map(Arc::new))
    }

    /// The current one.
    ///
    /// # Errors
    /// As [`newest_of`](Self::newest_of).
    #[cfg(feature = "server")]
    pub(super) fn newest(&self, log: &Manifests) -> Result<Option<Arc<Manifest>>> {
        self.newest_of(log, &log.files()?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::core::Error;

    fn file(number: u64, tag: &str) -> (u64, Listed) {
        let listed = Listed {
            path: format!("{number}.json"),
            changed: UNIX_EPOCH + Duration::from_secs(number),
            bytes: 100,
            tag: Some(tag.into()),
        };
        (number, listed)
    }

    /// Where there is room for a few the newest are kept, and the answer is whole all the same; what has another tag is read again, and what
    /// was read before one failed is kept.
    #[test]
    fn the_newest_are_kept_as_many_as_there_is_room_for() {
        let kept: Kept<u64> = Kept::within(1_050);
        let mut there: BTreeMap<u64, Listed> = (0..50).map(|n| file(n, "a")).collect();
        let (asked, fails) = (RefCell::new(Vec::new()), RefCell::new(None));
        let read = |some: &[u64]| {
            assert!(some.len() <= AT_ONCE);
            if fails.borrow().is_some_and(|n| some.contains(&n)) {
                return Err(Error::try_again("the bucket does not answer"));
            }
            asked.borrow_mut().extend_from_slice(some);
            // There is no file 13 any more.
            Ok(some.iter().map(|n| (*n != 13).then_some(n * 2)).collect())
        };
        let look = |there: &BTreeMap<u64, Listed>| -> Result<Vec<u64>> {
            let numbers: Vec<u64> = (0..50).collect();
            let found = kept.get(there, &numbers, &read)?;
            for (n, value) in numbers.iter().zip(&found) {
                assert_eq!(value.as_deref().copied(), (*n != 13).then_some(n * 2));
            }
            Ok(asked.take())
        };
        assert_eq!(look(&there).unwrap(), (0..50).collect::<Vec<_>>());
        for _ in 0..2 {
            assert_eq!(look(&there).unwrap(), (0..40).collect::<Vec<_>>());
        }
        there.extend([file(45, "b")]);
        assert_eq!(look(&there).unwrap(), (0..40).chain([45]).collect::<Vec<_>>());
        // Of those above it none is known.
        there.extend((40..50).map(|n| file(n, "c")));
        fails.replace(Some(49));
        assert!(look(&there).is_err());
        fails.replace(None);
        asked.take();
        assert_eq!(look(&there).unwrap(), (0..38).chain([48, 49]).collect::<Vec<_>>());
    }
}
