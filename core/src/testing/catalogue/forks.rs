//! One stream into several, several into one.

use super::super::case::{Case, SinkPort};
use super::super::input::{Input, SourceInput};
use super::super::random::Random;
use super::super::records::Sale;
use super::plain::{LINES, SALES, some_lines, some_sales, tally, words};
use crate::job::Job;
use crate::port::{Sink, Store};

const COUNTS: Store<String, u64> = Store::new("counts");
const OTHERS: Store<String, u64> = Store::new("others");
const LENGTHS: Store<u64, u64> = Store::new("lengths");
const CENTS: Store<u32, i64> = Store::new("cents");
const SOLD: Sink<Sale> = Sink::new("sold");
const WORDS: Sink<String> = Sink::new("words");
const NUMBERS: Sink<u64> = Sink::new("numbers");
const PAIRS: Sink<(String, i64)> = Sink::new("pairs");

pub(super) fn cases() -> Vec<Case> {
    vec![
        diamond_with_sink(),
        diamond_of_keyed(),
        nested_diamonds(),
        merged_with_itself(),
        source_merged_with_itself(),
        keyed_merged_with_itself(),
        several_stores(),
        equal_looking_stores(),
        several_sinks(),
        write_then_go_on(),
        store_beside_sink(),
    ]
}

fn diamond_with_sink() -> Case {
    let (sales, input) = some_sales(11);
    let sold = SALES.read().write(SOLD).records();
    let a = sold
        .clone()
        .flat_map(|s, out| (0..s.item % 3).for_each(|_| out.emit((s.item, s.cents))));
    let b = sold.flat_map(|s, out| {
        if s.cents < 0 {
            out.emit((s.item, 1));
        }
    });
    let cents = a.merge(b).keyed(|&(item, cents), out| out.emit(item, cents));
    let left = sales.iter().flat_map(|s| (0..s.item % 3).map(|_| (s.item, s.cents)));
    let right = sales.iter().filter(|s| s.cents < 0).map(|s| (s.item, 1));
    Case::new(
        "7.1 job 4: both sides of a diamond come from a write; the sink has each record of the source once (trap 17)",
        Job::new("diamond-with-sink", cents.sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(left.chain(right)))
    .sink(SinkPort::Sales(SOLD), sales.clone())
}

fn diamond_of_keyed() -> Case {
    let (lines, input) = some_lines(12);
    let ones = LINES.read().keyed(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit(w, 1_u64))
    });
    let doubled = ones.clone().map_values(|n| n * 2);
    let marked = ones.map_keys(|w| format!("{w}!"));
    let expected = words(&lines).flat_map(|w| [(format!("{w}!"), 1), (w, 2)]);
    Case::new(
        "a diamond whose sides are keyed steps",
        Job::new("diamond-of-keyed", doubled.merge(marked).sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(expected))
}

fn nested_diamonds() -> Case {
    let mut random = Random::new(13);
    let numbers: Vec<u64> = (0..300).map(|_| random.number() >> 1).collect();
    let mut step = LINES.read().filter_map(|line| line.parse::<u64>().ok());
    for bit in 0..40 {
        let odd = step.clone().filter(move |n| n >> bit & 1 == 1);
        let even = step.filter(move |n| n >> bit & 1 == 0);
        step = odd.merge(even);
    }
    let counts = step.keyed(|n, out| out.emit(n % 10, 1));
    let input = Input::of(LINES, SourceInput::text(13, numbers.iter().map(u64::to_string)));
    Case::new(
        "trap 16: forty diamonds in a row have 2^40 paths and 120 steps",
        Job::new("nested-diamonds", counts.sum_by_key(LENGTHS)),
        input,
    )
    .store(LENGTHS, tally(numbers.iter().map(|n| (n % 10, 1))))
}

fn merged_with_itself() -> Case {
    let (lines, input) = some_lines(14);
    let long = LINES.read().map(|line| line.len() as u64).filter(|n| *n > 3);
    let twice = long.clone().merge(long.clone()).merge(long);
    let lengths = twice.keyed(|n, out| out.emit(*n, 1));
    let expected = lines.iter().map(|l| l.len() as u64).filter(|n| *n > 3);
    Case::new(
        "trap 17: a stream merged with itself twice counts three times and runs once",
        Job::new("merged-with-itself", lengths.sum_by_key(LENGTHS)),
        input,
    )
    .store(LENGTHS, tally(expected.map(|n| (n, 3))))
}

fn source_merged_with_itself() -> Case {
    let (lines, input) = some_lines(15);
    let source = LINES.read();
    let both = source
        .clone()
        .merge(source)
        .keyed(|line, out| out.emit(line.len() as u64, 1));
    Case::new(
        "trap 17: a source merged with itself is read once and counts twice",
        Job::new("source-merged-with-itself", both.sum_by_key(LENGTHS)),
        input,
    )
    .store(LENGTHS, tally(lines.iter().map(|l| (l.len() as u64, 2))))
}

fn keyed_merged_with_itself() -> Case {
    let (sales, input) = some_sales(16);
    let cents = SALES.read().keyed(|s, out| out.emit(s.item, s.cents));
    Case::new(
        "trap 17: pairs merged with themselves count twice",
        Job::new("keyed-merged-with-itself", cents.clone().merge(cents).sum_by_key(CENTS)),
        input,
    )
    .store(CENTS, tally(sales.iter().map(|s| (s.item, 2 * s.cents))))
}

fn several_stores() -> Case {
    let (lines, input) = some_lines(17);
    let all = LINES.read().flat_map(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit(w.to_string()))
    });
    let counts = all.clone().keyed(|w, out| out.emit(w.as_str(), 1)).sum_by_key(COUNTS);
    let lengths = all.keyed(|w, out| out.emit(w.len() as u64, 1)).sum_by_key(LENGTHS);
    Case::new(
        "7.1 job 13: two sums of one fork, the fork runs once",
        Job::new("several-stores", (counts, lengths)),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
    .store(LENGTHS, tally(words(&lines).map(|w| (w.len() as u64, 1))))
}

fn equal_looking_stores() -> Case {
    let (lines, input) = some_lines(18);
    let ones = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    Case::new(
        "two stores of equal types behind one stream stay two",
        Job::new(
            "equal-looking-stores",
            (ones.clone().sum_by_key(COUNTS), ones.sum_by_key(OTHERS)),
        ),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
    .store(OTHERS, tally(words(&lines).map(|w| (w, 1))))
}

fn several_sinks() -> Case {
    let (lines, input) = some_lines(19);
    let all = LINES.read().flat_map(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit(w.to_string()))
    });
    let texts = all.clone().write(WORDS);
    let numbers = all.clone().map(|w| w.len() as u64).write(NUMBERS);
    let pairs = all
        .keyed(|w, out| out.emit(w.as_str(), w.len() as i64))
        .pairs()
        .write(PAIRS);
    Case::new(
        "three sinks of three types on one fork; a sink keeps repeated records",
        Job::new("several-sinks", (texts, numbers, pairs)),
        input,
    )
    .sink(SinkPort::Texts(WORDS), words(&lines))
    .sink(SinkPort::Numbers(NUMBERS), words(&lines).map(|w| w.len() as u64))
    .sink(
        SinkPort::Pairs(PAIRS),
        words(&lines).map(|w| {
            let n = w.len() as i64;
            (w, n)
        }),
    )
}

fn write_then_go_on() -> Case {
    let (lines, input) = some_lines(20);
    let numbers = LINES
        .read()
        .map(|line| line.to_string())
        .write(WORDS)
        .records()
        .map(|line| line.len() as u64)
        .write(NUMBERS)
        .records()
        .filter(|n| n % 2 == 0);
    let lengths = numbers.keyed(|n, out| out.emit(*n, 1)).sum_by_key(LENGTHS);
    let all = || lines.iter().map(|l| l.len() as u64);
    Case::new(
        "a write passes its records on, a second one too",
        Job::new("write-then-go-on", lengths),
        input,
    )
    .store(LENGTHS, tally(all().filter(|n| n % 2 == 0).map(|n| (n, 1))))
    .sink(SinkPort::Texts(WORDS), lines.clone())
    .sink(SinkPort::Numbers(NUMBERS), all())
}

fn store_beside_sink() -> Case {
    let (sales, input) = some_sales(21);
    let back = SALES.read().filter(|s| s.cents < 0);
    let cents = back.clone().keyed(|s, out| out.emit(s.item, s.cents)).sum_by_key(CENTS);
    let given = || sales.iter().filter(|s| s.cents < 0);
    Case::new(
        "a store and a sink on one fork",
        Job::new("store-beside-sink", (cents, back.write(SOLD))),
        input,
    )
    .store(CENTS, tally(given().map(|s| (s.item, s.cents))))
    .sink(SinkPort::Sales(SOLD), given().cloned())
}
