//! Steps that ask where their records come from (O13): every platform has to say it of every chunk.

use super::super::case::Case;
use super::plain::{SALES, VISITS, some_sales, some_visits, tally};
use crate::job::Job;
use crate::port::Store;

const AT: Store<(i64, u32), u64> = Store::new("at");
const LOGGED: Store<u32, u64> = Store::new("logged");

pub(super) fn cases() -> Vec<Case> {
    vec![event_times(), log_times()]
}

fn event_times() -> Case {
    let (sales, input) = some_sales(141);
    let items = SALES
        .read()
        .filter(|s| s.cents % 3 != 0)
        .flat_map(|s, out| (0..s.item % 3).for_each(|i| out.emit((s.item, i))))
        .keyed(|&(item, i), out| out.emit(item, i))
        .filter_values(|i| *i < 2);
    let at = items
        .clone()
        .merge(items.filter_keys(|item| item % 2 == 0))
        .with_origins()
        .pairs()
        .keyed(|(item, (origin, _)), out| out.emit((origin.time().map_or(-1, |t| t.0), *item), 1));
    let expected = sales
        .iter()
        .filter(|s| s.cents % 3 != 0)
        .flat_map(|s| (0..(s.item % 3).min(2)).map(move |_| ((s.at.0, s.item), if s.item % 2 == 0 { 2 } else { 1 })));
    Case::new(
        "the event time of the record that something was made of",
        Job::new("origin-event-times", at.sum_by_key(AT)),
        input,
    )
    .store(AT, tally(expected))
}

fn log_times() -> Case {
    let (visits, input) = some_visits(142);
    let logged = VISITS
        .read()
        .key_by(|_| 0_u32)
        .with_origins()
        .map_values(|(origin, _)| u64::from(origin.number == 0));
    Case::new(
        "a source without event time: origins are there, with the log's time or none",
        Job::new("origin-log-times", logged.sum_by_key(LOGGED)),
        input,
    )
    .store(LOGGED, tally(visits.iter().map(|_| (0, 1))))
}
