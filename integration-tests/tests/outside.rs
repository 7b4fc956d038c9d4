//! A job seen from outside (issue 6, item 9): the real binary over real Kafka, asked by HTTP, by signals, and by its log. What
//! it says is compared with what was produced, folded by plain collections.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rufous_integration_tests::kafka::{self, Broker};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const HOUR: i64 = 3_600_000;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

fn until<T>(what: &str, mut f: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = f()? {
            return Ok(found);
        }
        ensure!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A data directory, a topic, and the commands of the job on both.
struct Place {
    dir: tempfile::TempDir,
    source: String,
}

impl Place {
    fn new(broker: &Broker, topic: &str) -> Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            source: format!("lines=kafka://{}/{topic}+text", broker.addr()),
        })
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn command(&self, command: &str, args: &[&str]) -> Result<Command> {
        let mut c = Command::new(PROGRAM);
        c.arg(command).args(["--source", &self.source]).args(args);
        c.current_dir(self.dir.path()).stdin(Stdio::null());
        c.env("RUFOUS_LOG", "info").stdout(Stdio::piped());
        c.stderr(std::fs::File::create(self.path("log"))?);
        Ok(c)
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
    /// Starts a command that listens, and reads where.
    fn start(&self, command: &str, args: &[&str]) -> Result<Job> {
        let mut child = self.command(command, args)?.args(["--monitor", "0"]).spawn()?;
        let out = BufReader::new(child.stdout.take().context("standard output")?);
        let mut job = Job {
            child,
            address: String::new(),
            out,
        };
        let mut line = String::new();
        job.out.read_line(&mut line)?;
        let address = line.trim().strip_prefix("monitor: http://");
        job.address = address.with_context(|| format!("`{line}` {}", self.log()))?.to_string();
        Ok(job)
    }
    /// All answers, by the program that users have.
    fn answers(&self) -> Result<BTreeMap<String, u64>> {
        let out = self.command("top", &["-n", "1000000", "--json"])?.output()?;
        ensure!(out.status.success(), "{}", self.log());
        let text = String::from_utf8(out.stdout)?;
        text.lines()
            .map(|line| {
                let row: Value = serde_json::from_str(line)?;
                let key = row["key"].as_str().with_context(|| line.to_string())?;
                let value = row["value"].as_u64().with_context(|| line.to_string())?;
                Ok((key.to_string(), value))
            })
            .collect()
    }
}

/// A running command; it ends with the test.
struct Job {
    child: Child,
    address: String,
    out: BufReader<std::process::ChildStdout>,
}

impl Drop for Job {
    fn drop(&mut self) {
        // It has ended, or nobody is left to hear of a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Job {
    /// Status and body of a GET.
    fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: job\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, body.to_string()))
    }
    fn json(&self, path: &str) -> Result<(u16, Value)> {
        let (status, body) = self.get(path)?;
        Ok((status, serde_json::from_str(&body)?))
    }
    fn scrape(&self) -> Result<Scrape> {
        let (status, text) = self.get("/metrics")?;
        ensure!(status == 200 && text.ends_with("# EOF\n"), "{status} {text}");
        let samples = text.lines().filter(|l| !l.starts_with('#'));
        samples
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').context(line.to_string())?;
                Ok((name.to_string(), value.parse()?))
            })
            .collect::<Result<_>>()
            .map(Scrape)
    }
    fn until_ready(&self) -> Result<()> {
        until("the job to be ready", || {
            let (status, body) = self.json("/readyz")?;
            ensure!((status == 200) == (body["ready"] == true), "{status} {body}");
            Ok((status == 200).then_some(()))
        })
    }
    fn signal(&self, signal: &str) -> Result<()> {
        kill(signal, self.child.id())
    }
    fn wait(&mut self) -> Result<ExitStatus> {
        until("the job to end", || Ok(self.child.try_wait()?))
    }
}

fn kill(signal: &str, pid: u32) -> Result<()> {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status()?;
    ensure!(sent.success(), "kill {signal} {pid}: {sent}");
    Ok(())
}

/// Samples by name and labels, as written.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn get(&self, name: &str) -> Result<f64> {
        let names = || self.0.keys().cloned().collect::<Vec<_>>().join("\n");
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("no {name} in:\n{}", names()))
    }
    fn partition(&self, name: &str, partition: i32) -> Result<f64> {
        self.get(&format!("{name}{{source=\"lines\",partition=\"{partition}\"}}"))
    }
    fn source(&self, name: &str) -> Result<f64> {
        self.get(&format!("{name}{{source=\"lines\"}}"))
    }
}

/// Words of lines, added up.
fn fold<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in lines.into_iter().flat_map(str::split_whitespace) {
        *counts.entry(word.to_string()).or_default() += 1;
    }
    counts
}

/// Item 9: counts, late, held and bad records, lag, batches and commits are those of what was produced; control records and
/// an aborted transaction at the tail leave no lag (row 20 of the fault table); the archive is seen as well.
#[test]
fn a_scrape_agrees_with_what_was_produced() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, kafka::unique_name("scraped"));
    broker.create_topic(&topic, 3, &[])?;
    let start = 470_000 * HOUR;
    // (hours after the start, line) by partition; the batch is the hour. One record is 400 days ahead: held to seven.
    let hours = |p: i64| (0..200).map(move |i| if i % 10 == 9 { i / 20 - 1 } else { i / 20 + p });
    let mut produced = vec![Vec::new(); 2];
    for (p, rows) in produced.iter_mut().enumerate() {
        for (i, hour) in hours(p as i64).enumerate() {
            rows.push((start + hour * HOUR, format!("a w{} p{p}", i % 7).into_bytes()));
        }
    }
    produced[0][50].1 = vec![b'x', 0xff, 0xfe];
    produced[1][70].1 = vec![0xc3];
    let ahead = start + 400 * 24 * HOUR;
    produced[1].push((ahead, b"ahead".to_vec()));
    for (p, rows) in produced.iter().enumerate() {
        broker.produce(&topic, p as i32, rows.iter().map(|(t, line)| (*t, "", line)))?;
    }
    // The third partition ends in markers and in records that nobody may see.
    let mut config = broker.client();
    config.set("transactional.id", kafka::unique_name("tx"));
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(PATIENCE)?;
    for (line, commit) in [("a tx", true), ("never seen", false)] {
        producer.begin_transaction()?;
        let record = BaseRecord::<(), str>::to(&topic)
            .partition(2)
            .timestamp(start)
            .payload(line);
        producer.send(record).map_err(|(e, _)| e)?;
        producer.flush(PATIENCE)?;
        if commit {
            producer.commit_transaction(PATIENCE)?;
        } else {
            producer.abort_transaction(PATIENCE)?;
        }
    }
    let consumer: BaseConsumer = broker.client().set("group.id", "watermarks").create()?;
    let end = |p: i32| -> Result<f64> { Ok(consumer.fetch_watermarks(&topic, p, PATIENCE)?.1 as f64) };
    ensure!(end(2)? == 4.0, "two records and two markers");

    let place = Place::new(broker, &topic)?;
    let args = ["--commit-ms", "50", "--on-bad-record", "skip"];
    let mut job = place.start("stream", &args)?;
    job.until_ready()?;
    let seen = until("all partitions to be committed", || {
        let seen = job.scrape()?;
        let lag = (0..3)
            .map(|p| seen.partition("rufous_partition_lag_records", p))
            .sum::<Result<f64>>()?;
        Ok((lag == 0.0).then_some(seen))
    })?;
    // The oracle: a running maximum of hours by partition.
    let (mut late, mut held) = (0.0, 0.0);
    for (p, rows) in produced.iter().enumerate() {
        let (mut running, mut late_here) = (i64::MIN, 0.0);
        for (t, _) in rows {
            let hour = t / HOUR;
            if running > i64::MIN && hour > running + 7 * 24 {
                held += 1.0;
                running += 7 * 24;
            } else if hour < running {
                late_here += 1.0;
            } else {
                running = hour;
            }
        }
        late += late_here;
        ensure!(late_here > 0.0, "there is something late");
        let p = p as i32;
        assert_eq!(seen.partition("rufous_partition_late_records_total", p)?, late_here);
        assert_eq!(seen.partition("rufous_partition_running_batch", p)?, running as f64);
        let batch_start = seen.partition("rufous_partition_running_batch_start_timestamp_seconds", p)?;
        assert_eq!(batch_start, (running * HOUR) as f64 / 1e3);
        let newest = rows.iter().map(|(t, _)| *t).max().unwrap_or_default();
        assert_eq!(
            seen.partition("rufous_partition_applied_timestamp_seconds", p)?,
            newest as f64 / 1e3
        );
        assert_eq!(seen.partition("rufous_partition_bad_records_total", p)?, 1.0);
    }
    for p in 0..3 {
        assert_eq!(seen.partition("rufous_partition_committed_offset", p)?, end(p)?);
        assert_eq!(seen.partition("rufous_partition_end_offset", p)?, end(p)?);
        assert_eq!(seen.partition("rufous_partition_owned", p)?, 1.0);
        assert_eq!(seen.partition("rufous_partition_replay_ratio", p)?, 1.0);
        assert_eq!(seen.partition("rufous_partition_lost_ranges", p)?, 0.0);
    }
    let records = produced.iter().map(Vec::len).sum::<usize>() as f64 + 1.0;
    let bytes = produced.iter().flatten().map(|(_, l)| l.len()).sum::<usize>() as f64 + "a tx".len() as f64;
    assert_eq!(seen.source("rufous_stream_records_total")?, records);
    assert!(seen.source("rufous_stream_bytes_total")? >= bytes);
    assert_eq!(seen.source("rufous_stream_late_records_total")?, late);
    assert_eq!(seen.source("rufous_stream_held_records_total")?, held);
    assert_eq!((seen.source("rufous_stream_bad_records_total")?, held), (2.0, 1.0));
    assert_eq!(
        seen.get("rufous_stream_commits_total")?,
        seen.get("rufous_commit_seconds_count")?
    );
    assert!(seen.get("rufous_stream_cells_total")? > 0.0 && seen.get("process_resident_memory_bytes")? > 1e6);
    assert_eq!((seen.get("rufous_healthy")?, seen.get("rufous_ready")?), (1.0, 1.0));

    // While it runs: what comes is seen, and the archiver sees the same.
    broker.produce(&topic, 2, (0..500).map(|_| (start, "", "a more")))?;
    until("records that come while it runs", || {
        let now = job.scrape()?;
        let done = now.source("rufous_stream_records_total")? == records + 500.0
            && now.partition("rufous_partition_committed_offset", 2)? == end(2)?
            && now.source("rufous_archive_records_total")? == records + 500.0;
        Ok(done.then_some(()))
    })?;
    assert_eq!(job.get("/other")?.0, 404);
    job.signal("-TERM")?;
    ensure!(job.wait()?.success(), "{}", place.log());
    let good = produced
        .iter()
        .flatten()
        .filter_map(|(_, l)| std::str::from_utf8(l).ok());
    let more = std::iter::repeat_n("a more", 500).chain(["a tx"]);
    // A word is alphabetic: `w3` counts as `w`.
    let lines: Vec<String> = good
        .chain(more)
        .map(|l| l.replace(|c: char| c.is_ascii_digit(), ""))
        .collect();
    assert_eq!(place.answers()?, fold(lines.iter().map(String::as_str)));
    Ok(())
}

/// A hung broker is silence (kafka.md 3d): only a clock of its own shows it. Not ready then, with the reason; healthy all the
/// time; ready again when it goes on, and exact (row 4 of the fault table, as seen from outside).
#[test]
fn a_hung_broker_is_seen_and_passes() -> Result<()> {
    let broker = Broker::start()?;
    broker.create_topic("hung", 2, &[])?;
    broker.produce("hung", 0, (0..100).map(|_| (1, "", "before")))?;
    let place = Place::new(&broker, "hung")?;
    std::fs::write(place.path("rufous.toml"), "[monitor]\nsilent_after_ms = 8000\n")?;
    let mut job = place.start("stream", &["--commit-ms", "50", "--no-archive"])?;
    job.until_ready()?;
    let pid = broker.pid().context("the broker runs")?;
    kill("-STOP", pid)?;
    let reasons = until("the job to be unready", || {
        assert_eq!(
            job.json("/healthz")?,
            (200, serde_json::json!({"healthy": true, "reasons": []}))
        );
        let (status, body) = job.json("/readyz")?;
        Ok((status == 503).then_some(body))
    });
    // No terminal: the log has a line each ten seconds, which says the same.
    let told = until("a line that says what is awaited", || {
        let waiting = format!("waiting for kafka://{}/hung since", broker.addr());
        Ok(place.log().contains(&waiting).then_some(()))
    });
    kill("-CONT", pid)?;
    let reasons = reasons?;
    told.with_context(|| place.log())?;
    let reason = &reasons["reasons"][0];
    assert_eq!(
        (&reasons["ready"], &reason["source"]),
        (&Value::Bool(false), &Value::from("lines"))
    );
    let awaits = reason["awaits"].as_str().context("what is awaited")?;
    ensure!(awaits.contains(broker.addr()) && awaits.contains("silent"), "{reasons}");
    job.until_ready()?;
    broker.produce("hung", 1, (0..50).map(|_| (1, "", "after")))?;
    until("records after the pause", || {
        Ok((job.scrape()?.source("rufous_stream_records_total")? == 150.0).then_some(()))
    })?;
    // A broker that hangs does not hold up the end.
    kill("-STOP", pid)?;
    let ended = job.signal("-INT").and_then(|()| job.wait());
    kill("-CONT", pid)?;
    ensure!(ended?.success(), "{}", place.log());
    assert_eq!(
        place.answers()?,
        BTreeMap::from([("before".into(), 100), ("after".into(), 50)])
    );
    Ok(())
}

/// `archive --monitor`: entries, positions and the seal lag are those of the log; there is no stream to be seen.
#[test]
fn an_archiver_is_seen() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, kafka::unique_name("archived"));
    broker.create_topic(&topic, 2, &[])?;
    let start = 470_000 * HOUR;
    // The running batch began at the second hour; the newest record is half an hour into it.
    let times = [start, start + HOUR, start + HOUR + HOUR / 2];
    broker.produce(&topic, 0, times.map(|t| (t, "", "line")))?;
    let place = Place::new(broker, &topic)?;
    let mut job = place.start("archive", &[])?;
    job.until_ready()?;
    let seen = until("an index entry", || {
        let seen = job.scrape()?;
        let committed = seen.partition("rufous_archive_committed_offset", 0)?;
        Ok((committed == 3.0).then_some(seen))
    })?;
    assert!(seen.source("rufous_archive_entries_total")? >= 1.0);
    assert_eq!(seen.source("rufous_archive_records_total")?, 3.0);
    assert_eq!(seen.source("rufous_archive_paused")?, 0.0);
    for (p, end) in [(0, 3.0), (1, 0.0)] {
        assert_eq!(seen.partition("rufous_archive_committed_offset", p)?, end);
        assert_eq!(seen.partition("rufous_archive_lag_records", p)?, 0.0);
    }
    assert_eq!(seen.partition("rufous_archive_seal_lag_seconds", 0)?, 1_800.0);
    ensure!(
        seen.0.keys().all(|name| !name.starts_with("rufous_stream")),
        "nothing streams"
    );
    job.signal("-TERM")?;
    ensure!(job.wait()?.success(), "{}", place.log());
    Ok(())
}

/// SIGTERM commits all that was read and ends well; two signals end at once, and what was not committed is read again (P11).
#[test]
fn signals_commit_or_end_at_once() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, kafka::unique_name("signals"));
    broker.create_topic(&topic, 1, &[])?;
    broker.produce(&topic, 0, (0..1_000).map(|_| (1, "", "word")))?;
    let place = Place::new(broker, &topic)?;
    let read = |job: &Job, n: f64| {
        until("all records", || {
            Ok((job.scrape()?.source("rufous_stream_records_total").unwrap_or(0.0) == n).then_some(()))
        })
    };
    // No commit comes by itself: what is there after the signal came by the signal.
    let never = ["--commit-ms", "86400000"];
    let mut job = place.start("stream", &never)?;
    read(&job, 1_000.0)?;
    assert_eq!(job.scrape()?.get("rufous_stream_commits_total")?, 0.0);
    job.signal("-TERM")?;
    ensure!(job.wait()?.success(), "{}", place.log());
    let mut report = String::new();
    job.out.read_to_string(&mut report)?;
    ensure!(
        report.starts_with("1000 records, 1 commits, 0 late, 0 skipped"),
        "{report}"
    );
    assert_eq!(place.answers()?, BTreeMap::from([("word".into(), 1_000)]));

    // So many keys that their commit takes longer than the second signal needs.
    let word = |n: u32| {
        format!("{n:06}")
            .bytes()
            .map(|b| char::from(b - b'0' + b'a'))
            .collect::<String>()
    };
    let line = |i: u32| (0..5).map(|n| word(i * 5 + n)).collect::<Vec<_>>().join(" ");
    let lines = || (0..40_000).map(line);
    broker.produce(&topic, 0, lines().map(|line| (1, "", line)))?;
    let mut job = place.start("stream", &never)?;
    read(&job, 40_000.0)?;
    assert_eq!(job.scrape()?.get("rufous_stream_commits_total")?, 0.0);
    job.signal("-TERM")?;
    // Two signals at one instant are one: it is sent until the job has ended.
    let status = until("the second signal to end the job", || {
        job.signal("-INT")?;
        Ok(job.child.try_wait()?)
    })?;
    ensure!(status.code() == Some(130), "{status} {}", place.log());
    let before = BTreeMap::from([("word".into(), 1_000)]);
    let mut after = fold(lines().collect::<Vec<_>>().iter().map(String::as_str));
    after.extend(before.clone());
    // It may hit behind the write: then all is there, never a part.
    let found = place.answers()?;
    ensure!(found == before || found == after, "{} keys", found.len());
    let again = place.command("stream", &["--until-end"])?.output()?;
    ensure!(again.status.success(), "{}", place.log());
    let found = place.answers()?;
    let wrong = after.iter().find(|(word, n)| found.get(*word) != Some(n));
    ensure!(found == after, "{} of {} words; {wrong:?}", found.len(), after.len());
    Ok(())
}

/// `--log-format json`: each line of standard error is one JSON object, the error that ends the program too; events name
/// job, source, partition, batch and offsets.
#[test]
fn the_log_is_one_json_object_a_line() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, kafka::unique_name("json"));
    broker.create_topic(&topic, 1, &[])?;
    broker.produce(
        &topic,
        0,
        [
            (7 * HOUR, "", b"good".to_vec()),
            (7 * HOUR, "", vec![0xff, b'"', b'\n']),
        ],
    )?;
    let place = Place::new(broker, &topic)?;
    let run = |args: &[&str]| -> Result<(Option<i32>, Vec<Value>)> {
        let mut command = place.command("stream", &["--until-end", "--log-format", "json", "--no-archive"])?;
        let out = command
            .args(args)
            .env("RUFOUS_LOG", "rufous=debug,rufous_realtime=debug,info")
            .output()?;
        let log = place.log();
        let lines = log.lines().map(|line| {
            let value: Value = serde_json::from_str(line).with_context(|| line.to_string())?;
            ensure!(value.is_object(), "{line}");
            Ok(value)
        });
        Ok((out.status.code(), lines.collect::<Result<_>>()?))
    };
    let (code, lines) = run(&[])?;
    ensure!(code == Some(1), "{code:?}");
    let last = lines.last().context("a line")?;
    let message = last["fields"]["message"].as_str().unwrap_or_default();
    ensure!(last["level"] == "ERROR" && message.contains("offset 1"), "{last}");

    let (code, lines) = run(&["--on-bad-record", "skip"])?;
    ensure!(code == Some(0), "{code:?}");
    ensure!(
        lines.iter().any(|l| l["level"] == "WARN"),
        "the skipped record is warned of"
    );
    let committed = lines
        .iter()
        .find(|l| l["fields"]["message"] == "committed")
        .context("a commit")?;
    let fields = &committed["fields"];
    let offsets = ["partition", "from", "to", "batch"].map(|name| fields[name].as_i64());
    assert_eq!(offsets, [Some(0), Some(0), Some(2), Some(7)]);
    assert_eq!(
        (&fields["source"], &committed["span"]["job"]),
        (&"lines".into(), &"word-count".into())
    );
    Ok(())
}

/// An address that is taken, or none, is an error of the request, and nothing was begun.
#[test]
fn a_taken_address_is_an_error_before_anything_starts() -> Result<()> {
    let other = TcpListener::bind("127.0.0.1:0")?;
    let taken = other.local_addr()?.to_string();
    let place = Place {
        dir: tempfile::tempdir()?,
        source: "lines=file:none.txt".into(),
    };
    for (command, settings) in [("stream", false), ("archive", false), ("stream", true)] {
        let mut args = vec!["--until-end"];
        if settings {
            std::fs::write(place.path("rufous.toml"), format!("[monitor]\naddress = \"{taken}\"\n"))?;
        } else {
            args.extend(["--monitor", &taken]);
        }
        let out = place.command(command, &args)?.output()?;
        let log = place.log();
        ensure!(
            out.status.code() == Some(1) && log.contains(&format!("monitor address `{taken}`")),
            "{log}"
        );
        if Path::exists(&place.path("data")) {
            bail!("something was begun");
        }
    }
    Ok(())
}
