//! P18: of many archivers over one log and archive each entry is made by one; the others go on behind it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::archived;

use crate::world::{Place, World};

/// Processes that start together, round after round.
fn processes(mut w: World, rounds: usize) -> Result<World> {
    // Genesis is raced for in a test of its own.
    w.append(10)?;
    w.archive_all()?;
    for round in 0..rounds {
        w.append(200)?;
        let children = (0..3)
            .map(|_| {
                let mut command = w.command("archive");
                command.arg("--until-end").env("RUFOUS_LOG", "error");
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                Ok(command.spawn()?)
            })
            .collect::<Result<Vec<_>>>()?;
        for child in children {
            let out = child.wait_with_output()?;
            ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        w.check(&format!("round {round}"), true)?;
    }
    Ok(w)
}

/// P19 besides: losers leave files that no index names, and a listing would count their records twice.
#[test]
fn processes_over_one_directory() -> Result<()> {
    let w = processes(World::new(Place::Dir, 3_000)?, 8)?;
    let (mut listed, mut indexed) = (0, 0);
    for path in w.files() {
        listed += archived::rows(std::fs::read(&path)?)
            .with_context(|| path.display().to_string())?
            .len();
    }
    for p in 0..2 {
        indexed += w.found(p)?.records.len();
    }
    ensure!(
        listed > indexed,
        "nobody lost a race in 8 rounds: {listed} records in files, {indexed} in the index"
    );
    Ok(())
}

#[test]
fn processes_over_one_bucket() -> Result<()> {
    processes(World::s3(3_000)?, 4).map(drop)
}
