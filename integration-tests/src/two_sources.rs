//! Jobs whose operator reads two sources in one order: balances after each payment and each deposit.

use std::collections::BTreeMap;

use rufous::prelude::*;

/// `milliseconds account cents` a line.
pub const PAYMENTS: Source<str> = Source::new("payments").timed_by(time);
/// The same.
pub const DEPOSITS: Source<str> = Source::new("deposits").timed_by(time);
/// Balances.
pub const BALANCES: Store<String, i64> = Store::new("balances");
/// How often an account had a balance: one that was emitted out of order is a key too many.
pub const SEEN: Store<(String, i64), i64> = Store::new("seen");

/// Every balance that was emitted.
pub const EMITTED: Sink<(String, i64)> = Sink::new("emitted");

fn time(line: &str) -> Timestamp {
    Timestamp(line.split(' ').next().and_then(|t| t.parse().ok()).unwrap_or_default())
}

/// An account stays in its partition, the same one in both.
pub fn two_sources() -> Job {
    balances("two-sources", false, |pairs| pairs.within_partition())
}

/// The same, which also writes what it emits.
pub fn two_sources_written() -> Job {
    balances("two-sources-written", true, |pairs| pairs.within_partition())
}

/// An account is in any partition.
pub fn one_order() -> Job {
    balances("one-order", false, |pairs| pairs.in_log_order())
}

type Pairs = KeyedProducer<String, i64>;

fn balances(name: &'static str, writes: bool, promise: fn(Pairs) -> Pairs) -> Job {
    let pairs = |source: Source<str>| {
        source.read().keyed(|line, out| {
            let mut parts = line.split(' ').skip(1);
            if let (Some(account), Some(cents)) = (parts.next(), parts.next()) {
                out.emit(account, cents.parse::<i64>().unwrap_or_default());
            }
        })
    };
    let balances = promise(pairs(PAYMENTS).merge(pairs(DEPOSITS))).scan_by_key(BALANCES);
    let seen = balances
        .clone()
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(SEEN);
    if writes {
        return Job::new(name, (seen, balances.pairs().write(EMITTED)));
    }
    Job::new(name, seen)
}

/// A line as it was written.
pub struct Line {
    /// Which source.
    pub source: &'static str,
    /// Which file.
    pub partition: usize,
    /// Its time, in milliseconds.
    pub time: i64,
    /// Its account.
    pub account: String,
    /// Its cents.
    pub cents: i64,
}

/// Balances, and how often each was seen, after lines that are given file by file in their order: by hour, by the greatest time of
/// the file so far in it, by source, by file.
pub fn fold(lines: &[Line]) -> (BTreeMap<String, i64>, BTreeMap<(String, i64), i64>) {
    let mut stands: BTreeMap<(&str, usize), (i64, i64)> = BTreeMap::new();
    let mut all = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let hour = line.time.div_euclid(3_600_000);
        let at = stands.entry((line.source, line.partition)).or_insert((hour, line.time));
        if hour > at.0 {
            *at = (hour, line.time);
        }
        at.1 = at.1.max(line.time);
        all.push((*at, line.source, line.partition, i));
    }
    all.sort_unstable();
    let (mut balances, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for line in all.into_iter().filter_map(|(.., i)| lines.get(i)) {
        let balance: &mut i64 = balances.entry(line.account.clone()).or_default();
        *balance += line.cents;
        *seen.entry((line.account.clone(), *balance)).or_default() += 1;
    }
    (balances, seen)
}
