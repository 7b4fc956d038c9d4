//! Operators with memory on the real engine, archiver, bulk runs, gc and client, while processes are killed, answers get lost,
//! disks are lost and come back old, generations are rolled back and deleted, and logs lose their beginnings. After every step
//! each answer must be the fold of a prefix of the log, or an error: every single running total is kept in a store, so one that
//! was emitted from a wrong state is a key too many. Runs are chosen by a seed; `RUFOUS_SEEDS` asks for more of them.
//!
//! Then each rule of the protocol for operators (O2, O7-O12) is dropped, one at a time, and some seed must notice (section 8).

#[allow(dead_code, reason = "the processes of another test, which does more with them")]
#[path = "../protocol/archiving.rs"]
mod archiving;
#[allow(dead_code, reason = "the processes of another test, which does more with them")]
#[path = "../protocol/faulty.rs"]
mod faulty;
mod fold;
mod joint;
mod joint_kill;
mod kill;
mod one_process;
mod single;
mod spread;
#[allow(dead_code, reason = "the processes of another test, which does more with them")]
#[path = "../protocol/topic.rs"]
mod topic;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use joint::{Joint, Shape};
use rufous::core::rules::{Rule, drop_in_this_process};
use world::World;

/// How much happens in a run.
const STEPS: usize = 40;

/// Rules are dropped for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(seed: u64, flaky: bool, trims: bool) -> Result<()> {
    let mut world = World::new(seed)?;
    (world.flaky, world.trims) = (flaky, trims);
    let done = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.heal());
    done.with_context(|| format!("seed {seed}:\n  {}", world.trace.join("\n  ")))
}

fn run_joint(seed: u64, flaky: bool, trims: bool) -> Result<()> {
    run_shape(Shape::Alike, seed, flaky, trims)
}

fn run_spread(seed: u64, flaky: bool, trims: bool) -> Result<()> {
    run_shape(Shape::Spread, seed, flaky, trims)
}

fn run_shape(shape: Shape, seed: u64, flaky: bool, trims: bool) -> Result<()> {
    let mut world = Joint::new(seed, shape)?;
    (world.flaky, world.trims) = (flaky, trims);
    let done = (0..STEPS).try_for_each(|_| world.step()).and_then(|()| world.heal());
    done.with_context(|| format!("seed {seed}:\n  {}", world.trace.join("\n  ")))
}

fn seeds(run: fn(u64, bool, bool) -> Result<()>) -> Result<()> {
    let asked = std::env::var("RUFOUS_SEEDS").ok().and_then(|n| n.parse().ok());
    (1..=asked.unwrap_or(150)).try_for_each(|seed| run(seed, seed % 5 == 0, seed % 7 == 0))
}

/// O3-O5, O7-O12: two sources in one order.
#[test]
fn every_emission_of_two_sources_is_that_of_a_fold_in_log_order() -> Result<()> {
    let _alone = alone();
    seeds(run_joint)
}

/// The same where keys come from all partitions.
#[test]
fn every_emission_of_spread_keys_is_that_of_a_fold_in_log_order() -> Result<()> {
    let _alone = alone();
    seeds(run_spread)
}

/// O7-O12, O15, O16.
#[test]
fn every_emission_is_that_of_a_fold() -> Result<()> {
    let _alone = alone();
    seeds(run)
}

/// What goes wrong first without these rules, and with which seed.
fn noticed(rules: &[Rule], run: fn(u64, bool, bool) -> Result<()>) -> Option<(u64, String)> {
    let _dropped = drop_in_this_process(rules);
    let flaky = rules.contains(&Rule::ForgetAfterFailure);
    let trims = rules.contains(&Rule::LostRangeStops);
    (1..=1_000).find_map(|seed| {
        let run = catch_unwind(AssertUnwindSafe(|| run(seed, flaky, trims)));
        let found = run.unwrap_or_else(|_| Err(anyhow!("a panic"))).err()?;
        Some((seed, found.root_cause().to_string()))
    })
}

/// Section 8: each line of it that concerns the state of operators.
#[test]
fn every_rule_is_needed() -> Result<()> {
    let _alone = alone();
    let mut unnoticed = Vec::new();
    for rules in [
        // The current generation's state for a shard that is rebuilt below it; cells that are in a newer base as well.
        &[Rule::BaseFits][..],
        // Rebuilt, or run on in bulk, with no state.
        &[Rule::StateOfBase],
        // The files of the generation at the drop permission are deleted.
        &[Rule::KeepDropPoint],
        // The state of what was not committed is kept.
        &[Rule::ForgetAfterFailure],
        // A lost range is read over.
        &[Rule::LostRangeStops],
        // State and stores in two writes.
        &[Rule::OneWrite],
    ] {
        match noticed(rules, run) {
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

/// Section 8, of a domain of several partitions: a record that does not wait, a frontier that is a vector; and what of the order
/// a row must keep.
fn every_rule_of_a_domain(run: fn(u64, bool, bool) -> Result<()>) -> Result<()> {
    let _alone = alone();
    let mut unnoticed = Vec::new();
    for rules in [
        &[Rule::WaitForOthers][..],
        &[Rule::LevelFrontier],
        &[Rule::KeepRunningTime],
        // As of one source.
        &[Rule::BaseFits],
        &[Rule::StateOfBase],
        &[Rule::ForgetAfterFailure],
    ] {
        match noticed(rules, run) {
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

#[test]
fn every_rule_of_two_sources_is_needed() -> Result<()> {
    every_rule_of_a_domain(run_joint)
}

#[test]
fn every_rule_of_spread_keys_is_needed() -> Result<()> {
    every_rule_of_a_domain(run_spread)
}
