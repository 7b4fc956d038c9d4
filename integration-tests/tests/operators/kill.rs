//! kill -9 of the real program at random instants, with bulk runs, lost live state and a rollback between: every balance that
//! was ever emitted is that of a fold (O9, O10).

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, ClientParts};
use rufous::core::{Plan, key};
use rufous::prelude::*;
use rufous::store_api::{Layout, Until};
use rufous_integration_tests::run::{self, Random};
use rufous_integration_tests::running::{ACCOUNTS, BALANCES, Folded, SEEN, fold, running};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::RocksReader;

use crate::alone;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-running");
const PARTITIONS: u64 = 3;

struct World {
    dir: tempfile::TempDir,
    plan: Plan,
    random: Random,
    lines: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("in"))?;
        let world = Self {
            dir,
            plan: running().plan()?,
            random: Random(seed),
            lines: Vec::new(),
        };
        Ok(world)
    }
    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(PROGRAM);
        let source = format!("payments=dir:{}+text", self.dir.path().join("in").display());
        c.args(&args[..1])
            .arg("--data")
            .arg(self.data())
            .args(["--source", &source]);
        c.args(&args[1..])
            .env("RUFOUS_LOG", "error")
            .current_dir(self.dir.path());
        c
    }
    fn run(&self, args: &[&str]) -> Result<()> {
        let out = self.command(args).output()?;
        ensure!(
            out.status.success(),
            "{args:?}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(())
    }
    /// Starts a command and kills it after a random while.
    fn kill(&mut self, args: &[&str], most_ms: u64) -> Result<()> {
        let mut child = self
            .command(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(self.random.below(most_ms)));
        child.kill()?;
        let out = child.wait_with_output()?;
        ensure!(
            out.status.code().is_none_or(|c| c == 0),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(())
    }
    fn append(&mut self, n: usize) -> Result<()> {
        let lines: Vec<String> = (0..n)
            .map(|_| {
                let account = self.random.below(40);
                format!("account-{account} {}", self.random.below(19) as i64 - 9)
            })
            .collect();
        let file = |_: usize, line: &str| {
            let account = line.split(' ').next().and_then(|a| a.strip_prefix("account-"));
            account
                .and_then(|n| n.parse::<u64>().ok())
                .map_or(0, |n| (n % PARTITIONS) as usize)
        };
        let dir = self.dir.path().join("in");
        run::write_files(&dir, "txt", PARTITIONS as usize, lines.iter().map(String::as_str), file)?;
        self.lines.extend(lines);
        Ok(())
    }
    fn check(&self, what: &str) -> Result<()> {
        let layout = Layout::new(&self.data(), "main")?;
        let (job, stores) = (self.plan.job(), self.plan.stores().to_vec());
        let realtime = layout.clone();
        let client = Client::new(ClientParts {
            job: job.to_string(),
            manifests: std::sync::Arc::new(Manifests::new(layout.manifests(job))),
            generations: std::sync::Arc::new(Generations::new(layout.offline(job))),
            realtime: std::sync::Arc::new(move |namespace: &str, _: &Until| {
                let reader = RocksReader::open(&realtime.realtime(job, namespace), namespace, &stores)?;
                Ok(reader.map(std::sync::Arc::from))
            }),
        });
        let mut got = Folded::default();
        let raw = |name: &str| {
            let face = self.plan.store(name).context("a store of the job")?;
            Ok::<_, anyhow::Error>(client.raw(*face).under(&[])?.0)
        };
        for (key, value) in raw(BALANCES.name())? {
            got.balances.insert(key::decode_all(&key)?, i64::decode(&value)?);
        }
        for (key, value) in raw(SEEN.name())? {
            got.seen.insert(key::decode_all(&key)?, i64::decode(&value)?);
        }
        for (key, value) in raw(ACCOUNTS.name())? {
            let n = i64::decode(&value)?;
            if n != 0 {
                got.accounts.insert(key::decode_all(&key)?, n);
            }
        }
        let expected = fold(self.lines.iter().map(String::as_str));
        let wrong = expected.seen.iter().find(|(k, n)| got.seen.get(*k) != Some(n));
        ensure!(
            got == expected,
            "{what}: {} of {} emissions; first {wrong:?}",
            got.seen.len(),
            expected.seen.len()
        );
        Ok(())
    }
}

/// O9, O10: the stream is killed under load, again and again, and so are bulk runs; the live state is lost and made anew; a
/// generation is taken back.
#[test]
fn killed_rebuilt_and_rolled_back() -> Result<()> {
    let _alone = alone();
    let mut w = World::new(31)?;
    w.append(10)?;
    w.run(&["stream", "--until-end"])?;
    for n in 0..24 {
        w.append(1_500)?;
        w.kill(&["stream", "--commit-ms", "3"], 150)?;
        match n % 6 {
            1 => w.run(&["archive", "--until-end"])?,
            2 => w.kill(&["batch"], 80)?,
            3 => w.run(&["batch"])?,
            // O9: the next stream stands at the drop permission, with the state there.
            4 => w.run(&["rebuild"])?,
            _ => {}
        }
    }
    w.run(&["stream", "--until-end"]).context("to the end")?;
    w.check("killed")?;
    w.run(&["batch"])?;
    w.check("published")?;
    w.append(1_500)?;
    w.run(&["stream", "--until-end"])?;
    w.run(&["batch"])?;
    w.run(&["rollback"])?;
    w.append(1_500)?;
    w.run(&["rebuild"])?;
    w.run(&["stream", "--until-end"])?;
    w.check("rolled back and rebuilt")
}
