//! Ranges of a snapshot: pages of each partition, merged by key.

use std::collections::VecDeque;

use redis::Value;
use rufous_core::{Frontier, Result};
use rufous_store_api::Cell;

use super::{ENOUGH, Named, RedisSnapshot};
use crate::realtime::scripts;
use crate::server::{bytes, list};

/// Keys of a page, and pages of a call.
const PAGE: usize = 4096;
const PAGES: usize = 512;

/// Called with the place of a range, a key and its cell.
pub(super) type Each<'a> = &'a mut dyn FnMut(usize, &[u8], Cell) -> Result<()>;

/// Where a range of keys goes on.
struct Cursor<'a> {
    named: &'a Named,
    /// The lower bound as the server takes it.
    low: Vec<u8>,
    more: bool,
    /// Fetched, ascending.
    fetched: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl RedisSnapshot {
    /// The cells of ranges, batch by batch.
    pub(super) fn each(&self, store: &str, ranges: &[(Vec<u8>, Vec<u8>)], from: &Frontier, f: Each<'_>) -> Result<()> {
        let named = self.reach(store, from)?;
        for named in named.chunk_by(|a, b| a.batch == b.batch) {
            self.batch(named, ranges, f)?;
        }
        Ok(())
    }

    /// The next pages of ranges, in one call. Those that do not fit in it stay as they are, and want more.
    fn fetch(&self, cursors: &mut [(&mut Cursor<'_>, &[u8])]) -> Result<()> {
        let most = (PAGE / cursors.len().max(1)).max(16);
        let answer = self.ask(&scripts::PAGES, &|cmd| {
            cmd.arg(ENOUGH);
            for (cursor, high) in cursors.iter() {
                cmd.arg(&cursor.named.name).arg(&cursor.low).arg(*high).arg(most);
            }
        })?;
        let odd = || self.core.odd("read a snapshot of");
        if answer.len() != cursors.len() {
            return Err(odd());
        }
        for ((cursor, _), page) in cursors.iter_mut().zip(&answer) {
            let page = list(page).ok_or_else(odd)?;
            let (Some(Value::Int(more)), Some(last)) = (page.first(), page.get(1).and_then(bytes)) else {
                return Err(odd());
            };
            cursor.more = *more != 0;
            if cursor.more && !last.is_empty() {
                cursor.low = [b"(", last].concat();
            }
            for pair in page.get(2..).unwrap_or_default().chunks(2) {
                match (pair.first().and_then(bytes), pair.get(1).and_then(bytes)) {
                    (Some(key), Some(value)) => cursor.fetched.push_back((key.to_vec(), value.to_vec())),
                    _ => return Err(odd()),
                }
            }
        }
        Ok(())
    }

    /// The cells of a batch whose keys lie in some ranges, range by range, by key and partition.
    fn batch(&self, named: &[Named], ranges: &[(Vec<u8>, Vec<u8>)], f: Each<'_>) -> Result<()> {
        let per_call = (PAGES / named.len().max(1)).max(1);
        for (group, ranges) in ranges.chunks(per_call).enumerate() {
            let mut cursors: Vec<Vec<Cursor<'_>>> = Vec::with_capacity(ranges.len());
            for (low, _) in ranges {
                let of = |named| Cursor {
                    named,
                    low: low.clone(),
                    more: true,
                    fetched: VecDeque::new(),
                };
                cursors.push(named.iter().map(of).collect());
            }
            let mut all: Vec<_> = cursors
                .iter_mut()
                .zip(ranges)
                .flat_map(|(of, (_, high))| of.iter_mut().map(move |c| (c, high.as_slice())))
                .collect();
            for some in all.chunks_mut(PAGES) {
                self.fetch(some)?;
            }
            for ((place, of), (_, high)) in cursors.iter_mut().enumerate().zip(ranges) {
                self.merge(of, high, &mut |key, cell| f(group * per_call + place, key, cell))?;
            }
        }
        Ok(())
    }

    /// One range of several partitions, by key.
    fn merge(&self, of: &mut [Cursor<'_>], high: &[u8], f: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        let mut sorted: Vec<(Vec<u8>, Cell)> = Vec::new();
        loop {
            let dry = of.iter_mut().filter(|c| c.fetched.is_empty() && c.more);
            let mut dry: Vec<_> = dry.map(|c| (c, high)).collect();
            if !dry.is_empty() {
                for some in dry.chunks_mut(PAGES) {
                    self.fetch(some)?;
                }
                continue;
            }
            // Up to where nobody has keys that were not fetched.
            let last = |c: &Cursor<'_>| c.fetched.back().map(|(key, _)| key.clone());
            let bound = of.iter().filter(|c| c.more).filter_map(last).min();
            for cursor in of.iter_mut() {
                let Named { partition, batch, .. } = *cursor.named;
                let within = |(key, _): &(Vec<u8>, Vec<u8>)| bound.as_ref().is_none_or(|bound| key <= bound);
                while let Some((key, value)) = cursor.fetched.pop_front_if(|pair| within(pair)) {
                    let cell = Cell {
                        partition,
                        batch,
                        value,
                    };
                    sorted.push((key, cell));
                }
            }
            sorted.sort_unstable_by(|(a, of_a), (b, of_b)| (a, of_a.partition).cmp(&(b, of_b.partition)));
            for (key, cell) in sorted.drain(..) {
                f(&key, cell)?;
            }
            if bound.is_none() {
                return Ok(());
            }
        }
    }
}

/// The first key behind all that begin with a prefix; `None`: there is none.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}
