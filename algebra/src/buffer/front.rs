//! A few slots for hot keys.

use super::Buffer;
use crate::hash::HashBytes;
use crate::semigroup::Semigroup;

/// `N` slots before a buffer `B`; the hash of a key says which slot is its own. A key that finds another one there sends it
/// on to the buffer and takes its place, so a key that comes all the time is nearly always where it is looked for first.
///
/// It pays when a hit is cheaper than the buffer behind it and hits are frequent: see `benches/RESULTS.md` before using it.
#[derive(Clone, Debug)]
pub struct HotFront<V, B, const N: usize> {
    slots: Vec<Slot<V>>,
    used: usize,
    behind: B,
}

#[derive(Clone, Debug)]
struct Slot<V> {
    hash: u64,
    key: Vec<u8>,
    value: Option<V>,
}

impl<V: Semigroup, B: Buffer<V>, const N: usize> HotFront<V, B, N> {
    /// Empty slots before this buffer. `N` is a power of two.
    pub fn new(behind: B) -> Self {
        const { assert!(N.is_power_of_two(), "the number of slots is a power of two") };
        let slot = || Slot {
            hash: 0,
            key: Vec::new(),
            value: None,
        };
        Self {
            slots: std::iter::repeat_with(slot).take(N).collect(),
            used: 0,
            behind,
        }
    }
}

impl<V: Semigroup, B: Buffer<V>, const N: usize> Buffer<V> for HotFront<V, B, N> {
    #[inline]
    fn put(&mut self, key: &[u8], value: V, out: &mut dyn FnMut(&[u8], V)) {
        let hash = key.hash64();
        let slot = &mut self.slots[hash as usize & (N - 1)];
        match &mut slot.value {
            Some(sum) if slot.hash == hash && slot.key == key => return sum.combine_owned(value),
            other => {
                if let Some(sum) = other.take() {
                    self.used -= 1;
                    self.behind.put(&slot.key, sum, out);
                }
            }
        }
        slot.hash = hash;
        slot.key.clear();
        slot.key.extend_from_slice(key);
        slot.value = Some(value);
        self.used += 1;
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], V)) {
        for slot in &mut self.slots {
            if let Some(sum) = slot.value.take() {
                self.behind.put(&slot.key, sum, out);
            }
        }
        self.used = 0;
        self.behind.flush(out);
    }

    fn is_empty(&self) -> bool {
        self.used == 0 && self.behind.is_empty()
    }
}
