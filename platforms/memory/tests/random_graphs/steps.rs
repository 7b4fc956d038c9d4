//! The steps without state, said with the words of a scope: `Anywhere` or `InOrder`.

use rufous_core::{Either, KeyedProducer, Producer};

use super::functions::{self as fun, Rec};
use super::ports::{counter, name_of};
use super::spec::Step;
use super::word::Word;

pub(crate) enum Stream<S> {
    Records(Producer<Rec, S>),
    Pairs(KeyedProducer<i64, i64, S>),
}

/// Step number `i`, given its inputs; `None` if it is a source, or holds something.
pub(crate) fn stateless<S>(
    i: usize,
    step: &Step,
    records: &dyn Fn(usize) -> Producer<Rec, S>,
    pairs: &dyn Fn(usize) -> KeyedProducer<i64, i64, S>,
) -> Option<Stream<S>> {
    let f = step.f;
    Some(match step.word {
        Word::Map => Stream::Records(records(0).map(move |x| Rec(fun::map(f, x.0)))),
        Word::Filter => Stream::Records(records(0).filter(move |x| fun::keep(f, x.0))),
        Word::FilterMap => Stream::Records(records(0).filter_map(move |x| fun::filter_map(f, x.0).map(Rec))),
        Word::FlatMap => Stream::Records(
            records(0).flat_map(move |x, out| fun::fan(f, x.0).into_iter().for_each(|y| out.emit(Rec(y)))),
        ),
        Word::FlatMapCounting => {
            let next = records(0).flat_map(move |x, out| {
                out.count(counter(f), fun::amount(f, x.0));
                fun::fan(f, x.0).into_iter().for_each(|y| out.emit(Rec(y)));
            });
            Stream::Records(next.counting([counter(f)]))
        }
        Word::NameRecords => Stream::Records(records(0).named(&name_of(i))),
        Word::CountRecords => Stream::Records(records(0).counted(counter(f))),
        Word::CountRecordsBy => Stream::Records(records(0).counted_by(counter(f), move |x| fun::amount(f, x.0))),
        Word::MergeRecords => Stream::Records(records(0).merge(records(1))),
        Word::Either => Stream::Records(records(0).either(records(1)).map(move |either| {
            Rec(match either {
                Either::Left(x) => fun::left(f, x.0),
                Either::Right(x) => fun::right(f, x.0),
            })
        })),
        Word::Keyed => Stream::Pairs(
            records(0).keyed(move |x, out| fun::pairs(f, x.0).into_iter().for_each(|(k, v)| out.emit(k, v))),
        ),
        Word::KeyedCounting => {
            let next = records(0).keyed(move |x, out| {
                fun::pairs(f, x.0).into_iter().for_each(|(k, v)| out.emit(k, v));
                out.count(counter(f), fun::amount(f, x.0));
            });
            Stream::Pairs(next.counting([counter(f)]))
        }
        Word::KeyBy => Stream::Pairs(records(0).key_by(move |x| fun::key(f, x.0)).map_values(|x| x.0)),
        Word::MapKeys => Stream::Pairs(pairs(0).map_keys(move |k| fun::key(f, *k))),
        Word::FilterKeys => Stream::Pairs(pairs(0).filter_keys(move |k| fun::keep(f, *k))),
        Word::FlatMapKeys => {
            Stream::Pairs(pairs(0).flat_map_keys(move |k, out| fun::fan(f, *k).into_iter().for_each(|k| out.emit(k))))
        }
        Word::MapValues => Stream::Pairs(pairs(0).map_values(move |v| fun::map(f, *v))),
        Word::FilterValues => Stream::Pairs(pairs(0).filter_values(move |v| fun::keep(f, *v))),
        Word::FlatMapValues => {
            Stream::Pairs(pairs(0).flat_map_values(move |v, out| fun::fan(f, *v).into_iter().for_each(|v| out.emit(v))))
        }
        Word::FlatMapValuesCounting => {
            let next = pairs(0).flat_map_values(move |v, out| {
                out.count(counter(f), fun::amount(f, *v));
                fun::fan(f, *v).into_iter().for_each(|v| out.emit(v));
            });
            Stream::Pairs(next.counting([counter(f)]))
        }
        Word::KeyedPairs => Stream::Pairs(pairs(0).keyed_pairs(move |k, v, out| {
            fun::pair_to_pairs(f, *k, *v)
                .into_iter()
                .for_each(|(k, v)| out.emit(k, v));
        })),
        Word::KeyedPairsCounting => {
            let next = pairs(0).keyed_pairs(move |k, v, out| {
                fun::pair_to_pairs(f, *k, *v)
                    .into_iter()
                    .for_each(|(k, v)| out.emit(k, v));
                out.count(counter(f), fun::amount(f, k ^ v));
            });
            Stream::Pairs(next.counting([counter(f)]))
        }
        Word::Swap => Stream::Pairs(pairs(0).swap()),
        Word::NamePairs => Stream::Pairs(pairs(0).named(&name_of(i))),
        Word::CountPairs => Stream::Pairs(pairs(0).counted(counter(f))),
        Word::CountPairsBy => Stream::Pairs(pairs(0).counted_by(counter(f), move |v| fun::amount(f, *v))),
        Word::MergePairs => Stream::Pairs(pairs(0).merge(pairs(1))),
        Word::Keys => Stream::Records(pairs(0).keys().map(|k| Rec(*k))),
        Word::Values => Stream::Records(pairs(0).values().map(|v| Rec(*v))),
        Word::PairsAsRecords => Stream::Records(pairs(0).pairs().map(|(k, v)| Rec(fun::joined(*k, *v)))),
        _ => return None,
    })
}
