//! The combining map: bytes of keys in one arena, values in a hash table; a key is copied only when it is first seen.

use hashbrown::HashTable;

use crate::hash::HashBytes;
use crate::semigroup::{Absorb, Semigroup};

/// Values by key, combined in place.
#[derive(Clone, Debug)]
pub struct CombineMap<V> {
    cells: HashTable<Cell<V>>,
    arena: Vec<u8>,
    /// What the values own on the heap.
    heap: usize,
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

/// The map holds 4 GiB of keys, and takes no more of them before it is cleared. The item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<I>(pub I);

impl<V> Default for CombineMap<V> {
    fn default() -> Self {
        Self {
            cells: HashTable::new(),
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
        let arena = &self.arena;
        if let Some(cell) = self.cells.find_mut(
            hash,
            #[inline(always)]
            |c: &Cell<V>| c.hash == hash && same(c.key(arena), key),
        ) {
            let before = cell.value.heap_bytes();
            again(&mut cell.value, item);
            self.heap = (self.heap + cell.value.heap_bytes()).saturating_sub(before);
            return Ok(());
        }
        let (Ok(from), Ok(len)) = (u32::try_from(self.arena.len()), u32::try_from(key.len())) else {
            return Err(Full(item));
        };
        let value = first(item);
        self.heap += value.heap_bytes();
        self.arena.extend_from_slice(key);
        self.cells
            .insert_unique(hash, Cell { hash, from, len, value }, |c| c.hash);
        Ok(())
    }
}

impl<V> CombineMap<V> {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.get_hashed(key.hash64(), key)
    }

    /// The value of a key that was [folded](Self::fold) with this hash.
    pub fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<&V> {
        let found = self
            .cells
            .find(hash, |c| c.hash == hash && same(c.key(&self.arena), key));
        found.map(|c| &c.value)
    }

    /// Keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.cells.iter().map(|c| (c.key(&self.arena), &c.value))
    }

    /// Takes everything out in the order of the keys, and keeps the space.
    pub fn drain_sorted(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        let mut cells: Vec<Cell<V>> = self.cells.drain().collect();
        cells.sort_unstable_by(|a, b| a.key(&self.arena).cmp(b.key(&self.arena)));
        for cell in cells {
            let key = &self.arena[cell.from as usize..][..cell.len as usize];
            out(key, cell.value);
        }
        self.arena.clear();
        self.heap = 0;
    }

    /// Takes everything out in no order, and keeps the space.
    pub fn drain(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        for cell in self.cells.drain() {
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
        self.cells.clear();
        self.arena.clear();
        self.heap = 0;
    }
    /// The memory in use: keys, cells, and what the values own ([`Semigroup::heap_bytes`]).
    pub fn bytes(&self) -> usize {
        self.cells.len() * (size_of::<Cell<V>>() + 1) + self.arena.len() + self.heap
    }
}
