//! The combining map: keys and values in the order in which keys came, and a table of places; a key is copied only when it
//! is first seen.

use std::hint::black_box;

use crate::hash::HashBytes;
use crate::semigroup::{Absorb, Semigroup};

/// Values by key, combined in place.
///
/// Open addressing with linear probing: a slot of the table holds 32 bits of the hash and the place of a cell, so that a
/// table that grows moves no value, and what is iterated over lies in a row.
#[derive(Clone, Debug)]
pub struct CombineMap<V> {
    /// As many as a power of two, at least twice as many as cells (four times, up to [`SPARSE`]); empty before the first key.
    slots: Vec<Slot>,
    cells: Vec<Cell<V>>,
    /// The bytes of the keys.
    arena: Vec<u8>,
    /// What the values own on the heap.
    heap: usize,
}

/// Upper half: that of the hash. Lower half: the place of the cell, plus 1; of an empty slot, 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    const EMPTY: Self = Self(0);
    #[inline]
    fn new(hash: u64, cell: u32) -> Self {
        Self(hash & !u64::from(u32::MAX) | (u64::from(cell) + 1))
    }
    /// The cell, if this slot may be that of a key with this hash.
    #[inline]
    fn cell(self, hash: u64) -> Option<usize> {
        ((self.0 ^ hash) >> 32 == 0).then(|| (self.0 as u32 as usize).wrapping_sub(1))
    }
}

#[derive(Clone, Debug)]
struct Cell<V> {
    hash: u64,
    from: u32,
    len: u32,
    value: V,
}

impl<V> Cell<V> {
    #[inline]
    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.from as usize..][..self.len as usize]
    }
}

/// `a == b`, without a call for keys of up to 16 bytes: most words, ids and buckets are that short.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    let n = a.len();
    if n != b.len() {
        return false;
    }
    // The first and the last bytes, which may overlap, are all bytes.
    match n {
        8..=16 => a.first_chunk::<8>() == b.first_chunk::<8>() && a.last_chunk::<8>() == b.last_chunk::<8>(),
        4..=7 => a.first_chunk::<4>() == b.first_chunk::<4>() && a.last_chunk::<4>() == b.last_chunk::<4>(),
        2..=3 => a.first_chunk::<2>() == b.first_chunk::<2>() && a.last_chunk::<2>() == b.last_chunk::<2>(),
        _ => a == b,
    }
}

/// Maps of fewer bytes lie in the cache of a core.
const CACHED: usize = 1 << 20;

/// Tables of fewer slots hold a key in every fourth at most, others in every second: as long as a table lies in the cache, more
/// slots cost less than the keys that are not where they are looked for first.
const SPARSE: usize = 1 << 15;

/// The map holds 4 GiB of keys, and takes no more of them before it is cleared. The item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<I>(pub I);

/// Where a key probably is: what [`CombineMap::look_ahead`] finds for its hash.
#[derive(Clone, Copy, Debug)]
pub struct Hint(Slot);

impl<V> Default for CombineMap<V> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            cells: Vec::new(),
            arena: Vec::new(),
            heap: 0,
        }
    }
}

impl<V: Semigroup> CombineMap<V> {
    /// Adds a value to that of its key.
    ///
    /// # Errors
    /// [`Full`].
    #[inline]
    pub fn combine(&mut self, key: &[u8], value: V) -> Result<(), Full<V>> {
        self.fold(
            key.hash64(),
            key,
            value,
            |value| value,
            |sum, value| sum.combine_owned(value),
        )
    }

    /// Folds an item into the value of its key.
    ///
    /// # Errors
    /// [`Full`].
    #[inline]
    pub fn absorb<T>(&mut self, key: &[u8], item: &T) -> Result<(), Full<()>>
    where
        V: Absorb<T>,
    {
        let first = |()| {
            let mut value = V::zero();
            value.absorb(item);
            value
        };
        self.fold(key.hash64(), key, (), first, |value, ()| value.absorb(item))
    }

    /// Folds an item into the value of its key, whose hash is known: `first` makes the value of a new key, `again` changes
    /// that of a known one. Equal keys must come with equal hashes; nothing else is asked of the hash.
    ///
    /// # Errors
    /// [`Full`].
    #[inline]
    pub fn fold<I>(
        &mut self,
        hash: u64,
        key: &[u8],
        item: I,
        first: impl FnOnce(I) -> V,
        again: impl FnOnce(&mut V, I),
    ) -> Result<(), Full<I>> {
        match self.find(hash, key) {
            Ok(cell) => {
                self.again(cell, item, again);
                Ok(())
            }
            Err(slot) => self.insert(slot, hash, key, item, first),
        }
    }

    /// The same with a hint, which makes it faster and need not be right.
    ///
    /// # Errors
    /// [`Full`].
    #[inline]
    pub fn fold_hinted<I>(
        &mut self,
        hint: Hint,
        hash: u64,
        key: &[u8],
        item: I,
        first: impl FnOnce(I) -> V,
        again: impl FnOnce(&mut V, I),
    ) -> Result<(), Full<I>> {
        if let Some(place) = hint.0.cell(hash)
            && let Some(cell) = self.cells.get(place)
            && same(cell.key(&self.arena), key)
        {
            self.again(place, item, again);
            return Ok(());
        }
        self.fold(hash, key, item, first, again)
    }

    /// The same for a key of eight bytes, whose hash is that of [`HashBytes`]: XXH3 is one-to-one on them, so that the hash
    /// alone tells the key, and the key's own bytes are not fetched.
    ///
    /// # Errors
    /// [`Full`].
    #[inline]
    pub fn fold_word<I>(
        &mut self,
        hint: Hint,
        hash: u64,
        key: &[u8; 8],
        item: I,
        first: impl FnOnce(I) -> V,
        again: impl FnOnce(&mut V, I),
    ) -> Result<(), Full<I>> {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return self.insert(0, hash, key, item, first);
        };
        let (mut slot, mut at) = (hint.0, hash as usize & mask);
        loop {
            if let Some(place) = slot.cell(hash)
                && let Some(cell) = self.cells.get(place)
                && cell.hash == hash
                && cell.len == 8
            {
                self.again(place, item, again);
                return Ok(());
            }
            if slot == Slot::EMPTY {
                break;
            }
            at = (at + 1) & mask;
            slot = self.slots[at];
        }
        // The hint may be from before its slot was taken.
        self.fold(hash, key, item, first, again)
    }

    #[inline]
    fn again<I>(&mut self, cell: usize, item: I, again: impl FnOnce(&mut V, I)) {
        let value = &mut self.cells[cell].value;
        let before = value.heap_bytes();
        again(value, item);
        self.heap = (self.heap + value.heap_bytes()).saturating_sub(before);
    }

    #[cold]
    fn insert<I>(
        &mut self,
        slot: usize,
        hash: u64,
        key: &[u8],
        item: I,
        first: impl FnOnce(I) -> V,
    ) -> Result<(), Full<I>> {
        let (Ok(from), Ok(len)) = (u32::try_from(self.arena.len()), u32::try_from(key.len())) else {
            return Err(Full(item));
        };
        // The place of a cell is kept with 1 added.
        let Some(cell) = u32::try_from(self.cells.len()).ok().filter(|c| *c < u32::MAX) else {
            return Err(Full(item));
        };
        let value = first(item);
        self.heap += value.heap_bytes();
        self.arena.extend_from_slice(key);
        self.cells.push(Cell { hash, from, len, value });
        let room = if self.slots.len() < SPARSE { 4 } else { 2 };
        if self.cells.len() * room > self.slots.len() {
            self.grow();
        } else {
            self.slots[slot] = Slot::new(hash, cell);
        }
        Ok(())
    }
}

impl<V> CombineMap<V> {
    /// The place of a key's cell, or the empty slot for it.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Result<usize, usize> {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return Err(0);
        };
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == Slot::EMPTY {
                return Err(at);
            }
            if let Some(place) = slot.cell(hash)
                && let Some(cell) = self.cells.get(place)
                && same(cell.key(&self.arena), key)
            {
                return Ok(place);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(16);
        self.slots.clear();
        self.slots.resize(slots, Slot::EMPTY);
        for (cell, place) in self.cells.iter().zip(0..) {
            let mut at = cell.hash as usize & (slots - 1);
            while self.slots[at] != Slot::EMPTY {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = Slot::new(cell.hash, place);
        }
    }

    /// Where the keys of these hashes probably are. All look-ups at once have no branch that waits for memory: in a large
    /// map, that is most of the time.
    #[inline]
    pub fn look_ahead(&self, hashes: &[u64], hints: &mut Vec<Hint>) {
        hints.clear();
        match self.slots.len().checked_sub(1) {
            Some(mask) => hints.extend(hashes.iter().map(|hash| Hint(self.slots[*hash as usize & mask]))),
            None => hints.resize(hashes.len(), Hint(Slot::EMPTY)),
        }
        if self.bytes() > CACHED {
            self.fetch(hashes, hints);
        }
    }

    /// Leads the hints on to the slots of their hashes, and reads the cells and the keys there: they come into the cache while
    /// nothing waits for them.
    fn fetch(&self, hashes: &[u64], hints: &mut [Hint]) {
        let mask = self.slots.len().wrapping_sub(1);
        for (hint, hash) in hints.iter_mut().zip(hashes) {
            let mut at = *hash as usize;
            // Some slots are empty, at least half of them.
            while hint.0 != Slot::EMPTY && hint.0.cell(*hash).is_none() {
                at = at.wrapping_add(1);
                hint.0 = self.slots[at & mask];
            }
        }
        let cell = |hint: &Hint| self.cells.get((hint.0.0 as u32 as usize).wrapping_sub(1));
        let from = |hint: &Hint| cell(hint).map_or(0, |cell| cell.from);
        let cells = hints.iter().fold(0, |all, hint| all ^ from(hint));
        let key = |hint: &Hint| self.arena.get(from(hint) as usize).copied().unwrap_or(0);
        let keys = hints.iter().fold(0, |all, hint| all ^ key(hint));
        black_box((cells, keys));
    }

    /// The value at which a hint points. It is that of the key, or of another key whose hash is nearly the same.
    #[inline]
    pub fn hinted(&self, hint: Hint, hash: u64) -> Option<&V> {
        Some(&self.cells.get(hint.0.cell(hash)?)?.value)
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.get_hashed(key.hash64(), key)
    }

    /// The value of a key that was [folded](Self::fold) with this hash.
    pub fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<&V> {
        self.find(hash, key).ok().map(|cell| &self.cells[cell].value)
    }

    /// Keys and values, in the order in which the keys came first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.cells.iter().map(|c| (c.key(&self.arena), &c.value))
    }

    /// The key and value at a place: places count from 0 in the order in which keys came first, as in [`iter`](Self::iter).
    #[inline]
    pub fn at(&self, place: usize) -> Option<(&[u8], &V)> {
        self.cells.get(place).map(|c| (c.key(&self.arena), &c.value))
    }

    /// Takes everything out in the order of the keys, and keeps the space.
    pub fn drain_sorted(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        self.cells
            .sort_unstable_by(|a, b| a.key(&self.arena).cmp(b.key(&self.arena)));
        self.drain(out);
    }

    /// Takes everything out in the order in which the keys came first, and keeps the space.
    pub fn drain(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        self.forget_slots();
        for cell in self.cells.drain(..) {
            let key = &self.arena[cell.from as usize..][..cell.len as usize];
            out(key, cell.value);
        }
        self.arena.clear();
        self.heap = 0;
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    /// Forgets everything and keeps the space.
    pub fn clear(&mut self) {
        self.forget_slots();
        self.cells.clear();
        self.arena.clear();
        self.heap = 0;
    }
    fn forget_slots(&mut self) {
        // A table that was once far larger would be emptied, all of it, time and again.
        let wanted = (self.cells.len() * 4).next_power_of_two().max(16);
        if self.slots.len() > 16 * wanted {
            self.slots.truncate(wanted);
        }
        self.slots.fill(Slot::EMPTY);
    }
    /// The memory in use: keys, cells, slots, and what the values own ([`Semigroup::heap_bytes`]); 0 of an empty map, whatever
    /// space it keeps.
    pub fn bytes(&self) -> usize {
        if self.cells.is_empty() {
            return 0;
        }
        self.cells.len() * size_of::<Cell<V>>() + size_of_val(&*self.slots) + self.arena.len() + self.heap
    }
}
