//! Operators that read several sources of one partitioning: partition i of all of them is one domain, in log order (O1, O3). Then
//! those of which all partitions are one (`spread`).
//! What they emit depends on which record of which source comes first, so a platform that does not wait, or that cuts its layers
//! unevenly, leaves other values behind. Expected are folds over one sorted list.

use std::collections::BTreeMap;

use rufous_algebra::{Max, Timeline};

use super::super::case::Case;
use super::super::input::{Event, Input, START_MS, SourceInput};
use super::super::random::Random;
use super::super::records::{Sale, sales};
use super::plain::tally;
use crate::batch::Clock;
use crate::decode::Format;
use crate::job::Job;
use crate::port::{Source, Store};
use crate::producer::{Buffer, KeyedProducer};
use crate::time::{HOUR_MS, MINUTE_MS};

const PAYMENTS: Source<str> = Source::new("payments");
const DEPOSITS: Source<str> = Source::new("deposits");
const FEES: Source<str> = Source::new("fees");
const NORTH: Source<Sale> = Source::new("north").timed_by(|s: &Sale| s.at).batch_clock(Clock::Event);
const SOUTH: Source<Sale> = Source::new("south").timed_by(|s: &Sale| s.at).batch_clock(Clock::Event);
const RUNNING: Store<String, i64> = Store::new("running");
const TRACE: Store<(String, i64), u64> = Store::new("trace");
const CHARGED: Store<String, i64> = Store::new("charged");
const CHARGES: Store<(String, i64), u64> = Store::new("charges");
const COUNTS: Store<String, u64> = Store::new("counts");
const WITH: Store<u64, i64> = Store::new("with-so-many");
const HIGHEST: Store<String, Max<i64>> = Store::new("highest");
const RISES: Store<String, u64> = Store::new("rises");
const ALL: Store<String, i64> = Store::new("all-of-one");

/// The cases for platforms that give several partitions one order. Each partition of a log that is read live to its end needs a
/// heartbeat there, or its last records wait for ever.
pub fn domains() -> Vec<Case> {
    let mut cases = vec![balances(), overlapping(), in_a_row(), by_event_time(), joined()];
    cases.extend(super::spread::cases());
    cases
}

pub(super) fn pairs(source: Source<str>) -> KeyedProducer<String, i64> {
    source.read().keyed(|line, out| {
        if let Some((account, cents)) = line.split_once(' ') {
            out.emit(account, cents.parse().unwrap_or(0));
        }
    })
}

pub(super) fn partition(account: &str, n: u32) -> u32 {
    account
        .bytes()
        .fold(11_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)))
        % n
}

/// Lines of one source: in bursts, so that runs of one source are long and short; late by up to half an hour, now and then by
/// hours; times are whole minutes, so that many are equal in several sources. `from` and `to` are minutes.
pub(super) fn log(seed: u64, n: u64, (from, to): (u64, u64), partitions: u32) -> SourceInput {
    let mut random = Random::new(seed);
    let mut events = Vec::new();
    for i in 0..n {
        let minute = from + i * (to - from) / n;
        // Bursts of a quarter of an hour, at other times in other sources.
        let minute = if (minute / 15 + seed).is_multiple_of(3) {
            minute / 15 * 15
        } else {
            minute
        };
        let late = match random.below(40) {
            0 => random.below(180),
            1..=9 => random.below(30),
            _ => 0,
        };
        let account = format!("account-{}", random.mostly_small(25));
        events.push(Event {
            partition: partition(&account, partitions),
            log_time_ms: START_MS + ((minute.saturating_sub(late)) * MINUTE_MS) as i64,
            payload: format!("{account} {}", random.below(2_000) as i64 - 900).into_bytes(),
        });
    }
    SourceInput {
        format: Format::Text,
        partitions,
        events,
    }
}

/// A record where log order has it.
#[derive(Clone)]
pub(super) struct Stands {
    pub(super) source: &'static str,
    pub(super) batch: i64,
    pub(super) time: i64,
    pub(super) offset: u64,
    pub(super) key: String,
    pub(super) value: i64,
}

/// All records in log order, from its definition: by batch, greatest time of the partition so far in the batch, name, partition.
/// `clock` says a record's time, `read` its key and value.
pub(super) fn in_log_order(
    logs: &[(&'static str, &SourceInput)],
    clock: impl Fn(&str, usize) -> i64,
    read: impl Fn(&str, usize) -> (String, i64),
) -> Vec<Stands> {
    let mut all = Vec::new();
    for (name, log) in logs {
        let mut partitions: BTreeMap<u32, (i64, i64, u64)> = BTreeMap::new();
        for (i, event) in log.events.iter().enumerate() {
            let time = clock(name, i);
            let hour = time.div_euclid(HOUR_MS as i64);
            let (batch, greatest, next) = partitions.entry(event.partition).or_insert((hour, time, 0));
            if hour > *batch {
                (*batch, *greatest) = (hour, time);
            }
            *greatest = time.max(*greatest);
            *next += 1;
            let (key, value) = read(name, i);
            let source = *name;
            all.push((
                (*batch, *greatest, source, event.partition, i),
                Stands {
                    source,
                    batch: *batch,
                    time,
                    offset: *next - 1,
                    key,
                    value,
                },
            ));
        }
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, stands)| stands).collect()
}

pub(super) fn lines_in_log_order(logs: &[(&'static str, &SourceInput)]) -> Vec<Stands> {
    let event = |name: &str, i: usize| {
        let log = logs.iter().find(|(n, _)| *n == name).map(|(_, log)| &log.events[i]);
        log.expect("a log of the case")
    };
    in_log_order(
        logs,
        |name, i| event(name, i).log_time_ms,
        |name, i| {
            let line = String::from_utf8_lossy(&event(name, i).payload).into_owned();
            let (key, value) = line.split_once(' ').expect("a pair");
            (key.to_string(), value.parse().expect("a number"))
        },
    )
}

/// Totals after each record.
pub(super) fn after_each<'a>(all: impl IntoIterator<Item = &'a Stands>) -> Vec<(String, i64)> {
    let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
    let mut after = Vec::new();
    for r in all {
        let total = totals.entry(&r.key).or_default();
        *total += r.value;
        after.push((r.key.clone(), *total));
    }
    after
}

pub(super) fn sums<'a>(all: impl IntoIterator<Item = &'a Stands>) -> BTreeMap<String, i64> {
    tally(all.into_iter().map(|r| (r.key.clone(), r.value)))
}

/// Two sources, one of them slower and with a pause of two hours; one store that both feed.
fn balances() -> Case {
    let payments = log(301, 1_500, (0, 360), 3);
    let mut deposits = log(302, 400, (3, 365), 3);
    let quiet = START_MS + 100 * MINUTE_MS as i64..START_MS + 230 * MINUTE_MS as i64;
    deposits.events.retain(|e| !quiet.contains(&e.log_time_ms));
    let trace = pairs(PAYMENTS)
        .merge(pairs(DEPOSITS))
        .within_partition()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits)]);
    let input = Input::of(PAYMENTS, payments).and(DEPOSITS, deposits);
    Case::new(
        "O3: balances after each record of two sources, in one order",
        Job::new("balances-of-two-sources", trace),
        input,
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))))
}

/// A payment finds the deposits that were logged before it with earlier times, and the newest of the fees.
fn joined() -> Case {
    const FOUND: Store<(String, i64, i64), u64> = Store::new("found");
    const FEE: Store<String, Buffer<i64>> = Store::new("fee");
    const DEPOSITED: Store<String, i64> = Store::new("deposited");
    const VERSIONS: Store<String, Timeline<i64>> = Store::new("deposited-as-of");
    /// Far enough back that no record is too late.
    const ALL: u32 = 1_000;
    let (payments, deposits, fees) = (
        log(331, 700, (0, 330), 3),
        log(332, 300, (2, 335), 3),
        log(333, 90, (1, 320), 3),
    );
    let fee = pairs(FEES).within_partition().as_service(FEE).horizon(ALL);
    let found = pairs(PAYMENTS)
        .within_partition()
        .left_join(DEPOSITED.as_service().horizon(ALL))
        .map_values(|(_, deposited)| deposited.unwrap_or(i64::MIN))
        .left_join(fee)
        .keyed_pairs(|account: &String, (deposited, fee), out| {
            out.emit((account.as_str(), *deposited, fee.unwrap_or(i64::MIN)), 1);
        })
        .sum_by_key(FOUND);
    let deposited = pairs(DEPOSITS).within_partition().sum_by_key(DEPOSITED);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits), ("fees", &fees)]);
    let mut expected = Vec::new();
    for (l, payment) in all.iter().enumerate().filter(|(_, r)| r.source == "payments") {
        let before = |source: &'static str| {
            let before = all[..l].iter().enumerate();
            before.filter(move |(_, r)| r.source == source && r.key == payment.key && r.time < payment.time)
        };
        let deposited: Vec<i64> = before("deposits").map(|(_, r)| r.value).collect();
        let deposited = if deposited.is_empty() {
            i64::MIN
        } else {
            deposited.iter().sum()
        };
        let fee = before("fees")
            .max_by_key(|(i, r)| (r.time, *i))
            .map_or(i64::MIN, |(_, r)| r.value);
        expected.push(((payment.key.clone(), deposited, fee), 1));
    }
    let totals = |source: &'static str| sums(all.iter().filter(|r| r.source == source));
    let newest = all.iter().enumerate().filter(|(_, r)| r.source == "fees");
    let mut last: BTreeMap<String, (i64, usize, i64)> = BTreeMap::new();
    for (i, r) in newest {
        let known = last.entry(r.key.clone()).or_insert((r.time, i, r.value));
        *known = (*known).max((r.time, i, r.value));
    }
    let input = Input::of(PAYMENTS, payments).and(DEPOSITS, deposits).and(FEES, fees);
    Case::new(
        "O17: a store and a stream of other sources, as of event time",
        Job::new("joined-with-two-sources", (found, deposited)),
        input,
    )
    .store(FOUND, tally(expected))
    .store(DEPOSITED, totals("deposits"))
    .store_within(VERSIONS, totals("deposits"), |versions, total| {
        (versions.total() == Some(*total))
            .then_some(())
            .ok_or_else(|| format!("{versions:?}"))
    })
    .store_within(FEE, last, |buffer, (_, _, value)| {
        let newest = buffer.total();
        (newest.as_ref().and_then(|n| n.get()) == Some(value))
            .then_some(())
            .ok_or_else(|| format!("{newest:?}, not {value}"))
    })
}

/// Operators that share a source share its order; sums of the same sources do not wait for anything but give the same.
fn overlapping() -> Case {
    let (payments, deposits, fees) = (
        log(303, 900, (0, 300), 2),
        log(304, 500, (20, 320), 2),
        log(305, 300, (10, 290), 2),
    );
    let (paid, put, charged) = (
        pairs(PAYMENTS).within_partition(),
        pairs(DEPOSITS).within_partition(),
        pairs(FEES).within_partition(),
    );
    let trace = paid
        .clone()
        .merge(put)
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(TRACE);
    let charges = paid
        .clone()
        .merge(charged)
        .sum_by_key(CHARGED)
        .changes()
        .keyed_pairs(|account: &String, (before, after), out| {
            out.emit((account.as_str(), after - before.unwrap_or(0)), 1);
            out.emit((account.as_str(), *after), 1);
        })
        .sum_by_key(CHARGES);
    let plain = paid
        .map_keys(|account: &String| account[..9].to_string())
        .sum_by_key(ALL);
    let logs = [("payments", &payments), ("deposits", &deposits), ("fees", &fees)];
    let all = lines_in_log_order(&logs);
    let of = |names: [&'static str; 2]| all.iter().filter(move |r| names.contains(&r.source));
    let charged = after_each(of(["payments", "fees"]));
    let steps = of(["payments", "fees"]).map(|r| ((r.key.clone(), r.value), 1));
    let expected = steps.chain(charged.into_iter().map(|(k, n)| ((k, n), 1)));
    let plainly = all.iter().filter(|r| r.source == "payments");
    let case = Case::new(
        "O5: operators that share a source are in one order",
        Job::new("overlapping-domains", (trace, charges, plain)),
        Input::default(),
    )
    .store(RUNNING, sums(of(["payments", "deposits"])))
    .store(
        TRACE,
        tally(
            after_each(of(["payments", "deposits"]))
                .into_iter()
                .map(|(k, n)| ((k, n), 1)),
        ),
    )
    .store(CHARGED, sums(of(["payments", "fees"])))
    .store(CHARGES, tally(expected.collect::<Vec<_>>()))
    .store(
        ALL,
        tally(plainly.map(|r| (r.key[..9].to_string(), r.value)).collect::<Vec<_>>()),
    );
    let input = Input::of(PAYMENTS, payments).and(DEPOSITS, deposits).and(FEES, fees);
    Case { input, ..case }
}

/// An operator of one source above one of two, and totals beside.
fn in_a_row() -> Case {
    let (payments, deposits) = (log(306, 1_000, (0, 300), 2), log(307, 1_000, (1, 301), 2));
    let paid = pairs(PAYMENTS).within_partition();
    // The highest that an account's payments, or a single deposit, ever came to.
    let rises = paid
        .clone()
        .scan_by_key(RUNNING)
        .merge(pairs(DEPOSITS).within_partition())
        .map_values(|n| Max::of(*n))
        .sum_by_key(HIGHEST)
        .changes()
        .filter_values(|(before, after)| before.as_ref() != Some(after))
        .map_values(|_| 1)
        .sum_by_key(RISES);
    let with = paid
        .merge(pairs(DEPOSITS).within_partition())
        .map_values(|_| 1)
        .sum_by_key(COUNTS)
        .totals(|_, n, out| out.emit(*n / 7, 1))
        .sum_by_key(WITH);
    let all = lines_in_log_order(&[("payments", &payments), ("deposits", &deposits)]);
    let mut running: BTreeMap<&str, i64> = BTreeMap::new();
    let mut highest: BTreeMap<String, i64> = BTreeMap::new();
    let mut expected: Vec<(String, u64)> = Vec::new();
    for r in &all {
        let value = if r.source == "payments" {
            let total = running.entry(&r.key).or_default();
            *total += r.value;
            *total
        } else {
            r.value
        };
        if highest.get(&r.key).is_none_or(|h| *h < value) {
            highest.insert(r.key.clone(), value);
            expected.push((r.key.clone(), 1));
        }
    }
    let counts: BTreeMap<String, u64> = tally(all.iter().map(|r| (r.key.clone(), 1)));
    let with_so_many: BTreeMap<u64, i64> = tally(counts.values().map(|n| (*n / 7, 1)));
    let paid = all.iter().filter(|r| r.source == "payments");
    let case = Case::new(
        "operators in a row, the second with another source: in the order of the coarser domain",
        Job::new("a-source-joins-later", (rises, with)),
        Input::default(),
    )
    .store(RUNNING, sums(paid))
    .store(HIGHEST, highest.into_iter().map(|(k, n)| (k, Max::of(n))))
    .store(RISES, tally(expected))
    .store(COUNTS, counts)
    .store(WITH, with_so_many);
    let input = Input::of(PAYMENTS, payments).and(DEPOSITS, deposits);
    Case { input, ..case }
}

fn by_event_time() -> Case {
    let of = |seed, n| {
        let sales = sales(seed, n);
        let mut log = SourceInput::json(seed, sales.iter().map(Sale::json));
        for (event, sale) in log.events.iter_mut().zip(&sales) {
            event.partition = partition(&sale.shop, 3);
        }
        (sales, log)
    };
    let ((north, north_log), (south, south_log)) = (of(308, 900), of(309, 600));
    let pairs = |source: Source<Sale>| source.read().keyed(|s, out| out.emit(s.shop.as_str(), s.cents));
    let trace = pairs(NORTH)
        .merge(pairs(SOUTH))
        .within_partition()
        .scan_by_key(RUNNING)
        .keyed_pairs(|shop: &String, total, out| out.emit((shop.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let sale = |name: &str, i: usize| if name == "north" { &north[i] } else { &south[i] };
    let all = in_log_order(
        &[("north", &north_log), ("south", &south_log)],
        |name, i| sale(name, i).at.0,
        |name, i| (sale(name, i).shop.clone(), sale(name, i).cents),
    );
    let case = Case::new(
        "O3 where event time cuts",
        Job::new("totals-of-two-sources-by-event-time", trace),
        Input::default(),
    )
    .store(RUNNING, sums(&all))
    .store(TRACE, tally(after_each(&all).into_iter().map(|(k, n)| ((k, n), 1))));
    let input = Input::of(NORTH, north_log).and(SOUTH, south_log);
    Case { input, ..case }
}
