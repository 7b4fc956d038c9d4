//! The realtime part of a list, a slice at a time: as many keys as may be held, from the least on, then those behind them. All slices
//! are of one snapshot, so together they are what it has.
//!
//! Cells come by batch and then by key, so a slice is found by passing all that lies behind its beginning: what is larger than the keys that
//! fit is let go again, and the next slice begins at the least key that was. A list that fits is passed once.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::iter::Peekable;

use rufous_core::{Error, Result};
use rufous_store_api::{Cell, KeyRange};

use super::{CELL_BYTES, Fail, View, end_of};
use crate::answer::key_text;

/// A key and its cells.
type Row = (Vec<u8>, Vec<Cell>);

/// The keys of the realtime part with their cells, ascending.
pub(super) struct Live<'v> {
    view: &'v View,
    prefix: &'v [u8],
    held: Peekable<IntoIter<Vec<u8>, Vec<Cell>>>,
    /// Where the next slice begins; `None`: there is none.
    next: Option<Vec<u8>>,
}

/// The least keys that fit.
struct Slice {
    cells: BTreeMap<Vec<u8>, Vec<Cell>>,
    bytes: usize,
    most: usize,
    /// The least key that was let go.
    end: Option<Vec<u8>>,
}

fn cost(key: &[u8], cell: &Cell) -> usize {
    key.len() + cell.value.len() + CELL_BYTES
}

impl Slice {
    fn wants(&self, key: &[u8]) -> bool {
        self.end.as_deref().is_none_or(|end| key < end)
    }
    /// `false`: the cells of one key are more than may be held.
    fn add(&mut self, key: &[u8], cell: Cell) -> bool {
        self.bytes += cost(key, &cell);
        match self.cells.get_mut(key) {
            Some(cells) => cells.push(cell),
            None => drop(self.cells.insert(key.to_vec(), vec![cell])),
        }
        while self.bytes > self.most && self.cells.len() > 1 {
            if let Some((key, cells)) = self.cells.pop_last() {
                self.bytes -= cells.iter().map(|cell| cost(&key, cell)).sum::<usize>();
                self.end = Some(key);
            }
        }
        self.bytes <= self.most
    }
}

impl<'v> Live<'v> {
    /// Those that begin with `prefix`, from `start` on.
    pub(super) fn of(view: &'v View, prefix: &'v [u8], start: &[u8]) -> Result<Self, Fail> {
        let mut live = Self {
            view,
            prefix,
            held: BTreeMap::new().into_iter().peekable(),
            next: Some(start.to_vec()),
        };
        // The first one before anything is shown: an owner that fell silent can still be told.
        live.refill()?;
        Ok(live)
    }

    fn refill(&mut self) -> Result<(), Fail> {
        while self.held.peek().is_none()
            && let Some(start) = self.next.take()
        {
            let slice = self.view.slice(self.prefix, &start)?;
            (self.held, self.next) = (slice.cells.into_iter().peekable(), slice.end);
        }
        Ok(())
    }

    /// Whether all up to this key was read.
    fn reaches(&mut self, key: &[u8]) -> bool {
        self.held.peek().is_some() || self.next.as_deref().is_none_or(|next| next > key)
    }

    /// The next one, if its key is smaller.
    pub(super) fn below(&mut self, key: &[u8]) -> Result<Option<Row>, Fail> {
        if !self.reaches(key) {
            self.refill()?;
        }
        Ok(self.held.next_if(|(k, _)| k.as_slice() < key))
    }

    /// The cells of this key, which is not larger than the next one.
    pub(super) fn of_key(&mut self, key: &[u8]) -> Result<Vec<Cell>, Fail> {
        if !self.reaches(key) {
            self.refill()?;
        }
        let same = self.held.next_if(|(k, _)| k.as_slice() == key);
        Ok(same.map_or_else(Vec::new, |(_, cells)| cells))
    }

    /// The next one, whatever it is.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fail> {
        self.refill()?;
        Ok(self.held.next())
    }
}

impl View {
    fn slice(&self, prefix: &[u8], start: &[u8]) -> Result<Slice, Fail> {
        let mut slice = Slice {
            cells: BTreeMap::new(),
            bytes: 0,
            most: self.client.live_bytes_of_a_list(),
            end: None,
        };
        let Some(snapshot) = self.realtime() else {
            return Ok(slice);
        };
        let mut collect = |key: &[u8], cell: Cell| {
            self.clock.row("a scan of the realtime state")?;
            if key < start || !slice.wants(key) || !self.counts(&cell)? || slice.add(key, cell) {
                return Ok(());
            }
            Err(Error::invalid(format!(
                "the realtime state of key {} alone is larger than the {} bytes that a list may hold; let a batch be published, \
                 which empties the realtime state, or let lists hold more",
                key_text(&self.face, key),
                slice.most
            )))
        };
        let (store, from) = (self.face.name, &self.manifest.frontier);
        self.of_cells(snapshot, |s| {
            if start == prefix {
                return s.scan(store, prefix, from, &mut collect);
            }
            let (range, rest) = from_on(prefix, start);
            s.ranges(store, &[range], from, &mut |_, key, cell| collect(key, cell))?;
            match rest {
                Some(rest) => s.scan(store, &rest, from, &mut collect),
                None => Ok(()),
            }
        })?;
        Ok(slice)
    }
}

/// The first key that begins with `prefix` and lies behind `after`.
pub(super) fn start_of(prefix: &[u8], after: Option<&[u8]>) -> Vec<u8> {
    let behind = after.map_or_else(Vec::new, |after| [after, &[0]].concat());
    behind.max(prefix.to_vec())
}

/// The keys that begin with `prefix`, from `start` on: a range, and a prefix of those that lie behind all ranges because nothing is larger
/// than what they begin with.
pub(super) fn from_on(prefix: &[u8], start: &[u8]) -> (KeyRange, Option<Vec<u8>>) {
    let (end, rest) = match end_of(prefix) {
        Some(end) => (end, None),
        None => {
            let largest = [prefix, &[u8::MAX]].concat();
            (largest.clone(), Some(largest))
        }
    };
    (start.min(&end).to_vec()..end, rest)
}
