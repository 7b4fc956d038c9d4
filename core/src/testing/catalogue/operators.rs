//! Operators with memory, keyed (O15, O16): what they emit depends on the records before, so a wrong order, a lost state or a
//! state that counts twice shows in the stores behind them. Expected are folds in the order of each partition.

use std::collections::{BTreeMap, BTreeSet};

use rufous_algebra::{Max, Min, Timeline};

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::super::records::{Sale, sales};
use super::plain::{LINES, SALES, some_lines, tally, words};
use crate::job::Job;
use crate::port::Store;
use crate::producer::{Buffer, KeyedProducer, LastSeen};

const RUNNING: Store<String, i64> = Store::new("running");
const TRACE: Store<(String, i64), u64> = Store::new("trace");
const STEPS: Store<(String, i64, i64), u64> = Store::new("steps");
const LOWEST: Store<String, Min<i64>> = Store::new("lowest");
const PEAKS: Store<u32, i64> = Store::new("peaks");
const COUNTS: Store<String, u64> = Store::new("counts");
const WITH: Store<u64, i64> = Store::new("with-so-many");
const WORDS: Store<String, i64> = Store::new("words");

pub(super) fn cases() -> Vec<Case> {
    vec![
        running(),
        without_a_word(),
        changes(),
        changes_of_what_is_absorbed(),
        branches_of_one_record(),
        keys_fan_out_above(),
        in_a_row(),
        totals(),
        totals_and_changes(),
        one_partition(),
        joins_a_store(),
        joins_a_stream(),
        loop_join(),
        once_per_id(),
    ]
}

/// Which of three partitions a shop writes to.
fn partition(shop: &str) -> u32 {
    shop.bytes()
        .fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)))
        % 3
}

/// Sales that stay in the partition of their shop; and the same in the order of the partitions.
fn kept(seed: u64) -> (Vec<Sale>, Input) {
    let sales = sales(seed, 2_200);
    let mut log = SourceInput::json(seed, sales.iter().map(Sale::json));
    for (event, sale) in log.events.iter_mut().zip(&sales) {
        event.partition = partition(&sale.shop);
    }
    (sales, Input::of(SALES, log))
}

/// Totals per shop after each sale, in the log's order.
fn after_each(sales: &[Sale]) -> Vec<(String, Option<i64>, i64)> {
    let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
    let mut all = Vec::new();
    for s in sales {
        let before = totals.get(s.shop.as_str()).copied();
        let after = before.unwrap_or(0) + s.cents;
        totals.insert(&s.shop, after);
        all.push((s.shop.clone(), before, after));
    }
    all
}

fn by_shop(sales: &[Sale]) -> BTreeMap<String, i64> {
    tally(sales.iter().map(|s| (s.shop.clone(), s.cents)))
}

fn running() -> Case {
    let (sales, input) = kept(201);
    let running = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .scan_by_key(RUNNING)
        .named("running-totals");
    // Every single total is kept apart: a wrong one is a key too many.
    let trace = running
        .clone()
        .keyed_pairs(|shop: &String, total, out| out.emit((shop.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let lowest = running.map_values(|total| Min::of(*total)).sum_by_key(LOWEST);
    let after = after_each(&sales);
    let mut low: BTreeMap<String, i64> = BTreeMap::new();
    for (shop, _, total) in &after {
        let known = low.entry(shop.clone()).or_insert(*total);
        *known = (*known).min(*total);
    }
    Case::new(
        "O15: a running total after each record",
        Job::new("running-totals", (trace, lowest)),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store(
        TRACE,
        tally(after.into_iter().map(|(shop, _, total)| ((shop, total), 1))),
    )
    .store(LOWEST, low.into_iter().map(|(shop, total)| (shop, Min::of(total))))
}

fn without_a_word() -> Case {
    let (sales, mut input) = (sales(202, 900), Input::default());
    let mut log = SourceInput::json(202, sales.iter().map(Sale::json));
    log.events.iter_mut().for_each(|e| e.partition = 0);
    log.partitions = 1;
    input = input.and(SALES, log);
    let trace = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .scan_by_key(RUNNING)
        .keyed_pairs(|shop: &String, total, out| out.emit((shop.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let after = after_each(&sales);
    Case::new(
        "O1: one partition is one order, nobody has to say so",
        Job::new("running-in-one-partition", trace),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store(
        TRACE,
        tally(after.into_iter().map(|(shop, _, total)| ((shop, total), 1))),
    )
}

fn changes() -> Case {
    let (sales, input) = kept(203);
    let steps = SALES
        .read()
        .filter(|s| s.item % 7 != 0)
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .sum_by_key(RUNNING)
        .changes()
        .keyed_pairs(|shop: &String, (before, after), out| {
            out.emit((shop.as_str(), before.unwrap_or(i64::MIN), *after), 1);
        })
        .sum_by_key(STEPS);
    let sales: Vec<Sale> = sales.into_iter().filter(|s| s.item % 7 != 0).collect();
    let expected = after_each(&sales)
        .into_iter()
        .map(|(shop, before, after)| ((shop, before.unwrap_or(i64::MIN), after), 1));
    Case::new(
        "O15: the totals before and after each record, not those of a flush",
        Job::new("changes-of-totals", steps),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store(STEPS, tally(expected))
}

const LARGEST: Store<String, Max<i64>> = Store::new("largest");

fn changes_of_what_is_absorbed() -> Case {
    let (sales, input) = kept(204);
    // How often a sale was the largest of its shop so far.
    let records = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .aggregate_by_key(LARGEST)
        .changes()
        .filter_values(|(before, after)| before.as_ref() != Some(after))
        .map_values(|_| 1)
        .sum_by_key(COUNTS);
    let mut largest: BTreeMap<String, i64> = BTreeMap::new();
    let mut expected: Vec<(String, u64)> = Vec::new();
    for s in &sales {
        if largest.get(&s.shop).is_none_or(|l| *l < s.cents) {
            largest.insert(s.shop.clone(), s.cents);
            expected.push((s.shop.clone(), 1));
        }
    }
    Case::new(
        "O15: changes of a state that absorbs records",
        Job::new("changes-of-the-largest", records),
        input,
    )
    .store(LARGEST, largest.into_iter().map(|(shop, cents)| (shop, Max::of(cents))))
    .store(COUNTS, tally(expected))
}

fn branches_of_one_record() -> Case {
    let (sales, input) = kept(205);
    let pairs = SALES.read().key_by(|s| s.shop.clone()).within_partition();
    let price = pairs.clone().map_values(|s| s.cents);
    let items = pairs.filter_values(|s| s.item % 3 == 0).flat_map_values(|s, out| {
        out.emit(i64::from(s.item));
        out.emit(-1);
    });
    let trace = price
        .merge(items)
        .scan_by_key(RUNNING)
        .keyed_pairs(|shop: &String, total, out| out.emit((shop.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    let mut expected = Vec::new();
    for s in &sales {
        let mut values = vec![s.cents];
        if s.item % 3 == 0 {
            values.extend([i64::from(s.item), -1]);
        }
        for value in values {
            let total = totals.entry(s.shop.clone()).or_default();
            *total += value;
            expected.push(((s.shop.clone(), *total), 1));
        }
    }
    Case::new(
        "branches of one record meet above an operator: by record, then by branch, wherever chunks end",
        Job::new("scan-behind-branches", trace),
        input,
    )
    .store(RUNNING, totals)
    .store(TRACE, tally(expected))
}

fn keys_fan_out_above() -> Case {
    let (sales, input) = kept(206);
    let trace = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .flat_map_keys(|shop: &String, out| {
            out.emit(shop.as_str());
            // A key of the partition.
            out.emit(format!("partition {}", partition(shop)));
        })
        .scan_by_key(RUNNING)
        .keyed_pairs(|key: &String, total, out| out.emit((key.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let mut totals: BTreeMap<String, i64> = BTreeMap::new();
    let mut expected = Vec::new();
    for s in &sales {
        for key in [s.shop.clone(), format!("partition {}", partition(&s.shop))] {
            let total = totals.entry(key.clone()).or_default();
            *total += s.cents;
            expected.push(((key, *total), 1));
        }
    }
    Case::new(
        "values are not added before their keys fan out to an operator",
        Job::new("scan-behind-key-steps", trace),
        input,
    )
    .store(RUNNING, totals)
    .store(TRACE, tally(expected))
}

fn in_a_row() -> Case {
    let (sales, input) = kept(207);
    // The highest total that any shop of a partition had so far, and how often it rose.
    let peaks = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .scan_by_key(RUNNING)
        .keyed_pairs(|shop: &String, total, out| out.emit(partition(shop), Max::of(*total)))
        .sum_by_key(HIGHEST)
        .changes()
        .filter_values(|(before, after)| before.as_ref() != Some(after))
        .map_values(|_| 1)
        .sum_by_key(PEAKS);
    let mut highest: BTreeMap<u32, i64> = BTreeMap::new();
    let mut rises: BTreeMap<u32, i64> = BTreeMap::new();
    for (shop, _, total) in after_each(&sales) {
        let p = partition(&shop);
        if highest.get(&p).is_none_or(|h| *h < total) {
            highest.insert(p, total);
            *rises.entry(p).or_default() += 1;
        }
    }
    Case::new(
        "an operator behind an operator, under another key of the same partition",
        Job::new("operators-in-a-row", peaks),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store(HIGHEST, highest.into_iter().map(|(p, total)| (p, Max::of(total))))
    .store(PEAKS, rises)
}

const HIGHEST: Store<u32, Max<i64>> = Store::new("highest");

fn totals() -> Case {
    let (sales, input) = kept(208);
    let with = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), 1))
        .within_partition()
        .sum_by_key(COUNTS)
        .totals(|_, n, out| {
            out.emit(*n / 10, 1);
            if *n > 50 {
                out.emit(1_000_000_u64, *n as i64);
            }
        })
        .sum_by_key(WITH);
    let counts: BTreeMap<String, u64> = tally(sales.iter().map(|s| (s.shop.clone(), 1)));
    let expected = counts.values().flat_map(|n| {
        let many = (*n > 50).then_some((1_000_000, *n as i64));
        [(*n / 10, 1)].into_iter().chain(many)
    });
    let expected: BTreeMap<u64, i64> = tally(expected.collect::<Vec<_>>());
    Case::new(
        "O16: how many keys have which total",
        Job::new("totals-of-counts", with),
        input,
    )
    .store(COUNTS, counts)
    .store(WITH, expected)
}

fn totals_and_changes() -> Case {
    let (sales, input) = kept(209);
    let sum = SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
        .sum_by_key(RUNNING);
    let steps = sum
        .clone()
        .changes()
        .keyed_pairs(|shop: &String, (before, after), out| {
            out.emit((shop.as_str(), before.unwrap_or(i64::MIN), *after), 1);
        })
        .sum_by_key(STEPS);
    // Keys whose total is below zero, at it, or above; those that have occurred count at zero, too.
    let signs = sum
        .clone()
        .totals(|_, total, out| out.emit(total.signum() as u64 & 3, 1))
        .map_keys(|sign: &u64| sign + 100)
        .sum_by_key(WITH);
    let plain = sum
        .deltas()
        .map_keys(|shop: &String| shop[..1].to_string())
        .sum_by_key(WORDS);
    let expected = after_each(&sales)
        .into_iter()
        .map(|(shop, before, after)| ((shop, before.unwrap_or(i64::MIN), after), 1));
    let signed = by_shop(&sales)
        .into_values()
        .map(|n| ((n.signum() as u64 & 3) + 100, 1));
    Case::new(
        "O16: changes, totals and deltas of one sum",
        Job::new("all-of-a-sum", (steps, signs, plain)),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store(STEPS, tally(expected))
    .store(WITH, tally(signed.collect::<Vec<_>>()))
    .store(WORDS, tally(sales.iter().map(|s| (s.shop[..1].to_string(), s.cents))))
}

fn one_partition() -> Case {
    let (lines, input) = some_lines(210);
    let mut log = input
        .source(LINES.name())
        .cloned()
        .unwrap_or_else(|| SourceInput::text(210, [""]));
    log.events.iter_mut().for_each(|e| e.partition = 0);
    log.partitions = 1;
    // Every tenth occurrence of a word.
    let tenth = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)))
        .scan_by_key(COUNTS)
        .filter_values(|n: &u64| n.is_multiple_of(10))
        .map_values(|n| *n as i64)
        .sum_by_key(WORDS);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut expected = Vec::new();
    for word in words(&lines) {
        let n = counts.entry(word.clone()).or_default();
        *n += 1;
        if n.is_multiple_of(10) {
            expected.push((word, *n as i64));
        }
    }
    Case::new(
        "O15: several records of one key in a record and in a chunk",
        Job::new("every-tenth-word", tenth),
        Input::of(LINES, log),
    )
    .store(COUNTS, counts)
    .store(WORDS, tally(expected))
}

const WAS: Store<(String, i64, i64), u64> = Store::new("was");
const NEWEST: Store<String, Buffer<i64>> = Store::new("newest");
const GOOD: Store<String, i64> = Store::new("good");
const IDS: Store<(u32, u64), LastSeen> = Store::new("ids");

const RUNNING_AS_OF: Store<String, Timeline<i64>> = Store::new("running-as-of");
const GOOD_AS_OF: Store<String, Timeline<i64>> = Store::new("good-as-of");

/// The versions of a store add up to what it has: how many of them are apart depends on the batches of the platform.
fn add_up(versions: &Timeline<i64>, total: &i64) -> Result<(), String> {
    match versions.total() {
        Some(sum) if sum == *total => Ok(()),
        sum => Err(format!("its versions add up to {sum:?}, not to {total}")),
    }
}

/// Far enough back that no record is too late.
const ALL: u32 = 1_000_000;

/// The sales of the shop before this one in the log with times below its own.
fn before(sales: &[Sale], l: usize) -> impl Iterator<Item = (usize, &Sale)> {
    let left = &sales[l];
    let before = sales[..l].iter().enumerate();
    before.filter(move |(_, r)| r.shop == left.shop && r.at < left.at)
}

fn shops() -> KeyedProducer<String, i64> {
    SALES
        .read()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .within_partition()
}

fn joins_a_store() -> Case {
    let (sales, input) = kept(211);
    let was = shops()
        .left_join(RUNNING.as_service().horizon(ALL))
        .keyed_pairs(|shop: &String, (cents, was), out| {
            out.emit((shop.as_str(), *cents, was.unwrap_or(i64::MIN)), 1);
        })
        .sum_by_key(WAS);
    let expected = (0..sales.len()).map(|l| {
        let values: Vec<i64> = before(&sales, l).map(|(_, r)| r.cents).collect();
        let was = if values.is_empty() {
            i64::MIN
        } else {
            values.iter().sum()
        };
        ((sales[l].shop.clone(), sales[l].cents, was), 1)
    });
    Case::new(
        "O17: a store of the job as of event time",
        Job::new("joins-a-store", (shops().sum_by_key(RUNNING), was)),
        input,
    )
    .store(RUNNING, by_shop(&sales))
    .store_within(RUNNING_AS_OF, by_shop(&sales), add_up)
    .store(WAS, tally(expected.collect::<Vec<_>>()))
}

fn joins_a_stream() -> Case {
    let (sales, input) = kept(212);
    let large = shops()
        .filter_values(|cents| cents % 3 == 0)
        .as_service(NEWEST)
        .horizon(ALL);
    let was = shops()
        .join(large)
        .keyed_pairs(|shop: &String, (cents, was), out| out.emit((shop.as_str(), *cents, *was), 1))
        .sum_by_key(WAS);
    let expected = (0..sales.len()).filter_map(|l| {
        let large = before(&sales, l).filter(|(_, r)| r.cents % 3 == 0);
        let (_, newest) = large.max_by_key(|(i, r)| (r.at, *i))?;
        Some(((sales[l].shop.clone(), sales[l].cents, newest.cents), 1))
    });
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let mut by_time: Vec<&Sale> = sales.iter().filter(|s| s.cents % 3 == 0).collect();
    by_time.sort_by_key(|s| s.at);
    newest.extend(by_time.into_iter().map(|s| (s.shop.clone(), s.cents)));
    Case::new(
        "O17: the newest of a stream as of event time",
        Job::new("joins-a-stream", was),
        input,
    )
    .store_within(NEWEST, newest, |buffer, cents| match buffer.total() {
        Some(last) if last.get() == Some(cents) => Ok(()),
        last => Err(format!("the newest is {last:?}, not {cents}")),
    })
    .store(WAS, tally(expected.collect::<Vec<_>>()))
}

fn loop_join() -> Case {
    let (sales, input) = kept(213);
    // What would take a shop below zero does not count.
    let good = shops()
        .left_join(GOOD.as_service().horizon(ALL))
        .filter_values(|(cents, was)| was.unwrap_or(0) + cents >= 0)
        .map_values(|(cents, _)| *cents)
        .sum_by_key(GOOD);
    let mut kept: Vec<bool> = Vec::new();
    for l in 0..sales.len() {
        let was: i64 = before(&sales, l).filter(|(i, _)| kept[*i]).map(|(_, r)| r.cents).sum();
        kept.push(was + sales[l].cents >= 0);
    }
    let good_ones = sales.iter().zip(&kept).filter(|(_, kept)| **kept);
    let expected = tally(good_ones.map(|(s, _)| (s.shop.clone(), s.cents)).collect::<Vec<_>>());
    Case::new(
        "O18: a store that is built of what its join emits",
        Job::new("loop-join", good),
        input,
    )
    .store(GOOD, expected.clone())
    .store_within(GOOD_AS_OF, expected, add_up)
}

fn once_per_id() -> Case {
    let (sales, mut input) = (sales(214, 1_500), Input::default());
    let mut log = SourceInput::json(214, sales.iter().map(Sale::json));
    log.events.iter_mut().for_each(|e| e.partition = 0);
    log.partitions = 1;
    input = input.and(SALES, log);
    let once = SALES
        .read()
        .dedupe_by(IDS, ALL, |s| s.cents.unsigned_abs() % 700)
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .sum_by_key(RUNNING);
    let mut seen = BTreeSet::new();
    let first: Vec<Sale> = sales
        .into_iter()
        .filter(|s| seen.insert(s.cents.unsigned_abs() % 700))
        .collect();
    Case::new("O21: once per id", Job::new("once-per-id", once), input)
        .store(RUNNING, by_shop(&first))
        // The batch is one of the platform's own.
        .store_within(IDS, seen.into_iter().map(|id| ((0, id), ())), |_, ()| Ok(()))
}
