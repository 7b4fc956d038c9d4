//! Everything that changes what is current, by the program's own commands.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous::store_api::ManifestLog;
use rufous_integration_tests::torture::Place;
use rufous_store_offline::Manifests;

/// What was published.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Bulk runs that had something new.
    pub(crate) batches: u64,
    pub(crate) rollbacks: u64,
    pub(crate) switches: u64,
}

/// Publishes in all ways, one after the other, until the time is over.
pub(crate) fn publish(place: &Place, manifests: &Manifests, time: Duration) -> Result<Done> {
    let (start, mut done) = (Instant::now(), Done::default());
    let number = || -> Result<u64> { Ok(manifests.newest(0)?.context("a manifest")?.number) };
    let together = |commands: &[&[&str]]| -> Result<()> {
        let children: Vec<_> = commands.iter().map(|c| place.spawn(c, &[])).collect::<Result<_>>()?;
        for (command, child) in commands.iter().zip(children) {
            let status = place.ends(&command.join(" "), child)?;
            ensure!(status.success(), "{command:?}: {status}; the log:\n{}", place.log());
        }
        Ok(())
    };
    while start.elapsed() < time {
        let mut before = number()?;
        // Each forbids what the generation before the one before it needed.
        for _ in 0..2 {
            place.run(&["batch"])?;
        }
        together(&[&["batch"], &["batch"]])?;
        done.batches += number()? - before;
        for _ in 0..2 {
            place.run(&["rollback"])?;
        }
        before = number()?;
        together(&[&["backfill", "--new", "--part-rows", "5000"], &["batch"]])?;
        done.batches += number()? - before;
        // The live line moved on meanwhile: the staged one is brought up to it.
        place.run(&["backfill"])?;
        place.run(&["switch"])?;
        for _ in 0..2 {
            place.run(&["rollback"])?;
        }
        // Checked against the manifest of a moment ago (P22): what it goes back to may be gone meanwhile, and then it
        // says so.
        let rollback = place.spawn(&["rollback"], &[])?;
        place.run(&["batch"])?;
        let went = place.ends("rollback", rollback)?.success();
        done.rollbacks += 4 + u64::from(went);
        done.switches += 1;
    }
    Ok(done)
}

/// Deletes with no grace, again and again.
pub(crate) fn collect(place: &Place, stop: &AtomicBool) -> Result<u64> {
    let mut times = 0;
    while !stop.load(Relaxed) {
        place.run(&["gc", "--keep", "1", "--grace-minutes", "0"])?;
        times += 1;
        // A pace, so that others have the processor, too.
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(times)
}
