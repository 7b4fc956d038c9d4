//! Sinks of a stream (O10, O23-O26): a place in memory that fails as told, the rules that it rests on, and what goes wrong without
//! each.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rufous_algebra::Codec;
use rufous_core::rules::{Rule, drop_in_this_process};
use rufous_core::sink::{Encode, Encoded, SinkTo, table, topic};
use rufous_core::{
    BatchId, Cut, Error, ErrorKind, Format, Job, Plan, Promise, RecordBatch, Result, Sink, SourcePartition,
};
use rufous_realtime::{
    BoundLog, BoundSink, Log, Metrics, OnBadRecord, PartitionInfo, Polled, SinkRow, SinkWrite, SinkWriter, Stream,
    TableSink,
};
use rufous_store_api::table::TableFace;
use rufous_store_api::{Hole, ManifestLog, RealtimeStore, TableReader};
use rufous_store_memory::{MemoryManifests, MemoryTables};
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

/// The same writes, and no store at all.
fn only_writes() -> Plan {
    let words = LINES.read().flat_map(|line, out| {
        for word in line.split(' ') {
            out.emit(word.to_string());
        }
    });
    let mut plan = Job::new("only-writes", words.write(SEEN)).plan().unwrap();
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
    given_up: bool,
    /// Whoever took it up again knows that it misses what cannot be made.
    may_lose: bool,
    fault: Option<fn(u64) -> Fault>,
}

impl SinkWriter for Place {
    fn location(&self) -> String {
        "a list".into()
    }
    fn takes(&self) -> bool {
        !self.given_up
    }
    fn open(&mut self, p: &SourcePartition, start: u64, _: u64) -> Result<Option<u64>> {
        if self.given_up {
            return Ok(None);
        }
        Ok(Some(
            *self.state.lock().unwrap().marks.entry(p.clone()).or_insert(start),
        ))
    }
    fn may_lose(&self, _: &SourcePartition) -> bool {
        self.may_lose
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
    encode: Encode,
    /// In place of it.
    tables: Option<MemoryTables>,
    logs: Lists,
    /// What the log begins with now.
    trimmed: u64,
}

impl Run {
    fn new(chunk: usize) -> Self {
        Self::of(job(), chunk)
    }
    fn of(plan: Plan, chunk: usize) -> Self {
        let mut bed = Bed::new(&plan);
        bed.chunk = chunk;
        bed.options.longest_pause = Duration::from_millis(1);
        let part = |p: u64| (0..50).map(|i| Rec::text(&format!("{p}a{i} {p}b{i}"))).collect();
        Self {
            plan,
            bed,
            place: Place::default(),
            encode: SinkTo::<String>::encode(&topic("").text()),
            tables: None,
            logs: lists((0..2).map(part).collect()),
            trimmed: 0,
        }
    }
    fn run(&self, fault: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Result<()> {
        let log = Trimmed(ListLog::new(&self.logs, self.bed.chunk), self.trimmed);
        self.run_over(Box::new(log), fault)
    }
    fn run_over(&self, log: Box<dyn Log>, fault: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Result<()> {
        let store: Arc<dyn RealtimeStore> = Arc::new(Faulty::new(self.bed.memory.clone(), fault));
        let face = || TableFace {
            sink: "seen".into(),
            of: "job of main".into(),
            schema: SinkTo::<String>::schema(&table()),
        };
        let writer: Box<dyn SinkWriter> = match &self.tables {
            Some(tables) => Box::new(TableSink::new(Arc::new(tables.clone()), face())),
            None => Box::new(self.place.clone()),
        };
        let sink = BoundSink {
            name: SEEN.name(),
            encode: match &self.tables {
                Some(_) => SinkTo::<String>::encode(&table()),
                None => self.encode,
            },
            promise: Promise::ExactlyOnce,
            writer,
        };
        let stream = Stream {
            plan: &self.plan,
            logs: vec![BoundLog::new(LINES.name(), log)],
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
    faults_of(job)
}

fn faults_of(plan: fn() -> Plan) -> Result<(), String> {
    for chunk in [1, 7, 1000] {
        for fault in [Fault::None, Fault::Before, Fault::After, Fault::Refused] {
            let mut r = Run::of(plan(), chunk);
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
    rebuilt_of(job)
}

fn rebuilt_of(plan: fn() -> Plan) -> Result<(), String> {
    let mut r = Run::of(plan(), 7);
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.append();
    r.bed.memory = rufous_store_memory::MemoryRealtime::new(r.plan.fingerprint(), &r.plan.live_stores());
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

/// O26: the log lost a range before anybody read it. What comes behind it is written, and the range is recorded in the place.
fn lost() -> Result<(), String> {
    let mut r = Run::new(7);
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    r.append();
    r.trimmed = 60;
    r.run(|_| Fault::None).map_err(|e| e.to_string())?;
    let state = r.place.state.lock().unwrap();
    let behind = state.rows.iter().filter(|row| row.1 >= 50).map(|row| row.1).min();
    if behind != Some(60) || state.marks.values().any(|mark| *mark != 80) {
        return Err(format!("from {behind:?} on, {:?}", state.marks));
    }
    if state.holes != [(50, 60), (50, 60)] {
        return Err(format!("holes {:?}", state.holes));
    }
    Ok(())
}

/// O23, O27: who opens a table shuts out the writer before him, which learns of it before it has written anything.
fn fenced() -> Result<(), String> {
    let tables = MemoryTables::default();
    let table = TableFace {
        sink: "seen".into(),
        of: "job of main".into(),
        schema: "text".into(),
    };
    let sink = || TableSink::new(Arc::new(tables.clone()), table.clone());
    let p = SourcePartition::new("lines", 0);
    let write = |sink: &mut TableSink, mark: u64, to: u64| {
        let row = SinkRow {
            offset: mark,
            number: 0,
            bytes: b"x",
        };
        sink.write(&SinkWrite {
            partition: &p,
            mark,
            to,
            rows: &[row],
        })
    };
    let (mut old, mut new) = (sink(), sink());
    let opened = [old.open(&p, 3, 0), new.open(&p, 0, 0)].map(|mark| mark.map_err(|e| e.to_string()));
    if opened != [Ok(Some(3)), Ok(Some(3))] {
        return Err(format!("{opened:?}"));
    }
    match write(&mut old, 3, 5) {
        Err(e) if e.kind() == ErrorKind::Closed => {}
        other => return Err(format!("the old writer wrote: {other:?}")),
    }
    // It does not go on as if nothing had been.
    if write(&mut old, 3, 5).is_ok() {
        return Err("it wrote without opening".into());
    }
    write(&mut new, 3, 5).map_err(|e| e.to_string())?;
    match old.open(&p, 0, 0) {
        Ok(Some(5)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Hands out one record, then waits until the engine has seen a manifest that lets go of what it has not read.
struct Overtaken {
    log: ListLog,
    manifests: MemoryManifests,
    plan: String,
    since: Option<Instant>,
}

impl Log for Overtaken {
    fn location(&self) -> String {
        self.log.location()
    }
    fn format(&self) -> Format {
        self.log.format()
    }
    fn has_time(&self) -> bool {
        true
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        self.log.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.log.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        match self.since {
            None => {
                let p = SourcePartition::new("lines", 0);
                let mut manifest = self.manifests.newest(0)?.unwrap();
                manifest.number += 1;
                let cut = Cut {
                    batch: BatchId(3),
                    cut: 30,
                    batch_before: BatchId(2),
                };
                manifest.frontier.0.insert(p.clone(), cut);
                manifest.drop_before = BTreeMap::from([(self.plan.clone(), manifest.frontier.clone())]);
                self.manifests.publish(&manifest)?;
                self.since = Some(Instant::now());
                self.log.poll(timeout, into)
            }
            // Manifests are compared every two seconds.
            Some(since) if since.elapsed() < Duration::from_millis(2_500) => {
                std::thread::sleep(Duration::from_millis(20));
                Ok(Polled::Idle)
            }
            Some(_) => self.log.poll(timeout, into),
        }
    }
}

/// O25: somebody published a permission that passes the mark. What lies between is in no cell any more, and in no sink: the
/// stream stops rather than leave it out.
fn overtaken() -> Result<(), String> {
    overtaken_as(false)
}

fn overtaken_as(given_up: bool) -> Result<(), String> {
    let mut r = Run::new(1);
    r.place.given_up = given_up;
    let hour = 3_600_000;
    let records = (0..50).map(|i| Rec::at(i / 10 * hour, &format!("a{i} b{i}")));
    *r.logs.lock().unwrap() = vec![records.collect()];
    r.bed.options.longest_pause = Duration::from_millis(1);
    let log = Overtaken {
        log: ListLog::new(&r.logs, 1),
        manifests: r.bed.manifests.clone(),
        plan: r.plan.fingerprint().to_string(),
        since: None,
    };
    match r.run_over(Box::new(log), |_| Fault::None) {
        Err(e) if e.to_string().contains("what the sinks get of it was not written") => Ok(()),
        Err(e) => Err(e.to_string()),
        Ok(()) if given_up => Ok(()),
        Ok(()) => r.exact(),
    }
}

/// Section 8, "no mark, no fence, start at `next`: written twice, or lost": each rule dropped, and seen.
#[test]
fn every_record_once() {
    let _alone = alone();
    let all: [(&str, fn() -> Result<(), String>); 7] = [
        ("overtaken", overtaken),
        ("lost", lost),
        ("fenced", fenced),
        ("faults", faults),
        ("rebuilt", rebuilt),
        ("emptied", emptied),
        ("killed between", killed_between),
    ];
    for (name, run) in all {
        run().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let dropped: [(&[Rule], fn() -> Result<(), String>); 7] = [
        (&[Rule::SinkHoldsPermission], overtaken),
        (&[Rule::SinkRecordsHole], lost),
        (&[Rule::SinkFence], fenced),
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

/// A job that only writes has no values to keep, and rows that say how far it is all the same.
#[test]
fn a_job_that_only_writes() {
    let _alone = alone();
    assert!(only_writes().stores().is_empty());
    faults_of(only_writes).unwrap();
    rebuilt_of(only_writes).unwrap();
    let _dropped = drop_in_this_process(&[Rule::SinkMark]);
    assert!(rebuilt_of(only_writes).is_err(), "nothing is wrong without marks");
}

/// A record that cannot be encoded is a bad record, as one that cannot be counted is: it is left out alone, and named.
#[test]
fn a_record_that_cannot_be_encoded() {
    let _alone = alone();
    fn choosy(records: &dyn std::any::Any, out: &mut Encoded) -> bool {
        let Some(records) = records.downcast_ref::<Vec<String>>() else {
            return false;
        };
        for record in records {
            assert!(!record.contains("1a7"), "cannot write {record}");
            out.push(record.as_bytes());
        }
        true
    }
    let mut r = Run::new(7);
    r.encode = choosy;
    let e = r.run(|_| Fault::None).unwrap_err().to_string();
    for part in ["source `lines`", "partition 1, offset 7", "cannot write 1a7"] {
        assert!(e.contains(part), "{e}");
    }
    r.bed.options.on_bad_record = OnBadRecord::Skip;
    r.run(|_| Fault::None).unwrap();
    {
        // The loop that says what is expected does not know of it.
        let mut lists = r.logs.lock().unwrap();
        assert_eq!(lists[1][7].value.as_deref(), Some(&b"1a7 1b7"[..]));
        lists[1][7].value = Some(Vec::new());
    }
    let mut state = r.place.state.lock().unwrap();
    assert!(state.rows.iter().all(|row| (row.0, row.1) != (1, 7)));
    state.rows.push((1, 7, 0, String::new()));
    state.rows.sort();
    drop(state);
    r.exact().unwrap();
}

/// O25: a sink that was given up takes nothing, and holds nobody back: the other goes on.
#[test]
fn a_sink_that_was_given_up() {
    let _alone = alone();
    let mut r = Run::new(7);
    r.place.given_up = true;
    r.run(|_| Fault::None).unwrap();
    assert!(r.place.state.lock().unwrap().rows.is_empty());
    assert_eq!(r.bed.sums(&r.plan).values().sum::<u64>(), 100, "the state goes on");
    // Nor does it stop a stream that a permission passes: what is dropped is in the generation.
    overtaken_as(true).unwrap();
    // Taken up again it has what can be made again, and each record once.
    r.place.given_up = false;
    r.append();
    r.run(|_| Fault::None).unwrap();
    r.exact().unwrap();
}

/// A table of records that are `Codec`, under the faults of the state: each row once, in its order, as canonical bytes.
#[test]
fn a_table_has_each_record_once() {
    let _alone = alone();
    let mut r = Run::new(7);
    let tables = MemoryTables::default();
    r.tables = Some(tables.clone());
    for fault in [Fault::Before, Fault::After, Fault::Refused] {
        r.run(failing(fault)).unwrap();
        r.append();
    }
    r.run(|_| Fault::None).unwrap();
    let mut rows = Vec::new();
    tables
        .rows("seen", None, &mut |id, schema, bytes| {
            assert_eq!(schema, String::schema());
            rows.push((id.partition, id.offset, id.number, String::decode(bytes).unwrap()));
            Ok(true)
        })
        .unwrap();
    r.place.state.lock().unwrap().rows = rows;
    r.exact().unwrap();
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
            && e.contains("sink `seen` has")
            && e.contains("`sink release seen` and `sink resume seen`"),
        "{e}"
    );
    assert_eq!(r.bed.sums(&r.plan), before, "nothing of the state is lost");
    {
        // Whoever took it up again goes on, and what is missing stands in it.
        let mut again = Run::new(7);
        again.run(|_| Fault::None).unwrap();
        again
            .place
            .state
            .lock()
            .unwrap()
            .marks
            .values_mut()
            .for_each(|mark| *mark = 30);
        (again.trimmed, again.place.may_lose) = (20, true);
        again.run(|_| Fault::None).unwrap();
        assert_eq!(again.place.state.lock().unwrap().holes, [(30, 50), (30, 50)]);
        assert_eq!(again.bed.sums(&again.plan), before, "nothing of the state is lost");
    }
    // Whole again, it is taken back.
    r.trimmed = 0;
    r.run(|_| Fault::None).unwrap();
    r.exact().unwrap();
}
