//! A job of operators with memory: every balance after every payment, and how many accounts have seen how many payments.

use std::collections::BTreeMap;

use rufous::prelude::*;

/// `account cents` a line; an account stays in its partition. Without times, so batches are some bytes.
pub const PAYMENTS: Source<str> = Source::new("payments").batches(Batcher::of_offsets(2_000));
/// Balances.
pub const BALANCES: Store<String, i64> = Store::new("balances");
/// How often an account had a balance after a payment: one that was emitted from a wrong state is a key too many.
pub const SEEN: Store<(String, i64), i64> = Store::new("seen");
/// How many payments an account has seen.
pub const PAID: Store<String, u64> = Store::new("paid");
/// How many accounts have seen so many.
pub const ACCOUNTS: Store<u64, i64> = Store::new("accounts");

/// The job.
pub fn running() -> Job {
    let pairs = PAYMENTS
        .read()
        .keyed(|line, out| {
            if let Some((account, cents)) = line.split_once(' ') {
                out.emit(account, cents.parse::<i64>().unwrap_or_default());
            }
        })
        .within_partition();
    let seen = pairs
        .clone()
        .scan_by_key(BALANCES)
        .named("balances-after")
        .keyed_pairs(|account: &String, balance, out| out.emit((account.as_str(), *balance), 1))
        .sum_by_key(SEEN);
    let accounts = pairs
        .map_values(|_| 1)
        .sum_by_key(PAID)
        .totals(|_, n, out| out.emit(*n, 1))
        .sum_by_key(ACCOUNTS);
    Job::new("running", (seen, accounts))
}

/// What the stores hold after these lines, by a loop.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Balances.
    pub balances: BTreeMap<String, i64>,
    /// Balances after a payment.
    pub seen: BTreeMap<(String, i64), i64>,
    /// Accounts by payments.
    pub accounts: BTreeMap<u64, i64>,
}

/// Folds lines, those of an account in their order.
pub fn fold<'a>(lines: impl IntoIterator<Item = &'a str>) -> Folded {
    let mut folded = Folded::default();
    let mut paid: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        let Some((account, cents)) = line.split_once(' ') else {
            continue;
        };
        let balance = folded.balances.entry(account.to_string()).or_default();
        *balance += cents.parse::<i64>().unwrap_or_default();
        *folded.seen.entry((account.to_string(), *balance)).or_default() += 1;
        *paid.entry(account).or_default() += 1;
    }
    for n in paid.into_values() {
        *folded.accounts.entry(n).or_default() += 1;
    }
    folded
}
