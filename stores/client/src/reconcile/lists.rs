//! The cells of a run in memory: a list a batch, as a snapshot scans them, walked side by side in the order of the
//! keys. A run with less than fits is compared in one pass over either layer; a look for each key takes ten times as
//! long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rufous_core::{BatchId, Result};
use rufous_store_api::Cell;

/// Keys and values, each behind its length in 32 bits.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    /// Where the last key is.
    last: std::ops::Range<usize>,
}

/// The cells of a run.
pub(super) struct Lists {
    batch: Option<BatchId>,
    lists: Vec<List>,
    left: usize,
}

impl Lists {
    /// At most so many bytes.
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            batch: None,
            lists: Vec::new(),
            left: bytes,
        }
    }

    /// Adds a cell. `false`: they are too many, or do not come in the order that was promised.
    pub(super) fn push(&mut self, key: &[u8], cell: &Cell) -> bool {
        if self.batch != Some(cell.batch) {
            if self.batch.is_some_and(|last| last > cell.batch) {
                return false;
            }
            self.batch = Some(cell.batch);
            self.lists.push(List::default());
        }
        let size = 8 + key.len() + cell.value.len();
        let (Some(list), Some(left)) = (self.lists.last_mut(), self.left.checked_sub(size)) else {
            return false;
        };
        if list.bytes.get(list.last.clone()).is_some_and(|last| last > key) {
            return false;
        }
        let (Ok(k), Ok(v)) = (u32::try_from(key.len()), u32::try_from(cell.value.len())) else {
            return false;
        };
        self.left = left;
        list.bytes.extend_from_slice(&k.to_le_bytes());
        list.last = list.bytes.len()..list.bytes.len() + key.len();
        list.bytes.extend_from_slice(key);
        list.bytes.extend_from_slice(&v.to_le_bytes());
        list.bytes.extend_from_slice(&cell.value);
        true
    }

    /// All of them by key.
    pub(super) fn walk(&self) -> Walk<'_> {
        let mut walk = Walk {
            rests: self.lists.iter().map(|l| &l.bytes[..]).collect(),
            heads: BinaryHeap::new(),
        };
        (0..walk.rests.len()).for_each(|list| walk.pull(list));
        walk
    }
}

/// A key, its list (older batches first), and its value.
type Head<'a> = Reverse<(&'a [u8], usize, &'a [u8])>;

/// [`Lists`] side by side.
pub(super) struct Walk<'a> {
    rests: Vec<&'a [u8]>,
    heads: BinaryHeap<Head<'a>>,
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, bytes) = rest.split_first_chunk::<4>()?;
    let (part, behind) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(part)
}

impl<'a> Walk<'a> {
    fn pull(&mut self, list: usize) {
        if let Some(rest) = self.rests.get_mut(list)
            && let Some(key) = take(rest)
            && let Some(value) = take(rest)
        {
            self.heads.push(Reverse((key, list, value)));
        }
    }

    /// The next key that has cells; nothing is taken.
    pub(super) fn key(&self) -> Option<&'a [u8]> {
        self.heads.peek().map(|Reverse((key, ..))| *key)
    }

    /// Takes the next key's values, oldest batch first.
    pub(super) fn take(&mut self, values: &mut Vec<&'a [u8]>) {
        values.clear();
        let next = self.key();
        while self.key() == next
            && let Some(Reverse((_, list, value))) = self.heads.pop()
        {
            values.push(value);
            self.pull(list);
        }
    }

    /// Calls `f` with every key below `end` that is left, all when it is `None`, and its values.
    pub(super) fn below(
        &mut self,
        end: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[&'a [u8]]) -> Result<()>,
    ) -> Result<()> {
        let mut values = Vec::new();
        while let Some(key) = self.key().filter(|key| end.is_none_or(|end| *key < end)) {
            self.take(&mut values);
            f(key, &values)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn cell(batch: i64, value: &str) -> Cell {
        Cell {
            partition: 0,
            batch: BatchId(batch),
            value: value.into(),
        }
    }

    /// Against a map: keys of several batches, and several times in one.
    #[test]
    fn walks_are_those_of_a_map() {
        let cells = [
            ("", 1, "e"),
            ("a", 1, "1"),
            ("a", 1, "2"),
            ("ab", 1, ""),
            ("a", 2, "3"),
            ("b", 2, "4"),
            ("a", 5, "5"),
            ("c", 5, "6"),
        ];
        let (mut lists, mut map) = (Lists::within(1_000), BTreeMap::<&str, Vec<&str>>::new());
        for (key, batch, value) in cells {
            assert!(lists.push(key.as_bytes(), &cell(batch, value)));
            map.entry(key).or_default().push(value);
        }
        for end in [None, Some("a"), Some("b"), Some("zz")] {
            let (mut walk, mut found) = (lists.walk(), BTreeMap::new());
            let mut f = |key: &[u8], values: &[&[u8]]| {
                let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
                found.insert(text(key), values.iter().map(|v| text(v)).collect::<Vec<_>>());
                Ok(())
            };
            walk.below(end.map(str::as_bytes), &mut f).unwrap();
            let expected = map.iter().filter(|(k, _)| end.is_none_or(|end| **k < end));
            let expected = expected.map(|(k, v)| (k.to_string(), v.iter().map(|v| v.to_string()).collect()));
            assert_eq!(found, expected.collect());
        }
    }

    /// What is too much, or in another order, is said: the caller goes another way.
    #[test]
    fn what_does_not_fit_is_refused() {
        let mut lists = Lists::within(25);
        assert!(lists.push(b"b", &cell(1, "1")));
        assert!(!lists.push(b"a", &cell(1, "1")), "keys ascend");
        assert!(!lists.push(b"c", &cell(0, "1")), "batches ascend");
        assert!(lists.push(b"a", &cell(2, "1")));
        assert!(!lists.push(b"c", &cell(2, "1")), "30 bytes");
    }
}
