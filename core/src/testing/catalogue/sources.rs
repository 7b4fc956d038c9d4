//! Several sources.

use super::super::case::Case;
use super::super::input::{Input, SourceInput};
use super::super::records::{Sale, Visit, lines, sales, visits};
use super::plain::{LINES, SALES, VISITS, some_lines, tally, words};
use crate::job::Job;
use crate::port::{Source, Store};
use crate::producer::Either;

const MORE: Source<str> = Source::new("more-lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const LENGTHS: Store<u64, u64> = Store::new("lengths");

pub(super) fn cases() -> Vec<Case> {
    vec![
        two_sources(),
        either(),
        three_types(),
        one_source_read_twice(),
        two_sources_two_stores(),
    ]
}

fn two_sources() -> Case {
    let (a, b) = (lines(31, 400), lines(32, 90));
    let input = Input::of(LINES, SourceInput::text(31, a.clone())).and(MORE, SourceInput::text(32, b.clone()));
    let counts = LINES
        .read()
        .merge(MORE.read())
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    Case::new(
        "two sources of one type, merged",
        Job::new("two-sources", counts.sum_by_key(COUNTS)),
        input,
    )
    .store(COUNTS, tally(words(&a).chain(words(&b)).map(|w| (w, 1))))
}

fn either() -> Case {
    let (s, v) = (sales(33, 300), visits(33, 400));
    let input = Input::of(SALES, SourceInput::json(33, s.iter().map(Sale::json)))
        .and(VISITS, SourceInput::json(34, v.iter().map(Visit::json)));
    let counts = SALES.read().either(VISITS.read()).keyed(|e, out| match e {
        Either::Left(sale) => out.emit(format!("sale {}", sale.shop), 1),
        Either::Right(visit) => out.emit(format!("visit {}", visit.page), 1),
    });
    let left = s.iter().map(|s| (format!("sale {}", s.shop), 1));
    let right = v.iter().map(|v| (format!("visit {}", v.page), 1));
    Case::new("one of two types", Job::new("either", counts.sum_by_key(COUNTS)), input)
        .store(COUNTS, tally(left.chain(right)))
}

fn three_types() -> Case {
    let (l, s, v) = (lines(35, 200), sales(35, 300), visits(36, 250));
    let input = Input::of(LINES, SourceInput::text(35, l.clone()))
        .and(SALES, SourceInput::json(36, s.iter().map(Sale::json)))
        .and(VISITS, SourceInput::json(37, v.iter().map(Visit::json)));
    let words_of_lines = LINES.read().keyed(|line, out| {
        line.split(' ')
            .filter(|w| !w.is_empty())
            .for_each(|w| out.emit(w, 1_u64))
    });
    let shops = SALES.read().keyed(|s, out| out.emit(s.shop.as_str(), 1_u64));
    let pages = VISITS.read().key_by(|v| v.page.clone()).map_values(|v| u64::from(v.ms));
    let expected = words(&l)
        .map(|w| (w, 1))
        .chain(s.iter().map(|s| (s.shop.clone(), 1)))
        .chain(v.iter().map(|v| (v.page.clone(), u64::from(v.ms))));
    Case::new(
        "7.1 job 11 without its join: three sources of three types into one sum, named at the tail",
        Job::new(
            "three-types",
            words_of_lines.merge(shops).merge(pages).named("all").sum_by_key(COUNTS),
        ),
        input,
    )
    .store(COUNTS, tally(expected))
}

fn one_source_read_twice() -> Case {
    let (lines, input) = some_lines(38);
    let counts = LINES
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)));
    let lengths = LINES.read().keyed(|line, out| out.emit(line.len() as u64, 1));
    Case::new(
        "a port that is read in two places is one source",
        Job::new(
            "one-source-read-twice",
            (counts.sum_by_key(COUNTS), lengths.sum_by_key(LENGTHS)),
        ),
        input,
    )
    .store(COUNTS, tally(words(&lines).map(|w| (w, 1))))
    .store(LENGTHS, tally(lines.iter().map(|l| (l.len() as u64, 1))))
}

fn two_sources_two_stores() -> Case {
    let (a, b) = (lines(39, 300), lines(40, 300));
    let input = Input::of(LINES, SourceInput::text(39, a.clone())).and(MORE, SourceInput::text(40, b.clone()));
    let lengths = LINES
        .read()
        .keyed(|line, out| out.emit(line.len() as u64, 1))
        .sum_by_key(LENGTHS);
    let counts = MORE
        .read()
        .keyed(|line, out| line.split(' ').filter(|w| !w.is_empty()).for_each(|w| out.emit(w, 1)))
        .sum_by_key(COUNTS);
    Case::new(
        "two jobs in one that share nothing",
        Job::new("two-sources-two-stores", (lengths, counts)),
        input,
    )
    .store(LENGTHS, tally(a.iter().map(|l| (l.len() as u64, 1))))
    .store(COUNTS, tally(words(&b).map(|w| (w, 1))))
}
