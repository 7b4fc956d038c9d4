//! The records of the catalogue. `#[derive(Record)]` writes such an implementation; this crate cannot use it.

use super::input::START_MS;
use super::random::Random;
use crate::record::{Field, FieldType, FieldValue, Record, RecordError, Row};
use crate::time::{HOUR_MS, MINUTE_MS, Timestamp};

/// Something was sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Where.
    pub shop: String,
    /// What.
    pub item: u32,
    /// For how much; below 0 when it was given back.
    pub cents: i64,
    /// When.
    pub at: Timestamp,
    /// To whom, if that is known.
    pub buyer: Option<u64>,
}

/// A page was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Which.
    pub page: String,
    /// By whom.
    pub user: u64,
    /// For how long.
    pub ms: u32,
}

/// A page was seen, and nothing else is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Which.
    pub page: String,
}

const fn field(name: &'static str, ty: FieldType, optional: bool) -> Field {
    Field { name, ty, optional }
}

impl Record for Sale {
    const FIELDS: &'static [Field] = &[
        field("shop", <String as FieldValue>::TYPE, false),
        field("item", <u32 as FieldValue>::TYPE, false),
        field("cents", <i64 as FieldValue>::TYPE, false),
        field("at", <Timestamp as FieldValue>::TYPE, false),
        field("buyer", <Option<u64> as FieldValue>::TYPE, true),
    ];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            shop: row.get(0)?,
            item: row.get(1)?,
            cents: row.get(2)?,
            at: row.get(3)?,
            buyer: row.get(4)?,
        })
    }
}

impl Record for Visit {
    const FIELDS: &'static [Field] = &[
        field("page", <String as FieldValue>::TYPE, false),
        field("user", <u64 as FieldValue>::TYPE, false),
        field("ms", <u32 as FieldValue>::TYPE, false),
    ];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            page: row.get(0)?,
            user: row.get(1)?,
            ms: row.get(2)?,
        })
    }
}

impl Record for Page {
    const FIELDS: &'static [Field] = &[field("page", <String as FieldValue>::TYPE, false)];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self { page: row.get(0)? })
    }
}

impl Sale {
    /// As a line of JSON.
    pub fn json(&self) -> String {
        let Self {
            shop, item, cents, at, ..
        } = self;
        let buyer = self.buyer.map_or(String::new(), |b| format!(",\"buyer\":{b}"));
        format!(
            "{{\"shop\":{shop:?},\"item\":{item},\"cents\":{cents},\"at\":{}{buyer}}}",
            at.0
        )
    }
}

impl Visit {
    /// As a line of JSON.
    pub fn json(&self) -> String {
        let Self { page, user, ms } = self;
        format!("{{\"page\":{page:?},\"user\":{user},\"ms\":{ms}}}")
    }
}

impl Page {
    /// As a line of JSON.
    pub fn json(&self) -> String {
        format!("{{\"page\":{:?}}}", self.page)
    }
}

/// `n` sales of 12 shops, items mostly of small numbers, one in six given back, no two at one instant, up to three
/// hours older than their place in the log.
pub fn sales(seed: u64, n: u64) -> Vec<Sale> {
    let mut random = Random::new(seed);
    let sale = |i: u64| {
        let late = if random.one_in(8) {
            random.below(3 * HOUR_MS)
        } else {
            random.below(MINUTE_MS)
        };
        let at = START_MS + (i * (5 * HOUR_MS / n.max(1))) as i64 - late as i64;
        Sale {
            shop: format!("shop-{}", random.mostly_small(12)),
            item: random.mostly_small(300) as u32,
            cents: if random.one_in(6) {
                -(random.below(500) as i64)
            } else {
                random.below(5_000) as i64
            },
            // The last digits number the sales: no two are at one instant.
            at: Timestamp(at.div_euclid(10_000) * 10_000 + (i % 10_000) as i64),
            buyer: (!random.one_in(5)).then(|| random.below(200)),
        }
    };
    (0..n).map(sale).collect()
}

/// `n` visits of 40 pages by 500 users.
pub fn visits(seed: u64, n: u64) -> Vec<Visit> {
    let mut random = Random::new(seed);
    let visit = |_| Visit {
        page: format!("/{}", random.mostly_small(40)),
        user: random.mostly_small(500),
        ms: random.mostly_small(60_000) as u32,
    };
    (0..n).map(visit).collect()
}

/// `n` lines of up to eight words out of 150; some are empty.
pub fn lines(seed: u64, n: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let line = |_| {
        let words = random.below(9);
        let word = |_| format!("w{}", random.mostly_small(150));
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    };
    (0..n).map(line).collect()
}
