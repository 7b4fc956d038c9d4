//! Which line a backfill goes on with, what may become current, and what is deleted with a line (P22, P24, P25).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::torture::{Fed, Place};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");

/// An hour later; rounds that are aborted seal nothing.
fn seal(fed: &mut Fed) -> Result<()> {
    let before = fed.counts.clone();
    fed.advance(3_600_000);
    while fed.counts == before {
        fed.round()?;
    }
    Ok(())
}

/// Section 13, P22, P24: a line that reaches less far than cells may be dropped is not switched to, and the refusal
/// names its partitions and the way out; nor is a generation rolled back to that lies below.
#[test]
fn nothing_below_the_permission_becomes_current() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("below"));
    let mut fed = Fed::new(broker, &topic, 7)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    for _ in 0..3 {
        seal(&mut fed)?;
    }
    // To the end each time, so that runs and line reach as far as is said.
    let publish = |fed: &mut Fed| -> Result<()> {
        seal(fed)?;
        place.run(&["stream", "--until-end"])?;
        place.run(&["batch"])
    };
    publish(&mut fed)?;
    place.run(&["backfill"])?;
    // Two more generations: the second one's permission is the first one's frontier, above the line's.
    for _ in 0..2 {
        publish(&mut fed)?;
    }
    for (command, says) in [
        (&["switch"][..], "run `backfill` to extend it"),
        (&["rollback", "--to", "1"], "rollback to generation 1"),
    ] {
        let e = place
            .run(command)
            .err()
            .with_context(|| format!("{command:?} is done"))?
            .to_string();
        ensure!(
            e.contains("partition lines/") && e.contains("would go back") && e.contains(says),
            "{e}"
        );
        ensure!(place.manifest(4).is_err(), "{command:?} published");
        place.is_exact("after a refusal", &fed.counts)?;
    }
    place.run(&["backfill"])?;
    place.run(&["switch"])?;
    place.is_exact("switched", &fed.counts)?;
    place.run(&["rollback"])?;
    place.is_exact("and back", &fed.counts)
}

/// P36, I6: a rollback that is taken back goes forward and adds nothing itself: there is no run to compare, and no drift.
#[test]
fn a_rollback_that_is_taken_back_is_no_drift() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("forward"));
    let mut fed = Fed::new(broker, &topic, 9)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    for _ in 0..3 {
        seal(&mut fed)?;
        place.run(&["stream", "--until-end"])?;
        place.run(&["batch", "--fail-on-drift"])?;
    }
    place.run(&["rollback"])?;
    place.run(&["rollback"])?;
    let e = place.run(&["reconcile"]).err().context("there is a run")?.to_string();
    ensure!(
        e.contains("exit status: 3") && e.contains("is an older generation again, not a run"),
        "{e}"
    );
    place.run(&["batch", "--fail-on-drift"])?;
    seal(&mut fed)?;
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch", "--fail-on-drift"])?;
    place.run(&["reconcile"])?;
    place.is_exact("at the end", &fed.counts)
}

/// P24: without an open line a backfill begins another one, from the beginning: lines that were switched to, or left
/// behind by another one, are history. Then `gc` deletes what they alone held.
#[test]
fn each_backfill_computes_history_anew() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("anew"));
    let mut fed = Fed::new(broker, &topic, 8)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    for _ in 0..3 {
        seal(&mut fed)?;
    }
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let lines = || -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(place.path("data/main/jobs/word-count/lines"))? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    };
    let line = |n: u64| -> Result<_> { Ok(place.manifest(n)?["line"].as_str().unwrap_or_default().to_string()) };
    for n in 0..3 {
        // One is left behind.
        if n == 1 {
            place.run(&["backfill", "--new"])?;
        }
        let before = lines().unwrap_or_default();
        place.run(if n == 1 { &["backfill", "--new"] } else { &["backfill"] })?;
        let after = lines()?;
        ensure!(after.len() == before.len() + 1, "backfill {n}: {before:?}, {after:?}");
        place.run(&["switch"])?;
        ensure!(Some(&line(n + 2)?) == after.last(), "backfill {n}");
        place.is_exact("switched", &fed.counts)?;
        let e = place
            .run(&["switch"])
            .err()
            .context("there is nothing to switch to")?
            .to_string();
        ensure!(e.contains("no staged line"), "{e}");
    }
    let runs = || fs::read_dir(place.path("data/main/jobs/word-count/offline/counts")).map(Iterator::count);
    ensure!(runs()? == 5, "{} runs", runs()?);
    place.run(&["gc", "--keep", "0", "--grace-minutes", "0"])?;
    ensure!(runs()? == 1, "{} runs after gc", runs()?);
    place.is_exact("after gc", &fed.counts)
}
