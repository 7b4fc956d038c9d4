//! The jobs that join a store or a stream of their own. Only the families whose sums need no order, as in `changes`.
//!
//! The ancestor's Memory platform looks up what was added *so far*, and what it adds first follows from how it drains its
//! streams: of `a also b` the first output of `a`, the first of `b`, then the rest of `b`, then that of `a`. Here a record has a
//! time and a place in the log, and finds what was logged before it with earlier times. So the drain order is given to the
//! records as their event times, and every pair that `F1` makes of an item is a record of its own.

use rufous_algebra::{Commutative, Semigroup, Tiered};
use rufous_core::producer::Buffer;
use rufous_core::{Anywhere, Clock, Job, KeyedProducer, Rules, Source, Store};
use rufous_platform_memory::Memory;

use super::families::{Family, IntSet, Item, LongSum, ShortMap, modulo};
use super::functions::{f1, pj, qj};
use super::golden;

/// A job, and the records of its sources with their times.
struct Said<F: Family> {
    job: Job,
    records: Vec<(&'static str, Vec<F::Item>)>,
}

fn source<F: Family>(name: &'static str) -> Source<F::Item> {
    Source::new(name).timed_by(F::Item::time).batch_clock(Clock::Event)
}

fn store<F: Family>(name: &'static str) -> Store<F::Key, F::Value> {
    Store::new(name)
}

/// The pair of `F1` that a record stands for: the first at even times, the second at odd ones.
fn pairs<F: Family<Scope = Anywhere>>() -> KeyedProducer<F::Key, F::Value> {
    source::<F>("s1").read().keyed(|item, out| {
        let which = modulo(item.time().0, 2) as usize;
        if let Some((k, v)) = f1::<F>(item.number()).into_iter().nth(which) {
            out.emit(k, v);
        }
    })
}

fn by_pj<F: Family<Scope = Anywhere>>(name: &'static str) -> KeyedProducer<F::Key, i64> {
    let items = source::<F>(name).read();
    items.keyed(|item, out| pj::<F>(item.number()).into_iter().for_each(|(k, u)| out.emit(k, u)))
}

fn qs<F: Family>(k: &F::Key, u: i64, w: Option<&F::Value>) -> (F::Key, F::Value) {
    match w {
        None => (F::key(modulo(F::int(k) + 1, 13)), F::value(u)),
        Some(w) => (k.clone(), F::value(u + modulo(F::vnum(w), 100))),
    }
}

fn lv1<F: Family>(u: i64, w: Option<&F::Value>) -> Option<i64> {
    match w {
        None => Some(u),
        Some(_) if modulo(u, 4) == 1 => None,
        Some(w) => Some(u + modulo(F::vnum(w), 3)),
    }
}

/// The values of `LV1`.
fn added<F: Family<Scope = Anywhere>>(
    joined: KeyedProducer<F::Key, (i64, Option<F::Value>)>,
) -> KeyedProducer<F::Key, F::Value> {
    joined.flat_map_values(|(u, w), out| {
        if let Some(u) = lv1::<F>(*u, w.as_ref()) {
            out.emit(F::value(u));
        }
    })
}

fn qs_of<F: Family<Scope = Anywhere>>(
    joined: KeyedProducer<F::Key, (i64, Option<F::Value>)>,
) -> KeyedProducer<F::Key, F::Value> {
    joined.keyed_pairs(|k, (u, w), out| {
        let (k, v) = qs::<F>(k, *u, w.as_ref());
        out.emit(k, v);
    })
}

/// Both pairs of every item, from time `from` on: the second one right after the first.
fn twice<F: Family>(items: &[i64], from: i64) -> Vec<F::Item> {
    let both = |(i, x): (i64, &i64)| [0, 1].map(|which| F::Item::of(*x, from + 2 * i + which));
    (0..).zip(items).flat_map(both).collect()
}

fn once<F: Family>(items: &[i64], from: i64) -> Vec<F::Item> {
    (0..).zip(items).map(|(i, x)| F::Item::of(*x, from + i)).collect()
}

/// All records from 10,000 on, but those up to the first one that emits, which are drained before.
fn first_drained<F: Family>(mut records: Vec<F::Item>, emits: impl Fn(&F::Item) -> bool) -> Vec<F::Item> {
    let first = records.iter().position(emits).map_or(records.len(), |i| i + 1);
    for item in &mut records[first..] {
        *item = F::Item::of(item.number(), item.time().0 + 10_000);
    }
    records
}

/// The job of a case; `None`: it is none of these.
fn said<F: Family<Scope = Anywhere>>(name: &str, s1: &[i64], s2: &[i64]) -> Option<Said<F>>
where
    F::Value: Commutative + Tiered,
{
    let s = store::<F>("s");
    let emits = |item: &F::Item| pj::<F>(item.number()).is_some();
    Some(match name {
        "left_join_with_store" => Said {
            job: Job::new(
                "ancestor",
                (
                    pairs::<F>().sum_by_key(s),
                    qs_of::<F>(by_pj::<F>("s2").left_join(s.as_service())).sum_by_key(store::<F>("t")),
                ),
            ),
            records: vec![
                (
                    "s1",
                    first_drained::<F>(twice::<F>(s1, 0), |item| {
                        f1::<F>(item.number()).len() > modulo(item.time().0, 2) as usize
                    }),
                ),
                ("s2", once::<F>(s2, 5_000)),
            ],
        },
        "left_join_with_store_flipped" => Said {
            job: Job::new(
                "ancestor",
                (
                    qs_of::<F>(by_pj::<F>("s2").left_join(s.as_service())).sum_by_key(store::<F>("t")),
                    pairs::<F>().sum_by_key(s),
                ),
            ),
            records: vec![
                ("s1", twice::<F>(s1, 5_000)),
                ("s2", first_drained::<F>(once::<F>(s2, 0), emits)),
            ],
        },
        "left_join_with_dependent_store" => Said {
            job: Job::new(
                "ancestor",
                added::<F>(by_pj::<F>("s1").left_join(s.as_service())).sum_by_key(s),
            ),
            records: vec![("s1", once::<F>(s1, 0))],
        },
        "left_join_with_dependent_store_join_fanout" => {
            let joined = by_pj::<F>("s1").left_join(s.as_service());
            let fanned = qs_of::<F>(joined.clone()).sum_by_key(store::<F>("t"));
            Said {
                job: Job::new("ancestor", (fanned, added::<F>(joined).sum_by_key(s))),
                records: vec![("s1", once::<F>(s1, 0))],
            }
        }
        "left_join_stream_buffer" => {
            let buffer: Store<F::Key, Buffer<i64>> = Store::new("buffer");
            let joined = by_pj::<F>("s1").left_join(by_pj::<F>("s2").as_service(buffer));
            let all = joined.keyed_pairs(|k, (u, w), out| {
                qj::<F>(k, *u, *w).into_iter().for_each(|(k, v)| out.emit(k, v));
            });
            Said {
                job: Job::new("ancestor", all.sum_by_key(s)),
                records: vec![
                    ("s1", once::<F>(s1, 5_000)),
                    ("s2", first_drained::<F>(once::<F>(s2, 0), emits)),
                ],
            }
        }
        // The ancestor's join finds what the record itself has just added. Ours does not, so it is added by hand.
        "two_stores_in_row_joined" => {
            let s1_store = store::<F>("s1");
            let joined = pairs::<F>()
                .left_join(s1_store.as_service())
                .map_values(|(delta, before)| {
                    let mut after = delta.clone();
                    if let Some(before) = before {
                        after = before.clone();
                        after.combine(delta);
                    }
                    (modulo(F::vnum(delta), 10), Some(after))
                });
            Said {
                job: Job::new(
                    "ancestor",
                    (
                        pairs::<F>().sum_by_key(s1_store),
                        qs_of::<F>(joined).sum_by_key(store::<F>("s2")),
                    ),
                ),
                records: vec![("s1", twice::<F>(s1, 0))],
            }
        }
        _ => return None,
    })
}

fn family<F: Family<Scope = Anywhere>>() -> usize
where
    F::Value: Commutative + Tiered,
{
    let mut ran = 0;
    for case in golden::cases()
        .into_iter()
        .flatten()
        .filter(|case| case.family == F::NAME)
    {
        let inputs = golden::inputs(case.n);
        let Some(said) = said::<F>(&case.job, &inputs["s1"], &inputs["s2"]) else {
            continue;
        };
        let expected = case.answer_of_stores::<F>();
        for rules in [Rules::none(), Rules::all()] {
            let memory = said
                .records
                .iter()
                .fold(Memory::new().rules(rules), |memory, (name, items)| {
                    memory.source(source::<F>(name), items)
                });
            let totals = said.job.run_on(&memory).expect("a run");
            let got = golden::ours::<F>(&totals, &expected, &case.job);
            assert_eq!(got, expected, "{}", case.title());
        }
        ran += 1;
    }
    ran
}

/// Six jobs at three sizes, each.
#[test]
fn joins_with_a_store_or_a_stream() {
    let ran = [family::<IntSet>(), family::<ShortMap>(), family::<LongSum>()];
    assert!(golden::cases().is_none() || ran == [18; 3], "{ran:?}");
}
