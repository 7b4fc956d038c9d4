//! From cells to counts.

use super::CountMin;
use super::cells::{Cell, Cells, in_use};
use crate::estimate::Estimate;
use crate::hash::HashBytes;

impl<const DEPTH: usize, const WIDTH: usize> CountMin<DEPTH, WIDTH> {
    /// `eps`: the error of an estimate as a share of the [total](Self::total).
    pub const EPSILON: f64 = std::f64::consts::E / WIDTH as f64;

    /// How often an estimate is within its bounds: `1 - delta`.
    pub const CONFIDENCE: f64 = {
        let (mut delta, mut row) = (1.0, 0);
        while row < DEPTH {
            delta /= std::f64::consts::E;
            row += 1;
        }
        1.0 - delta
    };

    /// The bounds of an overestimate by at most `error`, unless `error` or `value` show that counts are negative. (The
    /// upper bound always holds, the lower one with the confidence.) Numbers beyond 2^53 are rounded.
    fn bounded(value: i128, error: f64, negative: bool) -> Estimate {
        let value = value as f64;
        if negative || error < 0.0 {
            return Estimate::certain(value, f64::NEG_INFINITY, f64::INFINITY);
        }
        Estimate {
            value,
            low: (value - error).max(0.0),
            high: value,
            confidence: Self::CONFIDENCE,
        }
    }

    /// How often the item was counted. While no item's count is negative, the truth is never above `value`, and with a
    /// probability of `1 - delta` not below `value - eps * total()`. A negative cell of the item, or total, proves that
    /// one is: then there are no bounds.
    pub fn estimate<T: HashBytes + ?Sized>(&self, item: &T) -> Estimate {
        let columns = Self::columns(item);
        let least = (0..).zip(columns).map(|(row, column)| self.cell(row, column)).min();
        let least = least.unwrap_or(0);
        Self::bounded(least.into(), Self::EPSILON * self.total as f64, least < 0)
    }

    fn cell(&self, row: usize, column: usize) -> i64 {
        match &self.cells {
            Cells::Dense(rows) => rows[row][column],
            Cells::Sparse(cells) => {
                let cell = (row * WIDTH + column) as u32;
                cells
                    .binary_search_by_key(&cell, |(c, _)| *c)
                    .map_or(0, |at| cells[at].1)
            }
        }
    }

    /// The sum over all items of the product of both counts: the size of a join, or with itself the second moment.
    /// While no item's count is negative, the truth is never above `value`, and with a probability of `1 - delta` not
    /// below `value - eps * self.total() * other.total()`.
    pub fn inner_product(&self, other: &Self) -> Estimate {
        let mut rows = [0i128; DEPTH];
        let mut negative = self.total < 0 || other.total < 0;
        self.for_each_pair(other, |(cell, mine), theirs| {
            negative |= mine < 0 || theirs < 0;
            // No overflow while counts are not negative: the sum is at most the product of the totals, below 2^126.
            let product = i128::from(mine) * i128::from(theirs);
            let row = &mut rows[cell as usize / WIDTH];
            *row = row.wrapping_add(product);
        });
        let least = rows.into_iter().min().unwrap_or(0);
        let error = Self::EPSILON * self.total as f64 * other.total as f64;
        Self::bounded(least, error, negative)
    }

    /// Every cell that is not zero in one of the two at least, with the count that the other has there.
    fn for_each_pair(&self, other: &Self, mut pair: impl FnMut(Cell, i64)) {
        match (&self.cells, &other.cells) {
            (Cells::Sparse(mine), _) => {
                for &(cell, count) in mine {
                    pair((cell, count), other.cell(cell as usize / WIDTH, cell as usize % WIDTH));
                }
            }
            (Cells::Dense(_), Cells::Sparse(_)) => other.for_each_pair(self, pair),
            (Cells::Dense(mine), Cells::Dense(theirs)) => {
                let theirs = theirs.as_flattened();
                in_use(mine.as_flattened()).for_each(|cell| pair(cell, theirs[cell.0 as usize]));
            }
        }
    }
}
