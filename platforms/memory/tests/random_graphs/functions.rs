//! The closures of random jobs. Each is pure and chosen by a small number; job and oracle both call them, as a user's
//! closure would be the same in both.

use rufous_core::record::{Record, RecordError, Row};
use rufous_core::{Field, FieldType, Source, Timestamp};

/// A record of the sources and sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rec(pub(crate) i64);

impl Record for Rec {
    const FIELDS: &'static [Field] = &[Field {
        name: "x",
        ty: FieldType::Integer,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        row.get(0).map(Self)
    }
}

/// Three sources, of which the second declares event times that go to and fro.
pub(crate) fn source(f: u8) -> (usize, Source<Rec>) {
    match f % 3 {
        0 => (0, Source::new("first")),
        1 => (
            1,
            Source::new("second").timed_by(|r: &Rec| Timestamp(r.0.rem_euclid(7))),
        ),
        _ => (2, Source::new("third")),
    }
}

/// Keeps numbers small, so that no sum overflows.
const BOUND: i64 = 1_000_003;

pub(crate) fn map(f: u8, x: i64) -> i64 {
    match f % 4 {
        0 => x + 1,
        1 => -x,
        2 => x * 3 + i64::from(f),
        _ => x.div_euclid(2),
    }
    .rem_euclid(BOUND)
}

pub(crate) fn keep(f: u8, x: i64) -> bool {
    match f % 8 {
        7 => false,
        6 => true,
        f => x.rem_euclid(i64::from(f % 3) + 2) != i64::from(f % 2),
    }
}

pub(crate) fn filter_map(f: u8, x: i64) -> Option<i64> {
    keep(f, x).then(|| map(f / 2, x))
}

/// None to two.
pub(crate) fn fan(f: u8, x: i64) -> Vec<i64> {
    match f % 5 {
        0 if x.rem_euclid(2) == 0 => vec![],
        0 => vec![x, x + 1],
        1 => vec![x; x.rem_euclid(3) as usize],
        2 => vec![x, -x],
        3 => vec![map(f, x)],
        _ => vec![],
    }
}

/// Mostly of a few keys, sometimes of as many as there are records.
pub(crate) fn key(f: u8, x: i64) -> i64 {
    if f % 7 == 6 {
        return x;
    }
    x.rem_euclid(i64::from(f % 6) + 1) - i64::from(f % 3)
}

/// None to two pairs.
pub(crate) fn pairs(f: u8, x: i64) -> Vec<(i64, i64)> {
    fan(f, x).into_iter().map(|y| (key(f, y), map(f / 3, y))).collect()
}

pub(crate) fn pair_to_pairs(f: u8, k: i64, v: i64) -> Vec<(i64, i64)> {
    fan(f, k ^ v).into_iter().map(|y| (key(f / 2, y + k), v)).collect()
}

/// How much is counted: nothing, too.
pub(crate) fn amount(f: u8, x: i64) -> u64 {
    x.rem_euclid(i64::from(f % 3) + 2) as u64
}

/// A pair as one record.
pub(crate) fn joined(k: i64, v: i64) -> i64 {
    (k * 31 + v).rem_euclid(BOUND)
}

pub(crate) fn left(f: u8, x: i64) -> i64 {
    map(f, x)
}
pub(crate) fn right(f: u8, x: i64) -> i64 {
    map(f + 1, x) + 5
}

/// A function that commutes with addition.
pub(crate) fn additive(f: u8, v: i64) -> i64 {
    v.wrapping_mul([3, -1, 0, 1][usize::from(f % 4)])
}
