//! The cells: a list of those in use, or a table.

use std::cmp::Ordering;

use super::CountMin;

/// The number of a cell, row by row, and its count.
pub(super) type Cell = (u32, i64);

/// Which of the two forms it is says nothing: equality and bytes depend on the counts only.
#[derive(Clone, Debug)]
pub(super) enum Cells<const WIDTH: usize> {
    /// At most [`CountMin::MAX_CELLS`], ascending, no count is 0.
    Sparse(Vec<Cell>),
    /// `DEPTH` rows.
    Dense(Box<[[i64; WIDTH]]>),
}

/// The cells in use of a table, ascending.
pub(super) fn in_use(table: &[i64]) -> impl Iterator<Item = Cell> {
    (0..).zip(table.iter().copied()).filter(|(_, count)| *count != 0)
}

impl<const WIDTH: usize> PartialEq for Cells<WIDTH> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sparse(a), Self::Sparse(b)) => a == b,
            (Self::Dense(a), Self::Dense(b)) => a == b,
            (Self::Sparse(list), Self::Dense(table)) | (Self::Dense(table), Self::Sparse(list)) => {
                in_use(table.as_flattened()).eq(list.iter().copied())
            }
        }
    }
}

/// Equality of the cells, which is that of the bytes.
impl<const DEPTH: usize, const WIDTH: usize> PartialEq for CountMin<DEPTH, WIDTH> {
    fn eq(&self, other: &Self) -> bool {
        self.cells == other.cells
    }
}
impl<const DEPTH: usize, const WIDTH: usize> Eq for CountMin<DEPTH, WIDTH> {}

/// Up to this many cells are looked up one by one: cheaper than a pass over both lists.
const FEW: usize = 32;

/// Adds cells to a list; both ascend.
fn add_to_list(mine: &mut Vec<Cell>, theirs: &[Cell]) {
    let zeros = if theirs.len() <= FEW {
        add_few(mine, theirs)
    } else {
        let mut sum = Vec::with_capacity(mine.len() + theirs.len());
        merge(mine, theirs, &mut sum);
        *mine = sum;
        true
    };
    if zeros {
        mine.retain(|(_, n)| *n != 0);
    }
}

/// Adds at most [`FEW`] cells, and tells whether a count became 0.
#[inline]
fn add_few(mine: &mut Vec<Cell>, theirs: &[Cell]) -> bool {
    let mut places = [0; FEW];
    let (mut missing, mut zeros) = (0, false);
    for (place, &(cell, count)) in places.iter_mut().zip(theirs) {
        *place = mine.partition_point(|(c, _)| *c < cell);
        match mine.get_mut(*place) {
            Some((c, n)) if *c == cell => {
                *n = n.wrapping_add(count);
                zeros |= *n == 0;
            }
            _ => missing += 1,
        }
    }
    // The missing ones from the back, so that each cell of ours moves once.
    let mut end = mine.len();
    let mut free = end + missing;
    mine.resize(free, (0, 0));
    for (&place, &cell) in places.iter().zip(theirs).rev() {
        if free == end {
            break;
        }
        if place == end || mine[place].0 != cell.0 {
            free -= end - place;
            mine.copy_within(place..end, free);
            free -= 1;
            mine[free] = cell;
            end = place;
        }
    }
    zeros
}

/// Appends the sum of two lists; counts may be 0.
fn merge(mut a: &[Cell], mut b: &[Cell], sum: &mut Vec<Cell>) {
    while let (Some(&x), Some(&y)) = (a.first(), b.first()) {
        match x.0.cmp(&y.0) {
            Ordering::Less => sum.push(x),
            Ordering::Equal => sum.push((x.0, x.1.wrapping_add(y.1))),
            Ordering::Greater => sum.push(y),
        }
        a = &a[usize::from(x.0 <= y.0)..];
        b = &b[usize::from(y.0 <= x.0)..];
    }
    sum.extend_from_slice(a);
    sum.extend_from_slice(b);
}

fn add_to_table(table: &mut [i64], cells: &[Cell]) {
    for &(cell, count) in cells {
        if let Some(n) = table.get_mut(cell as usize) {
            *n = n.wrapping_add(count);
        }
    }
}

impl<const DEPTH: usize, const WIDTH: usize> CountMin<DEPTH, WIDTH> {
    /// A listed cell takes twice the memory of one in a table, and a list is at most a quarter of the table: with more
    /// cells it becomes one. Nor is it ever longer than this, since an insert moves what is behind its cells.
    pub(super) const MAX_CELLS: usize = {
        let eighth = Self::CELLS / 8;
        if eighth < 4_096 { eighth } else { 4_096 }
    };

    /// Zeros.
    pub(super) fn table() -> Box<[[i64; WIDTH]]> {
        vec![[0; WIDTH]; DEPTH].into_boxed_slice()
    }

    /// Adds ascending cells, none of them 0. The total is the caller's.
    pub(super) fn add_cells(&mut self, cells: &[Cell]) {
        match &mut self.cells {
            Cells::Dense(rows) => add_to_table(rows.as_flattened_mut(), cells),
            Cells::Sparse(mine) => {
                add_to_list(mine, cells);
                if mine.len() > Self::MAX_CELLS {
                    let mut rows = Self::table();
                    add_to_table(rows.as_flattened_mut(), mine);
                    self.cells = Cells::Dense(rows);
                }
            }
        }
    }
}
