//! The question, and who answers it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Pins;
use crate::batch::BatchId;
use crate::data::start_of;
use crate::error::{Error, Result};
use crate::key::{self, Key};
use crate::time::Timestamp;

/// Keys of one chunk, each as of an instant.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) ends: &'a [u32],
    pub(crate) at: &'a [Option<Timestamp>],
    pub(crate) batch: BatchId,
    pub(crate) last: Timestamp,
}

impl<'a> Asked<'a> {
    /// How many keys there are; the same key may be asked several times.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// The canonical bytes of key `i`.
    #[inline]
    pub fn key(&self, i: usize) -> &'a [u8] {
        let end = self.ends.get(i).map_or(0, |end| *end as usize);
        self.bytes.get(start_of(self.ends, i)..end).unwrap_or_default()
    }
    /// The instant as of which key `i` is asked: the event time of its record, but not beyond the last millisecond of the
    /// record's batch. `None`: the record has no time.
    #[inline]
    pub fn at(&self, i: usize) -> Option<Timestamp> {
        self.at.get(i).copied().flatten()
    }
    /// The keys with their instants.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<Timestamp>)> {
        let mut start = 0;
        let (bytes, at) = (self.bytes, self.at);
        self.ends.iter().zip(at).map(move |(&end, at)| {
            let key = &bytes[start..end as usize];
            start = end as usize;
            (key, *at)
        })
    }
    /// The batch of the records; [`BatchId::MAX`] of an input without batches.
    pub fn batch(&self) -> BatchId {
        self.batch
    }
    /// The last instant of that batch; the end of time where batches have no times.
    pub fn last(&self) -> Timestamp {
        self.last
    }
}

/// Answers many keys at once. It may block. It is asked by several threads.
pub trait Lookup<V>: Send + Sync {
    /// Appends one answer for each key asked, in their order.
    ///
    /// # Errors
    /// `TryAgain` when the service does not answer; whatever cannot be answered at all.
    fn look_up(&self, asked: &Asked<'_>, out: &mut Vec<Option<V>>) -> Result<()>;
    /// The first instant that it cannot be asked about yet: records as of then wait. `None`: it can be asked about any.
    ///
    /// # Errors
    /// `TryAgain` when the service does not answer.
    fn complete_until(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    /// Told where pins of the job are kept, once, before the first question: for what pins [snapshots](super::Snapshots).
    fn keep_pins(&self, _service: &'static str, _pins: &Arc<dyn Pins>) {}
}

/// The different ones of some questions, and which of them each is: a service that is far away is asked once for each.
pub(super) fn distinct<T: std::hash::Hash + Eq + Copy>(all: impl Iterator<Item = T>) -> (Vec<T>, Vec<usize>) {
    let (mut different, mut which) = (Vec::new(), Vec::new());
    let mut places: HashMap<T, usize> = HashMap::new();
    for one in all {
        let place = *places.entry(one).or_insert_with(|| {
            different.push(one);
            different.len() - 1
        });
        which.push(place);
    }
    (different, which)
}

/// Asks for the different keys at once, and gives each record the answer of its key.
pub(super) fn ask_each<K: Key, V: Clone>(
    asked: &Asked<'_>,
    out: &mut Vec<Option<V>>,
    ask: impl FnOnce(&[K]) -> Result<Vec<Option<V>>>,
) -> Result<()> {
    let (different, which) = distinct(asked.iter().map(|(key, _)| key));
    let keys: Vec<K> = different
        .iter()
        .map(|bytes| key::decode_all(bytes).map_err(|e| Error::bug(format!("a key to look up: {e}"))))
        .collect::<Result<_>>()?;
    let found = ask(&keys)?;
    if found.len() != keys.len() {
        return Err(Error::invalid(format!(
            "the service gave {} answers for {} keys: one for each, in their order",
            found.len(),
            keys.len()
        )));
    }
    out.extend(which.into_iter().map(|i| found.get(i).cloned().flatten()));
    Ok(())
}
