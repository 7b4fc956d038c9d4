//! The values of some hops of some keys. Neighbouring hops of a key are neighbouring keys, so they are read as ranges.
//!
//! Long windows are asked for again and again, and most of their hops lie in the generation alone, which does not change: hops are summed in
//! blocks, and the sum of a block without cells is kept by generation. Which blocks there are depends on the snapshot and on the manifest only,
//! not on what is kept: so a window that is asked for again in the same state has the same sum, also where a sketch is not quite the same when
//! it is added in another order. Windows that are asked for together share their hops and have no blocks.

use std::collections::HashMap;
use std::ops::Range;

use rufous_core::window::HOP_BYTES;
use rufous_core::{AsKey, Error, Hop, Result};
use rufous_store_api::KeyRange;

use crate::cache::{Kept, Sums};
use crate::view::{Fail, LiveCell, Sum, View};

/// Hops of a block: those of a day, where they are hours.
const BLOCK: usize = 24;

/// Values by key and hop.
pub(super) struct Table<'a> {
    /// Ascending, each once.
    keys: Vec<&'a [u8]>,
    /// Ascending.
    hops: &'a [Hop],
    /// Where each value is, key by key.
    places: Vec<Option<Result<Range<usize>>>>,
    bytes: Vec<u8>,
    /// Sums of blocks, by the place of the first of their hops.
    blocks: HashMap<usize, Kept>,
}

/// Hops that follow each other.
#[derive(Clone, Copy)]
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

impl Run {
    /// A part of it.
    fn part(&self, part: Range<usize>) -> Option<Self> {
        Some(Self {
            at: self.at + part.start,
            first: self.first.following(part.start as u64)?,
            len: part.len(),
        })
    }
    /// The keys of these hops of `key`.
    fn range(&self, key: &[u8]) -> KeyRange {
        // The end is just behind the last hop.
        let mut end = full(key, self.first.following(self.len as u64 - 1).unwrap_or(self.first));
        end.push(0);
        full(key, self.first)..end
    }
    /// Where blocks begin in it: each at a multiple of its length, so that windows that overlap share them.
    fn blocks(&self) -> impl Iterator<Item = usize> + use<> {
        let first = (-i128::from(self.first.number())).rem_euclid(BLOCK as i128);
        let len = self.len;
        (first as usize..len).step_by(BLOCK).filter(move |at| at + BLOCK <= len)
    }
}

/// The key of a hop.
fn full(key: &[u8], hop: Hop) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + HOP_BYTES + 1);
    bytes.extend_from_slice(key);
    hop.encode_key(&mut bytes);
    bytes
}

/// What is read of a table: hops of a key.
struct Piece {
    of: usize,
    run: Run,
}

impl<'a> Table<'a> {
    /// Nothing of it is read.
    fn new(keys: &'a [Vec<u8>], hops: &'a [Hop]) -> Self {
        let mut keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        keys.sort_unstable();
        keys.dedup();
        Self {
            places: (0..keys.len() * hops.len()).map(|_| None).collect(),
            keys,
            hops,
            bytes: Vec::new(),
            blocks: HashMap::new(),
        }
    }

    /// All of it, key by key.
    fn pieces(&self) -> (Vec<Piece>, Vec<KeyRange>) {
        let runs = runs(self.hops);
        let pieces = (0..self.keys.len()).flat_map(|of| runs.iter().map(move |run| Piece { of, run: *run }));
        let pieces: Vec<Piece> = pieces.collect();
        let ranges = pieces.iter().map(|p| p.run.range(self.keys[p.of])).collect();
        (pieces, ranges)
    }

    /// Reads them; `hops` ascend.
    pub(super) fn read(view: &View, keys: &'a [Vec<u8>], hops: &'a [Hop]) -> Result<Self, Fail> {
        let mut table = Self::new(keys, hops);
        let (pieces, ranges) = table.pieces();
        table.take(view, &pieces, &ranges)?;
        Ok(table)
    }

    fn take(&mut self, view: &View, pieces: &[Piece], ranges: &[KeyRange]) -> Result<(), Fail> {
        // Those that are apart are read together.
        let at_once = if are_apart(ranges) { ranges.len() } else { 1 };
        for (ranges, pieces) in ranges.chunks(at_once.max(1)).zip(pieces.chunks(at_once.max(1))) {
            view.ranges(ranges, &mut |place, key, value| {
                self.put(&pieces[place], key, value);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Reads them, blocks of hops as one sum each. `add` adds values up.
    pub(super) fn read_sums(
        view: &View,
        keys: &'a [Vec<u8>],
        hops: &'a [Hop],
        add: &dyn Fn(&[&[u8]]) -> Sum,
    ) -> Result<Self, Fail> {
        let mut table = Self::new(keys, hops);
        let (pieces, ranges) = table.pieces();
        let Some(sums) = view.sums().filter(|_| are_apart(&ranges)) else {
            table.take(view, &pieces, &ranges)?;
            return Ok(table);
        };
        let live = view.live(&ranges)?;
        let mut unread = Unread::default();
        for (place, piece) in pieces.iter().enumerate() {
            let from = live.partition_point(|cell| cell.0 < place);
            let of_piece = live[from..].iter().take_while(|cell| cell.0 == place);
            let with_cells: Vec<usize> = of_piece.filter_map(|cell| table.after(piece, &cell.1)).collect();
            table.known_blocks(piece, &with_cells, &sums, &mut unread);
        }
        let ranges: Vec<KeyRange> = unread.pieces.iter().map(|p| p.run.range(table.keys[p.of])).collect();
        let live = among(live, &ranges);
        view.merged(&ranges, live, &mut |place, key, value| {
            table.put(&unread.pieces[place], key, value);
            Ok(())
        })?;
        for (of, at) in unread.blocks {
            table.add_block(of, at, &sums, add);
        }
        Ok(table)
    }

    /// Takes the sums of the blocks of a piece that are kept; what is left of it is to be read.
    fn known_blocks(&mut self, piece: &Piece, with_cells: &[usize], sums: &Sums<'_>, unread: &mut Unread) {
        let (of, run) = (piece.of, &piece.run);
        let mut left = 0;
        for start in run.blocks() {
            let end = start + BLOCK;
            let from = with_cells.partition_point(|after| *after < start);
            if with_cells.get(from).is_some_and(|after| *after < end) {
                continue;
            }
            let at = run.at + start;
            match sums.get(&full(self.keys[of], self.hops[at])) {
                Some(sum) => {
                    self.blocks.insert(of * self.hops.len() + at, sum);
                    unread.push(of, run.part(left..start));
                    left = end;
                }
                None => unread.blocks.push((of, at)),
            }
        }
        unread.push(of, run.part(left..run.len));
    }

    /// Adds up a block that was read, and keeps the sum, unless a value of it is damaged: who asks for it is told.
    fn add_block(&mut self, of: usize, at: usize, sums: &Sums<'_>, add: &dyn Fn(&[&[u8]]) -> Sum) {
        let first = of * self.hops.len() + at;
        let values = self.places[first..first + BLOCK].iter().flatten();
        let values: Result<Vec<&[u8]>, ()> = values
            .map(|place| place.as_ref().map(|p| &self.bytes[p.clone()]).map_err(drop))
            .collect();
        let Ok(Ok(sum)) = values.map(|values| add(&values)) else {
            return;
        };
        sums.put(&full(self.keys[of], self.hops[at]), sum.as_deref());
        self.blocks.insert(first, sum.map(Into::into));
    }

    /// How far behind the first hop of a piece the hop of this key is.
    fn after(&self, piece: &Piece, full: &[u8]) -> Option<usize> {
        // Between two hops of a key other keys may be, which are longer.
        let hop = Hop::of_key(full).filter(|_| full.len() == self.keys[piece.of].len() + HOP_BYTES)?;
        let after = usize::try_from(hop.number().wrapping_sub(piece.run.first.number())).ok()?;
        (after < piece.run.len).then_some(after)
    }

    fn put(&mut self, piece: &Piece, full: &[u8], value: Result<&[u8]>) {
        let Some(after) = self.after(piece, full) else { return };
        let at = piece.of * self.hops.len() + piece.run.at + after;
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(value.map(|value| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(value);
                start..self.bytes.len()
            }));
        }
    }

    fn place(&self, key: &[u8], hop: Hop) -> Result<usize> {
        let not_read = || Error::bug("a hop was not read");
        let of = self.keys.binary_search(&key).map_err(|_| not_read())?;
        let at = self.hops.binary_search(&hop).map_err(|_| not_read())?;
        Ok(of * self.hops.len() + at)
    }

    fn at(&self, place: usize) -> Result<Option<&[u8]>> {
        match &self.places[place] {
            None => Ok(None),
            Some(Ok(place)) => Ok(Some(&self.bytes[place.clone()])),
            Some(Err(e)) => Err(Error::new(e.kind(), e.to_string())),
        }
    }

    /// A value that was read, if there is one.
    pub(super) fn get(&self, key: &[u8], hop: Hop) -> Result<Option<&[u8]>> {
        self.at(self.place(key, hop)?)
    }

    /// Appends what `hops` of a key have to be added up from, in their order: values, and the sums of blocks.
    pub(super) fn parts<'b>(&'b self, key: &[u8], mut hops: &[Hop], parts: &mut Vec<&'b [u8]>) -> Result<()> {
        while let Some((hop, rest)) = hops.split_first() {
            let place = self.place(key, *hop)?;
            let Some(sum) = self.blocks.get(&place) else {
                parts.extend(self.at(place)?);
                hops = rest;
                continue;
            };
            // Hops that follow each other stand beside each other in either order: else some of the block would be missing, or added twice.
            let behind = hops
                .split_at_checked(BLOCK)
                .filter(|(block, _)| block.last() == hop.following(BLOCK as u64 - 1).as_ref());
            let (_, behind) = behind.ok_or_else(|| Error::bug("the hops of a block are not beside each other"))?;
            parts.extend(sum.as_deref());
            hops = behind;
        }
        Ok(())
    }
}

/// What is still to be read.
#[derive(Default)]
struct Unread {
    pieces: Vec<Piece>,
    /// Blocks that are added up then: the key, and the place of the first hop.
    blocks: Vec<(usize, usize)>,
}

impl Unread {
    fn push(&mut self, of: usize, run: Option<Run>) {
        self.pieces
            .extend(run.filter(|run| run.len > 0).map(|run| Piece { of, run }));
    }
}

/// Whether ranges ascend and share no key. Keys of a job are no prefixes of each other; bytes of strangers may be.
fn are_apart(ranges: &[KeyRange]) -> bool {
    ranges.windows(2).all(|r| r[0].end <= r[1].start)
}

/// The cells that lie in these ranges, with their places among them. Both ascend.
fn among(cells: Vec<LiveCell>, ranges: &[KeyRange]) -> Vec<LiveCell> {
    let mut place = 0;
    let inside = |(_, key, cell): LiveCell| {
        while ranges.get(place).is_some_and(|range| range.end <= key) {
            place += 1;
        }
        (ranges.get(place)?.start <= key).then_some((place, key, cell))
    };
    cells.into_iter().filter_map(inside).collect()
}
