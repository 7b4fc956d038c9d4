//! Windows over event time (issue 8, item 1): JSON cases in the manner of the window tests of feature stores, and random ones, each
//! over the model, live, and as a hybrid with the cut in the middle. The oracle adds up raw records, one by one, for every question:
//! O(n * q), and knows of no hop.

mod case;
mod random;
mod retention;
mod world;

use anyhow::{Context, Result, ensure};
use case::{Case, Question};
use rufous::client::Answer;
use rufous::prelude::*;
use world::{Asked, World};

/// The raw records of a key whose time is in the interval.
fn plain_sum(case: &Case, key: &str, covered: &std::ops::Range<Timestamp>) -> Option<i64> {
    let of_key = case
        .records
        .iter()
        .filter(|r| r.key == key && covered.start <= r.at && r.at < covered.end);
    of_key.map(|r| r.value).reduce(|a, b| a + b)
}

/// One question against one platform.
fn check(case: &Case, question: &Question, asked: &Asked) -> Result<()> {
    let window = question.window()?;
    let found = asked.client.get(question.key.as_str(), window);
    if let Some(words) = &question.error {
        let e = found.err().context("refused")?.to_string();
        ensure!(e.contains(words.as_str()), "`{e}` does not say `{words}`");
        ensure!(e.contains("store `sums"), "`{e}` does not name the store");
        return Ok(());
    }
    let found = found?;
    let Answer { value, .. } = found.answer;
    let covered = found.covered.clone();
    if let Some([from, to]) = &question.covered {
        let said = Timestamp::parse(from)?..Timestamp::parse(to)?;
        ensure!(covered == said, "covered {} to {}", covered.start, covered.end);
    }
    if let Some([start, end]) = &question.resolution {
        let (a, b) = found.resolution;
        ensure!(a.to_string() == *start && b.to_string() == *end, "resolution {a}, {b}");
    }
    if let Some(hops) = question.hops {
        ensure!(found.hops == hops, "{} hops", found.hops);
    }
    ensure!(value == question.sum, "{value:?}, the case says {:?}", question.sum);
    let plain = plain_sum(case, &question.key, &covered);
    ensure!(value == plain, "{value:?}, raw records add up to {plain:?}");
    Ok(())
}

#[test]
fn cases() -> Result<()> {
    let cases = case::all()?;
    ensure!(cases.len() >= 14, "{} cases", cases.len());
    for case in &cases {
        let world = World::of(case)?;
        for asked in world.platforms()? {
            for question in &case.questions {
                check(case, question, &asked)
                    .with_context(|| format!("case `{}`, {}: {question:?}", case.name, asked.what))?;
            }
        }
        world.memory(|totals, store| {
            for question in case.questions.iter().filter(|q| q.error.is_none()) {
                let [from, to] = question.covered.as_ref().context("what is covered")?;
                let span = Timestamp::parse(from)?..Timestamp::parse(to)?;
                let got = totals.window(store, question.key.as_str(), span)?;
                ensure!(
                    got == question.sum,
                    "case `{}`, the model: {got:?}: {question:?}",
                    case.name
                );
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Random records at edges, late and tied, and random windows: every answer is the sum of the raw records in what it says it
/// covers, and that is what was asked for, rounded outwards by less than a hop.
#[test]
fn raw_records_say_the_same() -> Result<()> {
    for seed in 0..6 {
        let case = random::case(seed);
        let world = World::of(&case)?;
        for asked in world.platforms()? {
            for (key, from, to) in random::questions(seed, &case) {
                let Ok(found) = asked
                    .client
                    .get(key.as_str(), rufous::client::Window::between(from, to))
                else {
                    ensure!(to <= from, "refused: {from} to {to}");
                    continue;
                };
                let covered = &found.covered;
                ensure!(covered.start <= from && to <= covered.end);
                let grid = asked.client.grid();
                let (start, end) = found.resolution;
                let last = Timestamp(to.0 - 1);
                ensure!(grid.span_of(grid.hop(start, from)).start == covered.start);
                ensure!(grid.span_of(grid.hop(end, last)).end == covered.end);
                let plain = plain_sum(&case, &key, covered);
                ensure!(
                    found.answer.value == plain,
                    "seed {seed}, {}: {:?} is not {plain:?} for `{key}` from {from} to {to}",
                    asked.what,
                    found.answer.value
                );
            }
        }
    }
    Ok(())
}

/// Tumbling and sliding windows of one snapshot, and the end at the newest sealed batch.
#[test]
fn series() -> Result<()> {
    use rufous::client::{End, Window};
    use std::time::Duration;
    let case = case::all()?
        .into_iter()
        .find(|c| c.name == "tied-and-on-edges")
        .context("the case")?;
    let world = World::of(&case)?;
    for asked in world.platforms()? {
        let at = |text: &str| Timestamp::parse(text);
        let day = Window::between(at("2021-06-01")?, at("2021-06-02")?);
        let hours = asked.client.tumbling("a", day, HopSize::hours(1))?;
        ensure!(hours.len() == 24);
        let mut before = at("2021-06-01")?;
        for hour in &hours {
            ensure!(hour.covered.start == before && hour.covered == hour.asked && hour.hops <= 2);
            ensure!(hour.answer.value == plain_sum(&case, "a", &hour.covered), "{hour}");
            before = hour.covered.end;
        }
        let weeks = asked.client.tumbling(
            "a",
            Window::between(at("2021-05-20")?, at("2021-06-10")?),
            HopSize::week(),
        )?;
        let starts: Vec<String> = weeks.iter().map(|w| w.asked.start.to_string()).collect();
        ensure!(
            starts
                == [
                    "2021-05-20T00:00:00Z",
                    "2021-05-24T00:00:00Z",
                    "2021-05-31T00:00:00Z",
                    "2021-06-07T00:00:00Z"
                ]
        );
        let (length, step) = (Duration::from_secs(3 * 3600), Duration::from_secs(600));
        let sliding = asked.client.sliding("a", day, length, step)?;
        ensure!(sliding.len() == 144);
        for window in &sliding {
            ensure!(window.asked.end.0 - window.asked.start.0 == 3 * 3_600_000);
            ensure!(
                window.answer.value == plain_sum(&case, "a", &window.covered),
                "{window}"
            );
        }
        // Aligned: refused where it would be rounded, and what it says can be asked for.
        let odd = Window::between(at("2021-06-01T00:01")?, at("2021-06-01T01:00")?).aligned();
        let e = asked.client.get("a", odd).err().context("refused")?.to_string();
        ensure!(e.contains("2021-06-01T00:00:00Z to 2021-06-01T01:00:00Z"), "{e}");
        let month = asked
            .client
            .get("a", Window::last_hops(1, HopSize::month(), End::At(at("2021-06-20")?)))?;
        ensure!(month.covered == (at("2021-06-01")?..at("2021-06-20")?));
        let sealed = asked.client.get("a", Window::last_days(2, End::Sealed));
        match asked.sealed {
            Some(end) => ensure!(sealed?.asked.end == end, "sealed until {end}"),
            None => ensure!(sealed.is_err_and(|e| e.to_string().contains("nothing is sealed"))),
        }
        let now = asked.client.get("a", Window::last_hours(1, End::Now))?;
        ensure!(now.answer.value.is_none() && now.covered.end >= now.asked.end);
    }
    Ok(())
}
