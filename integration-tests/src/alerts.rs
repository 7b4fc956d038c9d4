//! A job that writes: every balance below zero, after the payment that made it so, and every third payment twice.

use std::collections::BTreeMap;

use rufous::prelude::*;

use crate::running::PAYMENTS;

/// Balances.
pub const RUNNING: Store<String, i64> = Store::new("running");
/// Accounts that are below zero.
pub const OVERDRAWN: Sink<(String, i64)> = Sink::new("overdrawn");
/// Copies of payments, by a step that multiplies.
pub const COPIES: Sink<String> = Sink::new("copies");

/// The job.
pub fn alerts() -> Job {
    let overdrawn = PAYMENTS
        .read()
        .keyed(|line, out| {
            if let Some((account, cents)) = line.split_once(' ') {
                out.emit(account, cents.parse::<i64>().unwrap_or_default());
            }
        })
        .within_partition()
        .scan_by_key(RUNNING)
        .filter_values(|balance| *balance < 0)
        .pairs()
        .write(OVERDRAWN);
    let copies = PAYMENTS
        .read()
        .flat_map(|line, out| {
            if line.ends_with('3') {
                out.emit(format!("{line}, first"));
                out.emit(format!("{line}, second"));
            }
        })
        .write(COPIES);
    Job::new("alerts", (overdrawn, copies))
}

/// The same copies, and nothing else: a job without a store.
pub fn only_copies() -> Job {
    let copies = PAYMENTS.read().flat_map(|line, out| {
        if line.ends_with('3') {
            out.emit(format!("{line}, first"));
            out.emit(format!("{line}, second"));
        }
    });
    Job::new("only-copies", copies.write(COPIES))
}

/// What both sinks get of one partition, in order: by a loop.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Records as JSON text.
    pub overdrawn: Vec<String>,
    /// Texts.
    pub copies: Vec<String>,
}

/// Folds the lines of one partition.
pub fn expected<'a>(lines: impl IntoIterator<Item = &'a str>) -> Expected {
    let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
    let mut all = Expected::default();
    for line in lines {
        if line.ends_with('3') {
            all.copies.push(format!("{line}, first"));
            all.copies.push(format!("{line}, second"));
        }
        let Some((account, cents)) = line.split_once(' ') else {
            continue;
        };
        let balance = balances.entry(account).or_default();
        *balance += cents.parse::<i64>().unwrap_or_default();
        if *balance < 0 {
            all.overdrawn.push(format!("[\"{account}\",{balance}]"));
        }
    }
    all
}
