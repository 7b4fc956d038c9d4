//! The rows: Rufous and the rivals by turns over the same files, and what their answers are worth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::Options;
use super::input::{self, Ads, CAMPAIGNS, Clicks, Words};
use crate::realtime::generate::{Law, rank};

const RIVALS: [&str; 4] = ["chdb", "datafusion", "duckdb", "polars"];
const MEMORY_MB: u64 = 4096;

/// What a subject took, and whether its answer was right.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) wall: f64,
    cpu: f64,
    peak_mb: f64,
    pub(super) verdict: String,
}

pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    pub(super) work: PathBuf,
}

pub(super) fn table(options: &Options) -> Result<()> {
    let work = tempfile::tempdir()?;
    let bench = Bench {
        options,
        work: work.path().into(),
    };
    crate::realtime::head();
    println!(
        "\n| question | who | M rows/s wall | M rows/CPU-s | peak MB | to Rufous, wall | answer |\n|---|---|---|---|---|---|---|"
    );
    let zipf = Law::Zipf { keys: 100_000, s: 1.05 };
    if bench.wants("words") {
        let words = input::words(&bench.work.join("words"), options.words, zipf)?;
        bench.row("words", "count by word", &words.dir, options.words, &|lines| {
            check_words(&words, lines)
        })?;
        std::fs::remove_dir_all(&words.dir)?;
    }
    if bench.wants("sums") || bench.wants("uniques") {
        let ads = input::ads(&bench.work.join("ads"), options.ads)?;
        if bench.wants("sums") {
            let what = "count and sum by integer key";
            bench.row("sums", what, &ads.dir, options.ads, &|lines| check_sums(&ads, lines))?;
        }
        if bench.wants("uniques") {
            let what = "distinct by integer key";
            bench.row("uniques", what, &ads.dir, options.ads, &|lines| {
                check_uniques(&ads, lines)
            })?;
        }
        std::fs::remove_dir_all(&ads.dir)?;
    }
    if bench.wants("windows") || bench.wants("as-of") {
        let clicks = input::clicks(&bench.work.join("clicks"), options.ads / 2)?;
        let row = |question, what, check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>| {
            bench.row_beside(question, what, &clicks.dir, options.ads / 2, &["duckdb"], check)
        };
        if bench.wants("windows") {
            let what = "count and sum by integer key over hops of 5 minutes, hours and days";
            row("windows", what, &|lines| check_clicks(&clicks, lines))?;
        }
        if bench.wants("as-of") {
            let what = "sum of cost times the rate as of the click, by integer key";
            row("as-of", what, &|lines| check_rated(&clicks, lines))?;
        }
        std::fs::remove_dir_all(&clicks.dir)?;
        std::fs::remove_file(&clicks.rates)?;
    }
    if bench.wants("backfill") {
        let rows = options.ads / 5;
        for (what, keys) in [("every row its own key", rows), ("25 rows a key", rows / 25)] {
            let law = Law::Uniform {
                keys: u32::try_from(keys.min(11_000_000))?,
            };
            let rows = rows.min(11_000_000 * rows.div_ceil(keys));
            let words = if keys >= rows {
                input::distinct(&bench.work.join("keys"), u64::from(law.keys()))?
            } else {
                input::words(&bench.work.join("keys"), rows, law)?
            };
            let rows = words.counts.iter().sum();
            let first = bench.rufous("words", &words.dir, MEMORY_MB, &|lines| check_words(&words, lines))?;
            print(&format!("backfill, {what}"), "Rufous", rows, &first, &first);
            let small = bench.rufous("words", &words.dir, 256, &|lines| check_words(&words, lines))?;
            print(&format!("the same in 256 MB, {what}"), "Rufous", rows, &small, &first);
            std::fs::remove_dir_all(&words.dir)?;
        }
    }
    if bench.wants("incremental") {
        super::incremental::row(&bench, options.ads / 250)?;
    }
    Ok(())
}

impl Bench<'_> {
    fn wants(&self, part: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|o| o == part)
    }

    fn row(
        &self,
        question: &str,
        what: &str,
        dir: &Path,
        rows: u64,
        check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>,
    ) -> Result<()> {
        self.row_beside(question, what, dir, rows, &RIVALS, check)
    }

    fn row_beside(
        &self,
        question: &str,
        what: &str,
        dir: &Path,
        rows: u64,
        rivals: &[&'static str],
        check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>,
    ) -> Result<()> {
        let mut best: BTreeMap<&str, Outcome> = BTreeMap::new();
        for _ in 0..self.options.runs {
            let mut take = |who, outcome: Outcome| {
                eprintln!("  {who} over {question}: {:.2} s, {}", outcome.wall, outcome.verdict);
                let slot = best.entry(who).or_insert_with(|| outcome.clone());
                if outcome.wall < slot.wall {
                    *slot = outcome;
                }
            };
            take("Rufous", self.rufous(question, dir, MEMORY_MB, check)?);
            for rival in rivals.iter().filter(|_| self.options.python.is_some()) {
                match self.rival(rival, question, dir, check) {
                    Ok(outcome) => take(rival, outcome),
                    Err(e) => eprintln!("  {rival} over {question} failed: {e:#}"),
                }
            }
        }
        let first = best.get("Rufous").context("Rufous ran")?.clone();
        for (who, outcome) in
            std::iter::once(("Rufous", &first)).chain(best.iter().filter(|b| *b.0 != "Rufous").map(|(w, o)| (*w, o)))
        {
            print(what, who, rows, outcome, &first);
        }
        Ok(())
    }

    fn rufous(
        &self,
        question: &str,
        dir: &Path,
        memory_mb: u64,
        check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>,
    ) -> Result<Outcome> {
        let state = self.work.join("state");
        if state.exists() {
            std::fs::remove_dir_all(&state)?;
        }
        std::fs::create_dir(&state)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bulk-subject", question]).arg(dir).arg(&state);
        self.run(command, &[memory_mb.to_string()], check)
    }

    fn rival(
        &self,
        rival: &str,
        question: &str,
        dir: &Path,
        check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>,
    ) -> Result<Outcome> {
        let python = self.options.python.as_ref().context("no Python")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/rivals/rival.py");
        let mut command = Command::new(python);
        command.arg(script).args([rival, question]).arg(dir);
        self.run(command, &[], check)
    }

    pub(super) fn run(
        &self,
        mut command: Command,
        more: &[String],
        check: &dyn Fn(&[(String, Vec<f64>)]) -> Result<String>,
    ) -> Result<Outcome> {
        let answer = self.work.join("answer");
        let output = command.arg(&answer).args(more).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let line = text
            .lines()
            .find(|l| l.starts_with("result "))
            .with_context(|| format!("no result in {text}"))?;
        let field = |name: &str| -> Result<f64> {
            let found = line.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
            Ok(found.with_context(|| format!("no {name} in {line}"))?.parse()?)
        };
        let mut lines = Vec::new();
        for line in std::fs::read_to_string(&answer)?.lines() {
            let mut parts = line.split('\t');
            let key = parts.next().unwrap_or_default().to_string();
            lines.push((key, parts.map(str::parse).collect::<Result<_, _>>()?));
        }
        std::fs::remove_file(&answer)?;
        Ok(Outcome {
            wall: field("wall")?,
            cpu: field("cpu")?,
            peak_mb: field("peak_mb")?,
            verdict: check(&lines)?,
        })
    }
}

pub(super) fn print(what: &str, who: &str, rows: u64, outcome: &Outcome, first: &Outcome) {
    println!(
        "| {what} | {who} | {:.1} | {:.1} | {:.0} | {:.2} | {} |",
        rows as f64 / outcome.wall / 1e6,
        rows as f64 / outcome.cpu / 1e6,
        outcome.peak_mb,
        first.wall / outcome.wall,
        outcome.verdict
    );
}

fn exact(right: bool) -> Result<String> {
    Ok(if right { "exact: yes" } else { "exact: NO" }.into())
}

pub(super) fn check_words(words: &Words, lines: &[(String, Vec<f64>)]) -> Result<String> {
    let mut counts = vec![0; words.counts.len()];
    for (word, numbers) in lines {
        let Some(rank) = rank(word.as_bytes()).filter(|r| (*r as usize) < counts.len()) else {
            bail!("`{word}` was never written");
        };
        counts[rank as usize] += *numbers.first().context("a count")? as u64;
    }
    exact(counts == words.counts)
}

fn check_sums(ads: &Ads, lines: &[(String, Vec<f64>)]) -> Result<String> {
    let mut sums = vec![(0, 0); CAMPAIGNS as usize];
    for (campaign, numbers) in lines {
        let slot = sums.get_mut(campaign.parse::<usize>()?).context("a campaign")?;
        let [n, cost] = numbers[..] else {
            bail!("two numbers a campaign")
        };
        *slot = (n as u64, cost as i64);
    }
    exact(ads.sums.iter().map(|(n, cost, _)| (*n, *cost)).eq(sums))
}

fn check_clicks(clicks: &Clicks, lines: &[(String, Vec<f64>)]) -> Result<String> {
    let mut right = lines.len() == clicks.sums.len();
    for (key, numbers) in lines {
        let [n, cost] = numbers[..] else {
            bail!("two numbers a hop")
        };
        right &= clicks.sums.get(key) == Some(&(n as u64, cost as i64));
    }
    exact(right)
}

fn check_rated(clicks: &Clicks, lines: &[(String, Vec<f64>)]) -> Result<String> {
    let mut sums = vec![(0, 0); clicks.rated.len()];
    for (campaign, numbers) in lines {
        let [n, rated] = numbers[..] else {
            bail!("two numbers a campaign")
        };
        *sums.get_mut(campaign.parse::<usize>()?).context("a campaign")? = (n as u64, rated as i64);
    }
    exact(sums == clicks.rated)
}

/// The mean and the greatest relative error over all campaigns.
fn check_uniques(ads: &Ads, lines: &[(String, Vec<f64>)]) -> Result<String> {
    let (mut sum, mut worst, mut n) = (0.0, 0.0_f64, 0.0);
    for (campaign, numbers) in lines {
        let (_, _, truth) = ads.sums.get(campaign.parse::<usize>()?).context("a campaign")?;
        let error = (numbers.first().context("an estimate")? / *truth as f64 - 1.0).abs();
        (sum, worst, n) = (sum + error, worst.max(error), n + 1.0);
    }
    let some = ads.sums.iter().filter(|s| s.0 > 0).count();
    ensure!(lines.len() == some, "{} of {some} campaigns", lines.len());
    Ok(format!(
        "mean error {:.2} %, worst {:.1} %",
        sum / n * 100.0,
        worst * 100.0
    ))
}
