//! Operators in the test kit: partitions that are dealt by key, late and repeated records, every split; and what it says of a
//! promise that does not hold.

use rufous_core::{ErrorKind, Job, Source, Store, Timestamp};
use rufous_platform_memory::JobTest;

const PAYMENTS: Source<str> = Source::new("payments");
const RUNNING: Store<String, i64> = Store::new("running");
const OVERDRAWN: Store<String, u64> = Store::new("overdrawn");
const WITH: Store<i64, i64> = Store::new("accounts-with");

fn pair(line: &str) -> (&str, i64) {
    let (account, cents) = line.split_once(' ').unwrap_or((line, "0"));
    (account, cents.parse().unwrap_or(0))
}

fn overdrawn(promise: bool) -> Job {
    let pairs = PAYMENTS.read().keyed(|line, out| {
        let (account, cents) = pair(line);
        out.emit(account, cents);
    });
    let pairs = if promise { pairs.within_partition() } else { pairs };
    let overdrawn = pairs
        .scan_by_key(RUNNING)
        .filter_values(|balance| *balance < 0)
        .map_values(|_| 1)
        .sum_by_key(OVERDRAWN);
    Job::new("overdrawn", overdrawn)
}

fn by_account(line: &str) -> u64 {
    pair(line).0.bytes().map(u64::from).sum()
}

/// O15, the model of both layers: a balance is below zero as often as a fold says.
#[test]
fn balances_at_every_split() {
    let job = overdrawn(true);
    let run = job
        .test()
        .partitions_by(PAYMENTS, 3, |line: &str| by_account(line))
        .given(PAYMENTS, ["ann 10", "bob 5", "ann -30", "cid -1", "bob -10"])
        .advance(3_600_000)
        .given(PAYMENTS, ["ann 25", "bob 1", "cid 3"])
        .late(PAYMENTS, 7_200_000, ["ann -10", "bob 4"])
        .again(PAYMENTS, 4)
        .advance(3_600_000)
        .given(PAYMENTS, ["ann 1", "bob 1", "cid -9"])
        .every_split()
        .expect("one answer");
    assert_eq!(run.get(RUNNING, "ann"), Some(-4));
    assert_eq!(run.get(OVERDRAWN, "ann"), Some(3));
    assert_eq!(run.get(OVERDRAWN, "bob"), Some(2));
    assert_eq!(run.get(OVERDRAWN, "cid"), Some(2));
}

/// O16 in the model: how many accounts have which balance.
#[test]
fn totals_at_every_split() {
    let with = PAYMENTS
        .read()
        .keyed(|line, out| {
            let (account, cents) = pair(line);
            out.emit(account, cents);
        })
        .within_partition()
        .sum_by_key(RUNNING)
        .totals(|_, balance, out| out.emit(*balance, 1))
        .sum_by_key(WITH);
    let job = Job::new("with", with);
    let run = job
        .test()
        .partitions_by(PAYMENTS, 2, |line: &str| by_account(line))
        .given(PAYMENTS, ["ann 1", "bob 1", "cid 2", "ann -1"])
        .advance(3_600_000)
        .given(PAYMENTS, ["dan 0", "bob 1", "cid 1"])
        .every_split()
        .expect("one answer");
    // Zero as well: ann came back to it, dan has occurred.
    assert_eq!(run.get(WITH, 0), Some(2));
    assert_eq!(run.get(WITH, 2), Some(1));
    assert_eq!(run.get(WITH, 3), Some(1));
    assert_eq!(run.get(WITH, 1).unwrap_or(0), 0);
}

const DEPOSITS: Source<str> = Source::new("deposits");
const TRACE: Store<(String, i64), u64> = Store::new("trace");

/// O3-O5, the model of both layers over two sources in one order: at equal times by name, late records where their partition
/// stands, cut at batches that both have reached.
#[test]
fn two_sources_at_every_split() {
    let pairs = |source: Source<str>| {
        source.read().keyed(|line, out| {
            let (account, cents) = pair(line);
            out.emit(account, cents);
        })
    };
    let trace = pairs(PAYMENTS)
        .merge(pairs(DEPOSITS))
        .within_partition()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, total, out| out.emit((account.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let job = Job::new("two-sources", trace);
    let run = job
        .test()
        .partitions_by(PAYMENTS, 2, |line: &str| by_account(line))
        .partitions_by(DEPOSITS, 2, |line: &str| by_account(line))
        .every(0)
        // At one instant deposits come first, by their name.
        .given(PAYMENTS, ["ann -10", "bob -5"])
        .given(DEPOSITS, ["ann 30", "bob 7"])
        .advance(1_800_000)
        .given(PAYMENTS, ["ann -1", "cid -1"])
        .advance(3_600_000)
        .given(DEPOSITS, ["ann 100", "cid 50", "bob 1"])
        .advance(60_000)
        // Late: behind what its own partition has shown, whatever it says of itself.
        .given(PAYMENTS, ["ann -3", "cid -1", "bob -1"])
        .late(PAYMENTS, 3_600_000, ["ann -7", "bob -2"])
        .again(PAYMENTS, 3)
        .advance(3_600_000)
        .given(PAYMENTS, ["ann -1", "bob -1", "cid -1"])
        .advance(7_200_000)
        .given(DEPOSITS, ["ann 1", "bob 1", "cid 1"])
        .every_split()
        .expect("one answer");
    for (account, totals) in [
        ("ann", &[30, 20, 19, 119, 116, 109, 108, 109][..]),
        ("bob", &[7, 2, 3, 2, 0, -1, 0]),
        ("cid", &[-1, 49, 48, 47, 48]),
    ] {
        for total in totals {
            let times = totals.iter().filter(|t| *t == total).count() as u64;
            assert_eq!(run.get(TRACE, (account, *total)), Some(times), "{account} {total}");
        }
        assert_eq!(run.get(RUNNING, account), totals.last().copied());
    }
}

/// O1: no default where there are several partitions. O2: the promise is checked.
#[test]
fn partitions_without_a_common_order() {
    let lines = ["ann 1", "bob 2", "ann 3"];
    let job = overdrawn(false);
    job.test().given(PAYMENTS, lines).run().expect("one partition");
    let e = job.test().partitions(PAYMENTS, 2).given(PAYMENTS, lines).run();
    let e = e.err().expect("no common order");
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string()
            .contains("keys may come from 2 partitions of `payments`, which have no common order"),
        "{e}"
    );
    let job = overdrawn(true);
    // Dealt in turn: `ann` is in both.
    let e = job
        .test()
        .partitions(PAYMENTS, 2)
        .given(PAYMENTS, ["ann 1", "ann 3"])
        .run();
    let e = e.err().expect("a key in two partitions");
    assert!(
        e.to_string()
            .contains("key `ann` of `running` came from partitions 0 and 1"),
        "{e}"
    );
}

/// O1, O3-O5, the model of both layers over keys that come from all partitions: at equal times by number, late records where their
/// partition stands, cut at batches that all have reached.
#[test]
fn spread_keys_at_every_split() {
    let trace = PAYMENTS
        .read()
        .keyed(|line, out| {
            let (account, cents) = pair(line);
            out.emit(account, cents);
        })
        .in_log_order()
        .scan_by_key(RUNNING)
        .keyed_pairs(|account: &String, total, out| out.emit((account.as_str(), *total), 1))
        .sum_by_key(TRACE);
    let job = Job::new("spread", trace);
    let run = { job.test().clock(Timestamp(0)) }
        // In turn.
        .partitions(PAYMENTS, 2)
        .every(0)
        .given(PAYMENTS, ["ann -10", "ann 30"])
        .advance(1_800_000)
        .given(PAYMENTS, ["ann 1", "ann 2"])
        .advance(1_860_000)
        .given(PAYMENTS, ["ann 100"])
        // The other partition stands in the first hour yet.
        .late(PAYMENTS, 3_600_000, ["ann 5"])
        .again(PAYMENTS, 3)
        .advance(3_600_000)
        .given(PAYMENTS, ["ann 1", "ann 1"])
        .every_split()
        .expect("one answer");
    let totals = [-10, 20, 21, 23, 28, 128, 129, 130];
    for total in totals {
        assert_eq!(run.get(TRACE, ("ann", total)), Some(1), "{total}");
    }
    assert_eq!(run.all(TRACE).len(), totals.len());
    assert_eq!(run.get(RUNNING, "ann"), Some(130));
}
