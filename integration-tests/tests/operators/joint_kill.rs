//! kill -9 of the real program over two sources at random instants, with bulk runs, lost live state and a rollback between: every
//! balance is that of a fold in log order (O3-O5, O9, O10).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, ClientParts};
use rufous::core::{Plan, key};
use rufous::prelude::*;
use rufous::store_api::Layout;
use rufous_integration_tests::run::{self, Random};
use rufous_integration_tests::two_sources::{BALANCES, Line, SEEN, fold, two_sources};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::RocksReader;

use crate::alone;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-two-sources");
const PARTITIONS: usize = 2;
const SOURCES: [&str; 2] = ["payments", "deposits"];

struct World {
    dir: tempfile::TempDir,
    plan: Plan,
    random: Random,
    lines: Vec<Line>,
    now: i64,
}

impl World {
    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(PROGRAM);
        c.args(&args[..1]).arg("--data").arg(self.data());
        for source in SOURCES {
            let place = format!("{source}=dir:{}+text", self.dir.path().join(source).display());
            c.args(["--source", &place]);
        }
        c.args(&args[1..])
            .env("RUFOUS_LOG", "error")
            .current_dir(self.dir.path());
        c
    }
    fn run(&self, args: &[&str]) -> Result<()> {
        let out = self.command(args).output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {} {said}", out.status);
        Ok(())
    }
    fn kill(&mut self, args: &[&str], most_ms: u64) -> Result<()> {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        std::thread::sleep(Duration::from_millis(self.random.below(most_ms)));
        child.kill()?;
        let out = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code().is_none_or(|c| c == 0), "{args:?}: {said}");
        Ok(())
    }
    /// Files have no heartbeats: `last` ends each with a line that only moves its time.
    fn append(&mut self, n: usize, last: bool) -> Result<()> {
        let from = self.lines.len();
        for _ in 0..n {
            self.now += self.random.below(20_000) as i64;
            let late = if self.random.below(9) == 0 {
                self.random.below(5_000_000) as i64
            } else {
                0
            };
            let account = self.random.below(20) as usize;
            self.lines.push(Line {
                source: SOURCES[self.random.below(2) as usize],
                partition: account % PARTITIONS,
                // Whole minutes: many are equal.
                time: (self.now - late) / 60_000 * 60_000,
                account: format!("account-{account}"),
                cents: self.random.below(19) as i64 - 9,
            });
        }
        if last {
            self.now += 7_200_000;
            for source in SOURCES {
                for partition in 0..PARTITIONS {
                    self.lines.push(Line {
                        source,
                        partition,
                        time: self.now,
                        account: format!("nobody-{partition}"),
                        cents: 0,
                    });
                }
            }
        }
        for source in SOURCES {
            let of: Vec<&Line> = self.lines[from..].iter().filter(|l| l.source == source).collect();
            let text: Vec<String> = of
                .iter()
                .map(|l| format!("{} {} {}", l.time, l.account, l.cents))
                .collect();
            let dir = self.dir.path().join(source);
            run::write_files(&dir, "txt", PARTITIONS, text.iter().map(String::as_str), |i, _| {
                of[i].partition
            })?;
        }
        Ok(())
    }
    fn check(&self, what: &str) -> Result<()> {
        let layout = Layout::new(&self.data(), "main")?;
        let (job, stores) = (self.plan.job(), self.plan.stores().to_vec());
        let realtime = layout.clone();
        let client = Client::new(ClientParts {
            job: job.to_string(),
            manifests: Arc::new(Manifests::new(layout.manifests(job))),
            generations: Arc::new(Generations::new(layout.offline(job))),
            realtime: Arc::new(move |namespace: &str| {
                let reader = RocksReader::open(&realtime.realtime(job, namespace), namespace, &stores)?;
                Ok(reader.map(Arc::from))
            }),
        });
        let raw = |name: &str| {
            let face = self.plan.store(name).context("a store of the job")?;
            Ok::<_, anyhow::Error>(client.raw(*face).under(&[])?.0)
        };
        let mut balances: BTreeMap<String, i64> = BTreeMap::new();
        for (key, value) in raw(BALANCES.name())? {
            balances.insert(key::decode_all(&key)?, i64::decode(&value)?);
        }
        let mut seen: BTreeMap<(String, i64), i64> = BTreeMap::new();
        for (key, value) in raw(SEEN.name())? {
            seen.insert(key::decode_all(&key)?, i64::decode(&value)?);
        }
        let mut expected = fold(&self.lines);
        // The last of them wait for later ones.
        for all in [&mut balances, &mut expected.0] {
            all.retain(|account, _| account.starts_with("account"));
        }
        for all in [&mut seen, &mut expected.1] {
            all.retain(|(account, _), _| account.starts_with("account"));
        }
        let wrong = expected.1.iter().find(|(k, n)| seen.get(*k) != Some(n));
        ensure!(
            (&balances, &seen) == (&expected.0, &expected.1),
            "{what}: {} of {} emissions; first {wrong:?}",
            seen.len(),
            expected.1.len()
        );
        Ok(())
    }
}

/// The stream is killed under load, again and again, and so are bulk runs; the live state is lost and made anew; a generation is
/// taken back.
#[test]
fn two_sources_killed_rebuilt_and_rolled_back() -> Result<()> {
    let _alone = alone();
    let mut w = World {
        dir: tempfile::tempdir()?,
        plan: two_sources().plan()?,
        random: Random(41),
        lines: Vec::new(),
        now: 1_600_000_000_000,
    };
    for source in SOURCES {
        std::fs::create_dir(w.dir.path().join(source))?;
    }
    w.append(20, false)?;
    w.run(&["stream", "--until-end"])?;
    for n in 0..24 {
        w.append(1_500, n % 7 == 0)?;
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
    w.append(0, true)?;
    w.run(&["stream", "--until-end"]).context("to the end")?;
    w.check("killed")?;
    w.run(&["batch"])?;
    w.check("published")?;
    w.append(1_500, true)?;
    w.run(&["stream", "--until-end"])?;
    w.run(&["batch"])?;
    w.run(&["rollback"])?;
    w.append(1_500, true)?;
    w.run(&["rebuild"])?;
    w.run(&["stream", "--until-end"])?;
    w.check("rolled back and rebuilt")
}
