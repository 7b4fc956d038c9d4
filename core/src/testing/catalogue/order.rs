//! Sums that need the order of the records: lists and affine functions.

use std::collections::BTreeMap;

use rufous_algebra::Affine;

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::super::records::{Sale, sales};
use super::plain::{SALES, some_sales};
use crate::job::Job;
use crate::port::{Source, Store};
use crate::time::Timestamp;

const HISTORY: Store<String, Vec<i64>> = Store::new("history");
const TEXTS: Store<u32, Vec<String>> = Store::new("texts");
const ACCOUNTS: Store<String, Affine<0>> = Store::new("accounts");
const MORE_SALES: Source<Sale> = Source::new("more-sales").timed_by(|s| s.at);

pub(super) fn cases() -> Vec<Case> {
    vec![lists(), affine(), ties(), two_sources_in_order(), texts_behind_steps()]
}

/// By event time; records of one instant as they arrived.
fn in_order(mut sales: Vec<Sale>) -> Vec<Sale> {
    sales.sort_by_key(|s| s.at.0);
    sales
}

fn history(sales: &[Sale]) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for s in sales {
        all.entry(s.shop.clone()).or_default().push(s.cents);
    }
    all
}

fn lists() -> Case {
    let (sales, input) = some_sales(111);
    let lists = SALES
        .read()
        .in_order()
        .keyed(|s, out| out.emit(s.shop.as_str(), vec![s.cents]))
        .sum_by_key(HISTORY);
    Case::new(
        "7.1 values of type list, not commutative (trap 4): by event time, though the log is not",
        Job::new("lists-in-order", lists),
        input,
    )
    .store(HISTORY, history(&in_order(sales)))
}

fn affine() -> Case {
    let (sales, input) = some_sales(112);
    let accounts = SALES.read().in_order().keyed(|s, out| {
        let step = if s.cents < 0 {
            Affine::new(3, 0)
        } else {
            Affine::new(1, s.cents as u64)
        };
        out.emit(s.shop.as_str(), step);
    });
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for s in in_order(sales) {
        let (factor, sum) = expected.entry(s.shop).or_insert((1, 0));
        if s.cents < 0 {
            *factor = factor.wrapping_mul(3);
            *sum = sum.wrapping_mul(3);
        } else {
            *sum = sum.wrapping_add(s.cents as u64);
        }
    }
    Case::new(
        "affine functions, composed in order (trap 4)",
        Job::new("affine-in-order", accounts.sum_by_key(ACCOUNTS)),
        input,
    )
    .store(
        ACCOUNTS,
        expected
            .into_iter()
            .map(|(shop, (factor, sum))| (shop, Affine::new(factor, sum))),
    )
}

fn ties() -> Case {
    // Five in a row at one instant and in one partition: then their order in the log counts.
    let mut sold = sales(113, 600);
    sold.chunks_mut(5).for_each(|five| {
        let at = five[0].at;
        five.iter_mut().for_each(|s| s.at = at);
    });
    let mut log = SourceInput::json(113, sold.iter().map(Sale::json));
    log.events.chunks_mut(5).enumerate().for_each(|(i, five)| {
        five.iter_mut().for_each(|e| e.partition = i as u32 % 3);
    });
    let lists = SALES
        .read()
        .in_order()
        .keyed(|s, out| out.emit(s.shop.as_str(), vec![s.cents]))
        .sum_by_key(HISTORY);
    Case::new(
        "trap 19: records of one instant keep the order of their partition",
        Job::new("ties-in-order", lists),
        Input::of(SALES, log),
    )
    .store(HISTORY, history(&in_order(sold)))
}

fn two_sources_in_order() -> Case {
    let (a, mut b) = (sales(114, 400), sales(115, 400));
    // No two at one instant over both.
    b.iter_mut().for_each(|s| s.at = Timestamp(s.at.0 + 5_000));
    let input = Input::of(SALES, SourceInput::json(114, a.iter().map(Sale::json)))
        .and(MORE_SALES, SourceInput::json(115, b.iter().map(Sale::json)));
    let lists = SALES
        .read()
        .merge(MORE_SALES.read())
        .in_order()
        .keyed(|s, out| out.emit(s.shop.as_str(), vec![s.cents]))
        .sum_by_key(HISTORY);
    Case::new(
        "one order over two sources",
        Job::new("two-sources-in-order", lists),
        input,
    )
    .store(HISTORY, history(&in_order([a, b].concat())))
}

fn texts_behind_steps() -> Case {
    let (sales, input) = some_sales(116);
    let texts = SALES
        .read()
        .filter(|s| s.cents % 2 == 0)
        .in_order()
        .flat_map(|s, out| {
            out.emit((s.item, format!("{} sold", s.item)));
            if s.cents < 0 {
                out.emit((s.item, format!("{} given back", s.item)));
            }
        })
        .keyed(|(item, text), out| out.emit(item % 10, text.clone()))
        .map_values(|text| vec![text.clone()])
        .flat_map_keys(|digit: &u32, out| {
            out.emit(*digit);
            out.emit(100_u32);
        });
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for s in in_order(sales).iter().filter(|s| s.cents % 2 == 0) {
        let back = (s.cents < 0).then(|| format!("{} given back", s.item));
        for text in [Some(format!("{} sold", s.item)), back].into_iter().flatten() {
            expected.entry(s.item % 10).or_default().push(text.clone());
            expected.entry(100).or_default().push(text);
        }
    }
    Case::new(
        "order holds through record steps and pair steps: what one record emits stays in its order",
        Job::new("texts-behind-steps", texts.sum_by_key(TEXTS)),
        input,
    )
    .store(TEXTS, expected)
}
