//! One step after the other: the plainest jobs.

use super::super::case::{Case, SinkPort};
use super::plain::{LINES, SALES, some_lines, some_sales, tally, words};
use crate::job::Job;
use crate::port::{Sink, Store};

const COUNTS: Store<String, u64> = Store::new("counts");
const CENTS: Store<u32, i64> = Store::new("cents");
const WRITTEN: Sink<String> = Sink::new("written");

pub(super) fn cases() -> Vec<Case> {
    vec![
        single_step(),
        option_map_then_flat_map(),
        every_step(),
        map_only(),
        filters_in_a_row(),
        names_everywhere(),
        key_by(),
    ]
}

fn single_step() -> Case {
    let (lines, input) = some_lines(1);
    let counts = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    Case::new(
        "7.1 job 1: one step, one sum",
        Job::new("single-step", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
}

fn option_map_then_flat_map() -> Case {
    let (sales, input) = some_sales(2);
    let counts = SALES
        .read()
        .filter_map(|s| s.buyer.map(|b| (b, s.item)))
        .flat_map(|&(buyer, item), out| (0..item % 3).for_each(|n| out.emit((buyer, n))))
        .keyed(|&(buyer, n), out| out.emit(format!("{buyer}/{n}"), 1));
    let expected = sales.iter().flat_map(|s| {
        let buyer = s.buyer.map(|b| (b, s.item % 3));
        buyer
            .into_iter()
            .flat_map(|(b, times)| (0..times).map(move |n| (format!("{b}/{n}"), 1)))
    });
    Case::new(
        "7.1 job 2: an option map, then a flat map",
        Job::new("option-map-flat-map", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(expected))
}

fn every_step() -> Case {
    let (sales, input) = some_sales(3);
    let cents = SALES
        .read()
        .filter(|s| s.item > 1)
        .map(|s| (s.item, s.cents))
        .filter_map(|&(item, cents)| (cents > 0).then_some((item, cents * 2)))
        .flat_map(|&(item, cents), out| {
            out.emit((item, cents));
            out.emit((item / 10, 1));
        })
        .keyed(|&(item, cents), out| out.emit(item, cents));
    let mut expected = Vec::new();
    for s in sales.iter().filter(|s| s.item > 1 && s.cents > 0) {
        expected.push((s.item, s.cents * 2));
        expected.push((s.item / 10, 1));
    }
    Case::new(
        "each kind of record step once",
        Job::new("every-step", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(expected))
}

fn map_only() -> Case {
    let (lines, input) = some_lines(4);
    let longer = LINES.read().flat_map(|line, out| {
        line.split(' ')
            .filter(|w| w.len() > 2)
            .for_each(|w| out.emit(w.to_uppercase()));
    });
    Case::new(
        "7.1 job 14: a flat map into a sink, no store at all",
        Job::new("map-only", longer.write(WRITTEN)),
        input,
    )
    .sink(
        SinkPort::Texts(WRITTEN),
        words(&lines).filter(|w| w.len() > 2).map(|w| w.to_uppercase()),
    )
}

fn filters_in_a_row() -> Case {
    let (sales, input) = some_sales(5);
    let cents = SALES
        .read()
        .filter(|s| s.cents % 2 == 0)
        .filter(|s| s.cents % 3 == 0)
        .filter(|s| s.buyer.is_some())
        .keyed(|s, out| out.emit(s.item, s.cents));
    let kept = sales.iter().filter(|s| s.cents % 6 == 0 && s.buyer.is_some());
    Case::new(
        "filters in a row may be made one and keep what all keep",
        Job::new("filters-in-a-row", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(kept.map(|s| (s.item, s.cents))))
}

fn names_everywhere() -> Case {
    let (lines, input) = some_lines(6);
    let counts = LINES
        .read()
        .named("read")
        .map(|line| line.to_string())
        .named("owned")
        .flat_map(|line, out| {
            line.split(' ')
                .filter(|w| !w.is_empty())
                .for_each(|w| out.emit(w.to_string()))
        })
        .named("words")
        .keyed(|w, out| out.emit(w.as_str(), 1_u64))
        .named("ones")
        .filter_values(|n| *n > 0)
        .named("kept");
    Case::new(
        "trap 18: names change nothing, wherever they stand",
        Job::new("names-everywhere", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
}

fn key_by() -> Case {
    let (sales, input) = some_sales(7);
    let shops = SALES.read().key_by(|s| s.shop.clone()).map_values(|_| 1_u64);
    Case::new(
        "the record stays as the value",
        Job::new("key-by", shops.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(sales.iter().map(|s| (s.shop.clone(), 1))))
}
