//! History computed anew beside a live job (P24, P40; row 21 of the fault table): killed, resumed, switched to, and nothing is
//! counted twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::run::{Bytes, answers_on_disk};
use rufous_integration_tests::torture::{Counts, Fed, Place, in_bytes};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const PATIENCE: Duration = Duration::from_secs(120);

/// The manifests of the staged lines, and when each was written.
fn staged(place: &Place) -> Result<BTreeMap<String, SystemTime>> {
    let lines = place.path("data/main/jobs/word-count/lines");
    let mut found = BTreeMap::new();
    if !lines.exists() {
        return Ok(found);
    }
    for line in fs::read_dir(&lines)? {
        let manifests = line?.path().join("manifests");
        if !manifests.exists() {
            continue;
        }
        for file in fs::read_dir(manifests)? {
            let path = file?.path();
            if path.extension().is_some_and(|e| e == "json") {
                found.insert(path.display().to_string(), fs::metadata(&path)?.modified()?);
            }
        }
    }
    Ok(found)
}

/// Runs `batch` until it has published: the archive comes after the stream.
fn batched(place: &Place) -> Result<()> {
    let published = || fs::read_dir(place.path("data/main/jobs/word-count/manifests")).map(Iterator::count);
    let (start, before) = (Instant::now(), published()?);
    while published()? == before {
        ensure!(
            start.elapsed() < PATIENCE,
            "nothing new to publish; the log:\n{}",
            place.log()
        );
        place.run(&["batch"])?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A history of some sealed hours in the topic.
fn history(fed: &mut Fed, hours: u32) -> Result<()> {
    for _ in 0..hours {
        fed.advance(3_600_000);
        fed.round()?;
    }
    Ok(())
}

/// Waits until the answers are these.
fn comes_to(what: &str, place: &Place, read: impl Fn() -> Result<Bytes>, expected: &Counts) -> Result<()> {
    let (start, expected) = (Instant::now(), in_bytes(expected));
    loop {
        let got = read();
        if got.as_ref().is_ok_and(|got| *got == expected) {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let got = got.map(|got| got.len());
            bail!("{what}: {got:?} keys of {}; the log:\n{}", expected.len(), place.log());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A backfill that is killed at a tenth, the half and nine tenths of its parts goes on behind what it has published, twice over;
/// the live job runs on, and each switch is one publish that changes no answer.
#[test]
fn killed_and_resumed_beside_a_live_job() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("backfill"));
    let mut fed = Fed::new(broker, &topic, 5)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    history(&mut fed, 30)?;
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let mut live = place.spawn(&["stream", "--commit-ms", "100"], &[])?;
    place.comes_to("live", &mut live, &fed.counts)?;
    for round in 0..2 {
        let before = staged(&place)?.len();
        let begin = ["backfill", "--new", "--part-rows", "1", "--rate", "20000"];
        let go_on = ["backfill", "--part-rows", "1", "--rate", "20000"];
        let mut kept = staged(&place)?;
        for (i, parts) in [3, 15, 26].into_iter().enumerate() {
            let args: &[&str] = if i == 0 { &begin } else { &go_on };
            let child = place.spawn(args, &[])?;
            let start = Instant::now();
            while staged(&place)?.len() < before + parts {
                ensure!(
                    start.elapsed() < PATIENCE,
                    "round {round}: {} parts of {parts}; the log:\n{}",
                    staged(&place)?.len() - before,
                    place.log()
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            place.kill("backfill", child, true)?;
            let now = staged(&place)?;
            let redone: Vec<_> = kept
                .iter()
                .filter(|(path, time)| now.get(*path) != Some(*time))
                .collect();
            ensure!(
                redone.is_empty(),
                "round {round}: finished parts were done again: {redone:?}"
            );
            kept = now;
            // The live job does not notice.
            fed.round()?;
            place.comes_to("beside the backfill", &mut live, &fed.counts)?;
        }
        place.run(&["backfill"])?;
        let now = staged(&place)?;
        ensure!(
            kept.iter().all(|(path, time)| now.get(path) == Some(time)),
            "round {round}"
        );
        place.run(&["switch"])?;
        place.is_exact("after the switch", &fed.counts)?;
        fed.advance(3_600_000);
        fed.round()?;
        place.comes_to("live behind the switch", &mut live, &fed.counts)?;
        // The line is extended by ordinary runs, and both layers hold the same.
        batched(&place)?;
        place.is_exact("a run after the switch", &fed.counts)?;
        place.run(&["reconcile"])?;
    }
    place.stop(live)
}

/// P40: changed code fills a line and a state of its own beside the code that answers, and takes over by one publish.
#[test]
fn changed_code_takes_over() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("changed"));
    let mut fed = Fed::new(broker, &topic, 6)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    history(&mut fed, 8)?;
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let mut live = place.spawn(&["stream", "--commit-ms", "100"], &[])?;
    // All words have four letters: other code by its fingerprint, with the same answers.
    let new = ["--min-len", "2"];
    let with = |args: &[&'static str]| [args, &new[..]].concat();
    let plan = word_count(&Args { min_len: 2 }).plan()?;
    let answers = || answers_on_disk(&plan, &place.path("data"));
    place.run(&with(&["backfill"]))?;
    let e = place
        .run(&with(&["switch"]))
        .err()
        .context("nobody has read on with the new code")?;
    ensure!(e.to_string().contains("caught up"), "{e}");
    let beside = place.spawn(&with(&["stream", "--commit-ms", "100"]), &[])?;
    history(&mut fed, 2)?;
    place.comes_to("the old code", &mut live, &fed.counts)?;
    let start = Instant::now();
    while let Err(e) = place.run(&with(&["switch"])) {
        ensure!(start.elapsed() < PATIENCE && e.to_string().contains("caught up"), "{e}");
        std::thread::sleep(Duration::from_millis(200));
    }
    comes_to("the new code", &place, answers, &fed.counts)?;
    // The new code's process goes on without a restart; the old one may stay.
    history(&mut fed, 2)?;
    comes_to("the new code, live", &place, answers, &fed.counts)?;
    place.stop(live)?;
    place.run(&with(&["batch"]))?;
    comes_to("the new code, with a run of its own", &place, answers, &fed.counts)?;
    place.stop(beside)?;
    comes_to("the new code, stopped", &place, answers, &fed.counts)
}
