//! Sums of sums: what is added to one store is added, differently keyed, to another. The grouping of deltas is nobody's
//! business, so the second store must not show it.

use rufous_algebra::Additive;

use super::super::case::Case;
use super::plain::{LINES, SALES, some_lines, some_sales, tally, words};
use crate::job::Job;
use crate::port::Store;

const WORDS: Store<String, u64> = Store::new("words");
const INITIALS: Store<String, u64> = Store::new("initials");
const LENGTHS: Store<u64, u64> = Store::new("lengths");
const TOTAL: Store<String, u64> = Store::new("total");
const BOTH: Store<(String, u32), i64> = Store::new("both");
const ITEMS: Store<u32, i64> = Store::new("items");
const SHOPS: Store<String, i64> = Store::new("shops");

pub(super) fn cases() -> Vec<Case> {
    vec![
        two_in_a_row(),
        three_in_a_row(),
        deltas_to_two_stores(),
        every_delta_step(),
        deltas_merged(),
    ]
}

fn two_in_a_row() -> Case {
    let (lines, input) = some_lines(71);
    let counts = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)))
        .sum_by_key(WORDS);
    let initials = counts.clone().deltas().flat_map_keys(|w: &String, out| {
        out.emit(&w[..2]);
        out.emit("any");
    });
    let expected = words(&lines).flat_map(|w| [(w[..2].to_string(), 1), ("any".to_string(), 1)]);
    Case::new(
        "7.1 job 16: a sum of the deltas of a sum",
        Job::new("two-sums-in-a-row", (counts, initials.sum_by_key(INITIALS))),
        input,
    )
    .store(WORDS, tally(words(&lines).map(|w| (w, 1))))
    .store(INITIALS, tally(expected))
}

fn three_in_a_row() -> Case {
    let (lines, input) = some_lines(72);
    let counts = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)))
        .sum_by_key(WORDS);
    let lengths = counts
        .deltas()
        .map_keys(|w: &String| w.len() as u64)
        .sum_by_key(LENGTHS);
    let total = lengths.deltas().map_keys(|_: &u64| "all").sum_by_key(TOTAL);
    Case::new(
        "three sums in a row; only the last is named as an end, the others are kept all the same",
        Job::new("three-sums-in-a-row", total),
        input,
    )
    .store(WORDS, tally(words(&lines).map(|w| (w, 1))))
    .store(LENGTHS, tally(words(&lines).map(|w| (w.len() as u64, 1))))
    .store(TOTAL, [("all".to_string(), words(&lines).count() as u64)])
}

fn deltas_to_two_stores() -> Case {
    let (sales, input) = some_sales(73);
    let both = SALES
        .read()
        .keyed(|s, out| out.emit((s.shop.as_str(), s.item), s.cents))
        .sum_by_key(BOTH);
    let deltas = both.clone().deltas();
    let items = deltas.clone().map_keys(|key: &(String, u32)| key.1).sum_by_key(ITEMS);
    let shops = deltas.map_keys(|key: &(String, u32)| key.0.clone()).sum_by_key(SHOPS);
    Case::new(
        "the deltas of one sum go to two more",
        Job::new("deltas-to-two-stores", (both, items, shops)),
        input,
    )
    .store(BOTH, tally(sales.iter().map(|s| ((s.shop.clone(), s.item), s.cents))))
    .store(ITEMS, tally(sales.iter().map(|s| (s.item, s.cents))))
    .store(SHOPS, tally(sales.iter().map(|s| (s.shop.clone(), s.cents))))
}

fn every_delta_step() -> Case {
    let (sales, input) = some_sales(74);
    let items = SALES.read().keyed(|s, out| out.emit(s.item, s.cents)).sum_by_key(ITEMS);
    let shops = items
        .deltas()
        .filter_keys(|item: &u32| *item != 3)
        .map_keys(|item: &u32| item % 10)
        .named("digits")
        .flat_map_keys(|digit: &u32, out| (0..digit % 3).for_each(|n| out.emit(format!("{digit}.{n}"))))
        .map_values_by(Additive(|cents: &i64| -2 * cents))
        .sum_by_key(SHOPS);
    let mut expected = Vec::new();
    for s in sales.iter().filter(|s| s.item != 3) {
        let digit = s.item % 10;
        expected.extend((0..digit % 3).map(|n| (format!("{digit}.{n}"), -2 * s.cents)));
    }
    Case::new(
        "every step on deltas in one chain",
        Job::new("every-delta-step", shops),
        input,
    )
    .store(ITEMS, tally(sales.iter().map(|s| (s.item, s.cents))))
    .store(SHOPS, tally(expected))
}

fn deltas_merged() -> Case {
    let (sales, input) = some_sales(75);
    let items = SALES.read().keyed(|s, out| out.emit(s.item, s.cents)).sum_by_key(ITEMS);
    let low = items
        .clone()
        .deltas()
        .map_keys(|item: &u32| format!("last digit {}", item % 10));
    let high = items.deltas().map_keys(|item: &u32| format!("tens {}", item / 10));
    let expected = sales.iter().flat_map(|s| {
        [
            (format!("last digit {}", s.item % 10), s.cents),
            (format!("tens {}", s.item / 10), s.cents),
        ]
    });
    Case::new(
        "a diamond behind a sum",
        Job::new("deltas-merged", low.merge(high).sum_by_key(SHOPS)),
        input,
    )
    .store(ITEMS, tally(sales.iter().map(|s| (s.item, s.cents))))
    .store(SHOPS, tally(expected))
}
