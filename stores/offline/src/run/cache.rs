//! Indexes and filters that are kept in memory, within a limit for all runs together.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::meta::Meta;

/// A run's number in this process, and a partition of it.
type Name = (u64, usize);

/// Those that were not asked for since the hand passed them go first (second chance).
#[derive(Debug)]
pub(crate) struct Cache {
    limit: usize,
    kept: Mutex<Kept>,
    /// Blocks that point reads have read.
    pub(super) blocks: AtomicU64,
    runs: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with whether it was asked for lately.
    metas: HashMap<Name, (Arc<Meta>, bool)>,
    order: VecDeque<Name>,
    bytes: usize,
}

impl Cache {
    /// At most so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Mutex::default(),
            blocks: AtomicU64::new(0),
            runs: AtomicU64::new(0),
        }
    }

    /// A number that no other run has.
    pub(super) fn number(&self) -> u64 {
        self.runs.fetch_add(1, Relaxed)
    }

    /// How many blocks were read by point reads.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds the lock panics half-way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, name: Name) -> Option<Arc<Meta>> {
        let mut kept = self.lock();
        let (meta, asked) = kept.metas.get_mut(&name)?;
        *asked = true;
        Some(meta.clone())
    }

    pub(super) fn put(&self, name: Name, meta: Arc<Meta>) {
        let size = meta.size();
        let mut kept = self.lock();
        // Two may have read the same one at once.
        if size > self.limit || kept.metas.contains_key(&name) {
            return;
        }
        while kept.bytes + size > self.limit {
            let Some(oldest) = kept.order.pop_front() else { break };
            match kept.metas.get_mut(&oldest) {
                Some((_, asked)) if *asked => {
                    *asked = false;
                    kept.order.push_back(oldest);
                }
                _ => {
                    let gone = kept.metas.remove(&oldest);
                    kept.bytes -= gone.map_or(0, |(meta, _)| meta.size());
                }
            }
        }
        kept.bytes += size;
        kept.order.push_back(name);
        kept.metas.insert(name, (meta, false));
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}
