//! Row 2 of the fault table: the process ends at a named point, between any two writes of the store, of a bulk run and of the
//! manifests, over a real Kafka. Afterwards the answer is the plain map of what was produced. (The archive's points: `archive`.)

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::torture::{Fed, Place};
use rufous_store_api::points::{BULK, STORE, VARIABLE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const STREAM: [&str; 3] = ["stream", "--commit-ms", "20"];
const UNTIL_END: [&str; 4] = ["stream", "--commit-ms", "20", "--until-end"];
/// So much log time is a batch, and seals what was before it on every partition.
const HOURS: i64 = 3 * 3_600_000;

struct World {
    place: Place,
    fed: Fed,
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let (broker, topic) = (kafka::shared()?, unique_name("points"));
        Ok(Self {
            fed: Fed::new(broker, &topic, seed)?,
            place: Place::new(Path::new(PROGRAM), broker.addr(), &topic)?,
        })
    }
    /// More records, of some later hours.
    fn feed(&mut self) -> Result<()> {
        for _ in 0..4 {
            self.fed.advance(HOURS / 2);
            self.fed.round()?;
        }
        Ok(())
    }
    /// Runs a command that ends at a point by itself; while it runs, records come.
    fn ends_at(&mut self, args: &[&str], at: &str) -> Result<()> {
        let mut child = self.place.spawn(args, &[(VARIABLE, at)])?;
        // Many commits take many records that come one after the other.
        let rounds = 200;
        for _ in 0..rounds {
            if child.try_wait()?.is_some() {
                break;
            }
            self.fed.round()?;
        }
        let status = self.place.ends(at, child)?;
        ensure!(
            status.signal() == Some(6),
            "{at}: {status}; the log:\n{}",
            self.place.log()
        );
        Ok(())
    }
    fn is_exact(&self, what: &str) -> Result<()> {
        self.place.is_exact(what, &self.fed.counts)
    }
    fn to_the_end(&self, what: &str) -> Result<()> {
        self.place.run(&UNTIL_END)?;
        self.is_exact(what)
    }
}

/// Every point around one kind of write of the store, at the first, second and fifth time.
fn around(write: &str) -> Result<()> {
    let points: Vec<_> = STORE.iter().filter(|p| p.starts_with(write)).collect();
    ensure!(points.len() == 2, "{points:?}");
    for (n, point) in (1..).zip(points) {
        for time in [1, 2, 5] {
            let mut w = World::new(n * 10 + time)?;
            let at = format!("{point}:{time}");
            w.feed()?;
            if write == "drop." {
                // A generation is the permission to drop what the one before it holds (P23); eight partitions use it.
                for generation in 1..=2 {
                    w.feed()?;
                    w.to_the_end("before the drop")?;
                    w.place.run(&["batch"])?;
                    ensure!(w.place.manifest(generation).is_ok(), "nothing was published");
                }
            }
            w.ends_at(&STREAM, &at)?;
            w.place.reopen()?;
            w.to_the_end(&format!("after {at}"))?;
            w.place.run(&["batch"])?;
            w.is_exact(&format!("after {at} and a bulk run"))?;
            w.feed()?;
            w.to_the_end(&format!("{at}, and it goes on"))?;
        }
    }
    Ok(())
}

/// Partitions are taken, with another epoch (P11).
#[test]
fn around_taking_a_partition() -> Result<()> {
    around("acquire.")
}

/// Values and offsets are one write (P11): they are there or they are not.
#[test]
fn around_a_commit() -> Result<()> {
    around("commit.")
}

/// Cells are dropped by permission (P26): said first, then deleted.
#[test]
fn around_a_drop() -> Result<()> {
    around("drop.")
}

/// Every point of a bulk run, in the first, second and fifth generation: what readers see is exact before and after, the next
/// run publishes, and it publishes one generation, not two.
#[test]
fn between_any_two_writes_of_a_bulk_run() -> Result<()> {
    let mut w = World::new(7)?;
    let (mut generation, mut ended) = (0, 0);
    for round in 1..=5 {
        for point in BULK
            .iter()
            .take(if [1, 2, 5].contains(&round) { BULK.len() } else { 1 })
        {
            w.feed()?;
            w.to_the_end("live")?;
            let what = format!("round {round}, {point}");
            let status = w.place.ends(&what, w.place.spawn(&["batch"], &[(VARIABLE, point)])?)?;
            ensure!(
                status.signal() == Some(6),
                "{what}: {status}; the log:\n{}",
                w.place.log()
            );
            ended += 1;
            w.is_exact(&what)?;
            let published = w.place.manifest(generation + 1).is_ok();
            let linked = ["entry.linked", "entry.tidied", "entry.durable"].contains(point);
            ensure!(published == linked, "{what}: published: {published}");
            w.place.run(&["batch"])?;
            w.is_exact(&format!("{what}, and run again"))?;
            generation += 1;
            let published = w
                .place
                .manifest(generation)
                .with_context(|| format!("{what}: nothing is published"))?;
            // Many runs were merged behind the publish: the same generation in another form.
            if let Ok(form) = w.place.manifest(generation + 1) {
                ensure!(form["frontier"] == published["frontier"], "{what}: published twice");
                generation += 1;
            }
            ensure!(w.place.manifest(generation + 1).is_err(), "{what}: published twice");
        }
    }
    ensure!(ended == 32, "{ended} runs were ended");
    w.to_the_end("at the end")
}

/// P10: manifest 0, where both layers begin, is made by a process that ends at any point of it.
#[test]
fn between_any_two_writes_of_the_beginning() -> Result<()> {
    for (n, point) in BULK.iter().enumerate().filter(|(_, p)| p.starts_with("entry.")) {
        let mut w = World::new(200 + n as u64)?;
        w.feed()?;
        w.ends_at(&STREAM, point)?;
        w.feed()?;
        w.to_the_end(point)?;
        w.place.run(&["batch"])?;
        w.is_exact(&format!("{point}, with a generation"))?;
    }
    Ok(())
}
