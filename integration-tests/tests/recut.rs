//! A changed cut spec is new code (P40): its cuts are those that its own archiver would have made of the same log, and its line
//! takes over while records come in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous::core::{BatchId, Cut, Format, RecordBatch, SourcePartition};
use rufous::prelude::*;
use rufous::realtime::{ArchiverOptions, Recut};
use rufous::store_api::{Archive, ArchivedFile, IndexEntry, Manifest};
use rufous_integration_tests::archived;
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::recut::{Args, counted};
use rufous_integration_tests::run::{self, Random, answers_on_disk};
use rufous_integration_tests::torture::{Fed, Place, in_bytes};
use rufous_platform_parquet::{BulkInput, backfill};
use rufous_store_archive::ParquetArchive;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, Record)]
struct Event {
    at: Timestamp,
    n: i64,
}

fn plan(batches: Batcher) -> Result<rufous::core::Plan> {
    const SUMS: Store<i64, i64> = Store::new("sums");
    const EVENTS: Source<Event> = Source::new("events").batch_clock(Clock::Event).timed_by(|e| e.at);
    let sums = EVENTS.batches(batches).read().keyed(|e, out| out.emit(e.n % 7, e.n));
    Ok(Job::new("sums", sums.sum_by_key(SUMS)).plan()?)
}

/// Stops its archiver after an entry.
struct Stops(Arc<dyn Archive>, Arc<AtomicBool>);

impl Archive for Stops {
    fn source(&self) -> &str {
        self.0.source()
    }
    fn partitions(&self) -> rufous::Result<Vec<u32>> {
        self.0.partitions()
    }
    fn index(&self, partition: u32, from: u64) -> rufous::Result<Vec<IndexEntry>> {
        self.0.index(partition, from)
    }
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> rufous::Result<ArchivedFile> {
        self.0.write(partition, batch, range, records)
    }
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> rufous::Result<bool> {
        self.1.store(true, Relaxed);
        self.0.commit(partition, number, entry)
    }
    fn read(
        &self,
        partition: u32,
        file: &ArchivedFile,
        f: &mut dyn FnMut(&RecordBatch) -> rufous::Result<()>,
    ) -> rufous::Result<()> {
        self.0.read(partition, file, f)
    }
}

/// P40: the archive that is cut again holds the same records under the same offsets as one that was made of the log, and is cut
/// where that one is: with late records, bad ones, and by a recut that was stopped time and again.
#[test]
fn an_archive_is_cut_as_its_log_would_be() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut random = Random(9);
    let mut lines = Vec::new();
    for i in 0..60_000_u64 {
        let late = if random.below(20) == 0 {
            random.below(20_000_000)
        } else {
            0
        };
        let at = (1_000_000_000 + i * 10_000).saturating_sub(late);
        lines.push(match random.below(500) {
            0 => "no record".into(),
            _ => format!("{{\"at\":{at},\"n\":{i}}}"),
        });
    }
    let input = dir.path().join("in");
    run::write_files(&input, "jsonl", 3, lines.iter().map(String::as_str), |i, _| i)?;
    let log = || run::local(&input, &dir.path().join("registry"), Format::JsonLines);
    let (days, hours) = (plan(Batcher::of_days(1))?, plan(Batcher::of_hours(5))?);
    let from = run::archive(&days, log()?, &dir.path().join("days"))?;
    run::archive(&hours, log()?, &dir.path().join("hours"))?;
    let to: Arc<dyn Archive> = Arc::new(ParquetArchive::open(&dir.path().join("again"), "events")?);
    let ends = |archive: &dyn Archive| -> Result<Vec<u64>> {
        let end = |p| Ok(archive.last(p, 0)?.map_or(0, |(_, e)| e.to));
        archive.partitions()?.into_iter().map(end).collect()
    };
    let mut runs = 0;
    while ends(&*to)? != ends(&*from)? {
        runs += 1;
        ensure!(runs < 500, "{:?}", ends(&*to)?);
        let stop = Arc::new(AtomicBool::new(false));
        let recut = Recut {
            face: hours.sources().first().context("a source")?,
            from: from.clone(),
            format: Format::JsonLines,
            has_time: false,
            to: Arc::new(Stops(to.clone(), stop.clone())),
            metrics: Arc::default(),
        };
        recut.run(ArchiverOptions {
            stop,
            interval: Duration::ZERO,
            ..ArchiverOptions::default()
        })?;
    }
    ensure!(runs > 10, "it was stopped {runs} times");
    let read = |name: &str, partition| archived::read_dir(&dir.path().join(name), partition);
    for partition in from.partitions()? {
        let (direct, again) = (read("hours", partition)?, read("again", partition)?);
        assert_eq!(direct.cuts, again.cuts, "partition {partition}");
        assert_eq!(direct.records, again.records, "partition {partition}");
        assert_eq!((direct.range, &direct.holes), (again.range, &again.holes));
        assert_ne!(read("days", partition)?.cuts, again.cuts);
        let log =
            |archive: &dyn Archive| Ok::<_, anyhow::Error>(archive.last(partition, 0)?.context("an entry")?.1.topic_id);
        assert_eq!(log(&*from)?, log(&*to)?);
    }
    Ok(())
}

/// P10: where a log begins of which nothing is archived yet, only the manifests know: a line that did not take it over would
/// begin at 0, where there is nothing.
#[test]
fn a_line_begins_where_its_logs_do() -> Result<()> {
    let dir = tempfile::tempdir()?;
    run::write_files(&dir.path().join("in"), "jsonl", 1, ["{\"at\":1,\"n\":1}"], |i, _| i)?;
    let plan = plan(Batcher::of_days(1))?;
    let log = run::local(&dir.path().join("in"), &dir.path().join("registry"), Format::JsonLines)?;
    let archive = run::archive(&plan, log, &dir.path().join("archive"))?;
    let input = BulkInput::Archive {
        archive,
        format: Format::JsonLines,
        cut_spec: plan.sources()[0].cut_spec(false).text(),
    };
    let inputs = BTreeMap::from([("events".to_string(), input)]);
    let first = |current: Option<&Manifest>| backfill::first(&plan, &inputs, current, "line", Timestamp(0));
    let mut current = first(None)?;
    let cut = |batch, cut| Cut {
        batch,
        cut,
        batch_before: BatchId::MIN,
    };
    let (idle, gone) = (SourcePartition::new("events", 7), SourcePartition::new("events", 8));
    current.frontier.0.insert(idle.clone(), cut(BatchId::MIN, 500));
    current.frontier.0.insert(gone.clone(), cut(BatchId(3), 900));
    let line = first(Some(&current))?;
    assert_eq!(line.frontier.of(&idle).cut, 500);
    assert_eq!(line.drop_before[plan.fingerprint()].of(&idle).cut, 500);
    // What is covered there is not covered here.
    assert!(!line.frontier.0.contains_key(&gone));
    Ok(())
}

/// P40: batches of three hours in place of one: `backfill` cuts the archive again, `switch` takes over, and the process that
/// began beside the old code archives from then on, also when the old one is gone.
#[test]
fn other_batches_take_over() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("recut"));
    let mut fed = Fed::new(broker, &topic, 6)?;
    let place = Place::new(Path::new(env!("CARGO_BIN_EXE_job-recut")), broker.addr(), &topic)?;
    let history = |fed: &mut Fed, hours: u32| -> Result<()> {
        for _ in 0..hours {
            fed.advance(3_600_000);
            fed.round()?;
        }
        Ok(())
    };
    history(&mut fed, 8)?;
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let mut live = place.spawn(&["stream", "--commit-ms", "100"], &[])?;
    let with = |args: &[&'static str]| [args, &["--hours", "3"][..]].concat();
    let plan = counted(&Args { hours: 3 }).plan()?;
    let comes_to = |what: &str, fed: &Fed| -> Result<()> {
        let (start, expected) = (Instant::now(), in_bytes(&fed.counts));
        while answers_on_disk(&plan, &place.path("data")).ok().as_ref() != Some(&expected) {
            ensure!(start.elapsed() < PATIENCE, "{what}; the log:\n{}", place.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    let refused = place.run(&with(&["batch"])).err().context("the code is another")?;
    ensure!(refused.to_string().contains("`backfill` makes a line"), "{refused}");
    // Who only looks begins nothing, and who does not say where the log is does not change how it is cut.
    let begun = || place.path("data/main/jobs/word-count/lines").exists();
    place.run(&with(&["backfill", "--dry-run"]))?;
    ensure!(!begun(), "a line was begun by a look");
    let bare = |args: &[&str]| -> Result<String> {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_job-recut"));
        let out = command.args(args).arg("--data").arg(place.path("data")).output()?;
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        ensure!(out.status.success(), "{args:?}: {}: {said}", out.status);
        Ok(said)
    };
    let said = bare(&["backfill", "--dry-run"])?;
    ensure!(
        said.contains("generation 1:") && !said.contains("cuts it again"),
        "{said}"
    );
    ensure!(bare(&["sweep", "--dry-run"])?.contains("files that no index names"));
    ensure!(!begun());
    place.run(&with(&["backfill"]))?;
    let archives = std::fs::read_dir(place.path("data/main/archive"))?;
    let names: Vec<_> = archives
        .map(|e| Ok(e?.file_name().into_string().unwrap_or_default()))
        .collect::<Result<_>>()?;
    ensure!(names.iter().any(|n| n.starts_with("lines~")), "{names:?}");
    let beside = place.spawn(&with(&["stream", "--commit-ms", "100"]), &[])?;
    history(&mut fed, 2)?;
    place.comes_to("the old code", &mut live, &fed.counts)?;
    let start = Instant::now();
    while let Err(e) = place.run(&with(&["switch"])) {
        ensure!(start.elapsed() < PATIENCE && e.to_string().contains("caught up"), "{e}");
        std::thread::sleep(Duration::from_millis(200));
    }
    comes_to("the new code", &fed)?;
    place.stop(live)?;
    history(&mut fed, 7)?;
    comes_to("the new code, live", &fed)?;
    // Its own archive reaches what came after the switch: runs move on, and both layers hold the same.
    let published = || std::fs::read_dir(place.path("data/main/jobs/word-count/manifests")).map(Iterator::count);
    let (start, before) = (Instant::now(), published()?);
    while published()? == before {
        ensure!(start.elapsed() < PATIENCE, "nothing new; the log:\n{}", place.log());
        place.run(&with(&["batch"]))?;
        std::thread::sleep(Duration::from_millis(100));
    }
    comes_to("a run of the new code", &fed)?;
    place.run(&with(&["reconcile"]))?;
    place.stop(beside)?;
    comes_to("stopped", &fed)
}
