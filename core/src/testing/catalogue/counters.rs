//! Counters: exact, since they are a store of the job (trap 25).

use super::super::case::{Case, SinkPort};
use super::plain::{LINES, SALES, VISITS, some_lines, some_sales, some_visits, tally, words};
use crate::Counter;
use crate::job::Job;
use crate::port::{Sink, Store};

const ORIGINAL: Counter = Counter::new("original");
const SPLIT: Counter = Counter::new("split");
const KEPT: Counter = Counter::new("kept");
const CHARS: Counter = Counter::new("chars");
const NEVER: Counter = Counter::new("never");
const COUNTS: Store<String, u64> = Store::new("counts");
const OTHERS: Store<String, u64> = Store::new("others");
const CENTS: Store<u32, i64> = Store::new("cents");
const WORDS: Sink<String> = Sink::new("words");

pub(super) fn cases() -> Vec<Case> {
    vec![
        job_with_counters(),
        counted_by(),
        counted_in_a_closure(),
        counted_above_a_fork(),
        counted_on_pairs(),
    ]
}

fn job_with_counters() -> Case {
    let (lines, input) = some_lines(81);
    let counts = LINES
        .read()
        .counted(ORIGINAL)
        .flat_map(|line, out| {
            line.split(' ')
                .filter(|w| !w.is_empty())
                .for_each(|w| out.emit(w.to_string()))
        })
        .counted_by(SPLIT, |_: &String| 2)
        .filter(|w| w.len() > 2)
        .counted(KEPT)
        .keyed(|w, out| out.emit(w.as_str(), 1));
    let kept = || words(&lines).filter(|w| w.len() > 2);
    Case::new(
        "7.1 job 17: counters around a flat map and a filter, one in steps of 2",
        Job::new("job-with-counters", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(kept().map(|w| (w, 1))))
    .counter(ORIGINAL, lines.len() as u64)
    .counter(SPLIT, 2 * words(&lines).count() as u64)
    .counter(KEPT, kept().count() as u64)
}

fn counted_by() -> Case {
    let (lines, input) = some_lines(82);
    let written = LINES
        .read()
        .map(|line| line.to_string())
        .counted_by(CHARS, |line: &String| line.len() as u64)
        .filter(|line| line.starts_with('x'))
        .counted(NEVER)
        .write(WORDS);
    Case::new(
        "a counter in a job of sinks only, and one that stays at 0",
        Job::new("counted-by", written),
        input,
    )
    .sink(SinkPort::Texts(WORDS), Vec::<String>::new())
    .counter(CHARS, lines.iter().map(|l| l.len() as u64).sum())
    .counter(NEVER, 0)
}

fn counted_in_a_closure() -> Case {
    let (sales, input) = some_sales(83);
    let cents = SALES
        .read()
        .flat_map(|s, out| {
            out.count(CHARS, s.shop.len() as u64);
            match s.buyer {
                Some(_) => out.emit((s.item, s.cents)),
                None => out.count(NEVER, 1),
            }
        })
        .counting([CHARS, NEVER])
        .keyed(|&(item, cents), out| {
            out.count(SPLIT, u64::from(cents < 0));
            out.emit(item, cents);
        })
        .counting([SPLIT]);
    let known = || sales.iter().filter(|s| s.buyer.is_some());
    Case::new(
        "closures count what they see",
        Job::new("counted-in-a-closure", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(known().map(|s| (s.item, s.cents))))
    .counter(CHARS, sales.iter().map(|s| s.shop.len() as u64).sum())
    .counter(NEVER, (sales.len() - known().count()) as u64)
    .counter(SPLIT, known().filter(|s| s.cents < 0).count() as u64)
}

fn counted_above_a_fork() -> Case {
    let (lines, input) = some_lines(84);
    let all = LINES
        .read()
        .flat_map(|line, out| {
            line.split(' ')
                .filter(|w| !w.is_empty())
                .for_each(|w| out.emit(w.to_string()))
        })
        .counted(SPLIT)
        .filter(|w| w.len() > 1);
    let counts = all
        .clone()
        .counted(KEPT)
        .keyed(|w, out| out.emit(w.as_str(), 1))
        .sum_by_key(COUNTS);
    let others = all
        .clone()
        .merge(all)
        .counted(ORIGINAL)
        .keyed(|w, out| out.emit(w.as_str(), 1))
        .sum_by_key(OTHERS);
    let n = words(&lines).count() as u64;
    Case::new(
        "trap 18: what is counted above a fork is counted once, below a merge with itself twice",
        Job::new("counted-above-a-fork", (counts, others)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
    .store(OTHERS, tally(words(&lines).map(|w| (w, 2))))
    .counter(SPLIT, n)
    .counter(KEPT, n)
    .counter(ORIGINAL, 2 * n)
}

fn counted_on_pairs() -> Case {
    let (visits, input) = some_visits(85);
    let counts = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), u64::from(v.ms)))
        .counted(ORIGINAL)
        .filter_values(|ms| ms % 2 == 0)
        .counted_by(CHARS, |ms| *ms)
        .keyed_pairs(|page: &String, ms, out| {
            out.count(KEPT, 1);
            out.emit(page.as_str(), *ms);
        })
        .counting([KEPT]);
    let even = || visits.iter().filter(|v| v.ms % 2 == 0);
    Case::new(
        "pairs are counted as records are",
        Job::new("counted-on-pairs", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(even().map(|v| (v.page.clone(), u64::from(v.ms)))))
    .counter(ORIGINAL, visits.len() as u64)
    .counter(CHARS, even().map(|v| u64::from(v.ms)).sum())
    .counter(KEPT, even().count() as u64)
}
