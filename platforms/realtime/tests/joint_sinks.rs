//! A sink behind an operator over two sources (O1, O3, O23): a mark a partition, and one order of both. Where one mark is behind,
//! the whole domain is taken back; what the other marks are above is skipped. The oracle sorts all records and counts.

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rufous_core::rules::{Rule, drop_in_this_process};
use rufous_core::sink::{SinkTo, topic};
use rufous_core::{Error, Job, Plan, Promise, Result, Sink, Source, SourcePartition};
use rufous_realtime::{BoundLog, BoundSink, Metrics, SinkWrite, SinkWriter, Stream};
use rufous_store_api::{Hole, RealtimeStore};
use rufous_store_memory::{MemoryGenerations, MemoryRealtime};
use support::{Bed, COUNTS, Fault, Faulty, LINES, ListLog, Lists, Rec, lists};

/// Rules are switched for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const MORE: Source<str> = Source::new("more");
const OFTEN: Sink<(String, u64)> = Sink::new("often");

/// How often each word has come so far, over both sources.
fn plan() -> Plan {
    let ones = |source: Source<str>| source.read().keyed(|line, out| out.emit(line, 1));
    let counted = ones(LINES).merge(ones(MORE)).within_partition().scan_by_key(COUNTS);
    let mut plan = Job::new("often", counted.pairs().write(OFTEN)).plan().unwrap();
    plan.identify_writes().unwrap();
    plan
}

type Row = (SourcePartition, u64, String);

/// Records and marks; it outlives its writers.
#[derive(Clone, Default)]
struct Place {
    state: Arc<Mutex<(Vec<Row>, BTreeMap<SourcePartition, u64>)>>,
    fault: Option<fn(u64) -> Fault>,
    writes: u64,
}

impl SinkWriter for Place {
    fn location(&self) -> String {
        "a list".into()
    }
    fn open(&mut self, p: &SourcePartition, start: u64, _: u64) -> Result<Option<u64>> {
        let (_, marks) = &mut *self.state.lock().unwrap();
        Ok(Some(*marks.entry(p.clone()).or_insert(start)))
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let fault = self.fault.map_or(Fault::None, |f| f(self.writes));
        self.writes += 1;
        if fault == Fault::Before {
            return Err(Error::try_again("lost before the write"));
        }
        let (rows, marks) = &mut *self.state.lock().unwrap();
        for row in write.rows {
            let text = String::from_utf8(row.bytes.to_vec()).unwrap();
            rows.push((write.partition.clone(), row.offset, text));
        }
        marks.insert(write.partition.clone(), write.to);
        if fault == Fault::After {
            return Err(Error::try_again("lost after the write"));
        }
        Ok(())
    }
    fn pass(&mut self, _: &SourcePartition, hole: &Hole) -> Result<()> {
        Err(Error::bug(format!("nothing was lost, and {hole:?} is said")))
    }
    fn close(&mut self, _: &SourcePartition) {}
}

struct Run {
    plan: Plan,
    bed: Bed,
    place: Place,
    logs: [Lists; 2],
    generations: MemoryGenerations,
    /// Of the last records.
    time: i64,
}

const SOURCES: [&str; 2] = ["lines", "more"];

impl Run {
    fn new(chunk: usize) -> Self {
        let plan = plan();
        let mut bed = Bed::new(&plan);
        bed.chunk = chunk;
        bed.options.longest_pause = Duration::from_millis(1);
        let mut r = Self {
            plan,
            bed,
            place: Place::default(),
            logs: [(); 2].map(|()| lists(vec![Vec::new(), Vec::new()])),
            generations: MemoryGenerations::default(),
            time: 0,
        };
        r.append();
        r
    }

    /// Records of both sources in turns, some at the same instant, then a heartbeat behind all of them in each partition.
    fn append(&mut self) {
        for i in 0..24_i64 {
            for (s, logs) in self.logs.iter().enumerate() {
                for (p, list) in logs.lock().unwrap().iter_mut().enumerate() {
                    let s = s as i64;
                    let at = self.time + (i * 7 + s * 3) / 5 * 10;
                    list.push(Rec::at(at, &format!("w{p}{}", (i + s) % 3)));
                }
            }
        }
        self.time += 10_000;
        for logs in &self.logs {
            for list in logs.lock().unwrap().iter_mut() {
                let heartbeat = Rec {
                    heartbeat: true,
                    value: None,
                    ..Rec::at(self.time, "")
                };
                list.push(heartbeat);
            }
        }
    }

    fn run(&self, fault: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Result<()> {
        let store: Arc<dyn RealtimeStore> = Arc::new(Faulty::new(self.bed.memory.clone(), fault));
        let log =
            |(source, lists): (&&str, &Lists)| BoundLog::new(*source, Box::new(ListLog::new(lists, self.bed.chunk)));
        let stream = Stream {
            plan: &self.plan,
            logs: SOURCES.iter().zip(&self.logs).map(log).collect(),
            store,
            manifests: &self.bed.manifests,
            generations: Some(&self.generations),
            metrics: Arc::<Metrics>::default(),
            options: self.bed.options.clone(),
        };
        let sink = BoundSink {
            name: OFTEN.name(),
            encode: SinkTo::<(String, u64)>::encode(&topic("")),
            promise: Promise::ExactlyOnce,
            writer: Box::new(self.place.clone()),
        };
        stream.run_with(vec![sink]).map(drop)
    }

    /// All records that have a later one in every partition of their domain, in log order, counted.
    fn expected(&self) -> BTreeMap<SourcePartition, Vec<(u64, String)>> {
        let mut expected: BTreeMap<SourcePartition, Vec<(u64, String)>> = BTreeMap::new();
        for p in 0..2_u32 {
            // (time, source, offset) in one batch: times ascend within each list.
            let mut all: Vec<(i64, &str, u64, Option<String>)> = Vec::new();
            for (source, lists) in SOURCES.iter().zip(&self.logs) {
                for (offset, rec) in lists.lock().unwrap()[p as usize].iter().enumerate() {
                    let text = rec.value.clone().map(|v| String::from_utf8(v).unwrap());
                    all.push((rec.time, source, offset as u64, text));
                }
            }
            all.sort();
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (_, source, offset, text) in all {
                let Some(word) = text else { continue };
                let n = counts.entry(word.clone()).or_default();
                *n += 1;
                let rows = expected.entry(SourcePartition::new(source, p)).or_default();
                rows.push((offset, format!("[\"{word}\",{n}]")));
            }
        }
        expected
    }

    fn exact(&self) -> Result<(), String> {
        let (rows, _) = &*self.place.state.lock().unwrap();
        for (p, expected) in self.expected() {
            let of = rows.iter().filter(|row| row.0 == p);
            let got: Vec<_> = of.map(|(_, offset, text)| (*offset, text.clone())).collect();
            if got != expected {
                let at = got.iter().zip(&expected).position(|(a, b)| a != b);
                return Err(format!(
                    "{p}: {} rows of {}, differs at {at:?}",
                    got.len(),
                    expected.len()
                ));
            }
        }
        Ok(())
    }

    /// An older copy of the place comes back, of one partition alone.
    fn older(&self, p: &SourcePartition, mark: u64) {
        let (rows, marks) = &mut *self.place.state.lock().unwrap();
        rows.retain(|row| row.0 != *p || row.1 < mark);
        marks.insert(p.clone(), mark);
    }
}

fn faults() -> Result<(), String> {
    for chunk in [1, 5, 1000] {
        for fault in [Fault::None, Fault::Before, Fault::After, Fault::Refused] {
            let mut r = Run::new(chunk);
            for place in [None, Some(Fault::Before), Some(Fault::After)] {
                r.place.fault = match place {
                    Some(Fault::Before) => Some(|n| if n % 5 == 1 { Fault::Before } else { Fault::None }),
                    Some(_) => Some(|n| if n % 5 == 2 { Fault::After } else { Fault::None }),
                    None => None,
                };
                let failing = move |n| if [1, 4, 6].contains(&n) { fault } else { Fault::None };
                r.run(failing).map_err(|e| format!("{chunk} {fault:?}: {e}"))?;
                r.exact().map_err(|e| format!("{chunk} {fault:?} {place:?}: {e}"))?;
                r.append();
            }
        }
    }
    Ok(())
}

/// One mark of four is behind: all that its domain has taken is made again, and written where it is missing alone.
fn one_is_behind() -> Result<(), String> {
    for (source, mark) in [("lines", 0), ("more", 11), ("lines", 24)] {
        let mut r = Run::new(5);
        r.run(|_| Fault::None).map_err(|e| e.to_string())?;
        r.append();
        r.older(&SourcePartition::new(source, 1), mark);
        r.run(|_| Fault::None).map_err(|e| e.to_string())?;
        r.exact().map_err(|e| format!("{source} from {mark} on: {e}"))?;
    }
    Ok(())
}

/// The state is gone, and made anew from both logs.
fn rebuilt() -> Result<(), String> {
    let mut r = Run::new(5);
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.append();
    r.bed.memory = MemoryRealtime::new(r.plan.fingerprint(), r.plan.stores());
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.exact()
}

/// Each record once, whatever fails and whatever is lost; each rule dropped is seen.
#[test]
fn every_record_once_in_the_order_of_both() {
    let _alone = alone();
    let all: [(&str, fn() -> Result<(), String>); 3] = [
        ("faults", faults),
        ("one is behind", one_is_behind),
        ("rebuilt", rebuilt),
    ];
    for (name, run) in all {
        run().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let dropped: [(&[Rule], fn() -> Result<(), String>); 3] = [
        (&[Rule::SinkMark], rebuilt),
        (&[Rule::SinkTakesBack], one_is_behind),
        (&[Rule::SinkStartsAtPermission, Rule::SinkTakesBack], one_is_behind),
    ];
    for (rules, run) in dropped {
        let _dropped = drop_in_this_process(rules);
        assert!(run().is_err(), "nothing is wrong without {rules:?}");
    }
}
