//! One new batch after many: a full run over all batches of an archive beside a run that finds all but one published.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use cpu_time::ProcessTime;
use rufous::core::{BatchId, Format};
use rufous::prelude::*;
use rufous_integration_tests::run::{self, State};
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;

use super::rows::{Bench, Outcome, check_words, print};
use super::subject::peak_mb;
use crate::realtime::generate::{Law, Ranks, spell};

/// Batches that a full run covers; one more is open.
const BATCHES: u64 = 30;
const DAY: u64 = 86_400_000;

#[derive(Clone, Debug, Record)]
struct Event {
    at: Timestamp,
    word: Text,
}

const EVENTS: Source<Event> = Source::new("events")
    .batches(Batcher::of_days(1))
    .batch_clock(Clock::Event)
    .timed_by(|e| e.at);
const WORDS: Store<String, u64> = Store::new("words");

fn job() -> Job {
    let words = EVENTS.read().keyed(|e, out| out.emit(&e.word, 1));
    Job::new("days", words.sum_by_key(WORDS))
}

/// Makes the archive, publishes what is to be there before, and times both runs.
pub(super) fn row(bench: &Bench<'_>, a_day: u64) -> Result<()> {
    let dir = bench.work.join("days");
    let law = Law::Zipf { keys: 100_000, s: 1.05 };
    let (mut ranks, mut counts, mut word) = (Ranks::new(law, 23), vec![0; law.keys() as usize], Vec::new());
    let input = dir.join("in");
    std::fs::create_dir_all(&input)?;
    let mut lines = std::io::BufWriter::new(std::fs::File::create(input.join("events.jsonl"))?);
    for day in 0..=BATCHES {
        // The open batch has one record.
        for i in 0..if day < BATCHES { a_day } else { 1 } {
            let rank = ranks.draw();
            counts[rank as usize] += u64::from(day < BATCHES);
            word.clear();
            spell(rank, &mut word);
            write!(lines, "{{\"at\":{},\"word\":\"", day * DAY + i * DAY / a_day)?;
            lines.write_all(&word)?;
            lines.write_all(b"\"}\n")?;
        }
    }
    lines.flush()?;
    let plan = job().plan()?;
    let log = || run::local(&input, &dir.join("registry"), Format::JsonLines);
    run::archive(&plan, log()?, &dir.join("archive"))?;
    let words = super::input::Words {
        dir: dir.clone(),
        counts,
    };
    let (mut full, mut next) = (None::<Outcome>, None::<Outcome>);
    for turn in 0..bench.options.runs {
        for (what, slot) in [("full", &mut full), ("next", &mut next)] {
            let state = dir.join(format!("{what}-{turn}"));
            let before = State::disk(&plan, &state)?;
            // A stream begins the line of generations; what it counts is not read here.
            std::fs::create_dir_all(dir.join("nothing"))?;
            before.stream(
                &plan,
                run::local(&dir.join("nothing"), &dir.join("none"), Format::JsonLines)?,
            )?;
            if what == "next" {
                let archive = std::sync::Arc::new(ParquetArchive::open(&dir.join("archive"), EVENTS.name())?);
                before.batch(
                    &plan,
                    archive,
                    Format::JsonLines,
                    true,
                    Some(BatchId(BATCHES as i64 - 1)),
                )?;
            }
            drop(before);
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("bulk-days").arg(dir.join("archive")).arg(&state);
            let outcome = bench.run(command, &[], &|lines| check_words(&words, lines))?;
            eprintln!("  {what} run over days: {:.3} s, {}", outcome.wall, outcome.verdict);
            if slot.as_ref().is_none_or(|best| outcome.wall < best.wall) {
                *slot = Some(outcome);
            }
        }
    }
    let (full, next) = (full.context("a run")?, next.context("a run")?);
    print("a full run over 30 batches", "Rufous", BATCHES * a_day, &full, &full);
    print("a run over the 30th, 29 published", "Rufous", a_day, &next, &full);
    println!(
        "| | | wall, full to incremental: {:.1} | | | | |",
        full.wall / next.wall
    );
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// `ARCHIVE STATE OUTPUT`: prints `result wall=S cpu=S peak_mb=M`, and writes the offline sums.
pub(crate) fn subject(args: &[String]) -> Result<()> {
    let [archive, state, output] = args else {
        bail!("usage: bulk-days ARCHIVE STATE OUTPUT");
    };
    let plan = job().plan()?;
    let state = State::disk(&plan, Path::new(state))?;
    let archive = std::sync::Arc::new(ParquetArchive::open(Path::new(archive), EVENTS.name())?);
    let face = plan.sources().first().context("a source")?;
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let input = BulkInput::Archive {
        archive,
        format: Format::JsonLines,
        cut_spec: face.cut_spec(true).text(),
    };
    let run = BatchRun {
        plan: &plan,
        inputs: [(face.name.to_string(), input)].into(),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            spill_dir: Path::new(output).with_extension("tmp"),
            ..BatchOptions::default()
        },
    };
    let report = run.run()?;
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    println!(
        "result wall={wall} cpu={cpu} peak_mb={} records={}",
        peak_mb()?,
        report.records
    );
    let mut out = std::io::BufWriter::new(std::fs::File::create(output)?);
    state
        .client(&plan)
        .raw(*plan.stores().first().context("a store")?)
        .scan(&[], &mut |key, value| {
            let bug = |e: String| rufous::Error::bug(e);
            let key = rufous::core::key::decode_all::<String>(key).map_err(|e| bug(e.to_string()))?;
            let n = u64::decode(value).map_err(|e| bug(e.to_string()))?;
            writeln!(out, "{key}\t{n}").map_err(|e| bug(e.to_string()))
        })?;
    out.flush()?;
    Ok(())
}
