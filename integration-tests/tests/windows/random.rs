//! Records that lie where mistakes are made: on midnights, on exact bounds and a millisecond beside them, tied, and late.

use rufous::prelude::*;
use rufous_integration_tests::run::Random;

use crate::case::{Case, Row};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

/// An instant of two weeks, most of them on or beside an edge.
fn instant(random: &mut Random) -> Timestamp {
    let zero = 1_616_198_400_000; // 2021-03-20: a change of clocks lies within.
    let day = random.below(14) as i64;
    let edge = [DAY, 60 * MINUTE, 15 * MINUTE, 5 * MINUTE][random.below(4) as usize];
    let inside = random.below((DAY / edge) as u64) as i64 * edge;
    let beside = [0, 0, -1, 1, 7 * MINUTE + 13][random.below(5) as usize];
    Timestamp(zero + day * DAY + inside + beside)
}

pub(crate) fn case(seed: u64) -> Case {
    let mut random = Random(seed * 77 + 5);
    let mut records: Vec<Row> = (0..400)
        .map(|_| Row {
            at: instant(&mut random),
            key: ["a", "b", "c"][random.below(3) as usize].into(),
            value: random.below(2_000) as i64 - 1_000,
        })
        .collect();
    // In order of time, but every fifth one comes later than it should.
    records.sort_by_key(|r| r.at);
    for i in 0..records.len() {
        if i % 5 == 0 {
            let late = (i + random.below(90) as usize).min(records.len() - 1);
            records.swap(i, late);
        }
    }
    let sizes: [&[&str]; 6] = [
        &["5m", "1h", "1d"],
        &["15m", "calendar-day", "week"],
        &["6m", "15m", "90m"],
        &["1h", "calendar-day", "week", "month"],
        &["1m"],
        &["250ms", "7m", "1d", "year"],
    ];
    let which = (seed % 6) as usize;
    Case {
        name: format!("random-{seed}"),
        about: String::new(),
        hops: sizes[which].iter().map(ToString::to_string).collect(),
        zone: Some(
            [
                "UTC",
                "Europe/Paris",
                "UTC",
                "America/St_Johns",
                "UTC",
                "Asia/Kathmandu",
            ][which]
                .into(),
        ),
        records,
        questions: Vec::new(),
    }
}

/// Keys and intervals: around records, so that they begin and end on their instants and beside them.
pub(crate) fn questions(seed: u64, case: &Case) -> Vec<(String, Timestamp, Timestamp)> {
    let mut random = Random(seed * 131 + 17);
    let mut all = Vec::new();
    while all.len() < 60 {
        let mut bound = || {
            let record = &case.records[random.below(case.records.len() as u64) as usize];
            Timestamp(record.at.0 + [-1, 0, 0, 1][random.below(4) as usize])
        };
        let (a, b) = (bound(), bound());
        let (from, to) = (a.min(b), a.max(b));
        let few = case.hops[0].ends_with("ms");
        // Where hops are tiny, short windows.
        let to = if few {
            Timestamp(to.0.min(from.0 + 20 * MINUTE))
        } else {
            to
        };
        all.push((["a", "b", "x"][random.below(3) as usize].into(), from, to));
    }
    all
}
