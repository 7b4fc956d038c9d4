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

/// How much happens in a run.
const STEPS: usize = 40;

/// Rules are dropped for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn run(seed: u64, answers_only: bool) -> Result<()> {
    let mut world = World::new(seed)?;
    world.answers_only = answers_only;
    let done = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.heal());
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
        run(seed, false)?;
    }
    let compared = world::COMPARED.load(std::sync::atomic::Ordering::Relaxed);
    ensure!(compared >= seeds, "the layers could be compared {compared} times only");
    Ok(())
}

/// What goes wrong first without these rules, and with which seed.
fn noticed(rules: &[Rule], answers_only: bool, wrong: impl Fn(&str) -> bool) -> Option<(u64, String)> {
    let _dropped = drop_in_this_process(rules);
    (1..=2_000).find_map(|seed| {
        let run = catch_unwind(AssertUnwindSafe(|| run(seed, answers_only)));
        let found = run
            .unwrap_or_else(|_| Err(anyhow!("a panic")))
            .err()?
            .root_cause()
            .to_string();
        wrong(&found).then_some((seed, found))
    })
}

/// P28: when the layers divide the log in two places - here because a rebuilt shard forgot its batch - a reader that compares
/// the cuts gets an error; one that does not gets a wrong sum.
#[test]
fn cuts_that_differ_are_no_answer() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let wrong_sum = |found: &str| found.starts_with("I1: words") || found.starts_with("I1: initials");
    let unread = noticed(&[Rule::BatchBefore, Rule::CompareCuts], true, wrong_sum);
    let (seed, wrong) = unread.context("nobody notices that cuts are not compared")?;
    println!("seed {seed}: {wrong}");
    let _dropped = drop_in_this_process(&[Rule::BatchBefore]);
    let read = run(seed, true).map_err(|e| e.root_cause().to_string());
    ensure!(
        read.as_ref().is_err_and(|e| e.contains("divided in two places")),
        "seed {seed}, cuts compared: {read:?}"
    );
    Ok(())
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
        &[Rule::ReconcileStable],
        &[Rule::BatchBefore],
        &[Rule::DropPermission],
        &[Rule::RaiseRetained],
        // What is dropped has lost its cuts as well, so either comparison sees it.
        &[Rule::CompareRetained, Rule::CompareCuts],
        &[Rule::ShowHoles],
        &[Rule::RebuildMisaligned],
        &[Rule::RebuildAtPermission],
        &[Rule::RecordHole],
        &[Rule::Floor],
    ] {
        match noticed(rules, false, |_| true) {
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
