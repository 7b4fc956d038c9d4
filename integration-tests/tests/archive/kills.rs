//! P18, row 2: the process ends between any two writes. What is archived then is a prefix of the log, and the next run
//! archives the rest: nothing twice, nothing missing.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use rufous_store_api::points::{LOCAL, REMOTE, VARIABLE};

use crate::world::{Place, World};

/// Ends a run at a point, at the first, second ... time that it comes there, until a run never comes there; returns how
/// many were ended. Lines are appended before each.
fn end_at(w: &mut World, point: &str, most: u64) -> Result<u64> {
    for time in 1..=most {
        w.append(60)?;
        let mut command = w.command("archive");
        let out = command
            .arg("--until-end")
            .env(VARIABLE, format!("{point}:{time}"))
            .output()?;
        if out.status.success() {
            return Ok(time - 1);
        }
        ensure!(
            out.status.signal() == Some(6),
            "{point}:{time}: {} {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        w.check(&format!("ended at {point}:{time}"), false)?;
    }
    Ok(most)
}

fn every_point(points: &[&str], mut world: impl FnMut() -> Result<World>, most: u64) -> Result<()> {
    for point in points {
        let mut w = world()?;
        let ended = end_at(&mut w, point, most)?;
        ensure!(ended >= 2, "{point}: reached {ended} times only");
        w.append(60)?;
        w.archive_all()?;
        w.check(&format!("after {point}"), true)?;
        w.archive_all()?;
        w.check(&format!("after {point}, once more"), true)?;
    }
    Ok(())
}

/// In a directory; the first ends are those of genesis and the log's own files, where no archive is yet.
#[test]
fn between_any_two_writes_to_a_directory() -> Result<()> {
    every_point(&LOCAL, || World::new(Place::Dir, 1_500), 6)
}

/// In an object store: before and after each request.
#[test]
fn between_any_two_writes_to_an_object_store() -> Result<()> {
    every_point(&REMOTE, || World::s3(1_500), 3)
}
