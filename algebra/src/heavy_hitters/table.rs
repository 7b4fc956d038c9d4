//! Counters by item: an open hash table.

/// Up to this many counters are searched one by one: an index would take longer to read, and memory for each small
/// state.
const FEW: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    hash: u64,
    pub(super) count: u64,
    pub(super) item: T,
}

/// The entries lie in a row, so that passes over all of them are quick, and an index with linear probing finds one.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    /// No two have the same item, and no count is 0.
    entries: Vec<Entry<T>>,
    /// A power of two, at least twice the entries: 0 is free, `n` stands for entry `n - 1`. Empty while there are
    /// [`FEW`].
    index: Vec<u32>,
}

impl<T> Table<T> {
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry<T>>() + self.index.capacity() * size_of::<u32>()
    }

    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            index: Vec::new(),
        }
    }

    pub(super) fn with_capacity(n: usize) -> Self {
        Self {
            entries: Vec::with_capacity(n),
            index: Vec::new(),
        }
    }

    pub(super) fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, same: impl Fn(&T) -> bool) -> Option<usize> {
        let is = |e: &Entry<T>| e.hash == hash && same(&e.item);
        let mask = self.index.len().wrapping_sub(1);
        if self.index.is_empty() {
            return self.entries.iter().position(is);
        }
        let mut slot = hash as usize & mask;
        loop {
            // Ends: at least half of the index is free.
            let at = (self.index[slot] as usize).wrapping_sub(1);
            match self.entries.get(at) {
                Some(entry) if is(entry) => return Some(at),
                Some(_) => slot = (slot + 1) & mask,
                None => return None,
            }
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Entry<T>> {
        self.entries.get_mut(at)
    }

    /// Adds an item that is not there.
    pub(super) fn push(&mut self, hash: u64, item: T, count: u64) {
        self.entries.push(Entry { hash, count, item });
        let n = self.entries.len();
        if 2 * n <= self.index.len() {
            place(&mut self.index, hash, n);
        } else if n > FEW {
            self.index = vec![0; (2 * n).next_power_of_two()];
            self.fill_index();
        }
    }

    fn fill_index(&mut self) {
        for (n, entry) in (1..).zip(&self.entries) {
            place(&mut self.index, entry.hash, n);
        }
    }

    /// Takes `n` from each count; items that had no more than that leave.
    pub(super) fn subtract(&mut self, n: u64) {
        let before = self.entries.len();
        self.entries.retain_mut(|e| {
            e.count = e.count.saturating_sub(n);
            e.count > 0
        });
        // Entries have moved. To index all of them anew is linear in what the subtraction itself looked at.
        if self.entries.len() < before && !self.index.is_empty() {
            self.index.fill(0);
            self.fill_index();
        }
    }

    pub(super) fn multiply(&mut self, n: u64) {
        self.entries
            .iter_mut()
            .for_each(|e| e.count = e.count.saturating_mul(n));
    }
}

/// Puts entry `n - 1` into the first free slot from its hash's own on.
#[inline]
fn place(index: &mut [u32], hash: u64, n: usize) {
    let mask = index.len() - 1;
    let mut slot = hash as usize & mask;
    while index[slot] != 0 {
        slot = (slot + 1) & mask;
    }
    index[slot] = n as u32;
}

impl<T: Eq> Table<T> {
    /// Same items, same counts.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let has = |e: &Entry<T>| {
            let found = other.find(e.hash, |item| *item == e.item);
            found.is_some_and(|at| other.entries[at].count == e.count)
        };
        self.len() == other.len() && self.entries.iter().all(has)
    }
}

impl<T: Clone> Table<T> {
    /// Adds the counts of another table.
    pub(super) fn add(&mut self, other: &Self)
    where
        T: Eq,
    {
        for e in &other.entries {
            match self.find(e.hash, |item| *item == e.item) {
                Some(at) => self.entries[at].count = self.entries[at].count.saturating_add(e.count),
                None => self.push(e.hash, e.item.clone(), e.count),
            }
        }
    }
}
