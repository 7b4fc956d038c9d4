//! kill -9 of the real program over two sources, files or topics, at random instants, with bulk runs, lost live state and a rollback
//! between: every balance is that of a fold in log order (O3-O5, O9, O10).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous::client::{Client, ClientParts};
use rufous::core::{Plan, key};
use rufous::prelude::*;
use rufous::store_api::{Layout, Until};
use rufous_integration_tests::kafka::{self, Broker};
use rufous_integration_tests::run::{self, Random};
use rufous_integration_tests::two_sources::{BALANCES, Line, SEEN, fold, one_order, two_sources};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::RocksReader;

use crate::alone;

pub(crate) const SOURCES: [&str; 2] = ["payments", "deposits"];

/// Which partitions have one order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Partition i of both sources.
    Alike,
    /// All.
    Spread,
}

impl Shape {
    fn program(self) -> &'static str {
        match self {
            Self::Alike => env!("CARGO_BIN_EXE_job-two-sources"),
            Self::Spread => env!("CARGO_BIN_EXE_job-one-order"),
        }
    }
    fn job(self) -> Job {
        match self {
            Self::Alike => two_sources(),
            Self::Spread => one_order(),
        }
    }
    fn partitions(self, source: &str) -> usize {
        match self {
            Self::Spread if source == "payments" => 3,
            _ => 2,
        }
    }
}

pub(crate) struct World {
    shape: Shape,
    /// Where topics are; `None`: files.
    broker: Option<&'static Broker>,
    topics: BTreeMap<&'static str, String>,
    dir: tempfile::TempDir,
    plan: Plan,
    random: Random,
    lines: Vec<Line>,
    now: i64,
}

impl World {
    pub(crate) fn new(shape: Shape, broker: Option<&'static Broker>, seed: u64) -> Result<Self> {
        let w = Self {
            shape,
            broker,
            topics: SOURCES.map(|source| (source, kafka::unique_name(source))).into(),
            dir: tempfile::tempdir()?,
            plan: shape.job().plan()?,
            random: Random(seed),
            lines: Vec::new(),
            now: 1_600_000_000_000,
        };
        for source in SOURCES {
            std::fs::create_dir(w.dir.path().join(source))?;
            if let Some(broker) = broker {
                broker.create_topic(
                    &w.topics[source],
                    shape.partitions(source) as i32,
                    &[("retention.ms", "-1")],
                )?;
            }
        }
        Ok(w)
    }
    /// Another process of the same group, with a data directory of its own.
    pub(crate) fn beside(&self) -> Result<Self> {
        Ok(Self {
            topics: self.topics.clone(),
            dir: tempfile::tempdir()?,
            plan: self.shape.job().plan()?,
            random: Random(self.random.0),
            lines: Vec::new(),
            ..*self
        })
    }
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(self.shape.program());
        c.args(&args[..1]).arg("--data").arg(self.data());
        for source in SOURCES {
            let place = match self.broker {
                Some(broker) => format!("{source}=kafka://{}/{}+text", broker.addr(), self.topics[source]),
                None => format!("{source}=dir:{}+text", self.dir.path().join(source).display()),
            };
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
    pub(crate) fn append(&mut self, n: usize, last: bool) -> Result<()> {
        let from = self.lines.len();
        for _ in 0..n {
            self.now += self.random.below(20_000) as i64;
            let late = if self.random.below(9) == 0 {
                self.random.below(5_000_000) as i64
            } else {
                0
            };
            let account = self.random.below(20) as usize;
            let source = SOURCES[self.random.below(2) as usize];
            let partition = match self.shape {
                Shape::Alike => account,
                Shape::Spread => self.random.below(6) as usize,
            };
            self.lines.push(Line {
                source,
                partition: partition % self.shape.partitions(source),
                // Whole minutes: many are equal.
                time: (self.now - late) / 60_000 * 60_000,
                account: format!("account-{account}"),
                cents: self.random.below(19) as i64 - 9,
            });
        }
        if last {
            self.now += 7_200_000;
            for source in SOURCES {
                for partition in 0..self.shape.partitions(source) {
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
            let partitions = self.shape.partitions(source);
            if let Some(broker) = self.broker {
                for p in 0..partitions {
                    let of_it = of.iter().zip(&text).filter(|(line, _)| line.partition == p);
                    let records = of_it.map(|(line, text)| (line.time, "", text.as_str()));
                    broker.produce(&self.topics[source], p as i32, records)?;
                }
                continue;
            }
            let dir = self.dir.path().join(source);
            run::write_files(&dir, "txt", partitions, text.iter().map(String::as_str), |i, _| {
                of[i].partition
            })?;
        }
        Ok(())
    }
    /// O4: of what is left after the end each domain waits for a later record of one partition, and the clocks are nobody's.
    fn doctor_says_who_waits(&self) -> Result<()> {
        let out = self.command(&["doctor"]).output()?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let clock = match self.broker {
            Some(_) => "is stamped by its writers' clocks (message.timestamp.type=CreateTime)",
            None => "is cut by event time",
        };
        for words in [
            &format!("warn  source payments: {clock}, and other partitions have one order with its own"),
            &format!("warn  source deposits: {clock}"),
            "wait for a later record or heartbeat of deposits/0 (at offset",
        ] {
            ensure!(said.contains(words), "{words}: {said}");
        }
        ensure!(out.status.success(), "{said}");
        Ok(())
    }
    pub(crate) fn check(&self, what: &str) -> Result<()> {
        let layout = Layout::new(&self.data(), "main")?;
        let (job, stores) = (self.plan.job(), self.plan.stores().to_vec());
        let realtime = layout.clone();
        let client = Client::new(ClientParts {
            job: job.to_string(),
            manifests: Arc::new(Manifests::new(layout.manifests(job))),
            generations: Arc::new(Generations::new(layout.offline(job))),
            realtime: Arc::new(move |namespace: &str, _: &Until| {
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
    killed_rebuilt_and_rolled_back(World::new(Shape::Alike, None, 41)?, 24)
}

/// The same where an account is in any partition.
#[test]
fn one_order_killed_rebuilt_and_rolled_back() -> Result<()> {
    killed_rebuilt_and_rolled_back(World::new(Shape::Spread, None, 43)?, 24)
}

/// The same over topics.
#[test]
fn one_order_of_topics_killed_rebuilt_and_rolled_back() -> Result<()> {
    killed_rebuilt_and_rolled_back(World::new(Shape::Spread, Some(kafka::shared()?), 47)?, 6)
}

fn killed_rebuilt_and_rolled_back(mut w: World, rounds: usize) -> Result<()> {
    let _alone = alone();
    w.append(20, false)?;
    w.run(&["stream", "--until-end"])?;
    // With a broker it takes longer until records come.
    let most_ms = if w.broker.is_some() { 3_000 } else { 150 };
    for n in 0..rounds {
        w.append(1_500, n % 7 == 0)?;
        w.kill(&["stream", "--commit-ms", "3"], most_ms)?;
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
    w.doctor_says_who_waits()?;
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
