//! A graph as a job, and what the job left behind in the oracle's form.

use rufous_algebra::{Additive, Mean};
use rufous_core::{DeltaProducer, Job, KeyedProducer, Producer, Summed, Tails, Written};
use rufous_platform_memory::Totals;

use super::answer::{Answer, COUNTERS};
use super::functions::{self as fun, Rec};
use super::ports::{aggregates, counter, name_of, sink, sums};
use super::spec::{ENDS, Spec};
use super::steps::{Stream, stateless};
use super::word::Word;

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
                Word::Write => Built::Write(records(0).write(sink(i))),
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
                _ => match stateless(i, step, &records, &pairs) {
                    Some(Stream::Records(records)) => Built::Records(records),
                    Some(Stream::Pairs(pairs)) => Built::Pairs(pairs),
                    None => unreachable!("{} is a step without state", step.word.text()),
                },
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
        job_of(&sums, &aggregates, &writes)
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

/// A job with these tails.
pub(crate) fn job_of<S>(
    sums: &[impl Tails<S> + Clone],
    aggregates: &[impl Tails<S> + Clone],
    writes: &[impl Tails<S> + Clone],
) -> Job<S> {
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
