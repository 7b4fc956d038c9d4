//! Sums over hops. The oracle adds every record to every hop that holds it, hop by hop.

use std::collections::BTreeMap;

use rufous_algebra::{Absorb, Hll, Max, Monoid};

use super::super::case::Case;
use super::super::records::Sale;
use super::plain::{SALES, sales_of, some_sales, tally};
use crate::batch::{Batcher, Clock};
use crate::job::Job;
use crate::port::Source;
use crate::time::{TimeBucket, Timestamp};
use crate::window::{Hop, HopSize, WindowedStore};

const HOPS: &[HopSize] = &[
    HopSize::minutes(5).keep_days(2),
    HopSize::hours(1).keep_days(60),
    HopSize::days(1),
];
const CENTS: WindowedStore<String, i64> = WindowedStore::new("cents", HOPS);
const LARGEST: WindowedStore<(String, u32), Max<i64>> =
    WindowedStore::new("largest", &[HopSize::minutes(7), HopSize::minutes(90)]);
const INDIAN: WindowedStore<u32, u64> = WindowedStore::new(
    "indian",
    &[
        HopSize::hours(1),
        HopSize::calendar_day(),
        HopSize::week(),
        HopSize::month(),
        HopSize::year(),
    ],
)
.zone("Asia/Kolkata");
const DAYS: WindowedStore<String, i64> = WindowedStore::new("days", &[HopSize::days(1)]);
const BY_EVENT: Source<Sale> = Source::new("sales")
    .timed_by(|s: &Sale| s.at)
    .batch_clock(Clock::Event)
    .batches(Batcher::of_hours(6));

const MINUTE: i64 = 60_000;

pub(super) fn cases() -> Vec<Case> {
    vec![hops(), sizes_that_do_not_nest(), calendar(), absorbed(), twice()]
}

/// The hop of so many minutes that holds `at`.
fn fixed(minutes: i64, at: Timestamp) -> Hop {
    let start = at.0.div_euclid(minutes * MINUTE) * minutes * MINUTE;
    TimeBucket::of((minutes * MINUTE) as u64, Timestamp(start)).into()
}

fn hops() -> Case {
    let (sales, input) = some_sales(131);
    let cents = SALES.read().keyed(|s, out| out.emit((s.shop.as_str(), s.at), s.cents));
    let expected = sales
        .iter()
        .flat_map(|s| [5, 60, 24 * 60].map(|size| ((s.shop.clone(), fixed(size, s.at)), s.cents)));
    Case::new(
        "trap 8: a late record is added to its own hop of every size, whichever batch owns it",
        Job::new("hops", cents.windowed_sum_by_key(CENTS)),
        input,
    )
    .store(CENTS.hops(), tally(expected))
}

fn sizes_that_do_not_nest() -> Case {
    let (sales, input) = sales_of(BY_EVENT, 132);
    let largest = BY_EVENT
        .read()
        .keyed(|s, out| out.emit(((s.shop.as_str(), s.item), s.at), Max::of(s.cents)));
    let mut expected: BTreeMap<((String, u32), Hop), Max<i64>> = BTreeMap::new();
    for s in &sales {
        for size in [7, 90] {
            let key = ((s.shop.clone(), s.item), fixed(size, s.at));
            let max = expected
                .get(&key)
                .and_then(|m| m.get().copied())
                .map_or(s.cents, |m| m.max(s.cents));
            expected.insert(key, Max::of(max));
        }
    }
    Case::new(
        "hops whose sizes do not divide each other; keys of two parts; batches by event time",
        Job::new("uneven-hops", largest.windowed_sum_by_key(LARGEST)),
        input,
    )
    .store(LARGEST.hops(), expected)
}

/// India has one offset all year, so its calendar is that of UTC moved by it.
fn calendar() -> Case {
    let (sales, input) = some_sales(133);
    let counts = SALES.read().keyed(|s, out| out.emit((s.item, s.at), 1));
    let mut expected: BTreeMap<(u32, Hop), u64> = BTreeMap::new();
    for s in &sales {
        let there = Timestamp(s.at.0 + 330 * MINUTE);
        let text = there.to_string();
        // Days from a Monday on.
        let monday = Timestamp(
            (there.0 - 4 * 1440 * MINUTE).div_euclid(7 * 1440 * MINUTE) * 7 * 1440 * MINUTE + 4 * 1440 * MINUTE,
        );
        let week: jiff::civil::Date = monday.to_string()[..10].parse().expect("a date");
        let week = week.iso_week_date();
        for hop in [
            format!("{}/calendar-day", &text[..10]),
            format!("{:04}-W{:02}", week.year(), week.week()),
            text[..7].to_string(),
            text[..4].to_string(),
        ] {
            *expected.entry((s.item, Hop::parse(&hop).expect("a hop"))).or_default() += 1;
        }
        *expected.entry((s.item, fixed(60, s.at))).or_default() += 1;
    }
    Case::new(
        "days, weeks, months and years of a zone, beside hours of UTC that cross its midnights",
        Job::new("calendar-hops", counts.windowed_sum_by_key(INDIAN)),
        input,
    )
    .store(INDIAN.hops(), expected)
}

const ITEMS: WindowedStore<String, Hll<10>> = WindowedStore::new("items", HOPS);

fn absorbed() -> Case {
    let (sales, input) = some_sales(134);
    let items = SALES.read().keyed(|s, out| out.emit((s.shop.as_str(), s.at), s.item));
    let mut expected: BTreeMap<(String, Hop), Hll<10>> = BTreeMap::new();
    for s in &sales {
        for size in [5, 60, 24 * 60] {
            let key = (s.shop.clone(), fixed(size, s.at));
            expected.entry(key).or_insert_with(Hll::zero).absorb(&s.item);
        }
    }
    Case::new(
        "records absorbed once each, the states added to hops of three sizes",
        Job::new("absorbed-hops", items.windowed_aggregate_by_key(ITEMS)),
        input,
    )
    .store(ITEMS.hops(), expected)
}

fn twice() -> Case {
    let (sales, input) = some_sales(135);
    let cents = SALES.read().keyed(|s, out| out.emit((s.shop.as_str(), s.at), s.cents));
    let merged = cents.clone().merge(cents.filter_values(|c| *c > 0));
    let by_shop = sales
        .iter()
        .flat_map(|s| std::iter::repeat_n(s, if s.cents > 0 { 2 } else { 1 }))
        .flat_map(|s| [5, 60, 24 * 60].map(|size| ((s.shop.clone(), fixed(size, s.at)), s.cents)));
    let by_day = sales.iter().map(|s| ((s.shop.clone(), fixed(24 * 60, s.at)), s.cents));
    let days = SALES.read().keyed(|s, out| out.emit((s.shop.as_str(), s.at), s.cents));
    Case::new(
        "two windowed sums of one source, one of them behind a merge",
        Job::new(
            "hops-twice",
            (merged.windowed_sum_by_key(CENTS), days.windowed_sum_by_key(DAYS)),
        ),
        input,
    )
    .store(CENTS.hops(), tally(by_shop))
    .store(DAYS.hops(), tally(by_day))
}
