//! Single promises, one after the other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous::core::rules::{Rule, drop_in_this_process};
use rufous::core::{BatchId, ErrorKind, Format};
use rufous::prelude::*;
use rufous::realtime::{BoundLog, Stream, StreamOptions};
use rufous::store_api::{Archive, Progress};
use rufous_integration_tests::run::State;
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;

use crate::alone;
use crate::archiving::Archiving;
use crate::fold::History;
use crate::topic::{Partition, Produced, Topic};
use crate::world::{LINES, World, job};

fn topic(partitions: &[&[&str]]) -> Topic {
    let topic = Topic::default();
    let records = |lines: &&[&str]| {
        let record = |(offset, line): (u64, &&str)| Produced {
            offset,
            hour: 1000 + offset as i64 / 2,
            payload: Some(line.as_bytes().to_vec()),
        };
        Partition {
            start: 0,
            end: lines.len() as u64,
            records: (0..).zip(*lines).map(record).collect(),
        }
    };
    topic.partitions().extend(partitions.iter().map(records));
    topic
}

fn stream(state: &State, topic: &Topic) -> rufous::Result<()> {
    let plan = job().plan()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = Stream {
        plan: &plan,
        logs: vec![BoundLog::new(LINES.name(), topic.reader(1, None, stop.clone()))],
        store: state.realtime.clone(),
        manifests: &*state.manifests,
        generations: Some(&*state.generations),
        metrics: Arc::default(),
        options: StreamOptions {
            until_end: true,
            commit_interval: Duration::ZERO,
            memory_budget: 0,
            stop,
            ..StreamOptions::default()
        },
    };
    stream.run().map(drop)
}

/// O2: a key that is met in two partitions is an error that names it, also when the other partition's is long forgotten.
/// Without the rule there is an answer, and it is wrong.
#[test]
fn a_key_in_two_partitions() -> Result<()> {
    let _alone = alone();
    let topic = topic(&[&["a 1", "b 1", "c 1", "a 1"], &["x 1", "y 1", "z 1", "x 1", "a 5"]]);
    let state = State::memory(&job().plan()?);
    let e = stream(&state, &topic).err().context("a key in two partitions")?;
    ensure!(e.kind() == ErrorKind::InvalidRequest, "{e}");
    ensure!(
        e.to_string()
            .contains("key `a` of `running` came from partitions 0 and 1"),
        "{e}"
    );
    let _dropped = drop_in_this_process(&[Rule::OneDomain]);
    stream(&State::memory(&job().plan()?), &topic)?;
    Ok(())
}

/// P41: keys move when partitions are added, so the job does not go on.
#[test]
fn more_partitions_than_before() -> Result<()> {
    let _alone = alone();
    let topic = topic(&[&["a 1"], &["x 1"]]);
    let state = State::memory(&job().plan()?);
    stream(&state, &topic)?;
    topic.partitions().push(Partition::default());
    let e = stream(&state, &topic).err().context("a partition too many")?;
    ensure!(
        e.to_string().contains("source `lines` had 2 partitions and has 3 now"),
        "{e}"
    );
    Ok(())
}

/// O12: a lost range stops the shard with the range and the repair; once a generation has passed it the stream goes on, and all
/// is as if nothing had been lost, for the archive had it.
#[test]
fn a_lost_range_is_waited_for() -> Result<()> {
    let _alone = alone();
    let mut world = World::new(7)?;
    (0..5).for_each(|i| world.put(0, i % 2, 1000));
    world.run_to_end()?;
    // Archived, not read, and gone from the log.
    (0..6).for_each(|i| world.put(0, i % 2, 1001));
    world.archive(None)?;
    world.trim(0, 9);
    let e = world.run_to_end().err().context("a lost range")?;
    ensure!(format!("{e:#}").contains("offsets 5..9 of lines/0 were lost"), "{e:#}");
    ensure!(format!("{e:#}").contains("run `batch`"), "{e:#}");
    world.put(0, 1, 1003);
    world.archive(None)?;
    world.publish(None)?;
    world.run_to_end()?;
    world.check()
}

/// A stream that has read less than what is published and dropped meanwhile passes over the rest of it; returns whether every
/// emission is that of a fold then.
fn passes_over() -> Result<bool> {
    let line = |i: u64| format!("a{} {}", i % 3, i % 5);
    let all: Vec<String> = (0..30).map(line).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // The stream's log ends early; the archive's does not.
    let (short, long) = (topic(&[&all[..10]]), topic(&[&all]));
    let plan = job().plan()?;
    let state = State::memory(&plan);
    let stop = Arc::new(AtomicBool::new(false));
    // What is passed over and what comes after it are read in one go, and committed later.
    let log = short.reader(7, None, stop.clone());
    let stream = Stream {
        plan: &plan,
        logs: vec![BoundLog::new(LINES.name(), log)],
        store: state.realtime.clone(),
        manifests: &*state.manifests,
        generations: Some(&*state.generations),
        metrics: Arc::default(),
        options: StreamOptions {
            commit_interval: Duration::from_millis(50),
            stop: stop.clone(),
            ..StreamOptions::default()
        },
    };
    let row = || -> Result<Option<Progress>> {
        let rows = state.realtime.snapshot()?.partitions("running")?;
        Ok(rows.first().map(|(_, row)| row.clone()))
    };
    let wait = |what: &str, done: &dyn Fn(&Progress) -> bool| -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while !row()?.is_some_and(|row| done(&row)) {
            ensure!(Instant::now() < until, "{what}: {:?}", row()?);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| stream.run());
        let drive = || -> Result<()> {
            wait("reads what there is", &|row| row.next == 10)?;
            let dir = tempfile::tempdir()?;
            let archived = Archiving {
                topic: long.clone(),
                face: plan.sources()[0].clone(),
                start: state.manifests.get(0)?.context("genesis")?.frontier,
                chunk: 7,
            };
            let archive: Arc<dyn Archive> = Arc::new(ParquetArchive::open(dir.path(), LINES.name())?);
            archived.run(archive.clone(), None)?;
            let input = BulkInput::Archive {
                archive,
                format: Format::Text,
                cut_spec: plan.sources()[0].cut_spec(true).text(),
            };
            let run = BatchRun {
                plan: &plan,
                inputs: [(LINES.name().to_string(), input)].into(),
                manifests: &*state.manifests,
                generations: &*state.generations,
                options: BatchOptions {
                    keep: 0,
                    until: Some(BatchId(1010)),
                    ..BatchOptions::default()
                },
            };
            run.run()?;
            // Offset 20 is the first of batch 1010.
            wait("drops what is published", &|row| row.retained_from == BatchId(1010))?;
            *short.partitions() = long.partitions().clone();
            wait("reads the rest", &|row| row.next == 30)
        };
        let driven = drive();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let ran = running.join();
        driven?;
        ran.map_err(|_| anyhow::anyhow!("the stream panicked"))??;
        Ok::<_, anyhow::Error>(())
    })?;
    let history = History(long.partitions().iter().map(|p| p.records.clone()).collect());
    let expected = history.fold(&[(0, 30)].into(), &[]);
    let face = plan.store("trace").context("a store")?;
    let (rows, _) = state.client(&plan).raw(*face).under(&[])?;
    let mut got = std::collections::BTreeMap::new();
    for (key, value) in rows {
        got.insert(rufous::core::key::decode_all(&key)?, i64::decode(&value)?);
    }
    Ok(got == expected.trace)
}

/// O7: what an operator knew of a key is no longer its value when records were passed over, because a generation holds them and
/// the cells are dropped. It is asked for again; with the rule dropped the next totals lack what was passed over.
#[test]
fn records_that_are_passed_over() -> Result<()> {
    let _alone = alone();
    ensure!(passes_over()?, "totals after the gap are not those of a fold");
    let _dropped = drop_in_this_process(&[Rule::ForgetDropped]);
    ensure!(!passes_over()?, "nobody notices that old state is kept");
    Ok(())
}
