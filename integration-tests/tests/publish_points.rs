//! Row 2 of the fault table for the other publishes (P24): `rollback`, `backfill` and `switch` end at each named point
//! between two of their writes. Readers see what was current or what is, never anything else, and the command run again
//! ends well.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::{self, unique_name};
use rufous_integration_tests::torture::{Fed, Place};
use rufous_store_api::points::{BULK, VARIABLE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const LIVE: [&str; 4] = ["stream", "--commit-ms", "20", "--until-end"];

struct World {
    place: Place,
    fed: Fed,
}

/// Whether a manifest counts that was being created.
fn is_linked(point: &str) -> bool {
    ["entry.linked", "entry.tidied", "entry.durable"].contains(&point)
}

impl World {
    /// Two generations, of five hours and of three.
    fn new(seed: u64) -> Result<Self> {
        let (broker, topic) = (kafka::shared()?, unique_name("publishes"));
        let mut w = Self {
            fed: Fed::new(broker, &topic, seed)?,
            place: Place::new(Path::new(PROGRAM), broker.addr(), &topic)?,
        };
        for (n, hours) in [(1, 5), (2, 3)] {
            for _ in 0..hours {
                let before = w.fed.counts.clone();
                w.fed.advance(3_600_000);
                while w.fed.counts == before {
                    w.fed.round()?;
                }
            }
            w.place.run(&LIVE)?;
            w.place.run(&["batch"])?;
            ensure!(w.newest()? == n, "generation {n}");
        }
        Ok(w)
    }
    fn newest(&self) -> Result<u64> {
        let there = |n: &u64| self.place.manifest(*n).is_ok();
        (0..).take_while(there).last().context("no manifest")
    }
    fn ends_at(&self, args: &[&str], at: &str) -> Result<()> {
        let status = self.place.ends(at, self.place.spawn(args, &[(VARIABLE, at)])?)?;
        ensure!(
            status.signal() == Some(6),
            "{args:?}, {at}: {status}; the log:\n{}",
            self.place.log()
        );
        self.is_exact(&format!("{args:?}, ended at {at}"))
    }
    fn is_exact(&self, what: &str) -> Result<()> {
        self.place.is_exact(what, &self.fed.counts)
    }
    /// Runs a command that publishes once, ended at each point of it; `again` is what is done after each.
    fn each_point(&self, args: &[&str], again: &dyn Fn(&Self, bool) -> Result<()>) -> Result<()> {
        for point in BULK.iter().filter(|p| p.starts_with("entry.")) {
            let before = self.newest()?;
            self.ends_at(args, point)?;
            let published = self.newest()? > before;
            ensure!(
                published == is_linked(point),
                "{args:?}, {point}: published: {published}"
            );
            again(self, published)?;
            self.is_exact(&format!("{args:?}, {point}, and run again"))?;
            ensure!(self.newest()? > before, "{args:?}, {point}: nothing is published");
        }
        Ok(())
    }
}

#[test]
fn between_any_two_writes_of_a_rollback() -> Result<()> {
    let w = World::new(31)?;
    w.each_point(&["rollback"], &|w, _| w.place.run(&["rollback"]))
}

#[test]
fn between_any_two_writes_of_a_switch() -> Result<()> {
    let w = World::new(32)?;
    w.place.run(&["backfill"])?;
    w.each_point(&["switch"], &|w, published| {
        // Once it is current there is nothing left to switch to.
        ensure!(w.place.run(&["switch"]).is_err() == published, "published: {published}");
        w.place.run(&["rollback"])
    })
}

/// In its first part, in a later one, and where the line begins.
#[test]
fn between_any_two_writes_of_a_backfill() -> Result<()> {
    let w = World::new(33)?;
    let (begin, go_on) = (
        ["backfill", "--new", "--part-rows", "1"],
        ["backfill", "--part-rows", "1"],
    );
    let mut ended = 0;
    for point in BULK {
        for time in [1, 4] {
            w.ends_at(&begin, &format!("{point}:{time}"))?;
            ended += 1;
            // Ended again on the way, unless it is at its end before.
            if time == 4 {
                w.ends_at(&go_on, &format!("{point}:2"))?;
                ended += 1;
            }
        }
        w.place.run(&go_on)?;
        w.place.run(&["switch"])?;
        w.is_exact(&format!("{point}, and switched to"))?;
        w.place.run(&["rollback"])?;
        w.is_exact(&format!("{point}, and back"))?;
    }
    ensure!(ended == 30, "{ended} backfills were ended");
    w.place.run(&["gc", "--keep", "0", "--grace-minutes", "0"])?;
    w.is_exact("after gc")
}
