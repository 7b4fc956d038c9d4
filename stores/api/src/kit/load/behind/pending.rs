//! What waits to be written.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use rufous_algebra::Semigroup;

use super::Behind;

pub(super) struct Pending<K, V> {
    sums: HashMap<K, V>,
    bytes: usize,
    /// When the oldest of them came.
    pub(super) since: Option<Instant>,
    pub(super) closed: bool,
}

impl<K, V> Default for Pending<K, V> {
    fn default() -> Self {
        Self {
            sums: HashMap::new(),
            bytes: 0,
            since: None,
            closed: false,
        }
    }
}

fn weight<K, V: Semigroup>(value: &V) -> usize {
    size_of::<(K, V)>() + value.heap_bytes()
}

impl<K: Hash + Eq, V: Semigroup> Pending<K, V> {
    pub(super) fn is_full(&self, limit: &Behind) -> bool {
        self.sums.len() >= limit.keys || (self.bytes >= limit.bytes && !self.sums.is_empty())
    }

    /// Adds, and says whether this is the first that waits.
    pub(super) fn add(&mut self, key: K, value: V) -> bool {
        let added = weight::<K, V>(&value);
        match self.sums.get_mut(&key) {
            Some(sum) => {
                let was = weight::<K, V>(sum);
                sum.combine_owned(value);
                self.bytes = self.bytes.saturating_sub(was).saturating_add(weight::<K, V>(sum));
            }
            None => {
                self.sums.insert(key, value);
                self.bytes = self.bytes.saturating_add(added);
            }
        }
        let first = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        first
    }

    pub(super) fn take_all(&mut self) -> Vec<(K, V)> {
        self.bytes = 0;
        self.since = None;
        self.sums.drain().collect()
    }

    /// Takes what waits of some keys. The others wait on, no longer than before.
    pub(super) fn take(&mut self, keys: &[K]) -> Vec<(K, V)> {
        let taken: Vec<(K, V)> = keys.iter().filter_map(|key| self.sums.remove_entry(key)).collect();
        for (_, value) in &taken {
            self.bytes = self.bytes.saturating_sub(weight::<K, V>(value));
        }
        if self.sums.is_empty() {
            self.since = None;
        }
        taken
    }
}
