//! The protocol on the real code: engine, archiver, bulk runs and client work on one topic while processes are killed,
//! answers get lost, disks are lost and come back old, logs lose their beginnings and grow partitions. After every step each
//! answer must be the fold of a prefix of the log, every record once, or an error (I1); at the end everything must come to the
//! whole answer (I7). Runs are chosen by a seed; `RUFOUS_SEEDS` asks for more of them.
//!
//! Then each rule of the protocol is dropped, one at a time, and some seed must notice (section 13 of the protocol).

mod archiving;
mod faulty;
mod oracle;
mod topic;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use rufous::core::rules::{Rule, drop_in_this_process};
use world::World;

/// Rules are dropped for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn run(seed: u64, steps: usize) -> Result<()> {
    let mut world = World::new(seed)?;
    let done = (0..steps).try_for_each(|_| world.step()).and_then(|()| world.heal());
    done.with_context(|| format!("seed {seed}:\n  {}", world.trace.join("\n  ")))
}

/// I1, I2, I4, I5, I7.
#[test]
fn every_answer_is_the_fold_of_a_prefix() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seeds = std::env::var("RUFOUS_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(300);
    for seed in 1..=seeds {
        run(seed, 40)?;
    }
    Ok(())
}

/// What goes wrong first without a rule, and after how many seeds.
fn noticed(rules: &[Rule]) -> Option<(u64, String)> {
    let _dropped = drop_in_this_process(rules);
    (1..=400).find_map(|seed| {
        let run = catch_unwind(AssertUnwindSafe(|| run(seed, 40)));
        let wrong = run.unwrap_or_else(|_| Err(anyhow!("a panic"))).err()?;
        Some((seed, wrong.root_cause().to_string()))
    })
}

/// Section 13: each line of it that concerns commits, batches, the archive or repair.
#[test]
fn every_rule_is_needed() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut unnoticed = Vec::new();
    for rules in [
        &[Rule::RunningMaximum][..],
        &[Rule::BatchPerRecord],
        &[Rule::CommitChecksOffset, Rule::CommitChecksEpoch],
        &[Rule::CommitChecksEpoch],
        // A chunk that is sent again is refused by its offset: one of the two must hold.
        &[Rule::CommitChecksOffset, Rule::AcquireAfterFailure],
        &[Rule::OneWrite],
        &[Rule::ExclusiveIndex],
        &[Rule::SealedOnly],
        &[Rule::BatchBefore],
        &[Rule::DropPermission],
        &[Rule::RaiseRetained],
        &[Rule::CompareRetained],
        &[Rule::ShowHoles],
        &[Rule::RebuildMisaligned],
        &[Rule::RebuildAtPermission],
        &[Rule::RecordHole],
        &[Rule::Floor],
    ] {
        match noticed(rules) {
            Some((seed, wrong)) => println!("without {rules:?}, seed {seed}: {wrong}"),
            None => unnoticed.push(rules),
        }
    }
    ensure!(
        unnoticed.is_empty(),
        "nobody notices that these are gone: {unnoticed:?}"
    );
    Ok(())
}
