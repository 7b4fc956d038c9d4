//! The profile of a real table: what the program answers and shows, against a count with plain collections and against the
//! answers of other engines.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rufous_examples::profile::page::page;
use rufous_integration_tests::data;
use serde_json::Value;

const COLUMNS: &str = "host,logname,time,method,url,response,bytes,referer,useragent";

/// A column by plain collections.
#[derive(Default)]
struct Exact {
    rows: u64,
    empty: u64,
    counts: HashMap<String, u64>,
    numbers: Vec<f64>,
    lengths: HashSet<u64>,
}

impl Exact {
    fn add(&mut self, cell: &str) {
        self.rows += 1;
        if cell.is_empty() {
            self.empty += 1;
            return;
        }
        *self.counts.entry(cell.to_string()).or_default() += 1;
        self.lengths.insert(cell.chars().count() as u64);
        self.numbers.extend(cell.parse::<f64>().ok());
    }

    fn compare(&mut self, name: &str, value: &Value) -> Result<()> {
        let exactly = [
            ("rows", Some(self.rows)),
            ("empty", Some(self.empty)),
            ("shortest", self.lengths.iter().min().copied()),
            ("longest", self.lengths.iter().max().copied()),
        ];
        for (field, expected) in exactly {
            ensure!(
                value[field].as_u64() == expected,
                "{name}.{field}: {} for {expected:?}",
                value[field]
            );
        }
        let bounds = |v: &Value| -> Result<(f64, f64)> {
            let bound = |name: &str| v[name].as_f64().with_context(|| format!("{name} in {v}"));
            Ok((bound("low")?, bound("high")?))
        };
        let (low, high) = bounds(&value["distinct"])?;
        let distinct = self.counts.len() as f64;
        ensure!(
            low <= distinct && distinct <= high,
            "{name}: {distinct} different in {low}..{high}"
        );

        // Misra-Gries: what is listed is within its bounds, and nothing above 1/257 of the cells is missing.
        let filled = self.rows - self.empty;
        let mut listed = HashSet::new();
        for hitter in value["common"].as_array().context("a list")? {
            let item = hitter["item"].as_str().context("text")?;
            let ((low, high), count) = (bounds(hitter)?, self.counts.get(item).copied().unwrap_or(0) as f64);
            ensure!(
                low <= count && count <= high,
                "{name}: `{item}` {count} times, in {low}..{high}"
            );
            ensure!(
                high - low <= filled as f64 / 257.0,
                "{name}: `{item}` in {low}..{high} of {filled}"
            );
            listed.insert(item);
        }
        let missing = self
            .counts
            .iter()
            .find(|(item, n)| **n > filled / 257 && !listed.contains(item.as_str()));
        ensure!(missing.is_none(), "{name}: {missing:?} is not listed");

        self.numbers.sort_by(f64::total_cmp);
        ensure!(
            value["numbers"]["count"].as_u64() == Some(self.numbers.len() as u64),
            "{name}: count of numbers"
        );
        for (quantile, q) in [("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            let rank = ((q * self.numbers.len() as f64).ceil() as usize).max(1);
            let Some(exact) = self.numbers.get(rank - 1) else {
                continue;
            };
            let (low, high) = bounds(&value["numbers"][quantile])?;
            ensure!(
                low <= *exact && *exact <= high,
                "{name}.{quantile}: {exact} in {low}..{high}"
            );
        }
        Ok(())
    }
}

fn run(dir: &std::path::Path, args: &[&str]) -> Result<String> {
    let out = Command::new(env!("CARGO_BIN_EXE_job-profile"))
        .args(args)
        .args(["--columns", COLUMNS])
        .current_dir(dir)
        .output()?;
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(out.status.success(), "{args:?}: {err}");
    Ok(String::from_utf8(out.stdout)?)
}

#[test]
fn a_web_log() -> Result<()> {
    let Some(root) = data::large() else { return Ok(()) };
    let log = root.join("weblog/nasa-http-1995-08-01.tsv");
    let dir = tempfile::tempdir()?;
    let source = format!("rows=file:{}", log.display());
    run(
        dir.path(),
        &["stream", "--until-end", "--no-archive", "--source", &source],
    )?;
    let answers = run(dir.path(), &["top", "-n", "100", "--json", "--source", &source])?;

    let text = std::fs::read_to_string(&log)?;
    let mut exact: HashMap<&str, Exact> = HashMap::new();
    for row in text.lines().skip(1) {
        for (column, cell) in COLUMNS.split(',').zip(row.split('\t')) {
            exact.entry(column).or_default().add(cell);
        }
    }
    let mut seen = 0;
    for line in answers.lines() {
        let answer: Value = serde_json::from_str(line)?;
        let name = answer["key"].as_str().context("a column")?;
        exact
            .get_mut(name)
            .with_context(|| format!("no column {name}"))?
            .compare(name, &answer["value"])?;
        seen += 1;
    }
    ensure!(seen == exact.len(), "{seen} columns");

    let expected: Value =
        serde_json::from_slice(&std::fs::read(root.join("expected/weblog-nasa-http-1995-08-01.json"))?)?;
    ensure!(
        expected["rows"].as_u64() == Some(exact["host"].rows),
        "rows of the other engines"
    );
    ensure!(
        expected["distinct_hosts"].as_u64() == Some(exact["host"].counts.len() as u64),
        "hosts of the other engines"
    );

    let page = page(&answers).map_err(anyhow::Error::msg)?;
    for column in COLUMNS.split(',') {
        ensure!(
            page.contains(&format!("<code>{column}</code>")),
            "the page lacks {column}"
        );
    }
    Ok(())
}
