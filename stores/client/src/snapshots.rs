//! The generations of another job as snapshots of a table (O20): what a job looks up in them is about a batch old, and the same
//! for every layer and every process.

use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::{Codec, Semigroup};
use rufous_core::service::Snapshots;
use rufous_core::{Error, Key, Result, Store, StoreFace, Timestamp, key};
use rufous_store_api::{GenerationStore, ManifestLog};

/// Generations of a store of another job, for [`snapshot_per_batch`](rufous_core::service::snapshot_per_batch). A snapshot is a
/// manifest, by its number and when it was published. Generations that are pinned must be kept: let the other job's `gc` keep as many as there are batches
/// that may be computed again.
pub struct GenerationsOf<K, V> {
    manifests: Arc<dyn ManifestLog>,
    generations: Arc<dyn GenerationStore>,
    face: StoreFace,
    _t: PhantomData<fn(K) -> V>,
}

/// What a generation is called in a pin: its number, and when it was published.
fn name(number: u64, created_at: Timestamp) -> String {
    format!("{number}-{}", created_at.0)
}

impl<K: Key, V: Semigroup + Codec> GenerationsOf<K, V> {
    /// Of a job's manifests and generations.
    pub fn new(store: Store<K, V>, manifests: Arc<dyn ManifestLog>, generations: Arc<dyn GenerationStore>) -> Self {
        Self {
            manifests,
            generations,
            face: StoreFace::of(store),
            _t: PhantomData,
        }
    }
}

impl<K: Key, V: Semigroup + Codec> Snapshots<K, V> for GenerationsOf<K, V> {
    /// The newest generation that was published by then and has the store.
    fn newest(&self, at: Timestamp) -> Result<Option<String>> {
        let mut manifest = self.manifests.newest(0)?;
        while let Some(m) = manifest {
            if m.created_at <= at && m.stores.contains_key(self.face.name) {
                return Ok(Some(name(m.number, m.created_at)));
            }
            let Some(before) = m.number.checked_sub(1) else { break };
            manifest = self.manifests.get(before)?;
            if manifest.is_none() {
                return Err(Error::invalid(format!(
                    "store `{}`: the generations that were there at {at} are not kept any more (the oldest is number {}): a batch of that \
                     time cannot be computed for the first time",
                    self.face.name, m.number
                )));
            }
        }
        Ok(None)
    }
    fn ask(&self, snapshot: &str, keys: &[K]) -> Result<Option<Vec<Option<V>>>> {
        let number = snapshot.split('-').next().and_then(|n| n.parse().ok());
        let number = number
            .ok_or_else(|| Error::corrupt(format!("`{snapshot}` is pinned, which is no number of a manifest")))?;
        // A job that was begun anew has other manifests of the same numbers.
        let found = self.manifests.get(number)?;
        let Some(manifest) = found.filter(|m| name(m.number, m.created_at) == snapshot) else {
            return Ok(None);
        };
        let Some(generation) = manifest.stores.get(self.face.name) else {
            return Ok(None);
        };
        // Runs are asked in the order of keys.
        let mut asked: Vec<(Vec<u8>, usize)> = keys.iter().map(key::to_bytes).zip(0..).collect();
        asked.sort_unstable();
        let bytes: Vec<Vec<u8>> = asked.iter().map(|(key, _)| key.clone()).collect();
        if let Some(hop) = bytes.iter().find_map(|key| generation.may_be_dropped(key)) {
            return Err(Error::invalid(format!(
                "store `{}`: hop {hop} was dropped, or may have been: look up hops of sizes that are kept for ever",
                self.face.name
            )));
        }
        let found = self.generations.get(&self.face, generation, &bytes)?;
        let mut values: Vec<Option<V>> = keys.iter().map(|_| None).collect();
        for ((_, at), value) in asked.iter().zip(found) {
            let value = value.map(|bytes| V::decode(&bytes)).transpose();
            let value = value.map_err(|e| Error::corrupt(format!("store `{}`: {e}", self.face.name)))?;
            if let Some(slot) = values.get_mut(*at) {
                *slot = value;
            }
        }
        Ok(Some(values))
    }
}
