//! The oracle: what a graph leaves behind, by plain vectors and maps, step after step over whole collections.

use std::collections::BTreeMap;

use super::functions as fun;
use super::spec::Spec;
use super::strategy::Inputs;
use super::word::Word;

/// What a run leaves behind. Stores are named by the step that ends in them; totals of zero count as absent; what a
/// sink holds is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) sums: BTreeMap<usize, BTreeMap<i64, i64>>,
    /// Sum and count of the values.
    pub(crate) aggregates: BTreeMap<usize, BTreeMap<i64, (i128, i64)>>,
    pub(crate) sinks: BTreeMap<usize, Vec<i64>>,
    pub(crate) counters: [u64; COUNTERS],
}

pub(crate) const COUNTERS: usize = 3;

/// Which counter a counting step counts under. Few, so that several steps share one.
pub(crate) fn counter_of(f: u8) -> usize {
    usize::from(f) % COUNTERS
}

/// To whom something is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Given {
    /// To a sink, by its step.
    Record(usize),
    /// To a key of a store, by its step.
    Value(usize, i64),
}

enum Flow {
    Records(Vec<i64>),
    /// Pairs, and what is added to a sum: any grouping of it gives the same totals.
    Pairs(Vec<(i64, i64)>),
}

impl Flow {
    fn records(&self) -> impl Iterator<Item = i64> {
        match self {
            Self::Records(records) => records.iter().copied(),
            Self::Pairs(_) => unreachable!("pairs where records are meant"),
        }
    }
    fn pairs(&self) -> impl Iterator<Item = (i64, i64)> {
        match self {
            Self::Pairs(pairs) => pairs.iter().copied(),
            Self::Records(_) => unreachable!("records where pairs are meant"),
        }
    }
}

/// Every pair under other keys.
fn with_keys(pairs: impl Iterator<Item = (i64, i64)>, keys: impl Fn(i64) -> Vec<i64>) -> Flow {
    let pairs = pairs.flat_map(|(k, v)| keys(k).into_iter().map(move |k| (k, v)));
    Flow::Pairs(pairs.collect())
}

/// Every pair with other values.
fn with_values(pairs: impl Iterator<Item = (i64, i64)>, values: impl Fn(i64) -> Vec<i64>) -> Flow {
    let pairs = pairs.flat_map(|(k, v)| values(v).into_iter().map(move |v| (k, v)));
    Flow::Pairs(pairs.collect())
}

fn kept(keep: bool, x: i64) -> Vec<i64> {
    if keep { vec![x] } else { vec![] }
}

impl Spec {
    /// What must be left behind.
    pub(crate) fn answer(&self, inputs: &Inputs) -> Answer {
        let mut answer = Answer::default();
        self.flows(inputs, &mut answer);
        answer
    }

    /// What each end is given: records, or the values of one key of a sum over pairs.
    pub(crate) fn given(&self, inputs: &Inputs) -> BTreeMap<Given, Vec<i64>> {
        let flows = self.flows(inputs, &mut Answer::default());
        let mut all: BTreeMap<Given, Vec<i64>> = BTreeMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            let input = step.inputs.first().map(|&input| &flows[input]);
            match (step.word, input) {
                (Word::Write, Some(flow)) => all.entry(Given::Record(i)).or_default().extend(flow.records()),
                (Word::SumByKey, Some(flow)) => {
                    flow.pairs()
                        .for_each(|(k, v)| all.entry(Given::Value(i, k)).or_default().push(v));
                }
                _ => {}
            }
        }
        all
    }

    fn flows(&self, inputs: &Inputs, answer: &mut Answer) -> Vec<Flow> {
        let mut flows: Vec<Flow> = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let f = step.f;
            let records = |n: usize| flows[step.inputs[n]].records();
            let pairs = |n: usize| flows[step.inputs[n]].pairs();
            let mut count = |n: u64| answer.counters[counter_of(f)] += n;
            let flow = match step.word {
                Word::Source => Flow::Records(inputs[fun::source(f).0].clone()),
                Word::Map => Flow::Records(records(0).map(|x| fun::map(f, x)).collect()),
                Word::Filter => Flow::Records(records(0).filter(|x| fun::keep(f, *x)).collect()),
                Word::FilterMap => Flow::Records(records(0).filter_map(|x| fun::filter_map(f, x)).collect()),
                Word::FlatMap => Flow::Records(records(0).flat_map(|x| fun::fan(f, x)).collect()),
                Word::FlatMapCounting => {
                    records(0).for_each(|x| count(fun::amount(f, x)));
                    Flow::Records(records(0).flat_map(|x| fun::fan(f, x)).collect())
                }
                Word::NameRecords => Flow::Records(records(0).collect()),
                Word::CountRecords => {
                    count(records(0).count() as u64);
                    Flow::Records(records(0).collect())
                }
                Word::CountRecordsBy => {
                    records(0).for_each(|x| count(fun::amount(f, x)));
                    Flow::Records(records(0).collect())
                }
                Word::MergeRecords => Flow::Records(records(0).chain(records(1)).collect()),
                Word::Either => {
                    let left = records(0).map(|x| fun::left(f, x));
                    Flow::Records(left.chain(records(1).map(|x| fun::right(f, x))).collect())
                }
                Word::Write => {
                    let mut written: Vec<i64> = records(0).collect();
                    written.sort_unstable();
                    answer.sinks.insert(i, written);
                    Flow::Records(records(0).collect())
                }
                Word::Keyed => Flow::Pairs(records(0).flat_map(|x| fun::pairs(f, x)).collect()),
                Word::KeyedCounting => {
                    records(0).for_each(|x| count(fun::amount(f, x)));
                    Flow::Pairs(records(0).flat_map(|x| fun::pairs(f, x)).collect())
                }
                Word::KeyBy => Flow::Pairs(records(0).map(|x| (fun::key(f, x), x)).collect()),
                Word::MapKeys | Word::DeltaMapKeys => with_keys(pairs(0), |k| vec![fun::key(f, k)]),
                Word::FilterKeys | Word::DeltaFilterKeys => with_keys(pairs(0), |k| kept(fun::keep(f, k), k)),
                Word::FlatMapKeys | Word::DeltaFlatMapKeys => with_keys(pairs(0), |k| fun::fan(f, k)),
                Word::MapValues => with_values(pairs(0), |v| vec![fun::map(f, v)]),
                Word::FilterValues => with_values(pairs(0), |v| kept(fun::keep(f, v), v)),
                Word::FlatMapValues => with_values(pairs(0), |v| fun::fan(f, v)),
                Word::FlatMapValuesCounting => {
                    pairs(0).for_each(|(_, v)| count(fun::amount(f, v)));
                    with_values(pairs(0), |v| fun::fan(f, v))
                }
                Word::KeyedPairs => Flow::Pairs(pairs(0).flat_map(|(k, v)| fun::pair_to_pairs(f, k, v)).collect()),
                Word::KeyedPairsCounting => {
                    pairs(0).for_each(|(k, v)| count(fun::amount(f, k ^ v)));
                    Flow::Pairs(pairs(0).flat_map(|(k, v)| fun::pair_to_pairs(f, k, v)).collect())
                }
                Word::Swap => Flow::Pairs(pairs(0).map(|(k, v)| (v, k)).collect()),
                Word::NamePairs | Word::NameDeltas | Word::TakeDeltas => Flow::Pairs(pairs(0).collect()),
                Word::CountPairs => {
                    count(pairs(0).count() as u64);
                    Flow::Pairs(pairs(0).collect())
                }
                Word::CountPairsBy => {
                    pairs(0).for_each(|(_, v)| count(fun::amount(f, v)));
                    Flow::Pairs(pairs(0).collect())
                }
                Word::MergePairs | Word::MergeDeltas => Flow::Pairs(pairs(0).chain(pairs(1)).collect()),
                Word::Keys => Flow::Records(pairs(0).map(|(k, _)| k).collect()),
                Word::Values => Flow::Records(pairs(0).map(|(_, v)| v).collect()),
                Word::PairsAsRecords => Flow::Records(pairs(0).map(|(k, v)| fun::joined(k, v)).collect()),
                Word::SumByKey | Word::SumDeltas => {
                    let mut totals: BTreeMap<i64, i64> = BTreeMap::new();
                    for (k, v) in pairs(0) {
                        let total = totals.entry(k).or_default();
                        *total = total.wrapping_add(v);
                    }
                    totals.retain(|_, total| *total != 0);
                    answer.sums.insert(i, totals);
                    Flow::Pairs(pairs(0).collect())
                }
                Word::Aggregate => {
                    let mut totals: BTreeMap<i64, (i128, i64)> = BTreeMap::new();
                    for (k, v) in pairs(0) {
                        let total = totals.entry(k).or_default();
                        *total = (total.0 + i128::from(v), total.1 + 1);
                    }
                    answer.aggregates.insert(i, totals);
                    Flow::Pairs(Vec::new())
                }
                Word::DeltaValuesBy => with_values(pairs(0), |v| vec![fun::additive(f, v)]),
            };
            flows.push(flow);
        }
        flows
    }
}
