//! Tables in the server and operators with memory, while partitions move between processes that are killed.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::alerts::expected;
use rufous_integration_tests::kafka::job::SOON_DEAD;
use rufous_integration_tests::kafka::{Broker, unique_name};

use crate::servers::Server;

const PARTITIONS: usize = 3;

struct World<'a> {
    broker: Broker,
    topic: String,
    server: &'a Server,
    dir: tempfile::TempDir,
    lines: Vec<Vec<String>>,
    members: Vec<Child>,
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

impl<'a> World<'a> {
    fn new(server: &'a Server) -> Result<Self> {
        let (broker, topic, dir) = (Broker::start()?, unique_name("payments"), tempfile::tempdir()?);
        broker.create_topic(&topic, PARTITIONS as i32, &[])?;
        let mut settings = String::from("[sources.payments.kafka.properties]\n");
        for (name, value) in SOON_DEAD {
            settings += &format!("\"{name}\" = \"{value}\"\n");
        }
        std::fs::write(dir.path().join("rufous.toml"), settings)?;
        Ok(Self {
            broker,
            topic,
            server,
            dir,
            lines: vec![Vec::new(); PARTITIONS],
            members: Vec::new(),
        })
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_job-alerts"));
        command
            .args(args)
            .args([
                "--source",
                &format!("payments=kafka://{}/{}+text", self.broker.addr(), self.topic),
            ])
            .env("ALERTS_TO", "table")
            .env("RUFOUS_LOG", "info")
            .env("RUFOUS_REALTIME", self.server.url())
            .current_dir(self.dir.path());
        command
    }
    fn join(&mut self) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))?;
        let mut command = self.command(&["stream", "--no-archive", "--commit-ms", "50"]);
        self.members.push(command.stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }
    fn kill(&mut self, member: usize) -> Result<()> {
        let mut member = self.members.remove(member);
        let killed = member.kill();
        member.wait()?;
        Ok(killed?)
    }
    /// More payments of accounts that are in one partition alone.
    fn feed(&mut self, n: usize) -> Result<()> {
        for (p, lines) in self.lines.iter_mut().enumerate() {
            let from = lines.len();
            lines.extend((from..from + n).map(|i| format!("p{p}a{} {}", i % 5, (i * 37 + p) as i64 % 201 - 100)));
            let new = lines[from..].iter().map(|line| (1_000, "", line.as_str()));
            self.broker.produce(&self.topic, p as i32, new)?;
        }
        Ok(())
    }
    /// What `sink read` shows, as texts in order.
    fn written(&self, sink: &str) -> Result<Vec<String>> {
        let out = self.command(&["sink", "read", sink]).output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let mut all = Vec::new();
        for line in String::from_utf8(out.stdout)?.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            all.push(match &line["record"] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            });
        }
        Ok(all)
    }
    /// Waits until both tables have what a loop over the lines says, in the order of ids, each once.
    fn comes(&self, what: &str) -> Result<()> {
        let (mut overdrawn, mut copies) = (Vec::new(), Vec::new());
        for lines in &self.lines {
            let of = expected(lines.iter().map(String::as_str));
            overdrawn.extend(of.overdrawn);
            copies.extend(of.copies);
        }
        ensure!(!overdrawn.is_empty() && !copies.is_empty());
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let got = (self.written("overdrawn")?, self.written("copies")?);
            if got == (overdrawn.clone(), copies.clone()) {
                return Ok(());
            }
            ensure!(
                got.0.len() <= overdrawn.len() && got.1.len() <= copies.len() && Instant::now() < until,
                "{what}: {} of {}, {} of {}:\n{}",
                got.0.len(),
                overdrawn.len(),
                got.1.len(),
                copies.len(),
                std::fs::read_to_string(self.dir.path().join("log"))?
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// O7, O23: the state of an operator and the mark of a table go from process to process with their partition; every record is written
/// once, whoever is killed.
fn tables_move(server: &Server) -> Result<()> {
    let mut w = World::new(server)?;
    w.feed(100)?;
    w.join()?;
    w.comes("one process")?;
    w.join()?;
    w.feed(200)?;
    w.comes("two processes")?;
    for round in 0..3 {
        w.join()?;
        w.feed(150)?;
        w.kill(round % w.members.len())?;
        w.feed(50)?;
        w.comes(&format!("after kill {round}"))?;
    }
    let out = w.command(&["sink", "list"]).output()?;
    let said = String::from_utf8(out.stdout)?;
    let marks = said
        .matches(&format!("written up to offset {}", w.lines[0].len()))
        .count();
    ensure!(marks == 2 * PARTITIONS, "{said}");
    let last = w.members.last_mut().context("a process")?;
    ensure!(last.try_wait()?.is_none());
    Ok(())
}

#[test]
fn tables_move_on_postgres() -> Result<()> {
    tables_move(&Server::postgres()?)
}

#[test]
fn tables_move_on_redis() -> Result<()> {
    tables_move(&Server::redis()?)
}
