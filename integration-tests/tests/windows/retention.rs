//! Hops at the edge of their retention, a publish a batch: what a window asks for that ends at the newest sealed batch is there,
//! what is older is refused or read from larger hops, and nobody can tell whether runs were merged since. The oracle adds up raw
//! records.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::client::{End, Window, WindowClient};
use rufous::core::{Format, Plan};
use rufous::prelude::*;
use rufous::store_api::Archive;
use rufous_integration_tests::run::{self, State};

const START: i64 = 1_609_459_200_000; // 2021-01-01T00:00Z
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const HOURS: i64 = 30;

const EVENTS: Source<str> = Source::new("events")
    .batches(Batcher::of_hours(1))
    .timed_by(|line| parts(line).0);
const SUMS: WindowedStore<String, i64> = WindowedStore::new(
    "sums",
    &[
        HopSize::minutes(10).keep_hours(2),
        HopSize::hours(1).keep_hours(6),
        HopSize::days(1),
    ],
);
const KEPT: [(i64, i64); 2] = [(10 * MINUTE, 2 * HOUR), (HOUR, 6 * HOUR)];

/// `MILLISECONDS KEY VALUE`
fn parts(line: &str) -> (Timestamp, &str, i64) {
    let mut parts = line.split(' ');
    let at = parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let key = parts.next().unwrap_or_default();
    (
        Timestamp(at),
        key,
        parts.next().and_then(|p| p.parse().ok()).unwrap_or(0),
    )
}

/// Every ten minutes one record of either key; now and then one that is hours late, into hops that are dropped already.
fn records() -> Vec<String> {
    let mut lines = Vec::new();
    for i in 0..HOURS * 6 {
        let at = START + i * 10 * MINUTE + i % 7 * MINUTE;
        lines.push(format!("{at} even {}", 1 + i % 5));
        lines.push(format!("{at} odd {}", 1 << (i % 20)));
        if i % 9 == 8 {
            lines.push(format!("{} even 1000", at - 3 * HOUR));
            lines.push(format!("{} odd 1000000", (at - 9 * HOUR).max(START)));
        }
    }
    lines
}

fn plain(lines: &[String], key: &str, span: &Range<Timestamp>) -> Option<i64> {
    let of_key = lines.iter().map(|line| parts(line));
    let inside = of_key.filter(|(at, k, _)| *k == key && span.contains(at));
    inside.map(|(.., value)| value).reduce(|a, b| a + b)
}

fn job() -> Job {
    let keyed = EVENTS.read().keyed(|line, out| {
        let (at, key, value) = parts(line);
        out.emit((key, at), value);
    });
    Job::new("retention", keyed.windowed_sum_by_key(SUMS))
}

/// All records live, and their archive.
fn live(lines: &[String], dir: &Path) -> Result<(State, Plan, Arc<dyn Archive>)> {
    let plan = job().plan()?;
    let (input, registry) = (dir.join("in"), dir.join("registry"));
    fs::create_dir_all(&input)?;
    fs::write(
        input.join("0.txt"),
        lines.iter().fold(String::new(), |t, l| t + l + "\n"),
    )?;
    let log = || run::local(&input, &registry, Format::Text);
    let state = State::disk(&plan, &dir.join("state"))?;
    state.stream(&plan, log()?)?;
    let archive = run::archive(&plan, log()?, &dir.join("archive"))?;
    Ok((state, plan, archive))
}

fn hour(n: i64) -> Timestamp {
    Timestamp(START + n * HOUR)
}

fn publish(state: &State, plan: &Plan, archive: &Arc<dyn Archive>, until: i64) -> Result<()> {
    let until = BatchId(hour(until).0.div_euclid(HOUR));
    let report = state.batch(plan, archive.clone(), Format::Text, false, Some(until))?;
    ensure!(report.published);
    Ok(())
}

fn windows(sealed: Timestamp) -> Vec<Window> {
    let mut all = vec![
        Window::last_hours(1, End::Sealed),
        Window::last_hours(2, End::Sealed),
        Window::last_hours(6, End::Sealed),
        Window::last_hops(3, HopSize::days(1), End::Sealed),
    ];
    for back in [1, 10, 60, 130, 400, 900] {
        let end = End::At(Timestamp(sealed.0 - back * MINUTE));
        all.extend([1, 2, 6, 24].map(|n| Window::last_hours(n, end)));
    }
    for ahead in [0, 7, 61] {
        let end = End::At(Timestamp(sealed.0 + ahead * MINUTE));
        all.extend([1, 2, 6, 24].map(|n| Window::last_hours(n, end)));
    }
    all
}

/// All answers as texts, each checked against the raw records where it is one.
fn answers(client: &WindowClient<String, i64>, lines: &[String], sealed: Timestamp) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for key in ["even", "odd"] {
        for window in windows(sealed) {
            match client.get(key, window) {
                Ok(found) => {
                    let value = found.answer.value;
                    let want = plain(lines, key, &found.covered);
                    ensure!(value == want, "{value:?}, not {want:?}: {key} {found}");
                    said.push(format!("{value:?} {found}"));
                }
                Err(e) => {
                    let e = e.to_string();
                    ensure!(e.contains("ask for a later start, or keep hops longer"), "{e}");
                    said.push(e);
                }
            }
        }
    }
    Ok(said)
}

/// Windows that end at the newest sealed batch are as fine as the declaration says, whatever was dropped.
fn nothing_is_missing(client: &WindowClient<String, i64>, sealed: Timestamp) -> Result<()> {
    for (hours, size) in [(1, "10m"), (2, "10m"), (6, "1h")] {
        let window = Window::last_hours(hours, End::Sealed);
        let found = client.get("even", window)?;
        let asked = Timestamp(sealed.0 - i64::from(hours) * HOUR)..sealed;
        ensure!(found.asked == asked && found.covered == asked, "{found}");
        ensure!(found.resolution.0.to_string() == size, "{found}");
        ensure!(client.get("even", window.aligned()).is_ok());
    }
    Ok(())
}

/// Single hops up to the edge: one that is gone is refused, never absent; the others are what the records say.
fn the_edge(client: &WindowClient<String, i64>, lines: &[String], sealed: Timestamp) -> Result<()> {
    let grid = SUMS.windows().grid()?;
    for (size, keep) in KEPT {
        let size = HopSize::milliseconds(size as u64);
        let edge = Timestamp(sealed.0 - keep);
        for back in -3..4 {
            let hop = grid.hop(
                size,
                Timestamp(edge.0 + back * size.fixed_ms().context("fixed")? as i64),
            );
            let span = grid.span_of(hop);
            let found = client.hops().get(("odd", hop));
            if span.end <= edge {
                let e = found.err().context("a hop that is gone")?.to_string();
                ensure!(e.contains("was dropped") && e.contains(&hop.to_string()), "{e}");
            } else {
                ensure!(found?.value == plain(lines, "odd", &span), "{hop}");
            }
        }
    }
    // A list has those that are kept.
    let mut kept = std::collections::BTreeMap::new();
    for (at, _, value) in lines.iter().map(|line| parts(line)).filter(|(_, key, _)| *key == "odd") {
        for hop in grid.hops(at) {
            let size = hop.size().fixed_ms().context("fixed")? as i64;
            let keep = KEPT.iter().find(|(of, _)| *of == size);
            if keep.is_none_or(|(_, keep)| grid.span_of(hop).end.0 > sealed.0 - keep) {
                *kept.entry(hop).or_insert(0) += value;
            }
        }
    }
    let listed = client.hops().under(("odd",))?.into_iter();
    let listed: std::collections::BTreeMap<_, _> = listed.map(|((_, hop), a)| (hop, a.value.unwrap_or(0))).collect();
    ensure!(listed == kept, "{listed:?}, not {kept:?}");
    let e = client.hops().top(3).err().context("hops of three sizes")?.to_string();
    ensure!(e.contains("hops of several sizes"), "{e}");
    Ok(())
}

/// A publish a batch, with merges in between, at every split; and the same from one publish that never merged anything.
#[test]
fn a_publish_a_batch() -> Result<()> {
    let (lines, dir) = (records(), tempfile::tempdir()?);
    let (state, plan, archive) = live(&lines, &dir.path().join("many"))?;
    let client = state.client(&plan).refresh_after(Duration::ZERO).windows(SUMS)?;
    let mut merged = false;
    for until in 1..HOURS {
        publish(&state, &plan, &archive, until)?;
        let said = answers(&client, &lines, hour(until)).with_context(|| format!("until {until}"))?;
        nothing_is_missing(&client, hour(until)).with_context(|| format!("until {until}"))?;
        the_edge(&client, &lines, hour(until)).with_context(|| format!("until {until}"))?;
        let manifest = state.manifests.newest(0)?.context("a manifest")?;
        ensure!(manifest.format == 2, "format {}", manifest.format);
        let keys = |m: &rufous::store_api::Manifest| m.stores["sums"].runs.iter().map(|r| r.keys).sum::<u64>();
        merged |= manifest.stores["sums"].runs.len() < until as usize;
        if until % 7 == 0 {
            let (once, plan, archive) = live(&lines, &dir.path().join(format!("once-{until}")))?;
            publish(&once, &plan, &archive, until)?;
            let client = once.client(&plan).windows(SUMS)?;
            let other = answers(&client, &lines, hour(until))?;
            ensure!(said == other, "until {until}: {said:#?} and {other:#?}");
            the_edge(&client, &lines, hour(until))?;
            let whole = once.manifests.newest(0)?.context("a manifest")?;
            ensure!(whole.stores["sums"].dropped == manifest.stores["sums"].dropped);
            // A run has a key of each hop; so many runs have at least as many, unless they forgot some.
            if until == 28 {
                ensure!(
                    keys(&manifest) < keys(&whole),
                    "{} keys, {} were not dropped",
                    keys(&manifest),
                    keys(&whole)
                );
            }
        }
    }
    ensure!(merged, "no runs were merged");
    Ok(())
}

/// A rollback goes back to runs that have their hops, and says so.
#[test]
fn a_rollback_has_its_hops() -> Result<()> {
    let (lines, dir) = (records(), tempfile::tempdir()?);
    let (state, plan, archive) = live(&lines, dir.path())?;
    let client = state.client(&plan).refresh_after(Duration::ZERO).windows(SUMS)?;
    let (mut before, mut number) = (Vec::new(), 0);
    for until in 12..22 {
        publish(&state, &plan, &archive, until)?;
        if until == 20 {
            before = answers(&client, &lines, hour(until))?;
            number = state.manifests.newest(0)?.context("a manifest")?.number;
        }
    }
    let then = state.manifests.get(number)?.context("the manifest of then")?;
    let current = state.manifests.newest(0)?.context("a manifest")?;
    ensure!(then.stores["sums"].dropped != current.stores["sums"].dropped);
    let back = then.rolled_back(&current, Timestamp(current.created_at.0 + 1));
    state.manifests.publish(&back)?;
    ensure!(answers(&client, &lines, hour(20))? == before);
    nothing_is_missing(&client, hour(20))?;
    the_edge(&client, &lines, hour(20))
}
