//! Many lists side by side.

use std::cmp::Ordering;

use rufous_core::Result;
use rufous_core::rules::{Rule, kept};

use super::List;
use super::cursor::Cursor;
use super::target::Target;

/// A binary heap of cursors, the least key first; of equal keys the older list first, for sums in order.
pub(crate) struct Merge<'a> {
    cursors: Vec<Cursor<'a>>,
    heap: Vec<Head>,
    key: Vec<u8>,
    /// The values of one key, end to end.
    values: Vec<u8>,
    ends: Vec<usize>,
    sum: Vec<u8>,
}

/// A cursor and the first eight bytes of its key, which settle most comparisons.
#[derive(Clone, Copy)]
struct Head {
    start: u64,
    cursor: usize,
}

fn start(key: &[u8]) -> u64 {
    let mut start = [0; 8];
    match key.first_chunk::<8>() {
        Some(first) => start = *first,
        None => start[..key.len()].copy_from_slice(key),
    }
    u64::from_be_bytes(start)
}

impl<'a> Merge<'a> {
    /// The pairs with keys in `from..to`.
    pub(super) fn new(lists: &[&'a List], from: Option<&[u8]>, to: Option<&'a [u8]>) -> Result<Self> {
        let cursors = lists.iter().map(|list| Cursor::open(list, from, to));
        let mut merge = Self {
            cursors: cursors.collect::<Result<_>>()?,
            heap: Vec::new(),
            key: Vec::new(),
            values: Vec::new(),
            ends: Vec::new(),
            sum: Vec::new(),
        };
        for (cursor, c) in merge.cursors.iter().enumerate() {
            if let Some(key) = c.key() {
                merge.heap.push(Head {
                    start: start(key),
                    cursor,
                });
            }
        }
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    fn below(&self, a: Head, b: Head) -> bool {
        let key = |h: Head| self.cursors.get(h.cursor).and_then(Cursor::key);
        let order = a
            .start
            .cmp(&b.start)
            .then_with(|| key(a).cmp(&key(b)))
            .then(a.cursor.cmp(&b.cursor));
        order == Ordering::Less
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.below(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// The top goes to its next pair.
    fn advance(&mut self) -> Result<()> {
        let Some(&Head { cursor, .. }) = self.heap.first() else {
            return Ok(());
        };
        let c = &mut self.cursors[cursor];
        c.advance()?;
        match c.key().map(start) {
            Some(start) => self.heap[0].start = start,
            None => {
                self.heap.swap_remove(0);
            }
        }
        self.sink(0);
        Ok(())
    }

    /// The next key and the sum of its values.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub(crate) fn next(&mut self, target: &impl Target) -> Result<Option<(&[u8], &[u8])>> {
        let Some(head) = self.heap.first() else { return Ok(None) };
        let cursor = &self.cursors[head.cursor];
        self.key.clear();
        self.key.extend_from_slice(cursor.key().unwrap_or_default());
        self.values.clear();
        self.ends.clear();
        let first = head.start;
        let mut domain = cursor.domain();
        while let Some(head) = self.heap.first()
            && head.start == first
            && let cursor = &self.cursors[head.cursor]
            && cursor.key() == Some(&self.key[..])
        {
            // O2: lists of operators' stores say where they are from.
            if let Some((one, other)) = domain
                .zip(cursor.domain())
                .filter(|(a, b)| a != b && kept(Rule::OneDomain))
            {
                return Err(target.in_two_domains(&self.key, one, other));
            }
            domain = domain.or(cursor.domain());
            self.values.extend_from_slice(cursor.value());
            self.ends.push(self.values.len());
            self.advance()?;
        }
        if let [_] = self.ends[..] {
            return Ok(Some((&self.key, &self.values)));
        }
        self.sum.clear();
        let mut from = 0;
        let mut parts = self
            .ends
            .iter()
            .map(|&end| &self.values[std::mem::replace(&mut from, end)..end]);
        target.add(&self.key, &mut parts, &mut self.sum)?;
        Ok(Some((&self.key, &self.sum)))
    }
}
