//! The combining map: bytes of keys in one arena, values in a hash table; a key is copied only when it is first seen.

use hashbrown::HashTable;

pub(super) struct Cell<V> {
    hash: u64,
    from: u32,
    len: u32,
    pub(super) value: V,
}

pub(super) struct Table<V> {
    cells: HashTable<Cell<V>>,
    arena: Vec<u8>,
}

impl<V> Table<V> {
    pub(super) fn new() -> Self {
        Self {
            cells: HashTable::new(),
            arena: Vec::new(),
        }
    }
    /// Folds `item` into the cell of `key`. `None` when the arena is full (4 GiB of keys): the item is handed back.
    #[inline]
    pub(super) fn fold<I>(
        &mut self,
        hash: u64,
        key: &[u8],
        item: I,
        first: impl FnOnce(I) -> V,
        again: impl FnOnce(&mut V, I),
    ) -> Result<(), I> {
        let arena = &self.arena;
        let same = |c: &Cell<V>| c.hash == hash && arena[c.from as usize..][..c.len as usize] == *key;
        if let Some(cell) = self.cells.find_mut(hash, same) {
            again(&mut cell.value, item);
            return Ok(());
        }
        let (Ok(from), Ok(len)) = (u32::try_from(self.arena.len()), u32::try_from(key.len())) else {
            return Err(item);
        };
        self.arena.extend_from_slice(key);
        self.cells.insert_unique(
            hash,
            Cell {
                hash,
                from,
                len,
                value: first(item),
            },
            |c| c.hash,
        );
        Ok(())
    }
    pub(super) fn key(&self, cell: &Cell<V>) -> &[u8] {
        &self.arena[cell.from as usize..][..cell.len as usize]
    }
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell<V>> {
        self.cells.iter()
    }
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.arena.clear();
    }
    /// Cells in use and the arena; what values own elsewhere is not seen.
    pub(super) fn bytes(&self) -> usize {
        self.cells.len() * (size_of::<Cell<V>>() + 1) + self.arena.len()
    }
}
