//! The values of some hops of some keys. Neighbouring hops of a key are neighbouring keys, so they are read as ranges.

use std::ops::Range;

use rufous_core::window::HOP_BYTES;
use rufous_core::{AsKey, Error, Hop, Result};
use rufous_store_api::KeyRange;

use crate::view::{Fail, View};

/// Values by key and hop.
pub(super) struct Table<'a> {
    /// Ascending, each once.
    keys: Vec<&'a [u8]>,
    /// Ascending.
    hops: &'a [Hop],
    /// Where each value is, key by key.
    places: Vec<Option<Result<Range<usize>>>>,
    bytes: Vec<u8>,
}

/// Hops that follow each other.
struct Run {
    /// Place of the first one.
    at: usize,
    first: Hop,
    len: usize,
}

fn runs(hops: &[Hop]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, hop) in hops.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.first.following(run.len as u64) == Some(*hop) => run.len += 1,
            _ => runs.push(Run {
                at,
                first: *hop,
                len: 1,
            }),
        }
    }
    runs
}

impl<'a> Table<'a> {
    /// Reads them; `hops` ascend.
    pub(super) fn read(view: &View, keys: &'a [Vec<u8>], hops: &'a [Hop]) -> Result<Self, Fail> {
        let mut keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        keys.sort_unstable();
        keys.dedup();
        let runs = runs(hops);
        let range = |key: &[u8], run: &Run| -> KeyRange {
            let full = |hop: Hop| {
                let mut bytes = Vec::with_capacity(key.len() + HOP_BYTES + 1);
                bytes.extend_from_slice(key);
                hop.encode_key(&mut bytes);
                bytes
            };
            // The end is just behind the last hop.
            let mut end = full(run.first.following(run.len as u64 - 1).unwrap_or(run.first));
            end.push(0);
            full(run.first)..end
        };
        let ranges: Vec<KeyRange> = keys
            .iter()
            .flat_map(|key| runs.iter().map(|run| range(key, run)))
            .collect();
        let mut table = Self {
            places: (0..keys.len() * hops.len()).map(|_| None).collect(),
            keys,
            hops,
            bytes: Vec::new(),
        };
        // Keys of a job are no prefixes of each other; bytes of strangers may be.
        let apart = ranges.windows(2).all(|r| r[0].end <= r[1].start);
        let at_once = if apart { ranges.len() } else { runs.len() };
        for (part, ranges) in ranges.chunks(at_once.max(1)).enumerate() {
            view.ranges(ranges, &mut |place, key, value| {
                let place = part * at_once + place;
                table.put(&runs[place % runs.len()], place / runs.len(), key, value);
                Ok(())
            })?;
        }
        Ok(table)
    }

    fn put(&mut self, run: &Run, of: usize, full: &[u8], value: Result<&[u8]>) {
        // Between two hops of a key other keys may be, which are longer.
        let Some(hop) = Hop::of_key(full).filter(|_| full.len() == self.keys[of].len() + HOP_BYTES) else {
            return;
        };
        let Ok(after) = usize::try_from(hop.number().wrapping_sub(run.first.number())) else {
            return;
        };
        let at = of * self.hops.len() + run.at + after;
        if let Some(place) = self.places.get_mut(at).filter(|_| after < run.len) {
            *place = Some(value.map(|value| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(value);
                start..self.bytes.len()
            }));
        }
    }

    /// A value that was read, if there is one.
    pub(super) fn get(&self, key: &[u8], hop: Hop) -> Result<Option<&[u8]>> {
        let not_read = || Error::bug("a hop was not read");
        let of = self.keys.binary_search(&key).map_err(|_| not_read())?;
        let at = self.hops.binary_search(&hop).map_err(|_| not_read())?;
        match &self.places[of * self.hops.len() + at] {
            None => Ok(None),
            Some(Ok(place)) => Ok(Some(&self.bytes[place.clone()])),
            Some(Err(e)) => Err(Error::new(e.kind(), e.to_string())),
        }
    }
}
