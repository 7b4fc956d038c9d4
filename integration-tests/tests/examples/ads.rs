//! Ad engagement over generated events against plain collections.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use rufous::App;
use rufous_examples::ad_engagement::generate::{events, json_line};
use rufous_examples::ad_engagement::{BY_CAMPAIGN_HOUR, Engagement, OTHER_KINDS, ad_engagement, report::report};
use serde_json::Value;

use super::{Estimates, Program, lines, text};

/// All that a campaign and an hour have.
#[derive(Default)]
struct Plain {
    impressions: u64,
    clicks: u64,
    cost: i64,
    users: BTreeSet<u64>,
    latencies: Vec<i64>,
}

impl Plain {
    fn add(&mut self, event: &Value) -> Result<()> {
        self.cost += event["cost_micros"].as_i64().context("cost")?;
        if event["kind"] == "click" {
            self.clicks += 1;
            return Ok(());
        }
        self.impressions += 1;
        self.users.insert(event["user"].as_u64().context("user")?);
        self.latencies.push(event["latency_ms"].as_i64().context("latency")?);
        Ok(())
    }
    /// Of `n` the `ceil(0.95 n)`-th smallest.
    fn p95(&self) -> Option<i64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * 95).div_ceil(100);
        rank.checked_sub(1).and_then(|i| sorted.get(i)).copied()
    }
    fn check(&self, what: &str, got: &Engagement, estimates: &mut Estimates) -> Result<()> {
        let sums = (got.impressions, got.clicks, got.cost_micros);
        let want = (self.impressions, self.clicks, self.cost);
        ensure!(sums == want, "{what}: {sums:?} for {want:?}");
        match (got.p95(), self.p95()) {
            (Some(got), Some(want)) => ensure!(got.contains(want as f64), "{what}: p95 {got:?} for {want}"),
            (None, None) => {}
            other => anyhow::bail!("{what}: p95 {other:?}"),
        }
        if self.impressions > 0 {
            let rate = got.click_through().context("a rate")?;
            ensure!(
                (rate * self.impressions as f64 - self.clicks as f64).abs() < 1e-6,
                "{what}: {rate}"
            );
            estimates.check(&got.uniques, self.users.len());
        }
        Ok(())
    }
}

#[test]
fn ads_by_campaign_and_hour() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("ads.jsonl");
    // What is neither an impression nor a click is counted apart.
    let hover = r#"{"at":"2026-03-01T00:00:00Z","kind":"hover","campaign":"c-01","user":1,"cost_micros":1}"#;
    let all = events(7, 40_000).map(|event| json_line(&event));
    let bytes: String = std::iter::once(hover.to_string())
        .chain(all)
        .map(|line| line + "\n")
        .collect();
    std::fs::write(&at, &bytes)?;
    let source = format!("events=file:{}", at.display());
    let exe = env!("CARGO_BIN_EXE_job-ad-engagement");
    let program = Program::new(exe, ad_engagement().plan()?, &[source])?;
    // After it all answers are compared with those before.
    program.live_then_bulk()?;

    let mut by_hour = BTreeMap::<(String, String), Plain>::new();
    let mut by_campaign = BTreeMap::<String, Plain>::new();
    let (mut late, mut newest) = (0, String::new());
    for event in lines(bytes.as_bytes())?.iter().filter(|e| e["kind"] != "hover") {
        let (campaign, at) = (text(event, "campaign")?.to_string(), text(event, "at")?);
        let hour = at[..13].to_string();
        late += usize::from(hour < newest);
        newest = newest.max(hour.clone());
        by_hour.entry((campaign.clone(), hour)).or_default().add(event)?;
        by_campaign.entry(campaign).or_default().add(event)?;
    }
    ensure!(late > 200, "{late} events of an hour that was over");
    ensure!(program.counter(OTHER_KINDS.name())? == 1);

    let mut estimates = Estimates::default();
    let all = program.all(BY_CAMPAIGN_HOUR)?;
    ensure!(
        all.len() == by_hour.len(),
        "{} keys, expected {}",
        all.len(),
        by_hour.len()
    );
    for ((campaign, hour), got) in &all {
        let want = by_hour
            .get(&(campaign.clone(), hour.to_string()))
            .context("a key too many")?;
        want.check(&format!("{campaign} {hour}"), got, &mut estimates)?;
    }
    // Hours add up: rates, uniques and quantiles of a day are those of its events.
    let client = program.client()?;
    let store = client.store(BY_CAMPAIGN_HOUR)?;
    for (campaign, want) in &by_campaign {
        let got = store.sum_under((campaign.as_str(),))?.value.context("a campaign")?;
        want.check(campaign, &got, &mut estimates)?;
    }
    // The program prints a line for each, the dearest first.
    // It opens the data directory as the program does.
    let client = App::new(ad_engagement).client(Some(&program.dir.path().join("data")))?;
    let table = report(&client, None)?;
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    ensure!(rows.len() == by_campaign.len(), "{table}");
    let mut dearest = i64::MAX;
    for row in rows {
        let want = &by_campaign[row[0]];
        let cost = format!("{}.{:06}", want.cost / 1_000_000, want.cost % 1_000_000);
        let cells = [want.impressions.to_string(), want.clicks.to_string(), cost];
        ensure!(row[1..4].iter().eq(cells.iter()), "{row:?}: {cells:?}");
        let ctr = 100.0 * want.clicks as f64 / want.impressions as f64;
        let said: f64 = row[4].trim_end_matches('%').parse()?;
        ensure!((said - ctr).abs() <= 0.005_001, "{row:?}: {ctr}");
        ensure!(want.cost <= dearest, "{row:?} is out of order");
        dearest = want.cost;
    }
    let hours = report(&client, Some("c-01"))?;
    let want = by_hour.keys().filter(|(campaign, _)| campaign == "c-01").count();
    ensure!(hours.lines().count() == want + 1, "{hours}");
    estimates.finish()
}
