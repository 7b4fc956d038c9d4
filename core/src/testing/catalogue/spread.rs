//! Operators whose keys may come from all partitions: those of all sources are one domain, in log order (O1, O3). Nothing of a case
//! keeps a key in its partition, sources have different numbers of partitions, and some partitions are silent for hours.

use std::collections::BTreeMap;

use rufous_algebra::{Max, Timeline};

use super::super::case::Case;
use super::super::input::{Input, START_MS, SourceInput};
use super::super::random::Random;
use super::super::records::{Sale, sales};
use super::domains::{Stands, after_each, in_log_order, lines_in_log_order, log, pairs, partition, sums};
use super::plain::tally;
use crate::batch::Clock;
use crate::job::Job;
use crate::port::{Source, Store};
use crate::producer::{Buffer, LastSeen};
use crate::time::MINUTE_MS;

const PAYMENTS: Source<str> = Source::new("payments");
const DEPOSITS: Source<str> = Source::new("deposits");
const FEES: Source<str> = Source::new("fees");
const NORTH: Source<Sale> = Source::new("north").timed_by(|s: &Sale| s.at).batch_clock(Clock::Event);
const RUNNING: Store<String, i64> = Store::new("running");
const TRACE: Store<(String, i64), u64> = Store::new("trace");
const COUNTS: Store<String, u64> = Store::new("counts");
const WITH: Store<u64, i64> = Store::new("with-so-many");
const RISES: Store<(String, i64), u64> = Store::new("rises");
const FOUND: Store<(String, i64, i64), u64> = Store::new("found");
/// Far enough back that no record is too late.
const ALL: u32 = 1_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        one_source(),
        uneven(),
        beside_keyed(),
        in_a_row(),
        by_event_time(),
        once(),
        looked_up(),
        loops(),
    ]
}

/// The log of [`log`] with its lines dealt to any partition. The last one is silent until the middle.
fn scattered(seed: u64, n: u64, minutes: (u64, u64), partitions: u32) -> SourceInput {
    let mut random = Random::new(seed ^ 0x5ca7);
    let mut log = log(seed, n, minutes, partitions);
    let middle = START_MS + ((minutes.0 + minutes.1) / 2 * MINUTE_MS) as i64;
    for event in &mut log.events {
        let silent = u64::from(event.log_time_ms < middle && partitions > 1);
        event.partition = random.below(u64::from(partitions) - silent) as u32;
    }
    log
}

/// All operators on sums, of one source.
fn one_source() -> Case {
    let payments = scattered(401, 1_200, (0, 330), 3);
    let spread = pairs(PAYMENTS).in_log_order();
    let trace = spread
        .clone()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let counted = spread.map_values(|_| 1).sum_by_key(COUNTS);
    let rises = counted
        .clone()
        .changes()
        .keyed_pairs(|account: &String, (before, after), out| {
            out.emit(
                (
                    account.as_str(),
                    before.map_or(-1, |n| n as i64) * 1_000 + *after as i64,
                ),
                1,
            );
        })
        .sum_by_key(RISES);
    let with = counted.totals(|_, n, out| out.emit(*n / 7, 1)).sum_by_key(WITH);
    let all = lines_in_log_order(&[("payments", &payments)]);
    let counts: BTreeMap<String, u64> = tally(all.iter().map(|r| (r.key.clone(), 1)));
    let steps = counts.iter().flat_map(|(account, n)| {
        (0..*n as i64).map(|before| {
            let before_or_none = if before == 0 { -1 } else { before };
            ((account.clone(), before_or_none * 1_000 + before + 1), 1)
        })
    });
    Case::new(
        "O1: an account's payments are in all partitions",
        Job::new("spread-over-partitions", (trace, rises, with)),
        Input::of(PAYMENTS, payments),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
    .store(RISES, tally(steps.collect::<Vec<_>>()))
    .store(WITH, tally(counts.values().map(|n| (*n / 7, 1)).collect::<Vec<_>>()))
    .store(COUNTS, counts)
}

/// Two sources, one of 3 partitions and one of 5, of which one is always empty.
fn uneven() -> Case {
    let payments = scattered(402, 900, (0, 340), 3);
    let mut deposits = scattered(403, 500, (5, 350), 5);
    deposits
        .events
        .iter_mut()
        .filter(|e| e.partition == 2)
        .for_each(|e| e.partition = 1);
    let trace = pairs(PAYMENTS)
        .merge(pairs(DEPOSITS))
        .in_log_order()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits)]);
    Case::new(
        "O3: two sources of 3 and 5 partitions in one order",
        Job::new("uneven-sources-in-one-order", trace),
        Input::of(PAYMENTS, payments).and(DEPOSITS, deposits),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
}

/// One order of so many partitions that each has a record now and then. By itself: a log that hands out again what it has of half of
/// them whenever it has handed out some records never comes to an end here.
pub fn many_partitions() -> Case {
    let payments = scattered(413, 1_500, (0, 300), 64);
    let trace = pairs(PAYMENTS)
        .in_log_order()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let all = lines_in_log_order(&[("payments", &payments)]);
    Case::new(
        "O3: one order of 64 partitions",
        Job::new("one-order-of-64-partitions", trace),
        Input::of(PAYMENTS, payments),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
}

/// Which of a few groups an account is in.
fn group(account: &str) -> String {
    format!("group-{}", partition(account, 4))
}

/// An operator whose keys stay in their partition runs in the order of one beside it whose keys do not.
fn beside_keyed() -> Case {
    const GROUPS: Store<String, i64> = Store::new("groups");
    const GROUP_TRACE: Store<(String, i64), u64> = Store::new("group-trace");
    let payments = log(404, 900, (0, 300), 3);
    let (kept, spread) = (pairs(PAYMENTS).within_partition(), pairs(PAYMENTS).in_log_order());
    let trace = kept
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let groups = spread
        .map_keys(|account: &String| group(account))
        .scan_by_key(GROUPS)
        .keyed_pairs(|group: &String, sum, out| out.emit((group.as_str(), *sum), 1))
        .sum_by_key(GROUP_TRACE);
    let all = lines_in_log_order(&[("payments", &payments)]);
    let grouped: Vec<Stands> = all
        .iter()
        .map(|r| Stands {
            key: group(&r.key),
            ..r.clone()
        })
        .collect();
    Case::new(
        "O1: of two operators over one source the coarser domain is that of both",
        Job::new("keyed-beside-spread", (trace, groups)),
        Input::of(PAYMENTS, payments),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
    .store(GROUPS, sums(&grouped))
    .store(
        GROUP_TRACE,
        tally(after_each(&grouped).into_iter().map(|(k, n)| ((k, n), 1))),
    )
}

/// An operator on what another one emits, by another key.
fn in_a_row() -> Case {
    const HIGHEST: Store<String, Max<i64>> = Store::new("highest");
    let (payments, deposits) = (scattered(405, 800, (0, 310), 4), scattered(406, 300, (0, 300), 2));
    let rises = pairs(PAYMENTS)
        .in_log_order()
        .scan_by_key(RUNNING)
        .merge(pairs(DEPOSITS).in_log_order())
        .map_keys(|account: &String| group(account))
        .map_values(|n| Max::of(*n))
        .sum_by_key(HIGHEST)
        .changes()
        .filter_values(|(before, after)| before.as_ref() != Some(after))
        .keyed_pairs(|group: &String, (_, after), out| {
            out.emit((group.as_str(), after.get().copied().unwrap_or(i64::MIN)), 1);
        })
        .sum_by_key(RISES);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits)]);
    let mut running: BTreeMap<&str, i64> = BTreeMap::new();
    let mut highest: BTreeMap<String, i64> = BTreeMap::new();
    let mut expected = Vec::new();
    for r in &all {
        let value = if r.source == "payments" {
            let total = running.entry(&r.key).or_default();
            *total += r.value;
            *total
        } else {
            r.value
        };
        let group = group(&r.key);
        if highest.get(&group).is_none_or(|h| *h < value) {
            highest.insert(group.clone(), value);
            expected.push(((group, value), 1));
        }
    }
    Case::new(
        "O1: operators in a row, each in one order of all partitions",
        Job::new("spread-in-a-row", rises),
        Input::of(PAYMENTS, payments.clone()).and(DEPOSITS, deposits.clone()),
    )
    .store(RUNNING, sums(all.iter().filter(|r| r.source == "payments")))
    .store(HIGHEST, highest.into_iter().map(|(k, n)| (k, Max::of(n))))
    .store(RISES, tally(expected))
}

fn by_event_time() -> Case {
    let sales = sales(407, 900);
    let log = SourceInput::json(407, sales.iter().map(Sale::json));
    let trace = NORTH
        .read()
        .in_log_order()
        .keyed(|s, out| out.emit(s.shop.as_str(), s.cents))
        .scan_by_key(RUNNING)
        .keyed_pairs(|shop: &String, total, out| out.emit((shop.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let all = in_log_order(
        &[("north", &log)],
        |_, i| sales[i].at.0,
        |_, i| (sales[i].shop.clone(), sales[i].cents),
    );
    Case::new(
        "O3: all partitions, where event time cuts",
        Job::new("spread-by-event-time", trace),
        Input::of(NORTH, log),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
}

/// A record that a producer sent again to another partition.
fn once() -> Case {
    const IDS: Store<(u32, String), LastSeen> = Store::new("ids");
    let mut payments = scattered(408, 700, (0, 290), 3);
    // Times tell records apart: without them an id is its line.
    let mut random = Random::new(0x0ce5);
    let mut again = Vec::new();
    for (i, event) in payments.events.iter_mut().enumerate() {
        event.payload.extend_from_slice(format!(" {i}").as_bytes());
        if random.below(3) == 0 {
            let mut event = event.clone();
            event.partition = random.below(3) as u32;
            again.push((i + 1 + random.below(40) as usize, event));
        }
    }
    for (at, event) in again.into_iter().rev() {
        let at = at.min(payments.events.len());
        payments.events.insert(at, event);
    }
    let sum = PAYMENTS
        .read()
        .in_log_order()
        .dedupe_by(IDS, ALL, |line| line.rsplit(' ').next().unwrap_or("").to_string())
        .keyed(|line, out| {
            let mut words = line.split(' ');
            if let (Some(account), Some(cents)) = (words.next(), words.next()) {
                out.emit(account, cents.parse().unwrap_or(0));
            }
        })
        .sum_by_key(RUNNING);
    let all = in_log_order(
        &[("payments", &payments)],
        |_, i| payments.events[i].log_time_ms,
        |_, i| (String::from_utf8_lossy(&payments.events[i].payload).into_owned(), 0),
    );
    let mut last: BTreeMap<(u32, String), i64> = BTreeMap::new();
    let mut first = Vec::new();
    for r in &all {
        let words: Vec<&str> = r.key.split(' ').collect();
        if last.insert((0, words[2].to_string()), r.batch).is_none() {
            first.push((words[0].to_string(), words[1].parse::<i64>().expect("a number")));
        }
    }
    Case::new(
        "O21: an id that came from another partition is the same id",
        Job::new("once-over-partitions", sum),
        Input::of(PAYMENTS, payments.clone()),
    )
    .store(RUNNING, tally(first))
    .store(IDS, last.into_iter().map(|(id, batch)| (id, Max::of(batch))))
}

/// What records of `source` said of the key of record `l` before it, with times below its own.
fn before<'a>(all: &'a [Stands], l: usize, source: &'static str) -> impl Iterator<Item = &'a Stands> {
    let left = &all[l];
    let before = all[..l].iter();
    before.filter(move |r| r.source == source && r.key == left.key && r.time < left.time)
}

fn total<'a>(found: impl Iterator<Item = &'a Stands>) -> i64 {
    found.map(|r| r.value).reduce(|a, b| a + b).unwrap_or(i64::MIN)
}

/// The versions of a store add up to what it has.
fn add_up(versions: &Timeline<i64>, total: &i64) -> Result<(), String> {
    (versions.total() == Some(*total))
        .then_some(())
        .ok_or_else(|| format!("{versions:?}"))
}

/// Right sides that are partitioned in another way than the left one, and seen by all of it.
fn looked_up() -> Case {
    const FEE: Store<String, Buffer<i64>> = Store::new("fee");
    const DEPOSITED: Store<String, i64> = Store::new("deposited");
    const VERSIONS: Store<String, Timeline<i64>> = Store::new("deposited-as-of");
    let (payments, deposits, fees) = (
        log(409, 600, (0, 320), 3),
        scattered(410, 250, (2, 330), 4),
        scattered(411, 90, (1, 310), 2),
    );
    let fee = pairs(FEES).broadcast().as_service(FEE).horizon(ALL);
    let kept = pairs(PAYMENTS).within_partition();
    let found = kept
        .clone()
        .left_join(DEPOSITED.as_service().horizon(ALL))
        .map_values(|(_, deposited)| deposited.unwrap_or(i64::MIN))
        .left_join(fee)
        .keyed_pairs(|account: &String, (deposited, fee), out| {
            out.emit((account.as_str(), *deposited, fee.unwrap_or(i64::MIN)), 1);
        })
        .sum_by_key(FOUND);
    let trace = kept
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let deposited = pairs(DEPOSITS).broadcast().sum_by_key(DEPOSITED);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits), ("fees", &fees)]);
    let newest = |r: &&Stands| (r.time, r.offset, r.value);
    let left = all.iter().enumerate().filter(|(_, r)| r.source == "payments");
    let expected = left.map(|(l, payment)| {
        let fee = before(&all, l, "fees").max_by_key(newest).map_or(i64::MIN, |r| r.value);
        ((payment.key.clone(), total(before(&all, l, "deposits")), fee), 1)
    });
    let totals = |source: &'static str| sums(all.iter().filter(move |r| r.source == source));
    let mut last: BTreeMap<String, (i64, u64, i64)> = BTreeMap::new();
    for r in all.iter().filter(|r| r.source == "fees") {
        let known = last.entry(r.key.clone()).or_insert((r.time, r.offset, r.value));
        *known = (*known).max((r.time, r.offset, r.value));
    }
    let paid = after_each(all.iter().filter(|r| r.source == "payments"));
    let case = Case::new(
        "O1, O17: every left partition sees all of a right side that is partitioned in another way",
        Job::new("broadcast-right-sides", (found, trace, deposited)),
        Input::default(),
    )
    .store(FOUND, tally(expected.collect::<Vec<_>>()))
    .store(RUNNING, totals("payments"))
    .store(TRACE, tally(paid.into_iter().map(|(k, n)| ((k, n), 1))))
    .store(DEPOSITED, totals("deposits"))
    .store_within(VERSIONS, totals("deposits"), add_up)
    .store_within(FEE, last, |buffer, (_, _, value)| {
        let newest = buffer.total();
        (newest.as_ref().and_then(|n| n.get()) == Some(value))
            .then_some(())
            .ok_or_else(|| format!("{newest:?}, not {value}"))
    });
    let input = Input::of(PAYMENTS, payments).and(DEPOSITS, deposits).and(FEES, fees);
    Case { input, ..case }
}

/// O18: a payment counts half when its account had much; the account's payments are in all partitions.
fn loops() -> Case {
    const VERSIONS: Store<String, Timeline<i64>> = Store::new("running-as-of");
    const MUCH: i64 = 2_000;
    let payments = scattered(412, 500, (0, 300), 3);
    let counted = |cents: i64, had: Option<i64>| {
        if had.is_some_and(|had| had > MUCH) {
            cents / 2
        } else {
            cents
        }
    };
    let joined = pairs(PAYMENTS)
        .in_log_order()
        .left_join(RUNNING.as_service().horizon(ALL))
        .map_values(move |(cents, had)| counted(*cents, *had));
    let all = lines_in_log_order(&[("payments", &payments)]);
    // What each was counted as, from the definition.
    let mut values: Vec<i64> = Vec::new();
    for (l, left) in all.iter().enumerate() {
        let had = { all[..l].iter().zip(&values) }
            .filter(|(r, _)| r.key == left.key && r.time < left.time)
            .map(|(_, value)| *value)
            .reduce(|a, b| a + b);
        values.push(counted(left.value, had));
    }
    let totals: BTreeMap<String, i64> = tally(all.iter().zip(&values).map(|(r, v)| (r.key.clone(), *v)));
    let different = all.iter().zip(&values).filter(|(r, v)| r.value != **v).count();
    assert!(different > 20, "a case that shows something: {different}");
    Case::new(
        "O18: a store that depends on a join with itself, over all partitions",
        Job::new("spread-loop", joined.sum_by_key(RUNNING)),
        Input::of(PAYMENTS, payments.clone()),
    )
    .store_within(VERSIONS, totals.clone(), add_up)
    .store(RUNNING, totals)
}
