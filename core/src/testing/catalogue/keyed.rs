//! Steps on pairs.

use super::super::case::{Case, SinkPort};
use super::plain::{LINES, SALES, VISITS, some_lines, some_sales, some_visits, tally, words};
use crate::job::Job;
use crate::port::{Sink, Store};

const COUNTS: Store<String, u64> = Store::new("counts");
const CENTS: Store<u32, i64> = Store::new("cents");
const BY_USER: Store<u64, u64> = Store::new("by-user");
const BOTH: Store<(String, u32), i64> = Store::new("both");
const PAGES: Sink<String> = Sink::new("pages");
const TIMES: Sink<u64> = Sink::new("times");

pub(super) fn cases() -> Vec<Case> {
    vec![
        flat_map_keys(),
        swap_keys_values_pairs(),
        every_keyed_step(),
        filter_keys_after_values(),
        keyed_pairs(),
        flat_map_values(),
        map_keys_collide(),
    ]
}

fn flat_map_keys() -> Case {
    let (lines, input) = some_lines(41);
    let counts = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)))
        .flat_map_keys(|w: &String, out| {
            out.emit(w.as_str());
            // Every beginning of the word: the keys fan out, so a batch may add up before.
            (1..w.len()).for_each(|n| out.emit(&w[..n]));
        });
    let expected = words(&lines).flat_map(|w| (1..=w.len()).map(|n| (w[..n].to_string(), 1)).collect::<Vec<_>>());
    Case::new(
        "7.1 job 3: keys fan out after a key is known; adding up before it must not show",
        Job::new("flat-map-keys", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(expected))
}

fn swap_keys_values_pairs() -> Case {
    let (visits, input) = some_visits(42);
    let pairs = VISITS.read().keyed(|v, out| out.emit(v.page.as_str(), v.user));
    let by_user = pairs
        .clone()
        .swap()
        .map_values(|page| page.len() as u64)
        .sum_by_key(BY_USER);
    let pages = pairs.clone().keys().write(PAGES);
    let users = pairs.clone().values().write(TIMES);
    let counts = pairs
        .pairs()
        .keyed(|(page, user), out| out.emit(format!("{page} {user}"), 1))
        .sum_by_key(COUNTS);
    Case::new(
        "swap, keys, values and pairs of one stream",
        Job::new("swap-keys-values-pairs", (by_user, pages, users, counts)),
        input,
    )
    .store(BY_USER, tally(visits.iter().map(|v| (v.user, v.page.len() as u64))))
    .store(
        COUNTS,
        tally(visits.iter().map(|v| (format!("{} {}", v.page, v.user), 1))),
    )
    .sink(SinkPort::Texts(PAGES), visits.iter().map(|v| v.page.clone()))
    .sink(SinkPort::Numbers(TIMES), visits.iter().map(|v| v.user))
}

fn every_keyed_step() -> Case {
    let (sales, input) = some_sales(43);
    let both = SALES
        .read()
        .key_by(|s| s.item)
        .filter_values(|s| s.cents != 0)
        .map_values(|s| (s.shop.clone(), s.cents))
        .filter_keys(|item: &u32| *item != 7)
        .map_keys(|item: &u32| item / 2)
        .flat_map_values(|(shop, cents): &(String, i64), out| {
            out.emit((shop.clone(), *cents));
            if *cents > 1_000 {
                out.emit((shop.clone(), -1_000));
            }
        })
        .keyed_pairs(|item: &u32, (shop, cents): &(String, i64), out| out.emit((shop.as_str(), *item), *cents))
        .flat_map_keys(|key: &(String, u32), out| {
            out.emit((key.0.as_str(), key.1));
            out.emit(("all", key.1));
        })
        .named("both-sides");
    let mut expected = Vec::new();
    for s in sales.iter().filter(|s| s.cents != 0 && s.item != 7) {
        for cents in [Some(s.cents), (s.cents > 1_000).then_some(-1_000)]
            .into_iter()
            .flatten()
        {
            expected.push(((s.shop.clone(), s.item / 2), cents));
            expected.push((("all".to_string(), s.item / 2), cents));
        }
    }
    Case::new(
        "every step on pairs in one chain",
        Job::new("every-keyed-step", both.sum_by_key(BOTH)),
        input,
    )
    .store(BOTH, tally(expected))
}

fn filter_keys_after_values() -> Case {
    let (sales, input) = some_sales(44);
    let cents = SALES
        .read()
        .keyed(|s, out| out.emit(s.item, s.cents))
        .map_values(|cents| cents + 1)
        .filter_values(|cents| cents % 2 == 0)
        .filter_keys(|item: &u32| item.is_multiple_of(3));
    let kept = sales.iter().filter(|s| (s.cents + 1) % 2 == 0 && s.item % 3 == 0);
    Case::new(
        "a filter of keys behind steps on values: a planner may move it before them",
        Job::new("filter-keys-after-values", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(kept.map(|s| (s.item, s.cents + 1))))
}

fn keyed_pairs() -> Case {
    let (sales, input) = some_sales(45);
    let cents = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.clone()))
        .keyed_pairs(|shop: &String, s, out| {
            if s.shop == *shop && s.item % 2 == 1 {
                out.emit(s.item, s.cents);
                out.emit(s.item + 1, -s.cents);
            }
        });
    let odd = sales.iter().filter(|s| s.item % 2 == 1);
    Case::new(
        "pairs to none, or to two",
        Job::new("keyed-pairs", cents.sum_by_key(CENTS)),
        input,
    )
    .store(
        CENTS,
        tally(odd.flat_map(|s| [(s.item, s.cents), (s.item + 1, -s.cents)])),
    )
}

fn flat_map_values() -> Case {
    let (visits, input) = some_visits(46);
    let by_user = VISITS
        .read()
        .keyed(|v, out| out.emit(v.user, v.ms))
        .flat_map_values(|ms, out| {
            (0..ms % 4).for_each(|n| out.emit(u64::from(n)));
        });
    let expected = visits
        .iter()
        .flat_map(|v| (0..v.ms % 4).map(|n| (v.user, u64::from(n))));
    Case::new(
        "7.1 job 7 without its join: a value becomes none to three; a key whose values are all 0 is as good as absent",
        Job::new("flat-map-values", by_user.sum_by_key(BY_USER)),
        input,
    )
    .store(BY_USER, tally(expected))
}

fn map_keys_collide() -> Case {
    let (sales, input) = some_sales(47);
    let cents = SALES
        .read()
        .keyed(|s, out| out.emit((s.shop.as_str(), s.item), s.cents))
        .map_keys(|_: &(String, u32)| 5_u32);
    Case::new(
        "all keys become one",
        Job::new("map-keys-collide", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, [(5, sales.iter().map(|s| s.cents).sum())])
}
