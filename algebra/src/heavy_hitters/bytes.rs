//! The bytes of heavy hitters: a [`Form`] byte, then
//!
//! | mode | follows |
//! |---|---|
//! | 0 exact | the counters: nothing was subtracted yet, so the total is the sum of the counts |
//! | 1 | total and offset as LEB128 numbers, then the counters |
//!
//! A counter is its count (LEB128) and its item (as a part), up to the end. Counts descend, items of one count ascend,
//! no item is there twice: so there is one encoding of a state. Of states that no stream leads to, those are refused
//! whose offset is greater than the guarantee allows.

use serde_json::{Value, json};

use super::table::{Entry, Table};
use super::{HeavyHitters, Item};
use crate::codec::{
    Codec, DecodeError, Form, HashId, Merge, decode_part, merge_decoded, put_part, put_varint, take_varint,
};

/// The hash is not kept: it only finds items in memory.
const FORM: Form = Form::new("heavy hitters", 1, HashId::None);
const EXACT: u8 = 0;
const LOSSY: u8 = 1;

impl<T: Item, const K: usize> HeavyHitters<T, K> {
    fn sum_of_counts(&self) -> u128 {
        self.table.entries().iter().map(|e| u128::from(e.count)).sum()
    }

    fn is_exact(&self) -> bool {
        self.offset == 0 && u128::from(self.total) == self.sum_of_counts()
    }

    fn decode_counters(mut bytes: &[u8]) -> Result<Table<T>, DecodeError> {
        // A counter takes at least two bytes.
        let mut table = Table::with_capacity(K.min(bytes.len() / const { 1 + least_width::<T>() }));
        while !bytes.is_empty() {
            let n = table.len();
            if n == K {
                return Err(DecodeError::new(format!("more than {K} heavy hitters")));
            }
            let count = take_varint(&mut bytes)?;
            let item: T = decode_part(&mut bytes).map_err(|e| e.within(format_args!("heavy hitter {n}")))?;
            if count == 0 {
                return Err(DecodeError::new("heavy hitter with a count of zero"));
            }
            if let Some(before) = table.entries().last()
                && (count, &before.item) >= (before.count, &item)
            {
                return Err(DecodeError::new("heavy hitters not in order"));
            }
            let hash = item.hash64();
            if table.find(hash, |mine| *mine == item).is_some() {
                return Err(DecodeError::new("heavy hitter that is there twice"));
            }
            table.push(hash, item, count);
        }
        Ok(table)
    }

    /// `(K + 1) * offset + (sum of counts) <= total`, with equality if nothing was subtracted; unless counts saturated.
    fn is_possible(&self) -> bool {
        let counted = self.sum_of_counts();
        match (self.total, self.offset) {
            (u64::MAX, 0) => counted > u128::from(u64::MAX),
            (u64::MAX, _) => true,
            (_, 0) => false,
            (total, offset) => counted + (K as u128 + 1) * u128::from(offset) <= u128::from(total),
        }
    }
}

const fn least_width<T: Codec>() -> usize {
    match T::WIDTH {
        Some(width) if width > 0 => width,
        _ => 1,
    }
}

impl<T: Item, const K: usize> Codec for HeavyHitters<T, K> {
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);

    fn encode(&self, out: &mut Vec<u8>) {
        if self.is_exact() {
            out.push(FORM.byte(EXACT));
        } else {
            out.push(FORM.byte(LOSSY));
            put_varint(self.total, out);
            put_varint(self.offset, out);
        }
        for entry in self.by_count() {
            put_varint(entry.count, out);
            put_part(&entry.item, out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mode, mut bytes) = FORM.split(bytes)?;
        match mode {
            EXACT => {
                let table = Self::decode_counters(bytes)?;
                let mut value = Self {
                    table,
                    ..Self::default()
                };
                value.total = u64::try_from(value.sum_of_counts())
                    .map_err(|_| DecodeError::new("total of heavy hitters longer than 64 bits"))?;
                Ok(value)
            }
            LOSSY => {
                let (total, offset) = (take_varint(&mut bytes)?, take_varint(&mut bytes)?);
                let table = Self::decode_counters(bytes)?;
                let value = Self { total, offset, table };
                if !value.is_possible() {
                    return Err(DecodeError::new(format!(
                        "heavy hitters with an offset of {offset}, which a total of {total} does not allow"
                    )));
                }
                Ok(value)
            }
            mode => Err(FORM.unknown_mode(mode)),
        }
    }

    fn schema() -> String {
        format!("heavy-hitters/{K}<{}>", T::schema())
    }

    fn json(&self) -> Value {
        let hitter = |e: &Entry<T>| {
            let high = e.count.saturating_add(self.offset);
            json!({ "item": e.item.json(), "low": e.count, "high": high })
        };
        Value::Array(self.by_count().into_iter().map(hitter).collect())
    }

    fn magnitude(&self) -> f64 {
        self.total as f64
    }
    /// The totals are exact; no item's bounds exclude the other's.
    fn agrees(&self, other: &Self) -> bool {
        let mut items = self
            .table
            .entries()
            .iter()
            .chain(other.table.entries())
            .map(|e| &e.item);
        let meet = |item: &T| {
            let (a, b) = (self.bounds(item), other.bounds(item));
            a.0 <= b.1 && b.0 <= a.1
        };
        self.total == other.total && items.all(meet)
    }
}
