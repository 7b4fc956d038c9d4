//! The bytes of a Count-Min sketch: a [`Form`] byte, then
//!
//! | mode | follows |
//! |---|---|
//! | 0 list | for each cell but zeros its distance from the one before (the first: its number), and its count; LEB128 |
//! | 1, 2, 3 table | every cell, as a little-endian integer of 2, 4 or 8 bytes |
//!
//! Cells are numbered row by row; counts in a list are zigzag. A list has at most an eighth of all cells and 4,096 of
//! them; a table has more that are not 0, and the least width in which all fit. So there is one encoding of a value,
//! whatever form it has in memory. All rows have the same sum, the total: every item counts once in each.

use serde_json::{Value, json};

use super::CountMin;
use super::cells::{Cell, Cells, in_use};
use crate::codec::{Codec, DecodeError, Form, HashId, Merge, merge_decoded, put_varint, take_varint, unzigzag, zigzag};

const FORM: Form = Form::new("count-min", 1, HashId::Xxh3Wide);
const LIST: u8 = 0;

/// The least mode whose integers hold all these: 1, 2, 3 for 2, 4, 8 bytes.
fn table_mode(table: &[i64]) -> u8 {
    // Without its sign, a number needs as many bits as the longest one.
    let bits = 64 - table.iter().fold(0, |bits, n| bits | (n ^ n >> 63)).leading_zeros();
    match bits {
        0..16 => 1,
        16..32 => 2,
        _ => 3,
    }
}

fn put_list(cells: impl Iterator<Item = Cell>, out: &mut Vec<u8>) {
    out.push(FORM.byte(LIST));
    let mut before = 0;
    for (cell, count) in cells {
        put_varint(u64::from(cell - before), out);
        put_varint(zigzag(count), out);
        before = cell;
    }
}

fn put_table(table: &[i64], out: &mut Vec<u8>) {
    let mode = table_mode(table);
    out.reserve(1 + (table.len() << mode));
    out.push(FORM.byte(mode));
    match mode {
        1 => out.extend(table.iter().flat_map(|n| (*n as i16).to_le_bytes())),
        2 => out.extend(table.iter().flat_map(|n| (*n as i32).to_le_bytes())),
        _ => out.extend(table.iter().flat_map(|n| n.to_le_bytes())),
    }
}

impl<const DEPTH: usize, const WIDTH: usize> CountMin<DEPTH, WIDTH> {
    fn decode_list(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        // A cell takes two bytes at least.
        let mut cells: Vec<Cell> = Vec::with_capacity(Self::MAX_CELLS.min(bytes.len() / 2));
        let mut rows = [0i64; DEPTH];
        while !bytes.is_empty() {
            if cells.len() == Self::MAX_CELLS {
                return Err(DecodeError::new("count-min list with as many cells as a table"));
            }
            let step = take_varint(&mut bytes)?;
            let cell = match cells.last() {
                None => step,
                Some(_) if step == 0 => return Err(DecodeError::new("count-min cells do not ascend")),
                Some((before, _)) => u64::from(*before).saturating_add(step),
            };
            if cell >= Self::CELLS as u64 {
                return Err(DecodeError::new(format!("count-min cell {cell} of {}", Self::CELLS)));
            }
            let count = unzigzag(take_varint(&mut bytes)?);
            if count == 0 {
                return Err(DecodeError::new("count-min cell of zero in a list"));
            }
            let row = &mut rows[cell as usize / WIDTH];
            *row = row.wrapping_add(count);
            cells.push((cell as u32, count));
        }
        Ok(Self {
            total: one_total(rows.into_iter())?,
            cells: Cells::Sparse(cells),
        })
    }

    fn decode_table<const BYTES: usize>(bytes: &[u8], read: fn([u8; BYTES]) -> i64) -> Result<Self, DecodeError> {
        if bytes.len() != Self::CELLS * BYTES {
            return Err(DecodeError::new(format!(
                "count-min table of {} bytes, not {}",
                bytes.len(),
                Self::CELLS * BYTES
            )));
        }
        let mut rows = Self::table();
        let table = rows.as_flattened_mut();
        for (count, bytes) in table.iter_mut().zip(bytes.as_chunks().0) {
            *count = read(*bytes);
        }
        if 1 << table_mode(table) != BYTES {
            return Err(DecodeError::new("count-min table of integers that are too long"));
        }
        if in_use(table).count() <= Self::MAX_CELLS {
            return Err(DecodeError::new("count-min table with as few cells as a list"));
        }
        let total = one_total(
            rows.iter()
                .map(|row| row.iter().fold(0, |sum: i64, n| sum.wrapping_add(*n))),
        )?;
        Ok(Self {
            total,
            cells: Cells::Dense(rows),
        })
    }
}

/// What all rows sum up to.
fn one_total(mut rows: impl Iterator<Item = i64>) -> Result<i64, DecodeError> {
    let total = rows.next().unwrap_or(0);
    if rows.all(|row| row == total) {
        Ok(total)
    } else {
        Err(DecodeError::new("count-min rows of different sums"))
    }
}

impl<const DEPTH: usize, const WIDTH: usize> Codec for CountMin<DEPTH, WIDTH> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.cells {
            Cells::Sparse(cells) => put_list(cells.iter().copied(), out),
            Cells::Dense(rows) => {
                let table = rows.as_flattened();
                if in_use(table).count() <= Self::MAX_CELLS {
                    put_list(in_use(table), out);
                } else {
                    put_table(table, out);
                }
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, bytes) = FORM.split(bytes)?;
        match mode {
            LIST => Self::decode_list(bytes),
            1 => Self::decode_table(bytes, |b| i16::from_le_bytes(b).into()),
            2 => Self::decode_table(bytes, |b| i32::from_le_bytes(b).into()),
            _ => Self::decode_table(bytes, i64::from_le_bytes),
        }
    }

    fn schema() -> String {
        format!("cms/{DEPTH}/{WIDTH}/xxh3w")
    }

    fn json(&self) -> Value {
        json!({
            "total": self.total,
            "error": Self::EPSILON * self.total as f64,
            "confidence": Self::CONFIDENCE,
        })
    }

    fn magnitude(&self) -> f64 {
        self.total as f64
    }
}
