//! Answers are the plain counts of exactly the records that they name (P28, P29), whatever happens while they are asked for.
//! `./x reads` does ten times as many.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use rufous_integration_tests::torture::{Reads, reads};

#[test]
fn every_answer_is_what_its_cut_says() -> Result<()> {
    let how = Reads {
        answers: 10_000,
        seed: 7,
        limit: Duration::from_secs(240),
    };
    let program = Path::new(env!("CARGO_BIN_EXE_job-word-count"));
    let seen = reads(program, &how, &mut |line| println!("{line}"))?;
    ensure!(seen.kills > 0 && seen.publishes > 0, "{seen:?}");
    ensure!(seen.manifests > 1 && seen.cuts > 10, "{seen:?}");
    ensure!(seen.answers.iter().all(|(_, n)| *n > 0), "{seen:?}");
    Ok(())
}
