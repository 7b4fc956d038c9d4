//! A table of versions in memory: what a key's value was, as of any instant below the one up to which the table is complete.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use xxhash_rust::xxh3::xxh3_64;

use super::{Asked, Kind, Lookup, Serves};
use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::time::Timestamp;

/// One row: the value of a key from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<K, V> {
    /// The key.
    pub key: K,
    /// The first instant at which it holds.
    pub from: Timestamp,
    /// The value; `None`: the key is deleted then.
    pub value: Option<V>,
}

impl<K, V> Version<K, V> {
    /// The value of a key from an instant on, until its next version.
    pub fn new(key: K, from: Timestamp, value: V) -> Self {
        Self {
            key,
            from,
            value: Some(value),
        }
    }
    /// The end of a key at an instant.
    pub fn deleted(key: K, from: Timestamp) -> Self {
        Self { key, from, value: None }
    }
}

/// Keys come hashed well enough by one call.
#[derive(Default)]
struct Hash(u64);

impl Hasher for Hash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    /// The length of the key: its bytes follow.
    fn write_usize(&mut self, _: usize) {}
}

/// The versions of a key by instant; nearly all keys have one.
enum Row<V> {
    One(i64, Option<V>),
    Many(Vec<(i64, Option<V>)>),
}

impl<V> Row<V> {
    fn at(&self, t: i64) -> Option<&V> {
        match self {
            Self::One(from, value) => value.as_ref().filter(|_| *from <= t),
            Self::Many(all) => {
                let after = all.partition_point(|(from, _)| *from <= t);
                all.get(after.checked_sub(1)?)?.1.as_ref()
            }
        }
    }
    fn add(&mut self, from: i64, value: Option<V>) {
        match self {
            Self::One(known, old) if *known == from => *old = value,
            Self::One(known, old) => {
                let mut all = vec![(*known, old.take()), (from, value)];
                all.sort_by_key(|(from, _)| *from);
                *self = Self::Many(all);
            }
            Self::Many(all) => match all.binary_search_by_key(&from, |(from, _)| *from) {
                Ok(i) => all[i].1 = value,
                Err(i) => all.insert(i, (from, value)),
            },
        }
    }
}

struct Table<V> {
    rows: HashMap<Box<[u8]>, Row<V>, BuildHasherDefault<Hash>>,
    complete_until: Timestamp,
    /// Whether its values have always held: then it is asked without a time, too.
    constant: bool,
}

/// A table of versions in memory, bound with [`versions`]. A clone is the same table: one that goes on growing is kept and
/// [extended](Self::extend) while the job runs.
///
/// **Law.** A look-up at `t` sees the version of its key with the greatest `from <= t`: a version holds in `[from, next from)`,
/// so a record at the very instant of a version sees it. Of several rows of a key with one instant the last one given
/// counts. A record is looked up at its event time, but not beyond the last millisecond of its batch; at or above
/// `complete_until` it waits.
pub struct Versions<K, V> {
    table: Arc<RwLock<Table<V>>>,
    _k: PhantomData<fn(K)>,
}

impl<K, V> Clone for Versions<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            _k: PhantomData,
        }
    }
}

/// A table of versions that is complete below an instant: no row from below it comes later.
pub fn versions<K: Key, V>(rows: impl IntoIterator<Item = Version<K, V>>, complete_until: Timestamp) -> Versions<K, V> {
    let table = Table {
        rows: HashMap::default(),
        complete_until,
        constant: false,
    };
    let all = Versions {
        table: Arc::new(RwLock::new(table)),
        _k: PhantomData,
    };
    let mut table = all.write();
    rows.into_iter().for_each(|row| add(&mut table, row));
    drop(table);
    all
}

fn add<K: Key, V>(table: &mut Table<V>, row: Version<K, V>) {
    match table.rows.entry(key::to_bytes(&row.key).into()) {
        Entry::Vacant(e) => drop(e.insert(Row::One(row.from.0, row.value))),
        Entry::Occupied(mut e) => e.get_mut().add(row.from.0, row.value),
    }
}

impl<K, V> Versions<K, V> {
    fn write(&self) -> RwLockWriteGuard<'_, Table<V>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key, V> Versions<K, V> {
    /// A table of values that have always held and always will.
    pub fn constant(rows: impl IntoIterator<Item = (K, V)>) -> Self {
        let always = |(key, value)| Version::new(key, Timestamp(i64::MIN), value);
        let all = versions(rows.into_iter().map(always), Timestamp(i64::MAX));
        all.write().constant = true;
        all
    }
    /// Adds rows, and then says up to when the table is complete now. Records that wait for it go on.
    ///
    /// # Errors
    /// `InvalidRequest`, and nothing is added: a row is from below the instant up to which the table was complete (records
    /// were answered without it), or the table would be complete less far than before.
    pub fn extend(&self, rows: impl IntoIterator<Item = Version<K, V>>, complete_until: Timestamp) -> Result<()> {
        let rows: Vec<_> = rows.into_iter().collect();
        let mut table = self.write();
        let known = table.complete_until;
        if let Some(row) = rows.iter().find(|row| row.from < known) {
            return Err(Error::invalid(format!(
                "a version from {} comes too late: the table was complete until {known}, and answers were given without it",
                row.from
            )));
        }
        if complete_until < known {
            return Err(Error::invalid(format!(
                "the table was complete until {known}: it cannot be so until {complete_until} only"
            )));
        }
        rows.into_iter().for_each(|row| add(&mut table, row));
        table.complete_until = complete_until;
        Ok(())
    }
    /// How many keys there are, deleted ones too.
    pub fn len(&self) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).rows.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Serves<K, V> for Versions<K, V> {
    fn kind(&self) -> Kind {
        Kind::Versions
    }
    fn lookup(self) -> Arc<dyn Lookup<V>> {
        Arc::new(self)
    }
}

impl<K, V: Clone + Send + Sync> Lookup<V> for Versions<K, V> {
    fn look_up(&self, asked: &Asked<'_>, out: &mut Vec<Option<V>>) -> Result<()> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in asked.iter() {
            let row = table.rows.get(key);
            let found = match at {
                Some(at) => row.and_then(|row| row.at(at.0)),
                // What has always held needs no time; of other tables even "no row" is true at an instant only.
                None if table.constant => row.and_then(|row| row.at(i64::MAX)),
                None => return Err(timeless()),
            };
            out.push(found.cloned());
        }
        Ok(())
    }
    fn complete_until(&self) -> Result<Option<Timestamp>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(table.complete_until).filter(|t| t.0 < i64::MAX))
    }
}

#[cold]
pub(super) fn timeless() -> Error {
    Error::invalid(
        "a record without a time cannot be looked up in a table of versions: declare the time with `.timed_by(..)` on its source",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchId;

    fn look(table: &Versions<u64, char>, questions: &[(u64, i64)]) -> Vec<Option<char>> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (key, _) in questions {
            bytes.extend_from_slice(&key::to_bytes(key));
            ends.push(bytes.len() as u32);
        }
        let at: Vec<_> = questions.iter().map(|(_, t)| Some(Timestamp(*t))).collect();
        let asked = Asked {
            bytes: &bytes,
            ends: &ends,
            at: &at,
            batch: BatchId::MAX,
            last: Timestamp(i64::MAX),
        };
        let mut out = Vec::new();
        table.look_up(&asked, &mut out).unwrap();
        out
    }

    /// O19: `[from, to)` at its edges; deletes; repeated writes of one instant; rows in any order.
    #[test]
    fn a_version_holds_from_its_instant_to_the_next() {
        let at = Timestamp;
        let rows = [
            Version::new(1, at(20), 'b'),
            Version::new(1, at(10), 'x'),
            Version::new(1, at(10), 'a'),
            Version::deleted(1, at(30)),
            Version::new(1, at(40), 'c'),
            Version::new(2, at(15), 'z'),
        ];
        let table = versions(rows, at(100));
        let questions = [9, 10, 19, 20, 29, 30, 39, 40, 99].map(|t| (1, t));
        let got = look(&table, &questions);
        let a = Some('a');
        assert_eq!(
            got,
            [None, a, a, Some('b'), Some('b'), None, None, Some('c'), Some('c')]
        );
        assert_eq!(look(&table, &[(2, 14), (2, 15), (3, 15)]), [None, Some('z'), None]);
    }

    /// O19: rows never change below `complete_until`.
    #[test]
    fn what_was_answered_does_not_change() {
        let table = versions([Version::new(1_u64, Timestamp(10), 'a')], Timestamp(20));
        let late = table
            .extend([Version::new(1, Timestamp(19), 'b')], Timestamp(30))
            .unwrap_err();
        assert!(late.to_string().contains("comes too late"), "{late}");
        assert!(table.extend([], Timestamp(19)).is_err());
        table
            .extend([Version::new(1, Timestamp(20), 'b')], Timestamp(30))
            .unwrap();
        assert_eq!(look(&table, &[(1, 19), (1, 20)]), [Some('a'), Some('b')]);
        assert_eq!(table.complete_until().unwrap(), Some(Timestamp(30)));
    }
}
