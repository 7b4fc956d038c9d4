//! Baselines that decay and hours that stand out against a plain computation over all flights.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rufous::{App, Estimate};
use rufous_examples::anomalies::report::{Anomaly, Rule, find};
use rufous_examples::anomalies::{BASELINE, BY_ORIGIN_HOUR, HALF_LIFE_MS, anomalies};
use rufous_integration_tests::{data, run};
use serde_json::Value;

use super::{Program, text};

/// A flight: where from, when (milliseconds), hour, delay.
struct Flight {
    origin: String,
    at: i64,
    hour: String,
    delay: i64,
}

fn flights<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Flight>> {
    let flight = |line| {
        let f: Value = serde_json::from_str(line)?;
        let date = text(&f, "date")?;
        Ok(Flight {
            origin: text(&f, "origin")?.into(),
            at: rufous::Timestamp::parse(date)?.0,
            hour: date.replace(' ', "T")[..13].into(),
            delay: f["delay"].as_i64().context("delay")?,
        })
    };
    lines.map(flight).collect()
}

/// The definition, in floats: weights relative to the newest flight, two passes.
fn baselines(flights: &[Flight]) -> BTreeMap<&str, (f64, f64)> {
    let newest = flights.iter().map(|f| f.at).max().unwrap_or(0);
    let mut by_origin = BTreeMap::<&str, Vec<(f64, f64)>>::new();
    for f in flights {
        let weight = ((f.at - newest) as f64 / HALF_LIFE_MS as f64).exp2();
        by_origin.entry(&f.origin).or_default().push((weight, f.delay as f64));
    }
    let moments = |all: Vec<(f64, f64)>| {
        let weight: f64 = all.iter().map(|(w, _)| w).sum();
        let mean = all.iter().map(|(w, x)| w * x).sum::<f64>() / weight;
        let variance = all.iter().map(|(w, x)| w * (x - mean) * (x - mean)).sum::<f64>() / weight;
        (mean, variance)
    };
    by_origin
        .into_iter()
        .map(|(origin, all)| (origin, moments(all)))
        .collect()
}

/// Bounds are narrow, and the plain floats, which have none, are as near as floats are.
fn near(got: Estimate, want: f64) -> bool {
    let room = 1e-9 * (1.0 + want.abs());
    got.high - got.low < room && (got.value - want).abs() < room
}

fn check(program: &Program, flights: &[Flight]) -> Result<usize> {
    let usual = baselines(flights);
    let got = program.all(BASELINE)?;
    ensure!(
        got.len() == usual.len(),
        "{} baselines, expected {}",
        got.len(),
        usual.len()
    );
    for (origin, baseline) in &got {
        let want = usual.get(origin.as_str()).context("an airport too many")?;
        let (mean, variance) = (
            baseline.mean().context("a mean")?,
            baseline.variance().context("a variance")?,
        );
        ensure!(
            near(mean, want.0) && near(variance, want.1),
            "{origin}: {mean:?}, {variance:?} for {want:?}"
        );
    }
    let mut hours = BTreeMap::<(&str, &str), Vec<i64>>::new();
    for f in flights {
        hours.entry((&f.origin, &f.hour)).or_default().push(f.delay);
    }
    let got = program.all(BY_ORIGIN_HOUR)?;
    ensure!(
        got.len() == hours.len(),
        "{} hours, expected {}",
        got.len(),
        hours.len()
    );
    for ((origin, hour), moments) in &got {
        let hour = hour.to_string();
        let want = hours
            .get(&(origin.as_str(), hour.as_str()))
            .context("an hour too many")?;
        let sum: i64 = want.iter().sum();
        ensure!(
            moments.count() == want.len() as i64 && moments.sum() == i128::from(sum),
            "{origin} {hour}"
        );
    }

    let rule = Rule {
        deviations: 2.5,
        flights: 4,
    };
    let (mut expected, mut near_the_line) = (BTreeMap::new(), 0);
    for ((origin, hour), delays) in &hours {
        let (mean, variance) = usual[origin];
        let above = (delays.iter().sum::<i64>() as f64 / delays.len() as f64 - mean) / variance.sqrt();
        if delays.len() < 4 || variance == 0.0 {
            continue;
        }
        if (above - rule.deviations).abs() < 1e-9 {
            near_the_line += 1;
        } else if above > rule.deviations {
            expected.insert((origin.to_string(), hour.to_string()), (delays.len() as i64, above));
        }
    }
    ensure!(
        near_the_line == 0,
        "{near_the_line} hours cannot be told: choose another rule"
    );
    let client = App::new(anomalies).client(Some(&program.dir.path().join("data")))?;
    let found = find(&client, rule)?;
    ensure!(
        found.windows(2).all(|pair| pair[0].above() >= pair[1].above()),
        "the farthest first"
    );
    ensure!(
        found.len() == expected.len(),
        "{} hours, expected {}",
        found.len(),
        expected.len()
    );
    for anomaly in &found {
        let Anomaly {
            origin, hour, flights, ..
        } = anomaly;
        let (want, above) = expected
            .get(&(origin.clone(), hour.to_string()))
            .context("an hour too many")?;
        ensure!(
            flights == want && (anomaly.above() - above).abs() < 1e-6,
            "{anomaly:?}: {want}, {above}"
        );
    }
    Ok(found.len())
}

/// The sample: live, and again when five of its six days are published, in which the baselines may differ in their last bits.
#[test]
fn hours_that_stand_out() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("flights.jsonl");
    let bytes = data::read(&data::sample("flights-sample.jsonl.gz"))?;
    std::fs::write(&at, &bytes)?;
    let flights = flights(std::str::from_utf8(&bytes)?.lines())?;
    let exe = env!("CARGO_BIN_EXE_job-anomalies");
    let program = Program::new(exe, anomalies().plan()?, &[format!("flights=file:{}", at.display())])?;
    program.run(&["stream", "--until-end"])?;
    let live = check(&program, &flights)?;
    program.run(&["batch"])?;
    ensure!(live > 0 && check(&program, &flights)? == live, "{live} hours stand out");
    // Exact sums have equal bytes in both layers; baselines lie within their bounds of each other.
    program.run(&["reconcile"])?;
    Ok(())
}

/// Two months, in bulk.
#[test]
fn two_months_stand_out() -> Result<()> {
    let Some(root) = data::large() else { return Ok(()) };
    let mut all = Vec::new();
    for n in 1..=2 {
        let lines = run::flights_as_lines(&root.join(format!("flights/flights-2001-0{n}.parquet")))?;
        all.extend(flights(lines.iter().map(String::as_str))?);
    }
    let exe = env!("CARGO_BIN_EXE_job-anomalies");
    let source = format!("flights=parquet:{}", root.join("flights").display());
    let program = Program::new(exe, anomalies().plan()?, &[source])?;
    program.run(&["batch"])?;
    ensure!(check(&program, &all)? > 0, "no hour stands out");
    Ok(())
}
