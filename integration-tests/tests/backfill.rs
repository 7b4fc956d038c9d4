//! History computed anew beside a live job (P24, P40; row 21 of the fault table): killed, resumed, switched to, and
//! nothing is counted twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use rufous::client::Client;
use rufous::core::StoreFace;
use rufous::store_api::{GenerationStore, ManifestLog, RunFile, StoreGeneration};
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::run::{Bytes, answers_on_disk};
use rufous_integration_tests::torture::{Counts, Fed, Place, in_bytes};
use rufous_store_offline::{Generations, Manifests};

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

/// How much the parts of each staged line add, part by part in order, and what the line holds at its end: sums of
/// counts.
fn parts(place: &Place) -> Result<Vec<(Vec<u64>, u64)>> {
    let job = place.path("data/main/jobs/word-count");
    let generations = Generations::new(job.join("offline"));
    let sum = |runs: &[RunFile]| -> Result<u64> {
        let (mut sum, runs) = (0, runs.to_vec());
        let generation = StoreGeneration {
            runs,
            ..StoreGeneration::default()
        };
        generations.scan(&place.store(), &generation, &[], &mut |_, value| {
            sum += value.try_into().map_or(0, u64::from_le_bytes);
            Ok(())
        })?;
        Ok(sum)
    };
    let mut lines = Vec::new();
    for line in fs::read_dir(job.join("lines"))? {
        let log = Manifests::new(line?.path().join("manifests"));
        let (mut added, mut holds) = (Vec::new(), 0);
        for number in log.numbers()? {
            let manifest = log.get(number)?.context("listed")?;
            let counts = manifest.stores.get("counts").context("the only store")?;
            if number > 0 {
                added.push(sum(&counts.delta)?);
            }
            holds = sum(&counts.runs)?;
        }
        lines.push((added, holds));
    }
    Ok(lines)
}

/// Somebody who asks from outside without a pause. No answer may hold less than the one before it, and none may fail.
fn reads(client: &Client, store: StoreFace, stop: &AtomicBool) -> Result<u64> {
    let (mut answers, mut before) = (0, 0);
    while !stop.load(Relaxed) {
        let (rows, _) = client.raw(store).under(&[])?;
        let sum: u64 = rows
            .iter()
            .map(|(_, v)| v[..].try_into().map_or(0, u64::from_le_bytes))
            .sum();
        ensure!(sum >= before, "an answer of {sum} words came after one of {before}");
        (answers, before) = (answers + 1, sum);
    }
    Ok(answers)
}

/// Runs `batch` until it has published: the archive comes after the stream.
fn batched(place: &Place, command: &[&str]) -> Result<()> {
    let published = || fs::read_dir(place.path("data/main/jobs/word-count/manifests")).map(Iterator::count);
    let (start, before) = (Instant::now(), published()?);
    while published()? == before {
        ensure!(
            start.elapsed() < PATIENCE,
            "nothing new to publish; the log:\n{}",
            place.log()
        );
        place.run(command)?;
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

/// An hour later; rounds that are aborted seal nothing.
fn seal(fed: &mut Fed) -> Result<()> {
    let before = fed.counts.clone();
    fed.advance(3_600_000);
    while fed.counts == before {
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

/// Row 22: a backfill that is killed at a tenth, the half and nine tenths of its parts goes on behind what it has
/// published, twice over; the live job runs on, a reader from outside is always answered, and each switch, and each way
/// back, is one publish that changes no answer, though records come meanwhile.
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
    let (client, store, stop) = (place.client()?, place.store(), AtomicBool::new(false));
    std::thread::scope(|s| -> Result<()> {
        let reader = s.spawn(|| reads(&client, store, &stop));
        let done = twice(&place, &mut fed, &mut live);
        stop.store(true, Relaxed);
        let answers = reader.join().expect("the reader panicked")?;
        done?;
        println!("{answers} answers meanwhile");
        ensure!(answers > 100, "{answers} answers");
        Ok(())
    })?;
    place.stop(live)
}

fn twice(place: &Place, fed: &mut Fed, live: &mut Child) -> Result<()> {
    for round in 0..2 {
        let before = staged(place)?.len();
        let begin = ["backfill", "--new", "--part-rows", "1", "--rate", "20000"];
        let go_on = ["backfill", "--part-rows", "1", "--rate", "20000"];
        let mut kept = staged(place)?;
        for (i, parts) in [3, 15, 26].into_iter().enumerate() {
            let args: &[&str] = if i == 0 { &begin } else { &go_on };
            let child = place.spawn(args, &[])?;
            let start = Instant::now();
            while staged(place)?.len() < before + parts {
                ensure!(
                    start.elapsed() < PATIENCE,
                    "round {round}: {} parts of {parts}; the log:\n{}",
                    staged(place)?.len() - before,
                    place.log()
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            place.kill("backfill", child, true)?;
            let now = staged(place)?;
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
            place.comes_to("beside the backfill", live, &fed.counts)?;
        }
        place.run(&["backfill"])?;
        let now = staged(place)?;
        ensure!(
            kept.iter().all(|(path, time)| now.get(path) == Some(time)),
            "round {round}"
        );
        // Each record is in one part: none was done again, and nothing of a part that was killed is in the line.
        for (added, holds) in parts(place)? {
            ensure!(
                added.len() > 25 && added.iter().sum::<u64>() == holds,
                "round {round}: the line holds {holds}, its parts {added:?}"
            );
        }
        std::thread::scope(|s| -> Result<()> {
            let feeding = s.spawn(|| (0..40).try_for_each(|_| fed.round()));
            // There, back, and there again.
            for command in ["switch", "rollback", "rollback"] {
                place.run(&[command])?;
            }
            feeding.join().expect("the producer panicked")
        })?;
        place.comes_to("live behind the switch", live, &fed.counts)?;
        seal(fed)?;
        place.comes_to("live, an hour behind the switch", live, &fed.counts)?;
        // The line is extended by ordinary runs, and both layers hold the same.
        batched(place, &["batch"])?;
        place.is_exact("a run after the switch", &fed.counts)?;
        place.run(&["reconcile"])?;
    }
    Ok(())
}

/// P40: changed code fills a line and a state of its own beside the code that answers, and takes over by one publish;
/// while both run, one publish goes back, and another there again. Each has its own permission to drop cells: what one
/// of them drops, the other one still has. A reader from outside is answered all the time, never with less than before.
#[test]
fn changed_code_takes_over() -> Result<()> {
    let (broker, topic) = (kafka::shared()?, unique_name("changed"));
    let mut fed = Fed::new(broker, &topic, 6)?;
    let place = Place::new(Path::new(PROGRAM), broker.addr(), &topic)?;
    history(&mut fed, 8)?;
    place.run(&["stream", "--until-end"])?;
    place.run(&["batch"])?;
    let mut live = place.spawn(&["stream", "--commit-ms", "100"], &[])?;
    place.comes_to("the old code", &mut live, &fed.counts)?;
    let (client, store, stop) = (place.client()?, place.store(), AtomicBool::new(false));
    let beside = std::thread::scope(|s| -> Result<Child> {
        let reader = s.spawn(|| reads(&client, store, &stop));
        let done = takes_over(&place, &mut fed, &mut live);
        stop.store(true, Relaxed);
        let answers = reader.join().expect("the reader panicked")?;
        let beside = done?;
        println!("{answers} answers meanwhile");
        ensure!(answers > 100, "{answers} answers");
        Ok(beside)
    })?;
    place.stop(beside)?;
    place.is_exact("the new code, stopped", &fed.counts)?;
    place.stop(live)
}

/// All words have four letters: other code by its fingerprint, with the same answers.
fn of_new_code(args: &[&'static str]) -> Vec<&'static str> {
    [args, &["--min-len", "2"]].concat()
}

/// Returns the process of the new code.
fn takes_over(place: &Place, fed: &mut Fed, live: &mut Child) -> Result<Child> {
    let with = of_new_code;
    let plan = word_count(&Args { min_len: 2 }).plan()?;
    let answers = || answers_on_disk(&plan, &place.path("data"));
    place.run(&with(&["backfill"]))?;
    let e = place
        .run(&with(&["switch"]))
        .err()
        .context("nobody has read on with the new code")?;
    ensure!(e.to_string().contains("caught up"), "{e}");
    let beside = place.spawn(&with(&["stream", "--commit-ms", "100"]), &[])?;
    history(fed, 2)?;
    place.comes_to("the old code", live, &fed.counts)?;
    let start = Instant::now();
    while let Err(e) = place.run(&with(&["switch"])) {
        ensure!(start.elapsed() < PATIENCE && e.to_string().contains("caught up"), "{e}");
        std::thread::sleep(Duration::from_millis(200));
    }
    comes_to("the new code", place, answers, &fed.counts)?;
    // Each run of the new code permits its own cells to be dropped, and none of the old code's.
    for _ in 0..2 {
        seal(fed)?;
        comes_to("the new code, live", place, answers, &fed.counts)?;
        batched(place, &with(&["batch"]))?;
        comes_to("the new code, with a run of its own", place, answers, &fed.counts)?;
    }
    let namespace = |n: u64| -> Result<_> { Ok(place.manifest(n)?["realtime_namespace"].clone()) };
    let newest = (0..)
        .take_while(|n| place.manifest(*n).is_ok())
        .last()
        .context("manifests")?;
    let old = (0..newest)
        .rfind(|n| namespace(*n).ok() == namespace(0).ok())
        .context("the old code's")?;
    ensure!(namespace(newest)? != namespace(old)?);
    let level = || -> Result<bool> {
        let of = |n: u64| place.progress_of(namespace(n)?.as_str().unwrap_or_default());
        Ok(of(old)?
            .iter()
            .map(|(p, row)| (p, row.next))
            .eq(of(newest)?.iter().map(|(p, row)| (p, row.next))))
    };
    let drop_before = |n: u64| -> Result<_> {
        Ok(place.manifest(n)?["drop_before"][namespace(old)?.as_str().unwrap_or_default()].clone())
    };
    ensure!(drop_before(newest)? == drop_before(old)? && drop_before(old)?.is_object());
    // Both read to the end, so no answer goes back: what the new code answers says nothing of the old code.
    let start = Instant::now();
    while !level()? {
        ensure!(
            start.elapsed() < PATIENCE,
            "the old code does not come to the end; the log:\n{}",
            place.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    for to in [old, newest] {
        let to = to.to_string();
        place.run(&["rollback", "--to", &to])?;
        comes_to("back, or there again", place, answers, &fed.counts)?;
    }
    place.comes_to("the new code again", live, &fed.counts)?;
    Ok(beside)
}
