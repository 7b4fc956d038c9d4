//! Jobs at the preconditions of rewrites: a planner that forgets one of them gets these wrong.

use std::collections::{BTreeMap, BTreeSet};

use rufous_algebra::{Absorb, Mean, Monoid};

use super::super::case::{Case, SinkPort};
use super::super::input::{Input, START_MS, SourceInput};
use super::super::random::Random;
use super::super::records::{Page, Sale};
use super::plain::{SALES, some_sales, tally};
use crate::Counter;
use crate::job::Job;
use crate::port::{Sink, Source, Store};
use crate::time::Timestamp;

const PAGES: Source<Page> = Source::new("pages");
const TIMED_PAGES: Source<Page> = Source::new("pages").timed_by(instant);
const LISTS: Store<u64, Vec<String>> = Store::new("lists");
const CENTS: Store<u32, i64> = Store::new("cents");
const OTHERS: Store<u32, i64> = Store::new("others");
const BY_SHOP: Store<String, i64> = Store::new("by-shop");
const MEANS: Store<u32, Mean> = Store::new("means");
const MAPS: Store<u32, BTreeMap<String, i64>> = Store::new("maps");
const COUNTS: Store<String, u64> = Store::new("counts");
const SEEN: Store<u64, BTreeSet<String>> = Store::new("seen");
const TOTAL: Store<u64, u64> = Store::new("total");
const WRITTEN: Sink<String> = Sink::new("written");
const PASSED: Counter = Counter::new("passed");
const DROPPED: Counter = Counter::new("dropped");

pub(super) fn cases() -> Vec<Case> {
    vec![
        filter_keys_behind_a_fork(),
        filter_keys_behind_counts(),
        filter_values_behind_keys(),
        flat_map_keys_aggregated(),
        flat_map_keys_behind_a_fork(),
        flat_map_keys_merged(),
        flat_map_keys_of_maps(),
        one_field(),
        one_field_written(),
        one_field_in_order(),
    ]
}

fn filter_keys_behind_a_fork() -> Case {
    let (sales, input) = some_sales(131);
    let more = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .map_values(|cents| cents + 1);
    let few = more.clone().filter_keys(|item: &u32| item % 2 == 1).sum_by_key(CENTS);
    let odd = sales.iter().filter(|s| s.item % 2 == 1);
    Case::new(
        "a filter of keys must not move above a value step that others read",
        Job::new("filter-keys-behind-a-fork", (few, more.sum_by_key(OTHERS))),
        input,
    )
    .store(CENTS, tally(odd.map(|s| (s.item, s.cents + 1))))
    .store(OTHERS, tally(sales.iter().map(|s| (s.item, s.cents + 1))))
}

fn filter_keys_behind_counts() -> Case {
    let (sales, input) = some_sales(132);
    let cents = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .map_values(|cents| cents * 2)
        .counted(PASSED)
        .flat_map_values(|cents, out| match cents {
            0.. => out.emit(*cents),
            _ => out.count(DROPPED, 1),
        })
        .counting([DROPPED])
        .filter_keys(|item: &u32| *item > 5);
    let kept = sales.iter().filter(|s| s.cents >= 0 && s.item > 5);
    Case::new(
        "a filter of keys must not move above what counts",
        Job::new("filter-keys-behind-counts", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(kept.map(|s| (s.item, 2 * s.cents))))
    .counter(PASSED, sales.len() as u64)
    .counter(DROPPED, sales.iter().filter(|s| s.cents < 0).count() as u64)
}

fn filter_values_behind_keys() -> Case {
    let (sales, input) = some_sales(133);
    let by_digit = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .map_keys(|item: &u32| item % 10);
    let large = by_digit
        .clone()
        .counted(PASSED)
        .filter_values(|cents| *cents > 900)
        .sum_by_key(CENTS);
    let both = by_digit
        .flat_map_keys(|digit: &u32, out| {
            out.emit(*digit);
            out.emit(digit + 100);
        })
        .filter_values(|cents| *cents <= 900);
    let small = sales.iter().filter(|s| s.cents <= 900);
    Case::new(
        "a filter of values sees single values: no sum may come before it, and none that others read may be filtered",
        Job::new("filter-values-behind-keys", (large, both.sum_by_key(OTHERS))),
        input,
    )
    .store(
        CENTS,
        tally(sales.iter().filter(|s| s.cents > 900).map(|s| (s.item % 10, s.cents))),
    )
    .store(
        OTHERS,
        tally(small.flat_map(|s| [(s.item % 10, s.cents), (s.item % 10 + 100, s.cents)])),
    )
    .counter(PASSED, sales.len() as u64)
}

fn flat_map_keys_aggregated() -> Case {
    let (sales, input) = some_sales(134);
    let means = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .flat_map_keys(|item: &u32, out| {
            out.emit(item % 10);
            out.emit(1_000_u32);
        });
    let mut expected: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for s in &sales {
        expected.entry(s.item % 10).or_default().push(s.cents);
        expected.entry(1_000).or_default().push(s.cents);
    }
    let mean = |cents: Vec<i64>| {
        let mut mean = Mean::zero();
        cents.iter().for_each(|c| mean.absorb(c));
        mean
    };
    Case::new(
        "records that are absorbed cannot be added before their keys fan out",
        Job::new("flat-map-keys-aggregated", means.aggregate_by_key(MEANS)),
        input,
    )
    .store(MEANS, expected.into_iter().map(|(item, cents)| (item, mean(cents))))
}

fn flat_map_keys_behind_a_fork() -> Case {
    let (sales, input) = some_sales(135);
    let fanned = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .flat_map_keys(|item: &u32, out| {
            (0..item % 4).for_each(|n| out.emit(n));
        });
    let all = fanned.clone().sum_by_key(CENTS);
    let even = fanned.filter_values(|cents| cents % 2 == 0).sum_by_key(OTHERS);
    let fan = |s: &Sale| (0..s.item % 4).map(|n| (n, s.cents)).collect::<Vec<_>>();
    Case::new(
        "keys that fan out above a fork: one side adds values, the other looks at each",
        Job::new("flat-map-keys-behind-a-fork", (all, even)),
        input,
    )
    .store(CENTS, tally(sales.iter().flat_map(fan)))
    .store(OTHERS, tally(sales.iter().filter(|s| s.cents % 2 == 0).flat_map(fan)))
}

fn flat_map_keys_merged() -> Case {
    let (sales, input) = some_sales(136);
    let pairs = SALES.read().keyed(|s, out| out.emit(s.shop.as_str(), s.cents));
    let fanned = pairs.clone().flat_map_keys(|shop: &String, out| {
        out.emit(shop.as_str());
        out.emit("all");
    });
    let marked = pairs.map_keys(|shop: &String| format!("{shop}!"));
    let filtered = fanned.merge(marked).filter_keys(|shop: &String| shop != "shop-1");
    let expected = sales.iter().flat_map(|s| {
        [
            (s.shop.clone(), s.cents),
            ("all".to_string(), s.cents),
            (format!("{}!", s.shop), s.cents),
        ]
    });
    Case::new(
        "keys that fan out on one side of a merge, with a filter of keys behind it",
        Job::new("flat-map-keys-merged", filtered.sum_by_key(BY_SHOP)),
        input,
    )
    .store(BY_SHOP, tally(expected.filter(|(shop, _)| shop != "shop-1")))
}

fn flat_map_keys_of_maps() -> Case {
    let (sales, input) = some_sales(137);
    // What cancels before the keys fan out must cancel behind it.
    let maps = SALES
        .read()
        .keyed(|s, out| out.emit(s.item % 20, BTreeMap::from([(s.shop.clone(), s.cents.signum())])))
        .flat_map_keys(|item: &u32, out| {
            out.emit(item / 2);
            out.emit(item / 5 + 100);
        })
        .flat_map_keys(|n: &u32, out| {
            out.emit(*n);
            out.emit(n % 2 + 1_000);
        });
    let mut expected: BTreeMap<u32, BTreeMap<String, i64>> = BTreeMap::new();
    for s in &sales {
        let item = s.item % 20;
        for n in [item / 2, item / 5 + 100] {
            for key in [n, n % 2 + 1_000] {
                *expected.entry(key).or_default().entry(s.shop.clone()).or_default() += s.cents.signum();
            }
        }
    }
    expected.values_mut().for_each(|map| map.retain(|_, n| *n != 0));
    Case::new(
        "keys fan out twice, values are maps whose entries cancel (trap 2)",
        Job::new("flat-map-keys-of-maps", maps.sum_by_key(MAPS)),
        input,
    )
    .store(MAPS, expected)
}

/// Few pages, many times each.
fn pages(seed: u64) -> (Vec<String>, Input) {
    let mut random = Random::new(seed);
    let pages: Vec<String> = (0..1_500).map(|_| format!("/{}", random.mostly_small(12))).collect();
    let lines = pages.iter().map(|page| Page { page: page.clone() }.json());
    let input = Input::of(PAGES, SourceInput::json(seed, lines));
    (pages, input)
}

fn one_field() -> Case {
    let (pages, input) = pages(138);
    let read = PAGES.read().counted(PASSED);
    let counts = read.clone().keyed(|p, out| {
        out.count(DROPPED, u64::from(p.page == "/0"));
        if p.page != "/0" {
            out.emit(p.page.as_str(), 3);
        }
    });
    let counts = counts.counting([DROPPED]).sum_by_key(COUNTS);
    let total = counts
        .clone()
        .deltas()
        .map_keys(|page: &String| page.len() as u64)
        .sum_by_key(TOTAL);
    let seen = read
        .keyed(|p, out| out.emit(p.page.len() as u64, p.page.clone()))
        .aggregate_by_key(SEEN);
    let others = || pages.iter().filter(|p| *p != "/0");
    let mut expected: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for page in &pages {
        expected.entry(page.len() as u64).or_default().insert(page.clone());
    }
    Case::new(
        "a record of one field that repeats: each occurrence counts, in sums, sums of sums and counters",
        Job::new("one-field", (counts, total, seen)),
        input,
    )
    .store(COUNTS, tally(others().map(|p| (p.clone(), 3))))
    .store(TOTAL, tally(others().map(|p| (p.len() as u64, 3))))
    .store(SEEN, expected)
    .counter(PASSED, pages.len() as u64)
    .counter(DROPPED, (pages.len() - others().count()) as u64)
}

fn one_field_written() -> Case {
    let (pages, input) = pages(139);
    let written = PAGES.read().map(|p| p.page.clone()).write(WRITTEN).records();
    let counts = written.keyed(|page, out| out.emit(page.as_str(), 1)).sum_by_key(COUNTS);
    Case::new(
        "a record of one field that repeats is written each time",
        Job::new("one-field-written", counts),
        input,
    )
    .store(COUNTS, tally(pages.iter().map(|p| (p.clone(), 1))))
    .sink(SinkPort::Texts(WRITTEN), pages.clone())
}

/// The number that a page begins with.
fn instant(page: &Page) -> Timestamp {
    Timestamp(
        page.page
            .split(' ')
            .next()
            .and_then(|t| t.parse().ok())
            .unwrap_or_default(),
    )
}

fn one_field_in_order() -> Case {
    // Runs of equal records, oldest first.
    let mut random = Random::new(140);
    let mut pages: Vec<String> = Vec::new();
    for instant in 0..300 {
        let page = format!("{} {}", START_MS + instant, random.below(3));
        (0..=random.below(4)).for_each(|_| pages.push(page.clone()));
    }
    let lines = pages.iter().map(|page| Page { page: page.clone() }.json());
    let input = Input::of(TIMED_PAGES, SourceInput::json(140, lines));
    let texts = TIMED_PAGES
        .read()
        .in_order()
        .keyed(|p, out| out.emit(p.page.len() as u64 % 2, vec![p.page.clone()]));
    let mut expected: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for page in &pages {
        expected.entry(page.len() as u64 % 2).or_default().push(page.clone());
    }
    Case::new(
        "a record of one field that repeats, in order: each occurrence has its place",
        Job::new("one-field-in-order", texts.sum_by_key(LISTS)),
        input,
    )
    .store(LISTS, expected)
}
