//! Inputs and keys at their edges.

use super::super::case::{Case, SinkPort};
use super::super::input::{Input, SourceInput};
use super::super::random::Random;
use super::plain::{LINES, SALES, some_lines, some_sales, tally};
use crate::job::Job;
use crate::port::{Sink, Store};

const COUNTS: Store<String, u64> = Store::new("counts");
const CENTS: Store<u32, i64> = Store::new("cents");
const PARTS: Store<(String, String, u32), u64> = Store::new("parts");
const NUMBERS: Store<(i64, u64, bool), u64> = Store::new("numbers");
const WRITTEN: Sink<String> = Sink::new("written");

pub(super) fn cases() -> Vec<Case> {
    vec![
        empty_input(),
        one_record(),
        nothing_passes(),
        nothing_is_written(),
        hot_key(),
        long_keys(),
        low_bytes(),
        numbers_at_their_ends(),
        one_record_many_pairs(),
    ]
}

fn counted(name: &'static str) -> Job {
    Job::new(
        name,
        LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS),
    )
}

fn of_lines(name: &'static str, about: &'static str, seed: u64, lines: Vec<String>) -> Case {
    let input = Input::of(LINES, SourceInput::text(seed, lines.clone()));
    Case::new(about, counted(name), input).store(COUNTS, tally(lines.into_iter().map(|l| (l, 1))))
}

fn empty_input() -> Case {
    of_lines(
        "empty-input",
        "trap 7: no record at all is an empty answer, not an error",
        101,
        Vec::new(),
    )
}

fn one_record() -> Case {
    of_lines(
        "one-record",
        "one record; two partitions are empty",
        102,
        vec!["only".to_string()],
    )
}

fn nothing_passes() -> Case {
    let (_, input) = some_sales(103);
    let cents = SALES
        .read()
        .filter(|s| s.item > 1_000_000)
        .keyed(|s, out| out.emit(s.item, s.cents));
    Case::new(
        "records come, none passes",
        Job::new("nothing-passes", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, [])
}

fn nothing_is_written() -> Case {
    let (_, input) = some_lines(104);
    let none = LINES.read().filter_map(|_| None::<String>).write(WRITTEN);
    Case::new(
        "a sink that nothing reaches",
        Job::new("nothing-is-written", none),
        input,
    )
    .sink(SinkPort::Texts(WRITTEN), Vec::<String>::new())
}

fn hot_key() -> Case {
    let mut random = Random::new(105);
    let line = |_| {
        if random.one_in(5) {
            format!("cold-{}", random.below(3_000))
        } else {
            "hot".to_string()
        }
    };
    let lines = (0..3_000).map(line).collect();
    of_lines(
        "hot-key",
        "trap 23: four of five records have one key, the others hundreds",
        105,
        lines,
    )
}

fn long_keys() -> Case {
    let mut random = Random::new(106);
    // They differ at their end, in the middle, or only in length.
    let line = |_| {
        let mut key = "k".repeat(5_000 + random.below(3) as usize);
        key.insert_str(
            random.below(3) as usize * 2_000,
            ["x", "y", "zz"][random.below(3) as usize],
        );
        key
    };
    let lines = (0..200).map(line).collect();
    of_lines(
        "long-keys",
        "keys of five thousand bytes that differ little",
        106,
        lines,
    )
}

fn low_bytes() -> Case {
    let mut random = Random::new(107);
    let alphabet = ["\0", "\u{1}", "\u{2}", "a", "\u{e9}"];
    let mut part = move || {
        (0..random.below(4))
            .map(|_| alphabet[random.below(5) as usize])
            .collect::<String>()
    };
    let pairs: Vec<(String, String)> = (0..600).map(|_| (part(), part())).collect();
    let parts = LINES.read().keyed(|line, out| {
        if let Some((a, b)) = line.split_once('|') {
            out.emit((a, b, line.len() as u32), 1);
        }
    });
    let input = Input::of(
        LINES,
        SourceInput::text(107, pairs.iter().map(|(a, b)| format!("{a}|{b}"))),
    );
    let expected = pairs
        .iter()
        .map(|(a, b)| ((a.clone(), b.clone(), (a.len() + b.len() + 1) as u32), 1));
    Case::new(
        "trap 15: parts of keys that hold bytes 0 and 1 or nothing, which key bytes escape and end with",
        Job::new("low-bytes", parts.sum_by_key(PARTS)),
        input,
    )
    .store(PARTS, tally(expected))
}

fn numbers_at_their_ends() -> Case {
    let mut random = Random::new(108);
    let ends = [i64::MIN, i64::MIN + 1, -256, -1, 0, 1, 255, 256, i64::MAX - 1, i64::MAX];
    let numbers: Vec<i64> = (0..400)
        .map(|_| ends[random.below(ends.len() as u64) as usize])
        .collect();
    let keyed = LINES
        .read()
        .filter_map(|line| line.parse::<i64>().ok())
        .keyed(|&n, out| out.emit((n, n as u64, n < 0), 1));
    let input = Input::of(LINES, SourceInput::text(108, numbers.iter().map(i64::to_string)));
    Case::new(
        "trap 20: keys of the least and the greatest numbers",
        Job::new("numbers-at-their-ends", keyed.sum_by_key(NUMBERS)),
        input,
    )
    .store(NUMBERS, tally(numbers.iter().map(|&n| ((n, n as u64, n < 0), 1))))
}

fn one_record_many_pairs() -> Case {
    let pairs = LINES.read().keyed(|line, out| {
        let n: u32 = line.parse().unwrap_or_default();
        (0..n).for_each(|i| out.emit(i % 1_500, i64::from(i)));
    });
    let input = Input::of(LINES, SourceInput::text(109, ["5000", "0", "1", "2500"]));
    let expected = [5_000, 1, 2_500]
        .into_iter()
        .flat_map(|n| (0..n).map(|i| (i % 1_500, i64::from(i))));
    Case::new(
        "one record becomes thousands of pairs, more than a chunk holds",
        Job::new("one-record-many-pairs", pairs.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(expected))
}
