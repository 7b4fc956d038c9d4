//! P22-P25, section 13: batches, rollbacks and gc while the job runs live and readers ask at full speed. Every answer is, for each
//! partition, the fold of a prefix of its log (I1).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use rufous::prelude::*;
use rufous_core::{Batcher, Format, SourcePartition, Timestamp};
use rufous_integration_tests::run::{self, State};
use rufous_realtime::{BoundLog, Metrics, Stream, StreamOptions};
use rufous_store_api::{Manifest, Published};
use rufous_store_offline::gc::Kind;
use rufous_store_offline::{Gc, Generations, Manifests};

const FILES: u32 = 3;
/// Lines are of eight bytes and offsets are bytes, so a batch is 500 lines.
const LINES: Source<str> = Source::new("lines").batches(Batcher::of_offsets(4_000));
const COUNTS: Store<String, u64> = Store::new("counts");

type Counts = BTreeMap<String, u64>;

/// The plain fold of the first `applied` bytes of each file.
fn fold(input: &Path, applied: impl Fn(u32) -> u64) -> Counts {
    let mut counts = Counts::new();
    for p in 0..FILES {
        let bytes = std::fs::read(input.join(format!("part-{p}.txt"))).unwrap();
        let text = std::str::from_utf8(&bytes[..applied(p) as usize]).unwrap().to_string();
        assert!(text.is_empty() || text.ends_with('\n'), "an answer ends between lines");
        text.lines()
            .for_each(|l| *counts.entry(l.to_string()).or_default() += 1);
    }
    counts
}

fn lines(p: u32) -> SourcePartition {
    SourcePartition::new("lines", p)
}

/// An answer against the fold of what it says that it covers; returns how much that is.
fn check(state: &State, plan: &rufous::core::Plan, input: &Path) -> Result<u64> {
    let (rows, basis) = state.client(plan).store(COUNTS)?.under(()).map(|rows| {
        let basis = rows.first().map(|(_, a)| a.coverage.clone());
        (rows, basis)
    })?;
    let Some(coverage) = basis else { return Ok(0) };
    let found: Counts = rows
        .into_iter()
        .map(|(k, a)| (k, a.value.unwrap_or_default()))
        .collect();
    let expected = fold(input, |p| coverage.applied(&lines(p)));
    ensure!(found == expected, "not the fold of {coverage}");
    Ok(coverage.applied_total())
}

fn roll_back(state: &State, to: u64) -> Result<Manifest> {
    let current = state.manifests.newest(0)?.expect("published");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let manifest = state
        .manifests
        .get(to)?
        .expect("kept")
        .rolled_back(&current, Timestamp(now));
    ensure!(state.manifests.publish(&manifest)? == Published::Done);
    Ok(manifest)
}

#[test]
fn rollbacks_beside_a_live_job() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let plan = Job::new("count", LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS)).plan()?;
    let (input, registry) = (dir.path().join("in"), dir.path().join("registry"));
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let open = || run::local(&input, &registry, Format::Text);
    let written = |round: u64| -> Result<u64> {
        let lines: Vec<String> = (0..6_000)
            .map(|i| format!("word-{:02}", (i * 7 + round) % 90))
            .collect();
        run::write_files(
            &input,
            "txt",
            FILES as usize,
            lines.iter().map(String::as_str),
            |i, _| i,
        )?;
        Ok((round + 1) * 6_000 * 8)
    };
    written(0)?;
    let (stop, done, reads) = (
        Arc::new(AtomicBool::new(false)),
        AtomicBool::new(false),
        AtomicU64::new(0),
    );
    let deleted = AtomicU64::new(0);
    let log = open()?;
    std::thread::scope(|s| -> Result<()> {
        let job = s.spawn(|| {
            let options = StreamOptions {
                commit_interval: Duration::from_millis(5),
                stop: stop.clone(),
                ..StreamOptions::default()
            };
            let stream = Stream {
                plan: &plan,
                logs: vec![BoundLog::new("lines", log)],
                store: state.realtime.clone(),
                manifests: &*state.manifests,
                generations: None,
                metrics: Arc::new(Metrics::default()),
                options,
            };
            stream.run()
        });
        let comes_to = |bytes: u64| -> Result<()> {
            let deadline = Instant::now() + Duration::from_secs(60);
            while !state
                .manifests
                .newest(0)?
                .is_some_and(|_| check(&state, &plan, &input).is_ok_and(|n| n == bytes))
            {
                ensure!(
                    !job.is_finished() && Instant::now() < deadline,
                    "the job does not come to {bytes}"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        };
        let body = || -> Result<()> {
            comes_to(48_000)?;
            for _ in 0..2 {
                s.spawn(|| {
                    while !done.load(SeqCst) {
                        check(&state, &plan, &input).unwrap();
                        reads.fetch_add(1, SeqCst);
                    }
                });
            }
            let batch = || -> Result<Manifest> {
                let archive = run::archive(&plan, open()?, &dir.path().join("archive"))?;
                // As a process of its own, which holds its runs while it lives.
                let process = State {
                    commit_interval: state.commit_interval,
                    manifests: state.manifests.clone(),
                    generations: Arc::new(Generations::new(dir.path().join("state/offline"))),
                    realtime: state.realtime.clone(),
                };
                let report = process.batch(&plan, archive, Format::Text, false, None)?;
                ensure!(report.published, "{report:?}");
                Ok(report.manifest)
            };
            // What no manifest names goes meanwhile; those that a rollback asks for here stay.
            s.spawn(|| {
                let gc = Gc {
                    keep: 5,
                    grace: Duration::from_millis(300),
                    dry_run: false,
                };
                let manifests = Manifests::new(dir.path().join("state/manifests"));
                while !done.load(SeqCst) {
                    let generations = Generations::new(dir.path().join("state/offline"));
                    let gone = gc.collect(&manifests, None, &generations).unwrap();
                    deleted.fetch_add(gone.iter().filter(|d| d.kind == Kind::Run).count() as u64, SeqCst);
                }
            });
            let mut round = 0;
            for cycle in 0..5 {
                let mut published = Vec::new();
                for _ in 0..2 {
                    round += 1;
                    comes_to(written(round)?)?;
                    published.push(batch()?);
                }
                // The generation before is within reach, and a batch goes on from it.
                let back = roll_back(&state, published[0].number)?;
                ensure!(back.frontier == published[0].frontier && back.number == published[1].number + 1);
                round += 1;
                comes_to(written(round)?)?;
                let again = batch()?;
                for p in 0..FILES {
                    ensure!(again.frontier.of(&lines(p)).cut > published[1].frontier.of(&lines(p)).cut);
                }
                // Two generations before is not: its cells may be gone. Every partition is named.
                if cycle > 0 {
                    let e = roll_back(&state, published[0].number - 2).unwrap_err().to_string();
                    ensure!(
                        (0..FILES).all(|p| e.contains(&format!("lines/{p} would go back"))),
                        "{e}"
                    );
                }
                comes_to((round + 1) * 48_000)?;
            }
            Ok(())
        };
        let result = body();
        done.store(true, SeqCst);
        stop.store(true, SeqCst);
        let report = job.join().expect("the job panicked");
        result?;
        report?;
        Ok(())
    })?;
    println!("{} reads, {} runs deleted", reads.load(SeqCst), deleted.load(SeqCst));
    ensure!(deleted.into_inner() > 0);
    ensure!(reads.into_inner() > 100);
    // The cells that a rollback needed were there to the end: the generation alone and the log say the same.
    check(&state, &plan, &input)?;
    Ok(())
}
