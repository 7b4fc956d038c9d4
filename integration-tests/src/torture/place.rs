//! A data directory of `job-word-count`, and the commands on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rufous::client::Client;
use rufous::core::{Plan, SourcePartition, StoreFace};
use rufous::store_api::{Layout, Progress};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};

use super::{Counts, differing, in_bytes};
use crate::kafka::job::SOON_DEAD;
use crate::kafka::process;
use crate::run::{Bytes, answers_on_disk, client_on_disk};

/// How long a command may take that ends by itself, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A data directory and the job over a topic.
pub struct Place {
    program: PathBuf,
    dir: tempfile::TempDir,
    source: String,
    plan: Plan,
    surroundings: Vec<(String, String)>,
}

impl Place {
    /// `program`: the path of `job-word-count`.
    pub fn new(program: &Path, addr: &str, topic: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut settings = String::from("[sources.lines.kafka.properties]\n");
        for (name, value) in SOON_DEAD {
            settings += &format!("\"{name}\" = \"{value}\"\n");
        }
        fs::write(dir.path().join("rufous.toml"), settings)?;
        let args = rufous_examples::word_count::Args { min_len: 1 };
        Ok(Self {
            program: program.into(),
            dir,
            source: format!("lines=kafka://{addr}/{topic}+text"),
            plan: rufous_examples::word_count::word_count(&args).plan()?,
            surroundings: Vec::new(),
        })
    }
    /// Every process from now on has this variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.surroundings.push((name.into(), value.into()));
    }
    /// A file of this place.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn layout(&self) -> Result<Layout> {
        Ok(Layout::new(&self.path("data"), "main")?)
    }
    /// A manifest.
    pub fn manifest(&self, number: u64) -> Result<serde_json::Value> {
        let path = self.layout()?.manifests(self.plan.job()).join(format!("{number}.json"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let json = text.rsplit_once("xxh3 ").map_or(text.as_str(), |(json, _)| json);
        Ok(serde_json::from_str(json)?)
    }
    /// The directory of the realtime store, and its namespace.
    fn namespace(&self) -> Result<(PathBuf, String)> {
        let manifest = self.manifest(0)?;
        let namespace = manifest["realtime_namespace"].as_str().context("a namespace")?;
        Ok((
            self.layout()?.realtime(self.plan.job(), namespace),
            namespace.to_string(),
        ))
    }
    /// Starts a command; what it writes to standard error goes to [`log`](Self::log), standard output nowhere.
    pub fn spawn(&self, args: &[&str], more: &[(&str, &str)]) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("stderr.log"))?;
        let mut c = Command::new(&self.program);
        c.args(args).args(["--source", &self.source]);
        c.env("RUFOUS_LOG", "warn").current_dir(self.dir.path());
        for (name, value) in &self.surroundings {
            c.env(name, value);
        }
        c.envs(more.iter().copied());
        c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        process::spawn(c)
    }
    /// The end of what all commands wrote.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.path("stderr.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
    /// Waits until a command ends by itself.
    pub fn ends(&self, what: &str, mut child: Child) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        process::kill(&mut child)?;
        bail!("`{what}` does not end; the log:\n{}", self.log())
    }
    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Result<()> {
        let what = args.join(" ");
        let status = self.ends(&what, self.spawn(args, &[])?)?;
        ensure!(status.success(), "`{what}`: {status}; the log:\n{}", self.log());
        Ok(())
    }
    /// SIGKILL; an error when the process has failed by itself before it. `until_end`: it may be done already.
    pub fn kill(&self, what: &str, mut child: Child, until_end: bool) -> Result<()> {
        if let Some(status) = child.try_wait()? {
            let may = until_end && status.success();
            ensure!(may, "`{what}` ended by itself: {status}; the log:\n{}", self.log());
            return Ok(());
        }
        process::kill(&mut child)
    }
    /// SIGTERM, and waits.
    pub fn stop(&self, mut child: Child) -> Result<()> {
        process::stop(&mut child)
    }
    /// All merged answers, as another process reads them.
    pub fn answers(&self) -> Result<Bytes> {
        answers_on_disk(&self.plan, &self.path("data"))
    }
    /// Somebody who asks from outside, again and again.
    pub fn client(&self) -> Result<Client> {
        client_on_disk(&self.plan, &self.path("data"))
    }
    /// The only store.
    pub fn store(&self) -> StoreFace {
        self.plan.stores()[0]
    }
    /// How far the store is, by partition; from outside.
    pub fn progress(&self) -> Result<Vec<(SourcePartition, Progress)>> {
        let (_, namespace) = self.namespace()?;
        self.progress_of(&namespace)
    }
    /// The same of a namespace that other code may have.
    pub fn progress_of(&self, namespace: &str) -> Result<Vec<(SourcePartition, Progress)>> {
        let dir = self.layout()?.realtime(self.plan.job(), namespace);
        let reader = RocksReader::open(&dir, namespace, self.plan.stores())?;
        let snapshot = reader.context("no realtime state")?.snapshot()?;
        Ok(snapshot.partitions(self.plan.stores()[0].name)?.to_vec())
    }
    /// Opens the store as its owner, as the next start does, and closes it: how long the first of it took.
    pub fn reopen(&self) -> Result<Duration> {
        let (dir, namespace) = self.namespace()?;
        let start = Instant::now();
        let store = RocksStore::open(&dir, &namespace, self.plan.stores(), RocksOptions::default())?;
        let took = start.elapsed();
        drop(store);
        Ok(took)
    }
    /// Waits until the answer is this, byte for byte, while `child` streams.
    pub fn comes_to(&self, what: &str, child: &mut Child, expected: &Counts) -> Result<()> {
        let (start, expected) = (Instant::now(), in_bytes(expected));
        loop {
            let got = self.answers();
            if got.as_ref().is_ok_and(|got| *got == expected) {
                return Ok(());
            }
            let ended = child.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let of = super::total(&expected);
                let different = got.as_ref().map(|got| differing(got, &expected)).unwrap_or_default();
                let got = got.map(|got| super::total(&got));
                bail!(
                    "{what}: {got:?} of {of} ({different}), process: {ended:?}; the log:\n{}",
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// The answer is this now, byte for byte.
    pub fn is_exact(&self, what: &str, expected: &Counts) -> Result<()> {
        let (got, expected) = (self.answers()?, in_bytes(expected));
        ensure!(
            got == expected,
            "{what}: {} of {} words; different at {}",
            super::total(&got),
            super::total(&expected),
            differing(&got, &expected)
        );
        Ok(())
    }
}
