//! How a stream runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What happens to a record that cannot be decoded, or that makes one of the job's functions panic. Never silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBadRecord {
    /// The stream stops with an error that names it.
    #[default]
    Fail,
    /// It is counted and reported; its offset is passed.
    Skip,
    /// It is sent to the source's dead letters with the reason and its place in the log, counted and reported; its offset is
    /// passed once the letter is stored.
    DeadLetter,
}

/// How a stream runs.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// How often state is committed.
    pub commit_interval: Duration,
    /// Bytes that combining maps may hold before they are committed early.
    pub memory_budget: usize,
    /// The longest wait before a store that takes nothing (a full disk, for instance) is tried again. The first wait is a
    /// fiftieth of it, each further one twice as long.
    pub longest_pause: Duration,
    /// Stops at the end that the log has when the stream starts.
    pub until_end: bool,
    /// What happens to bad records.
    pub on_bad_record: OnBadRecord,
    /// The same for single sources, by name.
    pub on_bad_record_of: BTreeMap<String, OnBadRecord>,
    /// Accepts that values may be added twice after a crash, where the store cannot write them together with offsets
    /// ([`Guarantee::AtLeastOnce`](rufous_store_api::Guarantee)) and the job's stores are not idempotent.
    pub at_least_once: bool,
    /// Set from outside to commit and stop.
    pub stop: Arc<AtomicBool>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_secs(1),
            memory_budget: 128 << 20,
            longest_pause: Duration::from_secs(5),
            until_end: false,
            on_bad_record: OnBadRecord::Fail,
            on_bad_record_of: BTreeMap::new(),
            at_least_once: false,
            stop: Arc::default(),
        }
    }
}

impl StreamOptions {
    /// What happens to the bad records of a source.
    pub(crate) fn of(&self, source: &str) -> OnBadRecord {
        self.on_bad_record_of.get(source).copied().unwrap_or(self.on_bad_record)
    }
}
