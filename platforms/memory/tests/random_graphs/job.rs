//! A graph as a job, and what the job left behind in the oracle's form.

use rufous_algebra::{Additive, Mean};
use rufous_core::{Counter, DeltaProducer, Either, Job, KeyedProducer, Producer, Sink, Store, Summed, Written};
use rufous_platform_memory::Totals;

use super::answer::{Answer, COUNTERS, counter_of};
use super::functions::{self as fun, Rec};
use super::spec::{ENDS, Spec};
use super::word::Word;

const NAMES: [&str; 64] = {
    // Names of ports are constants: `p0` to `p63`, one for each step.
    const fn name(i: usize) -> &'static str {
        const DIGITS: &str = "p0p1p2p3p4p5p6p7p8p9p10p11p12p13p14p15p16p17p18p19p20p21p22p23p24p25p26p27p28p29p30p31p32p33p34\
                              p35p36p37p38p39p40p41p42p43p44p45p46p47p48p49p50p51p52p53p54p55p56p57p58p59p60p61p62p63";
        let from = if i < 10 { 2 * i } else { 20 + 3 * (i - 10) };
        DIGITS.split_at(from).1.split_at(if i < 10 { 2 } else { 3 }).0
    }
    let mut names = [""; 64];
    let mut i = 0;
    while i < 64 {
        names[i] = name(i);
        i += 1;
    }
    names
};

fn counter(f: u8) -> Counter {
    [Counter::new("one"), Counter::new("two"), Counter::new("three")][counter_of(f)]
}
fn sums(step: usize) -> Store<i64, i64> {
    Store::new(NAMES[step])
}
fn aggregates(step: usize) -> Store<i64, Mean> {
    Store::new(NAMES[step])
}
fn sink(step: usize) -> Sink<Rec> {
    Sink::new(NAMES[step])
}
/// The name of a step that names: unique, and known to tests.
pub(crate) fn name_of(step: usize) -> String {
    format!("name-{step}")
}

enum Built {
    Records(Producer<Rec>),
    Pairs(KeyedProducer<i64, i64>),
    Sum(Summed<i64, i64>),
    Deltas(DeltaProducer<i64, i64>),
    Aggregate(Summed<i64, Mean>),
    Write(Written<Rec>),
}

impl Built {
    fn records(&self) -> Producer<Rec> {
        match self {
            Self::Records(records) => records.clone(),
            Self::Write(write) => write.clone().records(),
            _ => unreachable!("no records"),
        }
    }
    fn pairs(&self) -> KeyedProducer<i64, i64> {
        match self {
            Self::Pairs(pairs) => pairs.clone(),
            _ => unreachable!("no pairs"),
        }
    }
    fn deltas(&self) -> DeltaProducer<i64, i64> {
        match self {
            Self::Deltas(deltas) => deltas.clone(),
            Self::Sum(sum) => sum.clone().deltas(),
            _ => unreachable!("no deltas"),
        }
    }
}

impl Spec {
    /// The job.
    pub(crate) fn job(&self) -> Job {
        let mut built: Vec<Built> = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let f = step.f;
            let records = |n: usize| built[step.inputs[n]].records();
            let pairs = |n: usize| built[step.inputs[n]].pairs();
            let deltas = |n: usize| built[step.inputs[n]].deltas();
            let next = match step.word {
                Word::Source => Built::Records(fun::source(f).1.read()),
                Word::Map => Built::Records(records(0).map(move |x| Rec(fun::map(f, x.0)))),
                Word::Filter => Built::Records(records(0).filter(move |x| fun::keep(f, x.0))),
                Word::FilterMap => Built::Records(records(0).filter_map(move |x| fun::filter_map(f, x.0).map(Rec))),
                Word::FlatMap => Built::Records(
                    records(0).flat_map(move |x, out| fun::fan(f, x.0).into_iter().for_each(|y| out.emit(Rec(y)))),
                ),
                Word::FlatMapCounting => {
                    let next = records(0).flat_map(move |x, out| {
                        out.count(counter(f), fun::amount(f, x.0));
                        fun::fan(f, x.0).into_iter().for_each(|y| out.emit(Rec(y)));
                    });
                    Built::Records(next.counting([counter(f)]))
                }
                Word::NameRecords => Built::Records(records(0).named(&name_of(i))),
                Word::CountRecords => Built::Records(records(0).counted(counter(f))),
                Word::CountRecordsBy => Built::Records(records(0).counted_by(counter(f), move |x| fun::amount(f, x.0))),
                Word::MergeRecords => Built::Records(records(0).merge(records(1))),
                Word::Either => Built::Records(records(0).either(records(1)).map(move |either| {
                    Rec(match either {
                        Either::Left(x) => fun::left(f, x.0),
                        Either::Right(x) => fun::right(f, x.0),
                    })
                })),
                Word::Write => Built::Write(records(0).write(sink(i))),
                Word::Keyed => Built::Pairs(
                    records(0).keyed(move |x, out| fun::pairs(f, x.0).into_iter().for_each(|(k, v)| out.emit(k, v))),
                ),
                Word::KeyedCounting => {
                    let next = records(0).keyed(move |x, out| {
                        fun::pairs(f, x.0).into_iter().for_each(|(k, v)| out.emit(k, v));
                        out.count(counter(f), fun::amount(f, x.0));
                    });
                    Built::Pairs(next.counting([counter(f)]))
                }
                Word::KeyBy => Built::Pairs(records(0).key_by(move |x| fun::key(f, x.0)).map_values(|x| x.0)),
                Word::MapKeys => Built::Pairs(pairs(0).map_keys(move |k| fun::key(f, *k))),
                Word::FilterKeys => Built::Pairs(pairs(0).filter_keys(move |k| fun::keep(f, *k))),
                Word::FlatMapKeys => Built::Pairs(
                    pairs(0).flat_map_keys(move |k, out| fun::fan(f, *k).into_iter().for_each(|k| out.emit(k))),
                ),
                Word::MapValues => Built::Pairs(pairs(0).map_values(move |v| fun::map(f, *v))),
                Word::FilterValues => Built::Pairs(pairs(0).filter_values(move |v| fun::keep(f, *v))),
                Word::FlatMapValues => Built::Pairs(
                    pairs(0).flat_map_values(move |v, out| fun::fan(f, *v).into_iter().for_each(|v| out.emit(v))),
                ),
                Word::KeyedPairs => Built::Pairs(pairs(0).keyed_pairs(move |k, v, out| {
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
                    Built::Pairs(next.counting([counter(f)]))
                }
                Word::Swap => Built::Pairs(pairs(0).swap()),
                Word::NamePairs => Built::Pairs(pairs(0).named(&name_of(i))),
                Word::CountPairs => Built::Pairs(pairs(0).counted(counter(f))),
                Word::CountPairsBy => Built::Pairs(pairs(0).counted_by(counter(f), move |v| fun::amount(f, *v))),
                Word::MergePairs => Built::Pairs(pairs(0).merge(pairs(1))),
                Word::Keys => Built::Records(pairs(0).keys().map(|k| Rec(*k))),
                Word::Values => Built::Records(pairs(0).values().map(|v| Rec(*v))),
                Word::PairsAsRecords => Built::Records(pairs(0).pairs().map(|(k, v)| Rec(fun::joined(*k, *v)))),
                Word::SumByKey => Built::Sum(pairs(0).sum_by_key(sums(i))),
                Word::Aggregate => Built::Aggregate(pairs(0).aggregate_by_key(aggregates(i))),
                Word::TakeDeltas => Built::Deltas(deltas(0)),
                Word::DeltaMapKeys => Built::Deltas(deltas(0).map_keys(move |k| fun::key(f, *k))),
                Word::DeltaFilterKeys => Built::Deltas(deltas(0).filter_keys(move |k| fun::keep(f, *k))),
                Word::DeltaFlatMapKeys => Built::Deltas(
                    deltas(0).flat_map_keys(move |k, out| fun::fan(f, *k).into_iter().for_each(|k| out.emit(k))),
                ),
                Word::NameDeltas => Built::Deltas(deltas(0).named(&name_of(i))),
                Word::MergeDeltas => Built::Deltas(deltas(0).merge(deltas(1))),
                Word::DeltaValuesBy => {
                    Built::Deltas(deltas(0).map_values_by(Additive(move |v: &i64| fun::additive(f, *v))))
                }
                Word::SumDeltas => Built::Sum(deltas(0).sum_by_key(sums(i))),
            };
            built.push(next);
        }
        self.tails(&built)
    }

    /// Names the ends as tails. An end that others read need not be named (odd `f`); every other one must.
    fn tails(&self, built: &[Built]) -> Job {
        let (mut sums, mut aggregates, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for (i, step) in built.iter().enumerate() {
            let named = self.steps[i].f.is_multiple_of(2) || !self.goes_on(i);
            match step {
                Built::Sum(sum) if named => sums.push(sum.clone()),
                Built::Aggregate(aggregate) => aggregates.push(aggregate.clone()),
                Built::Write(write) if named => writes.push(write.clone()),
                _ => {}
            }
        }
        // The types of a tuple are fixed, its length is not: the first tail stands in for those that are missing, and the
        // same tail given twice is one tail.
        macro_rules! six {
            ($tails:ident) => {{
                assert!($tails.len() <= ENDS, "{} tails of a kind", $tails.len());
                let tail = |i: usize| $tails.get(i).unwrap_or(&$tails[0]).clone();
                (tail(0), tail(1), tail(2), tail(3), tail(4), tail(5))
            }};
        }
        match (sums.is_empty(), aggregates.is_empty(), writes.is_empty()) {
            (false, false, false) => Job::new("random", (six!(sums), six!(aggregates), six!(writes))),
            (false, false, true) => Job::new("random", (six!(sums), six!(aggregates))),
            (false, true, false) => Job::new("random", (six!(sums), six!(writes))),
            (true, false, false) => Job::new("random", (six!(aggregates), six!(writes))),
            (false, true, true) => Job::new("random", six!(sums)),
            (true, false, true) => Job::new("random", six!(aggregates)),
            (true, true, false) => Job::new("random", six!(writes)),
            (true, true, true) => unreachable!("a graph without an end"),
        }
    }

    /// What a run left behind.
    pub(crate) fn left_by(&self, totals: &Totals) -> Answer {
        let mut answer = Answer::default();
        for (i, step) in self.steps.iter().enumerate() {
            match step.word {
                Word::SumByKey | Word::SumDeltas => {
                    let totals = totals.all(sums(i)).into_iter().filter(|(_, total)| *total != 0);
                    answer.sums.insert(i, totals.collect());
                }
                Word::Aggregate => {
                    let totals = totals.all(aggregates(i)).into_iter();
                    let parts = totals.map(|(k, mean)| (k, (mean.sum(), mean.count())));
                    answer.aggregates.insert(i, parts.collect());
                }
                Word::Write => {
                    let mut written: Vec<i64> = totals.written(sink(i)).iter().map(|x| x.0).collect();
                    written.sort_unstable();
                    answer.sinks.insert(i, written);
                }
                _ => {}
            }
        }
        for i in 0..COUNTERS {
            answer.counters[i] = totals.counter(counter(i as u8));
        }
        answer
    }
}
