//! Plain loops over plain collections, for the expected answers.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::super::input::{Input, SourceInput};
use super::super::records::{Sale, Visit, lines, sales, visits};
use crate::port::Source;

/// Lines of words, with the log's time only.
pub(super) const LINES: Source<str> = Source::new("lines");
/// Sales, with their own time; the log's time cuts batches.
pub(super) const SALES: Source<Sale> = Source::new("sales").timed_by(|s| s.at);
/// Visits.
pub(super) const VISITS: Source<Visit> = Source::new("visits");

/// Numbers per key, added up.
pub(super) fn tally<K: Ord, N: Default + AddAssign>(pairs: impl IntoIterator<Item = (K, N)>) -> BTreeMap<K, N> {
    let mut all = BTreeMap::new();
    for (key, n) in pairs {
        *all.entry(key).or_default() += n;
    }
    all
}

/// The words of all lines, in order.
pub(super) fn words(lines: &[String]) -> impl Iterator<Item = String> {
    lines
        .iter()
        .flat_map(|l| l.split(' '))
        .filter(|w| !w.is_empty())
        .map(str::to_string)
}

pub(super) fn lines_of(port: Source<str>, seed: u64) -> (Vec<String>, Input) {
    let lines = lines(seed, 2_400);
    let input = Input::of(port, SourceInput::text(seed, lines.iter().cloned()));
    (lines, input)
}

pub(super) fn some_lines(seed: u64) -> (Vec<String>, Input) {
    lines_of(LINES, seed)
}

pub(super) fn sales_of(port: Source<Sale>, seed: u64) -> (Vec<Sale>, Input) {
    let sales = sales(seed, 2_200);
    let input = Input::of(port, SourceInput::json(seed, sales.iter().map(Sale::json)));
    (sales, input)
}

pub(super) fn some_sales(seed: u64) -> (Vec<Sale>, Input) {
    sales_of(SALES, seed)
}

pub(super) fn some_visits(seed: u64) -> (Vec<Visit>, Input) {
    let visits = visits(seed, 2_000);
    let input = Input::of(VISITS, SourceInput::json(seed, visits.iter().map(Visit::json)));
    (visits, input)
}
