//! Sinks of a stream (O10, O23-O26): a place in memory that fails as told, the rules that it rests on, and what goes wrong without
//! each.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rufous_core::rules::{Rule, drop_in_this_process};
use rufous_core::sink::{SinkTo, topic};
use rufous_core::{Error, Format, Job, Plan, Promise, RecordBatch, Result, Sink, Source, SourcePartition};
use rufous_realtime::{BoundLog, BoundSink, Log, Metrics, PartitionInfo, Polled, SinkWrite, SinkWriter, Stream};
use rufous_store_api::{Hole, RealtimeStore};
use support::{Bed, COUNTS, Fault, Faulty, LINES, ListLog, Lists, Rec, lists};

/// Rules are switched for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const SEEN: Sink<String> = Sink::new("seen");

/// Every line that is no number below 10, and what has two words twice.
fn job() -> Plan {
    let lines = LINES.read();
    let counts = lines.clone().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let written = lines
        .flat_map(|line, out| {
            for word in line.split(' ') {
                out.emit(word.to_string());
            }
        })
        .write(SEEN);
    let mut plan = Job::new("seen", (counts, written)).plan().unwrap();
    plan.identify_writes().unwrap();
    plan
}

/// What is in the place: records with their ids, marks, holes. It outlives its writers.
#[derive(Default)]
struct State {
    rows: Vec<(u32, u64, u64, String)>,
    marks: BTreeMap<SourcePartition, u64>,
    holes: Vec<(u64, u64)>,
    writes: u64,
}

#[derive(Clone, Default)]
struct Place {
    state: Arc<Mutex<State>>,
    fault: Option<fn(u64) -> Fault>,
}

impl SinkWriter for Place {
    fn location(&self) -> String {
        "a list".into()
    }
    fn open(&mut self, p: &SourcePartition, start: u64, _: u64) -> Result<Option<u64>> {
        Ok(Some(
            *self.state.lock().unwrap().marks.entry(p.clone()).or_insert(start),
        ))
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let fault = self.fault.map_or(Fault::None, |f| f(state.writes));
        state.writes += 1;
        if fault == Fault::Before {
            return Err(Error::try_again("lost before the write"));
        }
        for row in write.rows {
            let text = String::from_utf8(row.bytes.to_vec()).unwrap();
            state
                .rows
                .push((write.partition.partition, row.offset, row.number, text));
        }
        state.marks.insert(write.partition.clone(), write.to);
        if fault == Fault::After {
            return Err(Error::try_again("lost after the write"));
        }
        Ok(())
    }
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        state.marks.insert(p.clone(), hole.to);
        state.holes.push((hole.from, hole.to));
        Ok(())
    }
    fn close(&mut self, _: &SourcePartition) {}
}

/// A place for a job, with a store whose commits fail as told.
struct Run {
    plan: Plan,
    bed: Bed,
    place: Place,
    logs: Lists,
    /// What the log begins with now.
    trimmed: u64,
}

impl Run {
    fn new(chunk: usize) -> Self {
        let plan = job();
        let mut bed = Bed::new(&plan);
        bed.chunk = chunk;
        bed.options.longest_pause = Duration::from_millis(1);
        let part = |p: u64| (0..50).map(|i| Rec::text(&format!("{p}a{i} {p}b{i}"))).collect();
        Self {
            plan,
            bed,
            place: Place::default(),
            logs: lists((0..2).map(part).collect()),
            trimmed: 0,
        }
    }
    fn run(&self, fault: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Result<()> {
        let store: Arc<dyn RealtimeStore> = Arc::new(Faulty::new(self.bed.memory.clone(), fault));
        let sink = BoundSink {
            name: SEEN.name(),
            encode: SinkTo::<String>::encode(&topic("").text()),
            promise: Promise::ExactlyOnce,
            writer: Box::new(self.place.clone()),
        };
        let stream = Stream {
            plan: &self.plan,
            logs: vec![BoundLog::new(
                LINES.name(),
                Box::new(Trimmed(ListLog::new(&self.logs, self.bed.chunk), self.trimmed)),
            )],
            store,
            manifests: &self.bed.manifests,
            generations: None,
            metrics: Arc::<Metrics>::default(),
            options: self.bed.options.clone(),
        };
        stream.run_with(vec![sink]).map(drop)
    }
    /// What stands in the place, in its order, is what a loop over the lists makes; `Err`: what is wrong.
    fn exact(&self) -> Result<(), String> {
        let state = self.place.state.lock().unwrap();
        for (p, list) in self.logs.lock().unwrap().iter().enumerate() {
            let mut expected = Vec::new();
            for (offset, rec) in list.iter().enumerate() {
                let text = String::from_utf8(rec.value.clone().unwrap()).unwrap();
                let words = text.split(' ').enumerate();
                expected.extend(words.map(|(i, word)| (p as u32, offset as u64, i as u64, word.to_string())));
            }
            let got: Vec<_> = state.rows.iter().filter(|r| r.0 as usize == p).cloned().collect();
            if got != expected {
                return Err(format!(
                    "partition {p}: {} records, expected {}",
                    got.len(),
                    expected.len()
                ));
            }
        }
        Ok(())
    }
    fn append(&self) {
        for (p, list) in self.logs.lock().unwrap().iter_mut().enumerate() {
            list.extend((0..30).map(|i| Rec::text(&format!("more-{p}-{i} twice"))));
        }
    }
}

/// Fails the second, fifth and seventh time.
fn failing(as_: Fault) -> impl Fn(u64) -> Fault + Send + Sync + 'static {
    move |n| if [1, 4, 6].contains(&n) { as_ } else { Fault::None }
}

/// What ends up in the place, whatever fails on the way, in chunks of any size.
fn faults() -> Result<(), String> {
    for chunk in [1, 7, 1000] {
        for fault in [Fault::None, Fault::Before, Fault::After, Fault::Refused] {
            let mut r = Run::new(chunk);
            for place in [None, Some(Fault::Before), Some(Fault::After)] {
                r.place.fault = match place {
                    Some(Fault::Before) => Some(|n| if n % 5 == 1 { Fault::Before } else { Fault::None }),
                    Some(_) => Some(|n| if n % 5 == 2 { Fault::After } else { Fault::None }),
                    None => None,
                };
                r.run(failing(fault)).map_err(|e| format!("{chunk} {fault:?}: {e}"))?;
                r.exact().map_err(|e| format!("{chunk} {fault:?} {place:?}: {e}"))?;
                r.append();
            }
        }
    }
    Ok(())
}

/// The state is gone, and made anew from the log.
fn rebuilt() -> Result<(), String> {
    let mut r = Run::new(7);
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.append();
    r.bed.memory = rufous_store_memory::MemoryRealtime::new(r.plan.fingerprint(), r.plan.stores());
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.exact()
}

/// What was written is gone, and so is the mark.
fn emptied() -> Result<(), String> {
    let mut r = Run::new(7);
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.append();
    r.place = Place::default();
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.exact()
}

/// The process ends between two writes: at the end the newest commit of the state was lost, or that of the place.
fn killed_between() -> Result<(), String> {
    let r = Run::new(7);
    // The sink has all, and no commit of the state ever lands: the stream gives up.
    let ended = r.run(|_| Fault::Refused);
    if ended.is_ok() {
        return Err("the stream did not give up".into());
    }
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.exact()?;
    // The sink is what fails: the state must not be ahead when the process ends.
    let mut r = Run::new(7);
    r.place.fault = Some(|_| Fault::Before);
    let (stop, done) = (r.bed.options.stop.clone(), AtomicBool::new(false));
    std::thread::scope(|s| {
        s.spawn(|| {
            while r.place.state.lock().unwrap().writes < 3 && !done.load(Relaxed) {
                std::thread::yield_now();
            }
            stop.store(true, Relaxed);
        });
        drop(r.run(|_| Fault::None));
        done.store(true, Relaxed);
    });
    r.bed.options.stop = Arc::default();
    r.place.fault = None;
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.exact()
}

/// Section 8, "no mark, no fence, start at `next`: written twice, or lost": each rule dropped, and seen.
#[test]
fn every_record_once() {
    let _alone = alone();
    let all: [(&str, fn() -> Result<(), String>); 4] = [
        ("faults", faults),
        ("rebuilt", rebuilt),
        ("emptied", emptied),
        ("killed between", killed_between),
    ];
    for (name, run) in all {
        run().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let dropped: [(&[Rule], fn() -> Result<(), String>); 4] = [
        (&[Rule::SinkMark], rebuilt),
        // A state that is ahead is taken back where that is noticed.
        (&[Rule::SinkFirst, Rule::SinkTakesBack], killed_between),
        (&[Rule::SinkTakesBack], emptied),
        (&[Rule::SinkStartsAtPermission], emptied),
    ];
    for (rules, run) in dropped {
        let _dropped = drop_in_this_process(rules);
        assert!(run().is_err(), "nothing is wrong without {rules:?}");
    }
}

/// The same lists, of which retention has deleted the beginning.
struct Trimmed(ListLog, u64);

impl Log for Trimmed {
    fn location(&self) -> String {
        self.0.location()
    }
    fn format(&self) -> Format {
        self.0.format()
    }
    fn has_time(&self) -> bool {
        self.0.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let mut all = self.0.partitions()?;
        all.iter_mut().for_each(|p| p.start = self.1);
        Ok(all)
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.0.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        self.0.poll(timeout, into)
    }
}

/// O26: a state that is ahead of a sink is not taken back where the log has lost what only the state holds.
#[test]
fn a_state_that_cannot_be_made_anew_is_kept() {
    let _alone = alone();
    let mut r = Run::new(7);
    r.run(|_| Fault::None).unwrap();
    let before = r.bed.sums(&r.plan);
    {
        // An older copy of the place comes back.
        let mut state = r.place.state.lock().unwrap();
        state.rows.retain(|row| row.1 < 30);
        state.marks.values_mut().for_each(|mark| *mark = 30);
    }
    r.trimmed = 20;
    let e = r.run(|_| Fault::None).unwrap_err().to_string();
    assert!(
        e.contains("up to offset 30, and the state stands at 50: the log begins at 20 now")
            && e.contains("Restore the sink"),
        "{e}"
    );
    assert_eq!(r.bed.sums(&r.plan), before, "nothing of the state is lost");
    // Whole again, it is taken back.
    r.trimmed = 0;
    r.run(|_| Fault::None).unwrap();
    r.exact().unwrap();
}

/// A sink has a mark a partition, and partitions of several sources would be taken back together: refused before a log is asked.
#[test]
fn not_beside_operators_over_several_sources() {
    let _alone = alone();
    const MORE: Source<str> = Source::new("more");
    const OFTEN: Sink<(String, u64)> = Sink::new("often");
    let ones = |source: Source<str>| source.read().keyed(|line, out| out.emit(line, 1));
    let counted = ones(LINES).merge(ones(MORE)).within_partition().scan_by_key(COUNTS);
    let mut plan = Job::new("often", counted.pairs().write(OFTEN)).plan().unwrap();
    plan.identify_writes().unwrap();
    let bed = Bed::new(&plan);
    let e = bed.run(&plan, &lists(vec![Vec::new()])).unwrap_err().to_string();
    assert!(
        e.contains("sink `often` beside scan `counts`") && e.contains("a job of its own that reads one source"),
        "{e}"
    );
}
