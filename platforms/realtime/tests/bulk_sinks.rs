//! O22: what batch runs write with each generation the live part does not write, nor ask a place for; what it writes itself goes on.

mod support;

use std::sync::{Arc, Mutex};

use rufous_core::sink::{SinkTo, Sinks, each_generation, topic};
use rufous_core::{Job, Plan, Promise, Result, Sink, Source, SourcePartition};
use rufous_realtime::{BoundLog, BoundSink, Metrics, SinkWrite, SinkWriter, Stream};
use rufous_store_api::Hole;
use support::{Bed, COUNTS, LINES, ListLog, Rec, lists};

const LIVE: Sink<String> = Sink::new("live");
const BULK: Sink<String> = Sink::new("bulk");

/// A place that takes everything.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Vec<String>>>);

impl SinkWriter for Place {
    fn location(&self) -> String {
        "a list".into()
    }
    fn open(&mut self, _: &SourcePartition, start: u64, _: u64) -> Result<Option<u64>> {
        Ok(Some(start))
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let texts = write.rows.iter().map(|r| String::from_utf8(r.bytes.to_vec()).unwrap());
        self.0.lock().unwrap().extend(texts);
        Ok(())
    }
    fn pass(&mut self, _: &SourcePartition, _: &Hole) -> Result<()> {
        Ok(())
    }
    fn close(&mut self, _: &SourcePartition) {}
}

/// Both sinks before the store: the bulk one stands first in the plan, so places are not told apart by their order.
fn job() -> Plan {
    let lines = LINES.read().map(|line| line.to_string());
    let bulk = lines.clone().map(|line| format!("bulk {line}")).write(BULK);
    let live = lines.clone().map(|line| format!("live {line}")).write(LIVE);
    let counts = lines.keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let mut plan = Job::new("both", (bulk, live, counts)).plan().unwrap();
    let mut sinks = Sinks::new();
    sinks.bind(LIVE, &topic("").text());
    sinks.bind(BULK, &each_generation());
    plan.write_in_bulk(&sinks).unwrap();
    plan
}

fn run(plan: &Plan, bed: &Bed, bound: &[&'static str], place: &Place) -> Result<()> {
    let logs = lists(vec![(0..30).map(|i| Rec::text(&format!("{i}"))).collect()]);
    let stream = Stream {
        plan,
        logs: vec![BoundLog::new(LINES.name(), Box::new(ListLog::new(&logs, 7)))],
        store: Arc::new(bed.memory.clone()),
        manifests: &bed.manifests,
        generations: None,
        metrics: Arc::<Metrics>::default(),
        options: bed.options.clone(),
    };
    let bind = |name: &&'static str| BoundSink {
        name,
        encode: SinkTo::<String>::encode(&topic("").text()),
        promise: Promise::ExactlyOnce,
        writer: Box::new(place.clone()),
    };
    stream.run_with(bound.iter().map(bind).collect()).map(drop)
}

#[test]
fn the_live_part_writes_its_own_sinks_alone() {
    let (plan, place) = (job(), Place::default());
    run(&plan, &Bed::new(&plan), &["live"], &place).unwrap();
    let expected: Vec<_> = (0..30).map(|i| format!("live {i}")).collect();
    assert_eq!(*place.0.lock().unwrap(), expected);
}

#[test]
fn bound_in_both_layers_is_refused() {
    let (plan, place) = (job(), Place::default());
    let e = run(&plan, &Bed::new(&plan), &["live", "bulk"], &place)
        .unwrap_err()
        .to_string();
    assert_eq!(
        e,
        "sink `bulk` is bound in both layers: each record would be written twice; keep one"
    );
    let e = run(&plan, &Bed::new(&plan), &[], &place).unwrap_err().to_string();
    assert_eq!(e, "sink `live` is not bound");
    assert!(place.0.lock().unwrap().is_empty());
}

/// A sink that keeps no mark has none that would be taken back: it may stand behind an operator over several sources.
#[test]
fn beside_operators_over_several_sources() {
    const MORE: Source<str> = Source::new("more");
    const OFTEN: Sink<(String, u64)> = Sink::new("often");
    let ones = |source: Source<str>| source.read().keyed(|line, out| out.emit(line, 1));
    let counted = ones(LINES).merge(ones(MORE)).within_partition().scan_by_key(COUNTS);
    let mut plan = Job::new("often", counted.pairs().write(OFTEN)).plan().unwrap();
    let mut sinks = Sinks::new();
    sinks.bind(OFTEN, &each_generation());
    plan.write_in_bulk(&sinks).unwrap();
    rufous_realtime::check(&plan).unwrap();
}
