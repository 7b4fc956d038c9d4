//! The same-answer machine on the model platforms: the whole catalogue, records in chunks of one, of seven and of a
//! thousand, on one to four threads, with the planner's rules and without.

use std::fmt::Debug;

use rufous_core::testing::{
    Answers, AnyJob, Case, ReadSinks, Reason, SourceInput, SourcePort, Subject, check, check_cases, domains,
    many_partitions,
};
use rufous_core::{Error, Result, Rules, Sink, Source};
use rufous_platform_memory::{Concurrent, Memory, Totals};

/// Which of the planner's rules apply.
#[derive(Clone, Copy)]
enum Planner {
    All,
    Only(&'static str),
    None,
}

impl Planner {
    fn rules(self) -> Rules {
        match self {
            Self::All => Rules::all(),
            Self::Only(name) => Rules::only(name),
            Self::None => Rules::none(),
        }
    }
    fn what(self) -> &'static str {
        match self {
            Self::All => "all rules",
            Self::Only(name) => name,
            Self::None => "no rules",
        }
    }
}

/// [`Memory`], fed with raw records in chunks of this size.
struct InMemory {
    chunk: usize,
    rules: Planner,
}

struct Written<'a>(&'a Totals);

impl ReadSinks for Written<'_> {
    fn written<T: Clone + Debug + Send + 'static>(&self, sink: Sink<T>) -> Vec<T> {
        self.0.written(sink)
    }
}

/// Every store of the plan and every sink of the case.
fn answers(case: &Case, totals: &Totals) -> Result<Answers> {
    let plan = case.job().plan()?;
    let cells = |name: &str| totals.bytes(name).cloned().unwrap_or_default();
    let stores = Answers::of_stores(plan.stores().iter().map(|face| (face.name, cells(face.name))))?;
    let sinks = case
        .sinks()
        .iter()
        .map(|sink| (sink.name(), sink.read(&Written(totals))));
    Ok(sinks.fold(stores, |answers, (name, records)| answers.with_sink(name, records)))
}

impl Subject for InMemory {
    fn name(&self) -> String {
        format!("memory, chunks of {}, {}", self.chunk, self.rules.what())
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        let mut memory = Memory::new()
            .chunk(self.chunk)
            .rules(self.rules.rules())
            .services(case.services());
        for (port, log) in case.input().sources() {
            let records = log.batches(self.chunk);
            memory = match port {
                SourcePort::Texts(port) => memory.raw(port, log.format, records),
                SourcePort::Sales(port) => memory.raw(port, log.format, records),
                SourcePort::Visits(port) => memory.raw(port, log.format, records),
                SourcePort::Pages(port) => memory.raw(port, log.format, records),
            };
        }
        let totals = match case.job() {
            AnyJob::Anywhere(job) => job.run_on(&memory)?,
            AnyJob::InOrder(job) => job.run_on(&memory)?,
        };
        answers(case, &totals)
    }
}

/// [`Concurrent`], which reads records in no particular order.
struct OnThreads {
    threads: usize,
    rules: Planner,
}

const ORDER: Reason = Reason::Compiler("needs order, which threads do not keep");
const OPERATORS: Reason = Reason::Error("an operator needs that of their partition");

/// The records of a log as the source's own decoder reads them.
fn decoded<T: Clone + 'static>(case: &Case, port: Source<T>, log: &SourceInput) -> Result<Vec<T>> {
    let source = port.name();
    let plan = case.job().plan()?;
    let face = plan.sources().iter().find(|face| face.name == source);
    let mut decoder = face
        .ok_or_else(|| Error::bug(format!("no source `{source}`")))?
        .decoder(log.format)?;
    let mut all = Vec::new();
    for records in log.batches(1_000) {
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        decoder.decode(&records, &mut times, &mut bad);
        let chunk = decoder.chunk(0..records.entries.len()).downcast_ref::<Vec<T>>();
        all.extend_from_slice(chunk.ok_or_else(|| Error::bug(format!("source `{source}` has another type")))?);
    }
    Ok(all)
}

impl Subject for OnThreads {
    fn name(&self) -> String {
        format!("concurrent memory, {} threads, {}", self.threads, self.rules.what())
    }
    fn refusals(&self) -> &'static [Reason] {
        &[ORDER, OPERATORS]
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        let operators = case.job().plan().is_ok_and(|plan| !plan.operators().is_empty());
        if case.in_order() {
            Err(ORDER)
        } else if operators {
            Err(OPERATORS)
        } else {
            Ok(())
        }
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        let AnyJob::Anywhere(job) = case.job() else {
            return Err(Error::bug("a job in order does not compile for threads"));
        };
        // Small pieces: every thread gets many.
        let mut memory = Concurrent::new(self.threads)
            .chunk(29)
            .rules(self.rules.rules())
            .services(case.services());
        for (port, log) in case.input().sources() {
            memory = match port {
                SourcePort::Texts(port) => {
                    let lines = log.events.iter().map(|e| String::from_utf8_lossy(&e.payload));
                    memory.source(port, lines)
                }
                SourcePort::Sales(port) => memory.source(port, decoded(case, port, log)?),
                SourcePort::Visits(port) => memory.source(port, decoded(case, port, log)?),
                SourcePort::Pages(port) => memory.source(port, decoded(case, port, log)?),
            };
        }
        answers(case, &job.run_on(&memory)?)
    }
}

fn whole(subject: &dyn Subject, in_order: usize) {
    let report = check(subject, &mut |line| println!("{line}"));
    println!("{report}");
    let refused = report.refused.values().sum();
    assert_eq!((report.ran, refused), (CASES - in_order, in_order), "{report}");
}

/// All cases, and those of them that need order.
const CASES: usize = 113;
const IN_ORDER: usize = 6;
const OPERATORS_IN_IT: usize = 14;

#[test]
fn chunks_and_rules() {
    for chunk in [1, 7, 1_024] {
        for rules in [Planner::All, Planner::None] {
            whole(&InMemory { chunk, rules }, 0);
        }
    }
}

/// O3: several sources in one order.
#[test]
fn domains_of_several_sources() {
    for chunk in [1, 7, 1_024] {
        for rules in [Planner::All, Planner::None] {
            let cases = || domains().into_iter().chain([many_partitions()]).collect::<Vec<_>>();
            let report = check_cases(&InMemory { chunk, rules }, cases(), &mut |line| println!("{line}"));
            assert_eq!(report.ran, cases().len(), "{report}");
        }
    }
}

#[test]
fn each_rule_by_itself() {
    for name in Rules::names() {
        let rules = Planner::Only(name);
        whole(&InMemory { chunk: 64, rules }, 0);
    }
}

#[test]
fn threads_and_rules() {
    for threads in 1..=4 {
        let rules = if threads % 2 == 0 { Planner::All } else { Planner::None };
        whole(&OnThreads { threads, rules }, IN_ORDER + OPERATORS_IN_IT);
    }
}
