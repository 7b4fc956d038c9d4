//! kill -9 at seeded instants of `stream`, `archive` and `batch`: afterwards the merged answer equals the fold of the log, byte
//! for byte (I1, I7). And two processes on one data directory: the second refuses and names the owner.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous::core::{Format, Plan, RecordBatch};
use rufous::prelude::*;
use rufous_examples::flights::{BY_ORIGIN_DAY, FLIGHTS, flights};
use rufous_integration_tests::data;
use rufous_integration_tests::run::{self, Bytes, Random, answers_on_disk, assert_same};
use rufous_integration_tests::torture::crash;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-flights");

struct World {
    dir: tempfile::TempDir,
    lines: Vec<String>,
    source: String,
    random: Random,
    plan: Plan,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let source = format!("flights=dir:{}+jsonl", dir.path().join("in").display());
        std::fs::create_dir(dir.path().join("in"))?;
        Ok(Self {
            dir,
            lines: data::sample_lines()?,
            source,
            random: Random(seed),
            plan: flights().plan()?,
        })
    }
    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
    fn command(&self, command: &str) -> Command {
        let mut c = Command::new(PROGRAM);
        c.arg(command)
            .arg("--data")
            .arg(self.data())
            .args(["--source", &self.source])
            .env("RUFOUS_LOG", "error");
        c.current_dir(self.dir.path());
        c
    }
    fn run(&self, command: &str, args: &[&str]) -> Result<Output> {
        let out = self.command(command).args(args).output()?;
        ensure!(
            out.status.success(),
            "{command} {args:?}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(out)
    }
    /// Starts a command and kills it after a random while.
    fn kill(&mut self, command: &str, args: &[&str], most_ms: u64) -> Result<()> {
        let mut child = self
            .command(command)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(self.random.below(most_ms)));
        child.kill()?;
        let out = child.wait_with_output()?;
        // It may have been done already; it must not have failed by itself.
        ensure!(
            out.status.code().is_none_or(|c| c == 0),
            "{command}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(())
    }
    fn append(&self, range: std::ops::Range<usize>) -> Result<()> {
        run::write_files(
            &self.dir.path().join("in"),
            "jsonl",
            2,
            self.lines[range].iter().map(String::as_str),
            |i, _| i,
        )
    }
    /// The fold of the first `n` lines.
    fn reference(&self, n: usize) -> Result<Bytes> {
        let mut batch = RecordBatch::default();
        for (i, line) in self.lines[..n].iter().enumerate() {
            let span = batch.push_bytes(line.as_bytes());
            batch.entries.push(rufous::core::Entry::plain(i as u64, span));
        }
        let totals = flights().run_on(&Memory::new().raw(FLIGHTS, Format::JsonLines, vec![batch]))?;
        Ok(totals.bytes(BY_ORIGIN_DAY.name()).cloned().unwrap_or_default())
    }
    fn check(&self, what: &str, n: usize) -> Result<()> {
        assert_same(what, &answers_on_disk(&self.plan, &self.data())?, &self.reference(n)?);
        Ok(())
    }
}

const KILLS: usize = 20;

#[test]
fn stream_killed() -> Result<()> {
    let mut w = World::new(11)?;
    let step = w.lines.len() / KILLS;
    for n in 0..KILLS {
        w.append(n * step..(n + 1) * step)?;
        w.kill("stream", &["--commit-ms", "3", "--no-archive"], 120)?;
    }
    w.run("stream", &["--until-end", "--no-archive"])?;
    w.check("stream killed 20 times", KILLS * step)
}

#[test]
fn archive_and_batch_killed() -> Result<()> {
    let mut w = World::new(12)?;
    let step = w.lines.len() / KILLS;
    w.append(0..1)?;
    w.run("stream", &["--until-end"])?;
    for n in 0..KILLS {
        w.append((n * step).max(1)..(n + 1) * step)?;
        w.kill("archive", &["--until-end"], 100)?;
        if n % 4 == 3 {
            w.run("archive", &["--until-end"])?;
        }
        w.kill("batch", &[], 60)?;
    }
    w.run("archive", &["--until-end"])?;
    w.run("batch", &[])?;
    let again = w.run("batch", &[])?;
    ensure!(
        String::from_utf8_lossy(&again.stdout).contains("nothing new"),
        "a second run is a no-op"
    );
    // Archived and published to the last sealed day; the stream has read one line only so far.
    w.run("stream", &["--until-end"])?;
    w.check("archive and batch killed 20 times each", KILLS * step)
}

#[test]
fn batch_killed_around_its_publish() -> Result<()> {
    let mut w = World::new(13)?;
    w.append(0..w.lines.len())?;
    w.run("stream", &["--until-end"])?;
    for _ in 0..KILLS {
        w.kill("batch", &[], 150)?;
        w.check("after a killed batch", w.lines.len())?;
    }
    w.run("batch", &[])?;
    w.check("after the batch", w.lines.len())
}

/// Row 1, I1: 20 seeds of `./x crash`: stream, archive and batch over a real Kafka, transactions and aborted ones in its log.
#[test]
fn row_1_killed_over_kafka() -> Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_job-word-count"));
    let seen = crash(program, 0..20, &mut |line| println!("{line}"))?;
    ensure!(seen.kills.iter().all(|n| *n > 0), "each command was killed: {seen:?}");
    ensure!(seen.moved >= 3, "the stream was killed under load: {seen:?}");
    ensure!(
        seen.compared == 2 && seen.aborted > 0 && seen.generations > 0,
        "{seen:?}"
    );
    Ok(())
}

struct KillOnDrop(Child);
impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_second_process_refuses_and_names_the_owner() -> Result<()> {
    let w = World::new(15)?;
    w.append(0..1_000)?;
    let owner = KillOnDrop(w.command("stream").stdout(Stdio::null()).spawn()?);
    let start = Instant::now();
    let has_owner = |dir: &Path| walk(dir).iter().any(|p| p.file_name().is_some_and(|n| n == "owner"));
    while !has_owner(&w.data()) {
        ensure!(start.elapsed() < Duration::from_secs(20), "the stream does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let out = w.command("stream").arg("--until-end").output()?;
    let stderr = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(5), "{} {stderr}", out.status);
    ensure!(
        stderr.contains(&owner.0.id().to_string()),
        "names process {}: {stderr}",
        owner.0.id()
    );
    // Meanwhile reads go through the owner's socket.
    while answers_on_disk(&w.plan, &w.data()).map_or(0, |a| a.len()) != w.reference(1_000)?.len() {
        ensure!(
            start.elapsed() < Duration::from_secs(40),
            "the answer does not come through the socket"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    w.check("through the socket", 1_000)?;
    // SIGTERM commits and ends well.
    let pid = i32::try_from(owner.0.id())?;
    Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
    let mut owner = owner;
    let status = owner.0.wait().context("the stream ends")?;
    ensure!(status.success(), "{status}");
    w.check("after SIGTERM", 1_000)
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(walk(&path));
        }
        all.push(path);
    }
    all
}
