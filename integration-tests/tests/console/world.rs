//! Flights that arrive in two growing files, the programs that count them, and what a plain program counts.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::process;
use serde_json::json;

pub(crate) const STORE: &str = "by-origin-day";
/// An airport whose name would do harm if it were ever taken for markup.
pub(crate) const HOSTILE: &str = "<img src=x onerror=window.pwned=true><script>window.pwned=true</script>";
const ORIGINS: [&str; 5] = ["ATL", "ATW", "ORD", "a,b", HOSTILE];

/// A flight, as this test knows it.
#[derive(Clone)]
pub(crate) struct Flight {
    day: u32,
    minute: u32,
    pub(crate) origin: &'static str,
    destination: u64,
    delay: i64,
}

/// What a plain count has for an airport and a day.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) flights: u64,
    pub(crate) distance: i64,
    pub(crate) delay: i64,
    pub(crate) destinations: std::collections::BTreeSet<u64>,
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    /// All that arrived and can be read.
    pub(crate) flights: Vec<Flight>,
    /// Lines since the live process began.
    pub(crate) live: u64,
    seed: u64,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("in"))?;
        Ok(Self {
            dir,
            flights: Vec::new(),
            live: 0,
            seed: 7,
        })
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn next(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }
    /// So many flights of a day arrive, half of them in each file.
    pub(crate) fn arrive(&mut self, day: u32, count: u32) -> Result<()> {
        let mut lines = [String::new(), String::new()];
        for n in 0..count {
            let flight = Flight {
                day,
                minute: n * 1_400 / count,
                origin: ORIGINS[usize::try_from(self.next(5))?],
                destination: self.next(40),
                delay: i64::try_from(self.next(90))? - 15,
            };
            lines[(n % 2) as usize] += &flight.line();
            self.flights.push(flight);
            self.live += 1;
        }
        for (partition, text) in lines.iter().enumerate() {
            self.append(partition, text)?;
        }
        Ok(())
    }
    /// A line in a file as it is.
    pub(crate) fn append(&self, partition: usize, text: &str) -> Result<()> {
        let path = self.path("in").join(format!("part-{partition}.jsonl"));
        Ok(OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?
            .write_all(text.as_bytes())?)
    }
    /// A flight of a day that is over.
    pub(crate) fn arrive_late(&mut self, day: u32) -> Result<String> {
        let flight = Flight {
            day,
            minute: 3,
            origin: "ORD",
            destination: 1,
            delay: 0,
        };
        let line = flight.line();
        self.append(0, &line)?;
        self.flights.push(flight);
        self.live += 1;
        Ok(line.trim_end().to_string())
    }
    pub(crate) fn counted(&self) -> BTreeMap<(&'static str, u32), Counted> {
        let mut all: BTreeMap<_, Counted> = BTreeMap::new();
        for f in &self.flights {
            let of = all.entry((f.origin, f.day)).or_default();
            of.flights += 1;
            of.distance += 100;
            of.delay += f.delay;
            of.destinations.insert(f.destination);
        }
        all
    }

    fn command(&self, word: &str) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_job-flights"));
        c.current_dir(self.dir.path())
            .env("RUFOUS_LOG", "info")
            .stdin(Stdio::null());
        c.args([word, "--data", "data", "--source", "flights=dir:in+jsonl"]);
        c.args(["--set", "sources.flights.on_bad_record=skip"]);
        c
    }
    /// Runs a command to its end.
    pub(crate) fn run(&self, word: &str, more: &[&str]) -> Result<()> {
        let done = self.command(word).args(more).output()?;
        ensure!(
            done.status.success(),
            "{word}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    }
    /// Counts live from now on.
    pub(crate) fn stream(&mut self) -> Result<Child> {
        self.live = 0;
        let log = std::fs::File::create(self.path("stream.log"))?;
        let mut stream = self.command("stream");
        stream.stdout(Stdio::null()).stderr(log);
        process::spawn(stream)
    }
    /// A server, and where it answers.
    pub(crate) fn serve(&self, listen: &str, more: &[&str]) -> Result<(Child, String)> {
        let mut serve = self.command("serve");
        serve.args(["--listen", listen]).args(more);
        serving(serve)
    }
    /// One that looks for the archive in a bucket at this address.
    pub(crate) fn without_archive(&self, bucket: SocketAddr) -> Result<(Child, String)> {
        let mut serve = self.command("serve");
        serve.args(["--listen", "0", "--set", "archive.location=s3://nowhere/at-all"]);
        serve
            .env("AWS_ENDPOINT", format!("http://{bucket}"))
            .env("AWS_REGION", "us-east-1");
        serve.env("AWS_ACCESS_KEY_ID", "k").env("AWS_SECRET_ACCESS_KEY", "s");
        serving(serve)
    }
}

/// Starts a server, and reads where it answers.
pub(crate) fn serving(mut serve: Command) -> Result<(Child, String)> {
    serve.stdout(Stdio::piped());
    let mut child = process::spawn(serve)?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    let url = line
        .trim()
        .strip_prefix("serving ")
        .with_context(|| format!("it said {line:?}"))?;
    Ok((child, url.to_string()))
}

impl Flight {
    fn line(&self) -> String {
        let date = format!(
            "2001-01-{:02}T{:02}:{:02}:00",
            self.day,
            self.minute / 60,
            self.minute % 60
        );
        let destination = format!("D{:02}", self.destination);
        json!({"date": date, "delay": self.delay, "distance": 100, "origin": self.origin, "destination": destination})
            .to_string()
            + "\n"
    }
}

/// A key as it is typed: a comma or a backslash inside a part stands behind a backslash.
pub(crate) fn key(origin: &str, day: u32) -> String {
    format!("{},2001-01-{day:02}", origin.replace('\\', "\\\\").replace(',', "\\,"))
}

/// Hits of one page over some hours, in windows: a program of another job, and views by hour.
pub(crate) fn windows(dir: &Path) -> Result<(Child, String, BTreeMap<String, u64>)> {
    std::fs::create_dir_all(dir.join("in"))?;
    let mut views = BTreeMap::new();
    let mut text = String::new();
    for hour in 0..30_u64 {
        let count = if hour == 11 { 0 } else { 5 + (hour * 7) % 13 };
        for n in 0..count {
            let time = 807_235_200 + hour * 3600 + n * 60;
            let hit = json!({"host": format!("h{}", n % 4), "time": time, "url": "/x", "response": 200, "bytes": 10});
            text += &format!("{hit}\n");
        }
        let (day, hour) = (1 + hour / 24, hour % 24);
        views.insert(format!("1995-08-{day:02} {hour:02}:00:00"), count);
    }
    std::fs::write(dir.join("in/part-0.jsonl"), text)?;
    let command = |word: &str| {
        let mut c = Command::new(env!("CARGO_BIN_EXE_job-page-views"));
        c.current_dir(dir).env("RUFOUS_LOG", "warn").stdin(Stdio::null());
        c.args([word, "--data", "data", "--source", "hits=dir:in+jsonl"]);
        c
    };
    let done = command("stream").arg("--until-end").output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut serve = command("serve");
    serve.args(["--listen", "0"]);
    let (child, url) = serving(serve)?;
    Ok((child, url, views))
}
