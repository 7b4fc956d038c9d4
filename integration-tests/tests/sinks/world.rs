//! Files of payments, the program that writes alerts, and what must be in its sinks.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::alerts::{Expected, expected};
use rufous_integration_tests::run::Random;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-alerts");
/// Files, which are partitions.
pub(crate) const PARTITIONS: usize = 3;

/// One record of a sink: its id in parts, and the record as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) number: u64,
    pub(crate) record: String,
}

impl Got {
    /// Reads `sink/source/partition/offset/number`.
    pub(crate) fn new(sink: &str, id: &str, record: String) -> Result<Self> {
        let parts: Vec<&str> = id.split('/').collect();
        let [of, source, partition, offset, number] = parts[..] else {
            anyhow::bail!("id {id}");
        };
        ensure!((of, source) == (sink, "payments"), "id {id}");
        Ok(Self {
            partition: partition.parse()?,
            offset: offset.parse()?,
            number: number.parse()?,
            record,
        })
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    /// Lines by file.
    pub(crate) lines: Vec<Vec<String>>,
    pub(crate) random: Random,
    /// What the program is told of its sinks.
    pub(crate) to: String,
    instance: String,
    /// Leaves all but the copies out, so that the job has no store.
    only_copies: bool,
}

impl World {
    pub(crate) fn new(seed: u64, to: impl FnOnce(&std::path::Path) -> String) -> Result<Self> {
        Self::named(seed, to, "main")
    }

    /// Of the job that only writes copies, to a table.
    pub(crate) fn only_copies(seed: u64) -> Result<Self> {
        Self::of(seed, |_| "table".into(), "main", true)
    }

    /// As an instance of this name.
    pub(crate) fn named(seed: u64, to: impl FnOnce(&std::path::Path) -> String, instance: &str) -> Result<Self> {
        Self::of(seed, to, instance, false)
    }

    fn of(seed: u64, to: impl FnOnce(&std::path::Path) -> String, instance: &str, only_copies: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("in"))?;
        let to = to(dir.path());
        let mut world = Self {
            dir,
            lines: vec![Vec::new(); PARTITIONS],
            random: Random(seed),
            to,
            instance: instance.to_string(),
            only_copies,
        };
        // All files are there from the start, in a known order.
        world.append_all(1)?;
        world.catch_up()?;
        Ok(world)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Everything of the job.
    pub(crate) fn job(&self) -> PathBuf {
        let job = if self.only_copies { "only-copies" } else { "alerts" };
        self.data().join(&self.instance).join("jobs").join(job)
    }

    /// Where the state is.
    pub(crate) fn state(&self) -> PathBuf {
        self.job().join("realtime")
    }

    /// Appends payments of accounts that are in this file alone.
    pub(crate) fn append(&mut self, p: usize, n: usize) -> Result<()> {
        use std::io::Write;
        let path = self.dir.path().join(format!("in/part-{p}.txt"));
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let mut text = String::new();
        for _ in 0..n {
            let cents = self.random.below(200) as i64 - 100;
            let line = format!("p{p}a{} {cents}", self.random.below(7));
            text.push_str(&line);
            text.push('\n');
            self.lines[p].push(line);
        }
        file.write_all(text.as_bytes())?;
        Ok(())
    }

    pub(crate) fn append_all(&mut self, n: usize) -> Result<()> {
        (0..PARTITIONS).try_for_each(|p| self.append(p, n))
    }

    /// What every command is told.
    pub(crate) fn places(&self) -> Vec<String> {
        let source = format!("payments=dir:{}+text", self.dir.path().join("in").display());
        let data = self.data().display().to_string();
        let all = ["--data", &data, "--source", &source, "--instance", &self.instance];
        all.map(str::to_string).to_vec()
    }

    /// `sink` takes a word before what every command is told.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut c = Command::new(PROGRAM);
        let mut words = command.split(' ');
        c.args(words.next());
        if command != "sink" {
            c.args(words).args(self.places());
        }
        if self.only_copies {
            c.env("ALERTS_ONLY", "copies");
        }
        c.env("RUFOUS_LOG", "error")
            .env("ALERTS_TO", &self.to)
            .current_dir(self.dir.path());
        c
    }

    /// Starts a stream, and waits until it owns the state.
    pub(crate) fn live(&self) -> Result<Child> {
        let mut stream = self.command("stream");
        let stream = stream
            .args(["--no-archive", "--commit-ms", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = stream.spawn()?;
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            for namespace in std::fs::read_dir(self.state())? {
                let owner = rufous_store_rocksdb::owner::look(&namespace?.path())?;
                if matches!(owner, rufous_store_rocksdb::owner::Ownership::Held(Some(_))) {
                    return Ok(child);
                }
            }
            ensure!(Instant::now() < until, "the stream does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn run(&self, command: &str, args: &[&str]) -> Result<Output> {
        let out = self.command(command).args(args).output()?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{command} {args:?}: {} {err}", out.status);
        Ok(out)
    }

    pub(crate) fn catch_up(&self) -> Result<()> {
        self.run("stream", &["--until-end", "--no-archive"]).map(drop)
    }

    /// Runs a stream that ends itself at a point, as kill -9 would. Says whether it came there.
    pub(crate) fn end_at(&self, point: &str) -> Result<bool> {
        let mut stream = self.command("stream");
        stream
            .args(["--until-end", "--no-archive", "--commit-ms", "2"])
            .env("RUFOUS_END_AT", point);
        let out = stream.output()?;
        if out.status.success() {
            return Ok(false);
        }
        // An abort has no exit code.
        ensure!(
            out.status.code().is_none(),
            "{point}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(true)
    }

    /// Starts a stream and kills it after a while.
    pub(crate) fn kill(&mut self, most_ms: u64) -> Result<()> {
        let mut stream = self.command("stream");
        let stream = stream
            .args(["--no-archive", "--commit-ms", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = stream.spawn()?;
        std::thread::sleep(Duration::from_millis(self.random.below(most_ms)));
        child.kill()?;
        let out = child.wait_with_output()?;
        ensure!(
            out.status.code().is_none(),
            "{} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(())
    }

    /// What must be in the sinks of a partition, by the loop.
    pub(crate) fn expected(&self, p: usize) -> Expected {
        expected(self.lines[p].iter().map(String::as_str))
    }

    /// Compares what is in the sinks, records in the order in which they stand there.
    pub(crate) fn check(&self, what: &str, overdrawn: &[Got], copies: &[Got]) -> Result<()> {
        for (sink, got) in [("overdrawn", overdrawn), ("copies", copies)] {
            let ids: BTreeSet<_> = got.iter().map(|g| (g.partition, g.offset, g.number)).collect();
            ensure!(
                ids.len() == got.len(),
                "{what}: {sink} has {} records of {} ids",
                got.len(),
                ids.len()
            );
            for p in 0..PARTITIONS {
                let of: Vec<&Got> = got.iter().filter(|g| g.partition as usize == p).collect();
                let places: Vec<_> = of.iter().map(|g| (g.offset, g.number)).collect();
                ensure!(places.is_sorted(), "{what}: {sink} of partition {p} is out of order");
                let records: Vec<&str> = of.iter().map(|g| g.record.as_str()).collect();
                let all = self.expected(p);
                let expected = if sink == "copies" { all.copies } else { all.overdrawn };
                let differing = records.iter().zip(&expected).position(|(a, b)| a != b);
                ensure!(
                    records == expected,
                    "{what}: {sink} of partition {p}: {} records, expected {}; the first that differs: {differing:?}",
                    records.len(),
                    expected.len()
                );
            }
        }
        Ok(())
    }
}

/// A JSON text as the text that it stands for.
pub(crate) fn text(json: &str) -> Result<String> {
    serde_json::from_str(json).context("a text")
}
