//! Graphs of unusual size.

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::plain::LINES;
use crate::job::Job;
use crate::port::Store;

const COUNTS: Store<u64, u64> = Store::new("counts");
const SUMS: Store<u64, i64> = Store::new("sums");

pub(super) fn cases() -> Vec<Case> {
    vec![deep_chain(), deep_chain_of_pairs(), wide_merge(), wide_fork()]
}

fn numbers(seed: u64, n: u64) -> (Vec<u64>, Input) {
    let numbers: Vec<u64> = (0..n).map(|i| i * i % 97).collect();
    let input = Input::of(LINES, SourceInput::text(seed, numbers.iter().map(u64::to_string)));
    (numbers, input)
}

fn deep_chain() -> Case {
    let (numbers, input) = numbers(121, 200);
    let mut step = LINES.read().filter_map(|line| line.parse::<u64>().ok());
    for i in 0..2_000_u64 {
        step = match i % 3 {
            0 => step.map(|n| n + 1),
            1 => step.filter(|n| *n < 1_000_000),
            _ => step.flat_map(|n, out| out.emit(*n)),
        };
    }
    // 667 of the steps add 1.
    let counts = step.keyed(|n, out| out.emit(*n, 1));
    Case::new(
        "trap 16: two thousand steps in a row; nothing may recurse with their number and fall off the stack",
        Job::new("deep-chain", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, super::plain::tally(numbers.iter().map(|n| (n + 667, 1))))
}

fn deep_chain_of_pairs() -> Case {
    let (numbers, input) = numbers(122, 200);
    let mut step = LINES
        .read()
        .keyed(|line, out| out.emit(line.parse::<u64>().unwrap_or_default(), 0_i64));
    for i in 0..500 {
        step = match i % 4 {
            0 => step.map_values(|v| v + 1),
            1 => step.filter_keys(|_: &u64| true),
            2 => step.map_keys(|k: &u64| *k),
            _ => step.filter_values(|v| *v > 0),
        };
    }
    Case::new(
        "five hundred steps on pairs in a row",
        Job::new("deep-chain-of-pairs", step.sum_by_key(SUMS)),
        input,
    )
    .store(SUMS, super::plain::tally(numbers.iter().map(|n| (*n, 125))))
}

fn wide_merge() -> Case {
    let (numbers, input) = numbers(123, 120);
    let read = LINES.read().filter_map(|line| line.parse::<u64>().ok());
    let branch = |i: u64| read.clone().filter(move |n| n % 500 == i).map(move |n| n * 1_000 + i);
    let merged = (1..500).map(branch).fold(branch(0), |all, next| all.merge(next));
    let counts = merged.keyed(|n, out| out.emit(*n, 1));
    Case::new(
        "a fork into five hundred branches that are merged again",
        Job::new("wide-merge", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, super::plain::tally(numbers.iter().map(|n| (n * 1_000 + n, 1))))
}

fn wide_fork() -> Case {
    let (numbers, input) = numbers(124, 300);
    let ones = LINES
        .read()
        .keyed(|line, out| out.emit(line.parse::<u64>().unwrap_or_default(), 1_u64));
    let mut merged = ones.clone();
    for _ in 1..64 {
        merged = merged.merge(ones.clone());
    }
    Case::new(
        "one stream merged with itself 63 times",
        Job::new("wide-fork", merged.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, super::plain::tally(numbers.iter().map(|n| (*n, 64))))
}
