//! Without the rules of joins (O17, O18) the layers differ, or a record counts itself: section 8's line. Rules are dropped for
//! the whole process, so this test has one of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rufous_core::rules::{Rule, drop_in_this_process};
use rufous_core::{Job, Source, Store, Timestamp};
use rufous_platform_memory::JobTest;

const HOUR: i64 = 3_600_000;
/// `time value`.
const EVENTS: Source<str> = Source::new("events").timed_by(|line| Timestamp(number(line, 0)));
const TOTALS: Store<u64, i64> = Store::new("totals");
const FOUND: Store<i64, i64> = Store::new("found");

fn number(line: &str, i: usize) -> i64 {
    line.split(' ').nth(i).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Every record asks and adds; what it finds is kept by its value.
fn job() -> Job {
    let pairs = || EVENTS.read().keyed(|line, out| out.emit(0_u64, number(line, 1)));
    let found = pairs()
        .left_join(TOTALS.as_service())
        .keyed_pairs(|_, (value, found), out| out.emit(*value, found.unwrap_or(-1)));
    Job::new("asks-and-adds", (pairs().sum_by_key(TOTALS), found.sum_by_key(FOUND)))
}

/// What each record finds, whole and at every split.
fn found(events: &[(i64, i64, i64)]) -> Result<Vec<(i64, i64)>, String> {
    let lines = events
        .iter()
        .map(|(logged, time, value)| (Timestamp(*logged), format!("{time} {value}")));
    let run = catch_unwind(AssertUnwindSafe(|| job().test().given_at(EVENTS, lines).every_split()));
    let run = run.map_err(|_| "a panic".to_string())?.map_err(|e| e.to_string())?;
    Ok(run.all(FOUND).into_iter().collect())
}

#[test]
fn every_rule_is_needed() {
    let day = 100 * HOUR;
    // The last but one is late by twenty hours: it is asked as of one batch before its own, where 1 and 2 count.
    let late = [
        (day, day, 1),
        (day + 10 * HOUR, day + 10 * HOUR, 2),
        (day + 20 * HOUR, day, 3),
        (day + 20 * HOUR + 1, day + 20 * HOUR, 4),
    ];
    let right = Ok(vec![(1, -1), (2, 1), (3, 3), (4, 6)]);
    assert_eq!(found(&late), right);
    for rule in [Rule::ClampToHorizon, Rule::NotItself] {
        let _dropped = drop_in_this_process(&[rule]);
        let wrong = found(&late);
        assert_ne!(wrong, right, "nobody notices that {rule:?} is gone");
        println!("without {rule:?}: {wrong:?}");
    }
}
