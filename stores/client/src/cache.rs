//! Offline values that were read lately, by generation and key, and sums of neighbouring ones that windows need again and again. A
//! generation never changes: what is kept of one stays right for ever, and another one, after a publish, a switch or a rollback, has
//! other names for its values. Cells are never kept, nor is anything merged into what is.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use rufous_store_api::StoreGeneration;
use xxhash_rust::xxh3::Xxh3Default;

/// What an entry costs beside its key and value.
const OVERHEAD: usize = 96;
/// An entry is kept when so many of its size would fit.
const SHARE: usize = 64;

/// The content of a store's generation: the same runs are the same name, whichever manifests have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GenerationName(u128);

impl GenerationName {
    /// From the names and checksums of its runs.
    pub(crate) fn of(store: &str, generation: &StoreGeneration) -> Self {
        let mut hash = Xxh3Default::new();
        let mut add = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(store);
        for run in &generation.runs {
            add(&run.path);
            add(&run.checksum);
        }
        Self(hash.digest128())
    }
}

/// The name of a value.
#[derive(Clone, PartialEq, Eq)]
struct Name {
    generation: u128,
    key: Box<[u8]>,
}

/// The same without a copy of the key.
struct Asked<'a> {
    generation: u128,
    key: &'a [u8],
}

fn hash<H: Hasher>(generation: u128, key: &[u8], state: &mut H) {
    generation.hash(state);
    key.hash(state);
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.generation, &self.key, state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.generation, self.key, state);
    }
}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.generation == name.generation && *self.key == *name.key
    }
}

impl GenerationName {
    /// The name of sums of its values.
    fn sums(self) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(&self.0.to_le_bytes());
        hash.update(b"sums");
        Self(hash.digest128())
    }
}

/// An offline value: read now, or kept.
#[derive(Clone)]
pub(crate) enum Bytes {
    Read(Vec<u8>),
    Kept(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

/// `None`: surely absent in that generation.
pub(crate) type Kept = Option<Arc<[u8]>>;

#[derive(Clone)]
struct Weight;

fn weight(key: &[u8], value: Option<&[u8]>) -> usize {
    OVERHEAD + key.len() + value.map_or(0, <[u8]>::len)
}

impl Weighter<Name, Kept> for Weight {
    fn weight(&self, name: &Name, value: &Kept) -> u64 {
        weight(&name.key, value.as_deref()) as u64
    }
}

/// Bounded in bytes; without any it keeps nothing.
pub(crate) struct OfflineCache {
    bytes: usize,
    values: Option<Cache<Name, Kept, Weight>>,
}

impl OfflineCache {
    pub(crate) fn new(bytes: usize) -> Self {
        let values = || Cache::with_weighter(bytes / 1024 + 16, bytes as u64, Weight);
        Self {
            bytes,
            values: (bytes > 0).then(values),
        }
    }

    /// Sums of values of a generation; `None`: nothing is kept.
    pub(crate) fn sums(&self, generation: GenerationName) -> Option<Sums<'_>> {
        Some(Sums {
            values: self.values.as_ref()?,
            bytes: self.bytes,
            generation: generation.sums().0,
        })
    }

    /// The values of some keys of a generation, in order: those that are not kept are read by `read`, and kept.
    ///
    /// # Errors
    /// Those of `read`, which answers each of its keys.
    pub(crate) fn get<E>(
        &self,
        generation: GenerationName,
        keys: &[Vec<u8>],
        read: impl FnOnce(&[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, E>,
    ) -> Result<Vec<Option<Bytes>>, E> {
        let Some(values) = &self.values else {
            return Ok(read(keys)?.into_iter().map(|v| v.map(Bytes::Read)).collect());
        };
        let generation = generation.0;
        let ask = |key: &Vec<u8>| values.get(&Asked { generation, key });
        let known: Vec<Option<Kept>> = keys.iter().map(ask).collect();
        let mut found = if known.iter().all(Option::is_some) {
            Vec::new()
        } else if known.iter().all(Option::is_none) {
            read(keys)?
        } else {
            let missing = keys.iter().zip(&known).filter(|(_, known)| known.is_none());
            read(&missing.map(|(key, _)| key.clone()).collect::<Vec<_>>())?
        }
        .into_iter();
        let mut all = Vec::with_capacity(keys.len());
        for (key, known) in keys.iter().zip(known) {
            all.push(match known {
                Some(value) => value.map(Bytes::Kept),
                None => {
                    let value = found.next().flatten();
                    put(values, self.bytes, generation, key, value.as_deref());
                    value.map(Bytes::Read)
                }
            });
        }
        Ok(all)
    }

    #[cfg(test)]
    fn weight(&self) -> u64 {
        self.values.as_ref().map_or(0, Cache::weight)
    }
}

/// Keeps a value, unless it is large beside what may be kept.
fn put(values: &Cache<Name, Kept, Weight>, bytes: usize, generation: u128, key: &[u8], value: Option<&[u8]>) {
    if weight(key, value).saturating_mul(SHARE) <= bytes {
        let name = Name {
            generation,
            key: key.into(),
        };
        values.insert(name, value.map(Into::into));
    }
}

/// Sums of neighbouring values of one generation, by the key of the first; always of as many.
pub(crate) struct Sums<'a> {
    values: &'a Cache<Name, Kept, Weight>,
    bytes: usize,
    generation: u128,
}

impl Sums<'_> {
    pub(crate) fn get(&self, key: &[u8]) -> Option<Kept> {
        let generation = self.generation;
        self.values.get(&Asked { generation, key })
    }
    pub(crate) fn put(&self, key: &[u8], sum: Option<&[u8]>) {
        put(self.values, self.bytes, self.generation, key, sum);
    }
}

#[cfg(test)]
mod tests {
    use rufous_store_api::RunFile;

    use super::*;

    fn generation(runs: &[(&str, &str)]) -> StoreGeneration {
        let run = |(path, checksum): &(&str, &str)| RunFile {
            path: (*path).into(),
            bytes: 0,
            checksum: (*checksum).into(),
            keys: 0,
            first_key: String::new(),
            last_key: String::new(),
        };
        StoreGeneration {
            runs: runs.iter().map(run).collect(),
            ..StoreGeneration::default()
        }
    }

    /// Whatever differs in a generation is another name; the bounds between texts count.
    #[test]
    fn generations_of_other_content_have_other_names() {
        let all = [
            ("s", generation(&[])),
            ("t", generation(&[])),
            ("s", generation(&[("a", "1")])),
            ("s", generation(&[("a", "2")])),
            ("s", generation(&[("b", "1")])),
            ("s", generation(&[("a1", "")])),
            ("s", generation(&[("a", "1"), ("b", "2")])),
            ("s", generation(&[("b", "2"), ("a", "1")])),
            ("sa", generation(&[("1", "")])),
        ];
        for (i, (s, a)) in all.iter().enumerate() {
            for (j, (t, b)) in all.iter().enumerate() {
                assert_eq!(GenerationName::of(s, a) == GenerationName::of(t, b), i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_nothing_of_nothing() {
        let name = GenerationName(7);
        for bytes in [0, 1, 10_000, 100_000] {
            let cache = OfflineCache::new(bytes);
            for n in 0..5_000_u32 {
                let keys = [n.to_le_bytes().to_vec()];
                let value = (n % 3 > 0).then(|| vec![1; (n % 500) as usize]);
                let found = cache.get::<()>(name, &keys, |_| Ok(vec![value.clone()])).unwrap();
                assert_eq!(found[0].as_deref(), value.as_deref());
                assert!(cache.weight() <= bytes as u64, "{} of {bytes}", cache.weight());
            }
            assert_eq!(cache.weight() > 0, bytes >= 10_000);
            // One large value does not drive the others out.
            let before = cache.weight();
            let large = vec![Some(vec![0; bytes / 2 + 1])];
            cache
                .get::<()>(name, &[b"large".to_vec()], |_| Ok(large.clone()))
                .unwrap();
            assert_eq!(cache.weight(), before);
        }
    }
}
