//! Payments over a generated ledger against the definitions of its operators, entry by entry.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use rufous_examples::payments::generate::{json_line, ledger};
use rufous_examples::payments::{BALANCES, COUNTED, Entry, OVERDRAWN, payments};

use super::Program;

const HOUR: i64 = 3_600_000;

/// What the ledger comes to, and how often each case occurred.
#[derive(Default)]
struct Plain {
    balances: BTreeMap<u64, i64>,
    overdrawn: BTreeMap<u64, u64>,
    counted: BTreeMap<u64, u64>,
    no_rate: u64,
    dropped: u64,
    /// Payments whose newest rate was not the last that was logged.
    not_the_last: u64,
    /// Payments that were asked about later than at their own time.
    clamped: u64,
}

/// O17: of the rates logged before and with earlier times the newest, not further back than two batches; O21: an id that did not
/// occur in the 24 batches before.
fn plain(entries: &[Entry]) -> Result<Plain> {
    let mut out = Plain::default();
    let mut batch = i64::MIN;
    let mut last_seen = BTreeMap::<u64, i64>::new();
    // Of each currency, in the order of the log: time, value.
    let mut rates = BTreeMap::<&str, Vec<(i64, i64)>>::new();
    for entry in entries {
        let at = entry.at.0;
        batch = batch.max(at.div_euclid(HOUR));
        let rates = rates.entry(entry.currency.as_str()).or_default();
        if entry.kind == "rate" {
            rates.push((at, entry.value.context("a value")?));
            continue;
        }
        let id = entry.id.context("an id")?;
        if last_seen.insert(id, batch).is_some_and(|last| last >= batch - 24) {
            out.dropped += 1;
            continue;
        }
        *out.counted.entry(id).or_default() += 1;
        let as_of = at.max((batch - 2) * HOUR);
        out.clamped += u64::from(as_of > at);
        let mut newest: Option<(i64, i64)> = None;
        for &(time, value) in rates.iter() {
            // Of equal times the one that was logged later.
            if time < as_of && newest.is_none_or(|(best, _)| time >= best) {
                newest = Some((time, value));
            }
        }
        let Some((time, value)) = newest else {
            out.no_rate += 1;
            continue;
        };
        out.not_the_last += u64::from(rates.last() != Some(&(time, value)));
        let cents = i128::from(entry.cents.context("cents")?) * i128::from(value) / 1_000_000;
        let account = entry.account.context("an account")?;
        let balance = out.balances.entry(account).or_default();
        *balance += i64::try_from(cents)?;
        if *balance < 0 {
            *out.overdrawn.entry(account).or_default() += 1;
        }
    }
    Ok(out)
}

fn check(program: &Program, what: &str, entries: &[Entry]) -> Result<Plain> {
    let want = plain(entries)?;
    let balances: BTreeMap<_, _> = program.all(BALANCES)?.into_iter().collect();
    let overdrawn: BTreeMap<_, _> = program.all(OVERDRAWN)?.into_iter().collect();
    let counted: BTreeMap<_, _> = program.all(COUNTED)?.into_iter().collect();
    ensure!(counted == want.counted, "{what}: times counted");
    ensure!(balances == want.balances, "{what}: balances");
    ensure!(overdrawn == want.overdrawn, "{what}: overdrawn");
    let no_rate = program.counter("no-rate")?;
    ensure!(
        no_rate == want.no_rate,
        "{what}: {no_rate} without a rate, expected {}",
        want.no_rate
    );
    Ok(want)
}

/// O15, O17, O21: live over a part, in bulk up to its sealed hours, live over the rest above that, and in bulk again.
#[test]
fn balances_by_the_rate_that_was_known() -> Result<()> {
    let all = ledger(7, 20_000);
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("ledger.jsonl");
    let append = |entries: &[Entry]| -> Result<()> {
        let lines: String = entries.iter().map(|entry| json_line(entry) + "\n").collect();
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&at)?;
        Ok(file.write_all(lines.as_bytes())?)
    };
    // In the second day: what is forgotten occurs on both sides.
    let (first, rest) = all.split_at(all.len() * 3 / 5);
    let exe = env!("CARGO_BIN_EXE_job-payments");
    let source = format!("ledger=file:{}", at.display());
    let program = Program::new(exe, payments().plan()?, &[source])?;
    append(first)?;
    program.run(&["stream", "--until-end"])?;
    check(&program, "live, a part", first)?;
    program.run(&["archive", "--until-end"])?;
    program.run(&["batch"])?;
    check(&program, "a generation and live", first)?;
    append(rest)?;
    program.run(&["stream", "--until-end"])?;
    check(&program, "the rest above a generation", &all)?;
    program.run(&["batch"])?;
    let cases = check(&program, "two generations and live", &all)?;
    let again = cases.counted.values().filter(|n| **n > 1).count();
    ensure!(
        cases.dropped > 500 && again > 20 && cases.no_rate > 10 && cases.not_the_last > 100 && cases.clamped > 100,
        "too few of a case: {} dropped, {again} counted again, {} without a rate, {} not by the last, {} clamped",
        cases.dropped,
        cases.no_rate,
        cases.not_the_last,
        cases.clamped
    );
    Ok(())
}
