//! Two generations joined by key, both ways, against a plain join of the flights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rufous::App;
use rufous_examples::month_over_month::join::{Way, join};
use rufous_examples::month_over_month::routes;
use rufous_integration_tests::{data, run};
use serde_json::Value;

use super::{Program, text};

type Routes = BTreeMap<(String, String), (u64, i64)>;

/// Flights and delays by route, from the rows.
fn plain(path: &Path) -> Result<Routes> {
    let mut all = Routes::new();
    for line in run::flights_as_lines(path)? {
        let flight: Value = serde_json::from_str(&line)?;
        let key = (
            text(&flight, "origin")?.to_string(),
            text(&flight, "destination")?.to_string(),
        );
        let route = all.entry(key).or_default();
        route.0 += 1;
        route.1 += flight["delay"].as_i64().context("delay")?;
    }
    Ok(all)
}

fn both_ways(before: &Path, after: &Path) -> Result<()> {
    let program = |path: &Path| -> Result<Program> {
        let source = format!("flights=parquet:{}", path.display());
        let program = Program::new(env!("CARGO_BIN_EXE_job-routes"), routes().plan()?, &[source])?;
        program.run(&["batch"])?;
        Ok(program)
    };
    let (one, other) = (program(before)?, program(after)?);
    let client = |program: &Program| App::new(routes).client(Some(&program.dir.path().join("data")));
    let (left, right) = (plain(before)?, plain(after)?);
    for least in [1, 10] {
        let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
        let mean = |(flights, delay): (u64, i64)| delay as f64 / flights as f64;
        let mut expected = Vec::new();
        for key in keys {
            if let (Some(&a), Some(&b)) = (left.get(key), right.get(key))
                && a.0.min(b.0) >= least
            {
                expected.push((key.clone(), a, b, mean(b) - mean(a)));
            }
        }
        // Stable: equal ones stay in the order of their keys.
        expected.sort_by(|a, b| b.3.abs().total_cmp(&a.3.abs()));
        ensure!(expected.len() > 100, "{} routes in both", expected.len());
        let in_both = left.keys().filter(|key| right.contains_key(*key)).count();
        for n in [0, 20, usize::MAX] {
            let hash = join(&client(&one)?, &client(&other)?, Way::Hash, n, least)?;
            let merge = join(&client(&one)?, &client(&other)?, Way::Merge, n, least)?;
            for (way, found) in [("hash", &hash), ("merge", &merge)] {
                let got: Vec<_> = found
                    .changes
                    .iter()
                    .map(|c| {
                        let side = |r: &rufous_examples::month_over_month::Route| (r.flights, r.delay);
                        (c.route.clone(), side(&c.before), side(&c.after), c.minutes())
                    })
                    .collect();
                let want = expected.get(..n).unwrap_or(&expected);
                ensure!(
                    got == want,
                    "{way}, {n} of at least {least}: {} lines, expected {}",
                    got.len(),
                    want.len()
                );
                let counts = (found.both, found.only_before, found.only_after);
                let alone = |routes: &Routes| (routes.len() - in_both) as u64;
                ensure!(
                    counts == (in_both as u64, alone(&left), alone(&right)),
                    "{way}: {counts:?}"
                );
            }
            ensure!(hash.table() == merge.table(), "the two ways print different tables");
        }
    }
    Ok(())
}

/// Two halves of the sample, both ways round: the smaller side is the first or the second.
#[test]
fn halves_of_the_sample() -> Result<()> {
    let half = |n: u32| -> PathBuf { data::sample(&format!("flights-sample-{n}.parquet")) };
    both_ways(&half(1), &half(2))?;
    both_ways(&half(2), &half(1))
}

/// January and February.
#[test]
fn two_months() -> Result<()> {
    let Some(root) = data::large() else { return Ok(()) };
    let month = |n: u32| root.join(format!("flights/flights-2001-0{n}.parquet"));
    both_ways(&month(1), &month(2))
}
