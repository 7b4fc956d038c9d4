//! The rows: which subjects run over which topic, and which ratios are shown.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::Broker;

use super::Options;
use super::generate::Law;
use super::process::{self, Outcome, beside};
use super::topic::{Shape, Topic};

const ZIPF: Law = Law::Zipf { keys: 100_000, s: 1.05 };
const UNIFORM: Law = Law::Uniform { keys: 10_000_000 };

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    StraightLine,
    Rufous,
    /// Kafka Streams on input that is partitioned by key.
    StreamsKeyed,
    /// Kafka Streams that must repartition.
    StreamsRepartition,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::StraightLine => "straight-line program",
            Self::Rufous => "Rufous",
            Self::StreamsKeyed => "Kafka Streams, keyed input",
            Self::StreamsRepartition => "Kafka Streams, repartition topic",
        }
    }
}

struct Bench<'a> {
    broker: &'a Broker,
    options: &'a Options,
    work: &'a Path,
}

pub(super) fn table(options: &Options) -> Result<()> {
    let broker = Broker::start_for_measuring()?;
    let work = tempfile::tempdir()?;
    let bench = Bench {
        broker: &broker,
        options,
        work: work.path(),
    };
    let fifth = options.records / 5;
    head();
    println!(
        "\n| input | who | records measured | runs | M records/s wall | M records/CPU-s | CPU-s, whole process | peak MB | to the first, wall | to the first, CPU | exact |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let mut rufous = None;
    if bench.wants("words") || bench.wants("commits") {
        let topic = bench.fill("words", 8, (Shape::Word, ZIPF), options.records)?;
        if bench.wants("words") {
            let both = [Who::StraightLine, Who::Rufous];
            let done = bench.row("words, 8 partitions, commits each second", &topic, 1_000, &both)?;
            rufous = done.get(1).cloned();
        }
        if bench.wants("commits") {
            let (a, b) = (
                bench.measure(&topic, 1_000, Who::Rufous)?,
                bench.measure(&topic, 100, Who::Rufous)?,
            );
            bench.print("words, 8 partitions, commits each second", &topic, Who::Rufous, &a, &a);
            bench.print("the same, commits each 100 ms", &topic, Who::Rufous, &b, &a);
            rufous.get_or_insert(a);
        }
    }
    if bench.wants("partitions") {
        let few = bench.fill("words-8", 8, (Shape::Word, ZIPF), fifth)?;
        let many = bench.fill("words-64", 64, (Shape::Word, ZIPF), fifth)?;
        let (a, b) = (
            bench.measure(&few, 1_000, Who::Rufous)?,
            bench.measure(&many, 1_000, Who::Rufous)?,
        );
        bench.print("words, 8 partitions", &few, Who::Rufous, &a, &a);
        bench.print("words, 64 partitions", &many, Who::Rufous, &b, &a);
        let line = bench.measure(&many, 1_000, Who::StraightLine)?;
        bench.print("words, 64 partitions", &many, Who::StraightLine, &line, &a);
    }
    if bench.wants("json") {
        let topic = bench.fill("json", 8, (Shape::Json, ZIPF), fifth)?;
        bench.row(
            "JSON of 300 bytes, 8 partitions",
            &topic,
            1_000,
            &[Who::StraightLine, Who::Rufous],
        )?;
    }
    if bench.wants("uniform") {
        let topic = bench.fill("uniform", 8, (Shape::Word, UNIFORM), fifth)?;
        bench.row(
            "10 M uniform keys, 8 partitions",
            &topic,
            1_000,
            &[Who::StraightLine, Who::Rufous],
        )?;
    }
    if bench.wants("streams") {
        let topic = bench.fill("keyed", 8, (Shape::Keyed, ZIPF), fifth)?;
        let all = [Who::Rufous, Who::StreamsKeyed, Who::StreamsRepartition];
        bench.row("keyed words, 8 partitions", &topic, 1_000, &all)?;
    }
    println!();
    if bench.wants("latency") {
        bench.latency()?;
    }
    if bench.wants("restart") {
        bench.restart()?;
    }
    Ok(())
}

impl Bench<'_> {
    fn wants(&self, part: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|o| o == part)
    }

    fn fill(&self, name: &str, partitions: i32, what: (Shape, Law), records: u64) -> Result<Topic> {
        let start = Instant::now();
        let topic = Topic::fill(self.broker, name, partitions, what, records)?;
        eprintln!(
            "{name}: {records} records produced in {:.0} s",
            start.elapsed().as_secs_f64()
        );
        Ok(topic)
    }

    /// Subjects by turns; the first is what the ratios refer to.
    fn row(&self, input: &str, topic: &Topic, commit_ms: u64, who: &[Who]) -> Result<Vec<Outcome>> {
        let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); who.len()];
        for _ in 0..self.runs(topic) {
            for (who, outcomes) in who.iter().zip(&mut outcomes) {
                outcomes.push(self.once(topic, commit_ms, *who)?);
            }
        }
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(median).collect::<Result<_>>()?;
        let first = outcomes.first().context("nobody runs")?;
        for (who, outcome) in who.iter().zip(&outcomes) {
            self.print(input, topic, *who, outcome, first);
        }
        Ok(outcomes)
    }

    fn runs(&self, topic: &Topic) -> usize {
        let less = usize::from(topic.records >= 20_000_000 && self.options.runs > 1);
        self.options.runs - less
    }

    fn measure(&self, topic: &Topic, commit_ms: u64, who: Who) -> Result<Outcome> {
        let all = (0..self.runs(topic)).map(|_| self.once(topic, commit_ms, who));
        median(all.collect::<Result<_>>()?)
    }

    fn once(&self, topic: &Topic, commit_ms: u64, who: Who) -> Result<Outcome> {
        let state = self.fresh("state")?;
        let totals = self.work.join("totals");
        // A compiler warms up longer than a queue.
        let warm = match who {
            Who::Rufous | Who::StraightLine => topic.records / 10,
            Who::StreamsKeyed | Who::StreamsRepartition => topic.records / 5 * 2,
        };
        let format = if topic.shape == Shape::Json { "json" } else { "text" };
        let mut command = match who {
            Who::StraightLine => Command::new(beside("straight-line")?),
            Who::Rufous => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["subject", "rufous"]);
                command
            }
            Who::StreamsKeyed | Who::StreamsRepartition => streams()?,
        };
        command.args([self.broker.addr(), &topic.name]);
        match who {
            Who::StreamsKeyed => command.args(["keyed", &topic.records.to_string()]),
            Who::StreamsRepartition => command.args(["repartition", &topic.records.to_string()]),
            _ => command.arg(format),
        };
        command
            .args([commit_ms.to_string(), warm.to_string()])
            .arg(&state)
            .arg(&totals);
        let outcome = process::run(command, &totals, |lines| topic.is_exact(lines))?;
        eprintln!(
            "  {} over {}: {:.3} M/s, {:.3} M/CPU-s, {:.0} MB, exact {}",
            who.name(),
            topic.name,
            outcome.per_second() / 1e6,
            outcome.per_cpu_second() / 1e6,
            outcome.peak_mb,
            outcome.exact
        );
        std::fs::remove_dir_all(&state)?;
        Ok(outcome)
    }

    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let dir = self.work.join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir(&dir)?;
        Ok(dir)
    }

    fn print(&self, input: &str, topic: &Topic, who: Who, o: &Outcome, first: &Outcome) {
        println!(
            "| {input} | {} | {:.0} of {:.0} | {} | {:.3} | {:.3} | {:.1} | {:.0} | {:.2} | {:.2} | {} |",
            who.name(),
            o.warm_records,
            o.records,
            self.runs(topic),
            o.per_second() / 1e6,
            o.per_cpu_second() / 1e6,
            o.whole_cpu,
            o.peak_mb,
            o.per_second() / first.per_second(),
            o.per_cpu_second() / first.per_cpu_second(),
            yes(o.exact),
        );
    }

    /// Produce to visible, at half of the load that the machine sustains with broker, producer and job on it.
    fn latency(&self) -> Result<()> {
        let seconds = if self.options.quick { 5 } else { 30 };
        let rate = match self.options.rate {
            Some(rate) => rate,
            None => {
                // Five millions a second are more than a producer reaches: it is held up by nothing but the machine.
                let (line, took) = self.followed("flat-out", 5e6, seconds / 3 + 1)?;
                let produced: f64 = field(&line, "produced")?.parse()?;
                println!(
                    "Produced and counted flat out: {:.2} M records/s; {line}",
                    produced / took / 1e6
                );
                produced / took / 2.0
            }
        };
        let (line, _) = self.followed("latency", rate, seconds)?;
        println!(
            "Produce to visible in milliseconds, commits each second, {:.2} M records/s asked for during {seconds} s, the producer \
             in the same process: {line}; exact: yes (every probe became visible, and as many records were read as were produced)",
            rate / 1e6
        );
        Ok(())
    }

    /// The line of a subject that follows a topic, and the seconds from its first record to its last.
    fn followed(&self, name: &str, rate: f64, seconds: u64) -> Result<(String, f64)> {
        self.broker.create_topic(name, 8, &[])?;
        let state = self.fresh(name)?;
        let output = Command::new(std::env::current_exe()?)
            .args(["subject", "latency", self.broker.addr(), name])
            .arg(&state)
            .args([format!("{rate:.0}"), seconds.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the latency subject ended with {}: {text}",
            output.status
        );
        let line = text.lines().find(|l| l.starts_with("latency ")).context("no result")?;
        Ok((line.to_string(), field(line, "took")?.parse()?))
    }

    /// Kill -9 in full run with millions of keys; then until the first record that was produced after it is visible.
    fn restart(&self) -> Result<()> {
        let records = if self.options.quick { 2_000_000 } else { 10_000_000 };
        let mut topic = self.fill("restart", 8, (Shape::Word, UNIFORM), records)?;
        let state = self.fresh("restart")?;
        let (name, totals) = (topic.name.clone(), self.work.join("totals"));
        let subject = |word: &str, count: u64| -> Result<Command> {
            let mut command = Command::new(std::env::current_exe()?);
            command
                .args(["subject", "follow", self.broker.addr(), &name])
                .arg(&state);
            command.args([word, &count.to_string()]).arg(&totals);
            command.stdout(Stdio::piped());
            Ok(command)
        };
        // It waits for a word that never comes, and is killed while the last tenth is being read.
        let mut first = subject("never", 1)?.spawn()?;
        let out = BufReader::new(first.stdout.take().context("no output")?);
        for line in out.lines() {
            let line = line?;
            let read = line
                .strip_prefix("read ")
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0);
            if read * 10 >= records * 9 {
                break;
            }
        }
        first.kill()?;
        first.wait()?;
        let (word, count) = topic.one_more(self.broker)?;
        let output = subject(&word, count)?.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "the restarted job ended with {}",
            output.status
        );
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("fresh seconds="))
            .context("no result")?;
        let exact = topic.is_exact(&std::fs::read(&totals)?);
        println!(
            "Restart after kill -9 in full run, {} keys: the newest record of the log is visible after {line} s, from the start of the process; exact: {}",
            topic.keys(),
            yes(exact)
        );
        Ok(())
    }
}

fn yes(exact: bool) -> &'static str {
    if exact { "yes" } else { "NO" }
}

/// The outcome whose CPU rate is in the middle, of an even number the lower one; exact only if all were.
fn median(mut all: Vec<Outcome>) -> Result<Outcome> {
    let exact = all.iter().all(|o| o.exact);
    all.sort_by(|a, b| a.per_cpu_second().total_cmp(&b.per_cpu_second()));
    let middle = all.get(all.len().saturating_sub(1) / 2).context("no run")?;
    Ok(Outcome {
        exact,
        ..middle.clone()
    })
}

/// Kafka Streams; `./x bench` prepares it.
fn streams() -> Result<Command> {
    let dir = std::env::var("RUFOUS_STREAMS_DIR")
        .context("RUFOUS_STREAMS_DIR is not set: run `./x bench realtime`, which prepares Kafka Streams and sets it")?;
    let mut command = Command::new("java");
    command.args([
        "-Xmx2g",
        "-XX:+UseParallelGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
    ]);
    command.arg(format!("{dir}/lib/*:{dir}/classes"));
    command.arg("WordCount");
    Ok(command)
}

fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    output.map_or_else(
        |_| "unknown".into(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_string(),
    )
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{cpus} cores,{}; load before: {}",
        model.trim_start_matches([' ', '\t', ':']),
        load.trim()
    )
}

/// What was measured, and where.
pub(crate) fn head() {
    println!("commit {}; {}", commit(), machine());
}

/// The value of `name=value` in a line.
fn field<'a>(line: &'a str, name: &str) -> Result<&'a str> {
    let mut fields = line.split(' ').filter_map(|f| f.split_once('='));
    let found = fields.find(|(key, _)| *key == name);
    found
        .map(|(_, value)| value)
        .with_context(|| format!("no `{name}` in: {line}"))
}
