//! Sums of sketches: of their cells.

use std::num::NonZeroU64;

use super::CountMin;
use super::cells::{Cell, Cells};
use crate::semigroup::{Commutative, Group, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// The sum of the counts, cell by cell.
impl<const DEPTH: usize, const WIDTH: usize> Semigroup for CountMin<DEPTH, WIDTH> {
    const BY_PARTS: bool = true;

    fn heap_bytes(&self) -> usize {
        match &self.cells {
            Cells::Sparse(cells) => cells.capacity() * size_of::<Cell>(),
            Cells::Dense(table) => size_of_val(&**table),
        }
    }

    fn combine(&mut self, other: &Self) {
        match (&mut self.cells, &other.cells) {
            (_, Cells::Sparse(theirs)) => self.add_cells(theirs),
            // Plain additions without indices: compiles to SIMD.
            (Cells::Dense(mine), Cells::Dense(theirs)) => {
                for (a, b) in mine.as_flattened_mut().iter_mut().zip(theirs.as_flattened()) {
                    *a = a.wrapping_add(*b);
                }
            }
            (Cells::Sparse(mine), Cells::Dense(theirs)) => {
                let mine = std::mem::take(mine);
                self.cells = Cells::Dense(theirs.clone());
                self.add_cells(&mine);
            }
        }
        self.total = self.total.wrapping_add(other.total);
    }

    /// Adds the smaller to the larger: sums are commutative, and the larger has the buffers.
    fn combine_owned(&mut self, mut other: Self) {
        let other_is_larger = match (&self.cells, &other.cells) {
            (Cells::Sparse(a), Cells::Sparse(b)) => a.len() < b.len(),
            (Cells::Sparse(_), Cells::Dense(_)) => true,
            (Cells::Dense(_), _) => false,
        };
        if other_is_larger {
            std::mem::swap(self, &mut other);
        }
        self.combine(&other);
    }

    fn times(mut self, n: NonZeroU64) -> Self {
        // Multiplication modulo 2^64 needs only the bits of n, whatever its sign.
        let n = n.get() as i64;
        self.total = self.total.wrapping_mul(n);
        match &mut self.cells {
            Cells::Sparse(cells) => {
                cells.iter_mut().for_each(|(_, count)| *count = count.wrapping_mul(n));
                cells.retain(|(_, count)| *count != 0);
            }
            Cells::Dense(rows) => {
                let table = rows.as_flattened_mut();
                table.iter_mut().for_each(|count| *count = count.wrapping_mul(n));
            }
        }
        self
    }
}

impl<const DEPTH: usize, const WIDTH: usize> Monoid for CountMin<DEPTH, WIDTH> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        match &self.cells {
            Cells::Sparse(cells) => cells.is_empty(),
            Cells::Dense(rows) => self.total == 0 && rows.as_flattened().iter().all(|count| *count == 0),
        }
    }
}

impl<const DEPTH: usize, const WIDTH: usize> Group for CountMin<DEPTH, WIDTH> {
    fn negate(&mut self) {
        self.total = self.total.wrapping_neg();
        match &mut self.cells {
            Cells::Sparse(cells) => cells.iter_mut().for_each(|(_, count)| *count = count.wrapping_neg()),
            Cells::Dense(rows) => {
                let table = rows.as_flattened_mut();
                table.iter_mut().for_each(|count| *count = count.wrapping_neg());
            }
        }
    }
}

impl<const DEPTH: usize, const WIDTH: usize> Commutative for CountMin<DEPTH, WIDTH> {}
impl<const DEPTH: usize, const WIDTH: usize> Tiered for CountMin<DEPTH, WIDTH> {
    type Tier = Exact;
}
