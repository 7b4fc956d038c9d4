//! Time in keys and time that cuts.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::super::random::Random;
use super::super::records::Sale;
use super::plain::{SALES, lines_of, sales_of, some_sales, tally, words};
use crate::batch::{Batcher, Clock};
use crate::job::Job;
use crate::port::{Source, Store};
use crate::time::{TimeBucket, Timestamp};

const BY_HOUR: Store<(String, TimeBucket), i64> = Store::new("by-hour");
const BY_DAY: Store<TimeBucket, u64> = Store::new("by-day");
const BY_EVENT: Source<Sale> = Source::new("sales")
    .timed_by(|s: &Sale| s.at)
    .batch_clock(Clock::Event)
    .batches(Batcher::of_hours(2));
const EARLY: Source<str> = Source::new("early").timed_by(instant);
const BY_OFFSET: Source<str> = Source::new("lines").batches(Batcher::of_offsets(150));
const ONE_BATCH: Source<str> = Source::new("lines").batches(Batcher::all_in_one());

/// The number that a line begins with.
fn instant(line: &str) -> Timestamp {
    Timestamp(line.split(' ').next().and_then(|t| t.parse().ok()).unwrap_or_default())
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        time_buckets(),
        batches_by_event_time(),
        before_1970(),
        batches_by_offset(),
        one_batch(),
    ]
}

const HOUR: i64 = 3_600_000;

/// The bucket that `at` falls into, from its first instant.
fn bucket(size: i64, at: i64) -> TimeBucket {
    TimeBucket::of(size as u64, Timestamp(at.div_euclid(size) * size))
}

fn time_buckets() -> Case {
    let (sales, input) = some_sales(91);
    let by_hour = SALES
        .read()
        .keyed(|s, out| out.emit((s.shop.as_str(), TimeBucket::hour(s.at)), s.cents));
    let expected = sales.iter().map(|s| ((s.shop.clone(), bucket(HOUR, s.at.0)), s.cents));
    Case::new(
        "trap 8: late events change hours long gone, in whatever batch they arrive",
        Job::new("time-buckets", by_hour.sum_by_key(BY_HOUR)),
        input,
    )
    .store(BY_HOUR, tally(expected))
}

fn batches_by_event_time() -> Case {
    let (sales, input) = sales_of(BY_EVENT, 92);
    let by_hour = BY_EVENT
        .read()
        .keyed(|s, out| out.emit((s.shop.as_str(), TimeBucket::hour(s.at)), s.cents));
    let expected = sales.iter().map(|s| ((s.shop.clone(), bucket(HOUR, s.at.0)), s.cents));
    Case::new(
        "event time cuts the batches; the log's time is ignored",
        Job::new("batches-by-event-time", by_hour.sum_by_key(BY_HOUR)),
        input,
    )
    .store(BY_HOUR, tally(expected))
}

fn before_1970() -> Case {
    // Around 1970, so that days have negative and positive numbers, with instants on both edges of a day.
    let mut random = Random::new(93);
    let day = 24 * HOUR;
    let mut instants: Vec<i64> = (0..400)
        .map(|_| random.below(10 * day as u64) as i64 - 5 * day)
        .collect();
    instants.extend([-day, -day - 1, -1, 0, 1, day - 1, day]);
    instants.sort_unstable();
    let mut log = SourceInput::text(93, instants.iter().map(|t| format!("{t} x")));
    // The log's time is the event's: the batches lie before 1970, too.
    log.events
        .iter_mut()
        .zip(&instants)
        .for_each(|(e, t)| e.log_time_ms = *t);
    let days = EARLY
        .read()
        .keyed(|line, out| out.emit(TimeBucket::day(instant(line)), 1));
    let mut expected: BTreeMap<TimeBucket, u64> = BTreeMap::new();
    for t in &instants {
        *expected.entry(bucket(day, *t)).or_default() += 1;
    }
    Case::new(
        "trap 20: times before 1970",
        Job::new("before-1970", days.sum_by_key(BY_DAY)),
        Input::of(EARLY, log),
    )
    .store(BY_DAY, expected)
}

const COUNTS: Store<String, u64> = Store::new("counts");

fn batches_by_offset() -> Case {
    let (lines, input) = lines_of(BY_OFFSET, 94);
    let counts = BY_OFFSET
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    Case::new(
        "offsets cut the batches, where there is no time at all (P8a)",
        Job::new("batches-by-offset", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
}

fn one_batch() -> Case {
    let (lines, input) = lines_of(ONE_BATCH, 95);
    let counts = ONE_BATCH
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    Case::new(
        "everything is one batch that is never sealed: the offline layer stays empty (trap 7)",
        Job::new("one-batch", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
}
