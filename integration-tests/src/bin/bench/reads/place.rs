//! The state that is read: a data directory, its growing files, and the processes on it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rufous_integration_tests::hourly::{LINE, Log, PARTITIONS};

use super::process;

/// Hours that are not published when the state is built: of the last, nobody knows yet that it is over.
const LIVE_HOURS: u64 = 2;

pub(super) struct Place {
    dir: PathBuf,
    pub(super) log: Log,
}

impl Place {
    /// The hours of the log, of which all but the last two are published, or what is there already.
    pub(super) fn build(dir: &Path, log: Log) -> Result<Self> {
        fs::create_dir_all(dir.join("in"))?;
        // The load is that of one client.
        fs::write(dir.join("rufous.toml"), "[serve]\nrequests_per_client = 1024\n")?;
        let mut place = Self { dir: dir.into(), log };
        if place.rounds()? == 0 {
            let start = Instant::now();
            place.append(log.hours - LIVE_HOURS)?;
            place.run(&["archive", "--until-end"])?;
            println!(
                "built: {} hours written and archived in {:.0} s",
                place.rounds()?,
                start.elapsed().as_secs_f64()
            );
            let start = Instant::now();
            place.run(&["batch"])?;
            println!("built: published in {:.0} s", start.elapsed().as_secs_f64());
            // The first generation is what a rollback could reach: the live part begins there.
            let start = Instant::now();
            place.append(1)?;
            place.run(&["archive", "--until-end"])?;
            place.run(&["batch"])?;
            println!(
                "built: an hour more, published in {:.1} s",
                start.elapsed().as_secs_f64()
            );
            place.append(LIVE_HOURS - 1)?;
        }
        let bytes: u64 = place.written()?.sum();
        println!(
            "{} pages, {} hours and {} rounds of later ones, {:.1} M lines; the data directory has {:.2} GB",
            log.pages,
            log.hours,
            place.rounds()?.saturating_sub(log.hours),
            bytes as f64 / LINE as f64 / 1e6,
            size(&place.data())? as f64 / 1e9
        );
        Ok(place)
    }
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
    fn file(&self, partition: u64) -> PathBuf {
        self.dir.join(format!("in/part-{partition}.txt"))
    }
    /// Bytes of each partition.
    pub(super) fn written(&self) -> Result<impl Iterator<Item = u64> + use<>> {
        let all: Vec<u64> = (0..PARTITIONS)
            .map(|p| fs::metadata(self.file(p)).map_or(0, |m| m.len()))
            .collect();
        Ok(all.into_iter())
    }
    /// Rounds that are there, each of them whole.
    fn rounds(&self) -> Result<u64> {
        let mut rounds = self.written()?.zip(0..).map(|(bytes, p)| {
            let of_round = self.log.lines(p) * LINE;
            ensure!(
                bytes.is_multiple_of(of_round),
                "{} has other pages",
                self.file(p).display()
            );
            Ok(bytes / of_round)
        });
        let first = rounds.next().context("no partition")??;
        ensure!(
            rounds.all(|r| r.is_ok_and(|r| r == first)),
            "one partition is behind: remove the directory"
        );
        Ok(first)
    }
    /// Writes the next rounds.
    pub(super) fn append(&mut self, rounds: u64) -> Result<()> {
        let from = self.rounds()?;
        for p in 0..PARTITIONS {
            let file = File::options().create(true).append(true).open(self.file(p))?;
            let mut file = BufWriter::with_capacity(1 << 20, file);
            for round in from..from + rounds {
                self.log.write(p, round, &mut file)?;
            }
            file.flush()?;
        }
        Ok(())
    }
    /// Writes the next rounds, so many lines a second, until it is stopped; then what lacks of the round at once.
    pub(super) fn feed(&self, rate: f64) -> Result<Feed> {
        let (stop, round, log) = (Arc::new(AtomicBool::new(false)), self.rounds()?, self.log);
        let mut files = Vec::new();
        for p in 0..PARTITIONS {
            files.push(File::options().append(true).open(self.file(p))?);
        }
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || -> Result<f64> {
            let (start, mut sent, mut round) = (Instant::now(), 0, round);
            while !stopped.load(Relaxed) {
                let mut texts = Vec::new();
                for p in 0..PARTITIONS {
                    let mut text = Vec::new();
                    log.write(p, round, &mut text)?;
                    texts.push(text);
                }
                // A share of each partition every 20 ms.
                let pieces = ((log.lines(0) * PARTITIONS) as f64 / rate / 0.02).ceil().max(1.0) as u64;
                for piece in 0..pieces {
                    for (text, file) in texts.iter().zip(&mut files) {
                        let lines = text.len() as u64 / LINE;
                        let at = |n: u64| (lines * n / pieces * LINE) as usize;
                        file.write_all(text.get(at(piece)..at(piece + 1)).unwrap_or_default())?;
                        sent += (at(piece + 1) - at(piece)) as u64 / LINE;
                    }
                    let due = start + Duration::from_secs_f64(sent as f64 / rate);
                    if !stopped.load(Relaxed) {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                }
                round += 1;
            }
            Ok(sent as f64 / start.elapsed().as_secs_f64())
        });
        Ok(Feed { stop, thread })
    }
    /// A command of the job.
    pub(super) fn command(&self, args: &[&str]) -> Result<Command> {
        let program = std::env::current_exe()?.with_file_name("job-hourly");
        ensure!(
            program.exists(),
            "{} is not built: run `./x bench reads`, which builds it",
            program.display()
        );
        let mut command = Command::new(program);
        let source = format!("events=dir:{}+text", self.dir.join("in").display());
        command
            .args(args)
            .arg("--data")
            .arg(self.data())
            .args(["--source", &source]);
        let log = File::options().create(true).append(true).open(self.dir.join("log"))?;
        command.env("RUFOUS_LOG", "warn").current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(command)
    }
    /// What the commands wrote.
    pub(super) fn log_text(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
    fn run(&self, args: &[&str]) -> Result<()> {
        let status = process::spawn(self.command(args)?)?.wait()?;
        ensure!(status.success(), "{args:?}: {status}: {}", self.log_text());
        Ok(())
    }
    fn start(&self, args: &[&str], says: &str) -> Result<Running> {
        let mut command = self.command(args)?;
        command.stdout(Stdio::piped());
        let mut child = process::spawn(command)?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let line = lines.next().transpose()?.unwrap_or_default();
        // What it says later has a reader, too.
        std::thread::spawn(move || lines.count());
        let url = line
            .strip_prefix(says)
            .with_context(|| format!("{args:?}: `{line}` {}", self.log_text()))?;
        Ok(Running {
            url: url.trim().to_string(),
            child,
        })
    }
    pub(super) fn stream(&self) -> Result<Running> {
        self.start(&["stream", "--monitor", "0"], "monitor: ")
    }
    pub(super) fn serve(&self) -> Result<Running> {
        self.start(&["serve", "--listen", "0"], "serving ")
    }
}

/// Bytes below a directory.
fn size(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() {
            size(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(sum)
}

/// A process that answers.
pub(super) struct Running {
    pub(super) url: String,
    child: Child,
}

impl Running {
    pub(super) fn cpu(&self) -> Result<f64> {
        process::cpu(self.child.id())
    }
    pub(super) fn stop(mut self) -> Result<()> {
        rufous_integration_tests::kafka::process::stop(&mut self.child)
    }
}

/// Somebody who writes lines.
pub(super) struct Feed {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<f64>>,
}

impl Feed {
    /// Ends the round; gives lines a second.
    pub(super) fn stop(self) -> Result<f64> {
        self.stop.store(true, Relaxed);
        self.thread.join().map_err(|_| anyhow!("the feed panicked"))?
    }
}
