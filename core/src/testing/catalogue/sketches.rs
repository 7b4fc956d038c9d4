//! Sketches. Those of the exact tier have the bytes of a sketch that was filled at once with what plain collections
//! hold; what does not fit is compared with the truth by its promise, as is one number of distinct users.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rufous_algebra::{Absorb, Bloom, BottomK, CountMin, HeavyHitters, Hll, Kmv, Monoid, Quantiles, TopK};

use super::super::case::Case;
use super::super::records::Visit;
use super::plain::{LINES, VISITS, some_lines, some_visits, words};
use crate::job::Job;
use crate::port::Store;

type Filter = Bloom<4096, 4>;
type Often = CountMin<4, 256>;

const USERS: Store<String, Hll<12>> = Store::new("users");
const DIFFERENT: Store<String, Kmv<64>> = Store::new("different");
const FREQUENT: Store<String, HeavyHitters<String, 200>> = Store::new("frequent");
const ROUGHLY: Store<String, HeavyHitters<String, 10>> = Store::new("roughly");
const TIMES: Store<String, Quantiles> = Store::new("times");
const LONGEST: Store<String, TopK<u32, 5>> = Store::new("longest");
const SHORTEST: Store<String, BottomK<u32, u64, 5>> = Store::new("shortest");
const SEEN: Store<String, Filter> = Store::new("seen");
const OFTEN: Store<String, Often> = Store::new("often");

pub(super) fn cases() -> Vec<Case> {
    vec![
        hll(),
        kmv(),
        heavy_hitters_that_fit(),
        heavy_hitters_that_do_not_fit(),
        quantiles(),
        top_and_bottom(),
        bloom(),
        count_min(),
        hll_within_its_bounds(),
    ]
}

/// Of each page something of all its visits.
fn by_page<T: Clone>(visits: &[Visit], of: impl Fn(&Visit) -> T) -> BTreeMap<String, Vec<T>> {
    let mut all: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for v in visits {
        all.entry(v.page.clone()).or_default().push(of(v));
    }
    all
}

/// Filled at once, from the last item to the first.
fn filled<S: Absorb<T> + Monoid, T>(items: impl IntoIterator<Item = T, IntoIter: DoubleEndedIterator>) -> S {
    let mut sketch = S::zero();
    items.into_iter().rev().for_each(|item| sketch.absorb(&item));
    sketch
}

fn distinct<T: Ord + Clone>(items: &[T]) -> BTreeSet<T> {
    items.iter().cloned().collect()
}

fn hll() -> Case {
    let (visits, input) = some_visits(61);
    let users = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), v.user))
        .aggregate_by_key(USERS);
    let expected = by_page(&visits, |v| v.user);
    Case::new(
        "different users: equal bytes whatever the order",
        Job::new("hll", users),
        input,
    )
    .store(
        USERS,
        expected
            .iter()
            .map(|(page, users)| (page.clone(), filled(distinct(users)))),
    )
}

fn hll_within_its_bounds() -> Case {
    let (visits, input) = some_visits(69);
    let users = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), v.user))
        .aggregate_by_key(USERS);
    let expected = by_page(&visits, |v| v.user);
    Case::new(
        "different users: the number is that of a set, within 5 %",
        Job::new("hll-within-its-bounds", users),
        input,
    )
    .store_within(
        USERS,
        expected
            .iter()
            .map(|(page, users)| (page.clone(), distinct(users).len() as f64)),
        |hll: &Hll<12>, truth| {
            let value = hll.estimate().value;
            // Three times the standard error of 2^12 registers.
            within((value - truth).abs() <= 0.05 * truth, || {
                format!("{value} different ones, truly {truth}")
            })
        },
    )
}

fn within(holds: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken()) }
}

fn kmv() -> Case {
    let (visits, input) = some_visits(62);
    let users = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), v.user))
        .aggregate_by_key(DIFFERENT);
    let expected = by_page(&visits, |v| v.user);
    Case::new("the least hashes, more of them than fit", Job::new("kmv", users), input).store(
        DIFFERENT,
        expected
            .iter()
            .map(|(page, users)| (page.clone(), filled(distinct(users)))),
    )
}

/// Per initial of a word how often each word came.
fn by_initial(lines: &[String]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for w in words(lines) {
        *all.entry(w[..2].to_string()).or_default().entry(w).or_default() += 1;
    }
    all
}

fn heavy_hitters_that_fit() -> Case {
    let (lines, input) = some_lines(63);
    let frequent = LINES.read().keyed(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit(&w[..2], w.to_string()));
    });
    let expected = by_initial(&lines).into_iter().map(|(initial, counts)| {
        let mut all = HeavyHitters::default();
        counts.iter().for_each(|(word, n)| all.insert_times(word.as_str(), *n));
        (initial, all)
    });
    Case::new(
        "trap 5: fewer different items than counters: exact, equal bytes",
        Job::new("heavy-hitters-that-fit", frequent.aggregate_by_key(FREQUENT)),
        input,
    )
    .store(FREQUENT, expected)
}

fn heavy_hitters_that_do_not_fit() -> Case {
    let (lines, input) = some_lines(64);
    let frequent = LINES.read().keyed(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit("all", HeavyHitters::of(w.to_string(), 1)));
    });
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    words(&lines).for_each(|w| *counts.entry(w).or_default() += 1);
    Case::new(
        "trap 5: more items than counters: the bounds hold for every item, and the total is exact",
        Job::new("heavy-hitters-that-do-not-fit", frequent.sum_by_key(ROUGHLY)),
        input,
    )
    .store_within(
        ROUGHLY,
        [("all".to_string(), counts)],
        |hh: &HeavyHitters<String, 10>, truth| {
            let total: u64 = truth.values().sum();
            within(hh.total() == total, || format!("{} items, truly {total}", hh.total()))?;
            within(hh.offset() <= total / 11, || {
                format!("an offset of {} of {total}", hh.offset())
            })?;
            truth.iter().try_for_each(|(word, &n)| {
                let e = hh.estimate(word.as_str());
                within(e.low <= n as f64 && n as f64 <= e.high, || {
                    format!("{word}: {n} times, not in {e:?}")
                })
            })
        },
    )
}

fn quantiles() -> Case {
    let (visits, input) = some_visits(65);
    let times = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), i64::from(v.ms)))
        .aggregate_by_key(TIMES);
    let expected = by_page(&visits, |v| i64::from(v.ms));
    Case::new(
        "a histogram of times: equal bytes whatever the order",
        Job::new("quantiles", times),
        input,
    )
    .store(TIMES, expected.into_iter().map(|(page, ms)| (page, filled(ms))))
}

fn top_and_bottom() -> Case {
    let (visits, input) = some_visits(66);
    let read = VISITS.read();
    let longest = read
        .clone()
        .keyed(|v, out| out.emit(v.page.as_str(), v.ms))
        .aggregate_by_key(LONGEST);
    let shortest = read
        .keyed(|v, out| out.emit(v.page.as_str(), (v.ms, v.user)))
        .aggregate_by_key(SHORTEST);
    let top = by_page(&visits, |v| Reverse(v.ms)).into_iter().map(|(page, ms)| {
        let best: Vec<u32> = distinct(&ms).into_iter().take(5).map(|Reverse(ms)| ms).collect();
        (page, filled(best))
    });
    // The least five times, each with the least of its users.
    let bottom = by_page(&visits, |v| (v.ms, v.user)).into_iter().map(|(page, pairs)| {
        let mut least: BTreeMap<u32, u64> = BTreeMap::new();
        for (ms, user) in pairs {
            least
                .entry(ms)
                .and_modify(|known| *known = user.min(*known))
                .or_insert(user);
        }
        (page, filled(least.into_iter().take(5).collect::<Vec<_>>()))
    });
    Case::new(
        "trap 5: the best five and the last five, truly associative",
        Job::new("top-and-bottom", (longest, shortest)),
        input,
    )
    .store(LONGEST, top)
    .store(SHORTEST, bottom)
}

fn bloom() -> Case {
    let (visits, input) = some_visits(67);
    let seen = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), v.user))
        .aggregate_by_key(SEEN);
    let expected = by_page(&visits, |v| v.user);
    Case::new("which users were there", Job::new("bloom", seen), input).store(
        SEEN,
        expected
            .iter()
            .map(|(page, users)| (page.clone(), filled(distinct(users)))),
    )
}

fn count_min() -> Case {
    let (visits, input) = some_visits(68);
    let often = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), v.user))
        .aggregate_by_key(OFTEN);
    let expected = by_page(&visits, |v| v.user).into_iter().map(|(page, users)| {
        let mut all = Often::zero();
        counted(&users).iter().for_each(|(user, n)| all.insert_times(user, *n));
        (page, all)
    });
    Case::new("how often each user was there", Job::new("count-min", often), input).store(OFTEN, expected)
}

fn counted<T: Ord + Clone>(items: &[T]) -> BTreeMap<T, i64> {
    let mut counts = BTreeMap::new();
    items
        .iter()
        .for_each(|item| *counts.entry(item.clone()).or_default() += 1);
    counts
}
