//! Two archivers in one process, step by step: what the rule holds together, and what breaks without it (section 13: "index
//! entry without exclusive creation"). And one buffer for all partitions.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rufous_core::{BatchId, ErrorKind, Format, Frontier, Plan, RecordBatch};
use rufous_examples::flights::flights;
use rufous_integration_tests::archived;
use rufous_integration_tests::run;
use rufous_realtime::{Archiver, ArchiverOptions, Log, PartitionInfo, Polled};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};
use rufous_store_archive::ParquetArchive;

use crate::world::{Place, World};

/// Waits at the first commit until it is told to go on.
struct Gated {
    inner: ParquetArchive,
    dir: PathBuf,
    /// Drops the rule: an entry that is there is overwritten.
    overwrites: bool,
    arrived: Sender<()>,
    go: Mutex<Option<Receiver<()>>>,
}

impl Archive for Gated {
    fn source(&self) -> &str {
        self.inner.source()
    }
    fn partitions(&self) -> rufous_core::Result<Vec<u32>> {
        self.inner.partitions()
    }
    fn index(&self, partition: u32, from: u64) -> rufous_core::Result<Vec<IndexEntry>> {
        self.inner.index(partition, from)
    }
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> rufous_core::Result<ArchivedFile> {
        self.inner.write(partition, batch, range, records)
    }
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> rufous_core::Result<bool> {
        let first = self.go.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(go) = first {
            let _ = self.arrived.send(());
            let _ = go.recv();
        }
        if self.overwrites {
            let _ = std::fs::remove_file(self.dir.join(format!("index/{partition}/{number}.json")));
        }
        let done = self.inner.commit(partition, number, entry);
        let _ = self.arrived.send(());
        done
    }
    fn read(
        &self,
        partition: u32,
        file: &ArchivedFile,
        f: &mut dyn FnMut(&RecordBatch) -> rufous_core::Result<()>,
    ) -> rufous_core::Result<()> {
        self.inner.read(partition, file, f)
    }
}

/// `a` reads less than `b`, both are about to create entry 0; `b` does it first, then `a`. Then the log grows.
fn two(w: &mut World, plan: &Plan, overwrites: bool) -> Result<Vec<rufous_core::Error>> {
    let dir = w.archive();
    let stop = Arc::new(AtomicBool::new(false));
    let mut gates = Vec::new();
    let mut archivers = Vec::new();
    for _ in 0..2 {
        let ((arrived, arrivals), (gate, go)) = (channel(), channel());
        let archive = Gated {
            inner: ParquetArchive::open(&dir, "flights")?,
            dir: dir.clone(),
            overwrites,
            arrived,
            go: Mutex::new(Some(go)),
        };
        gates.push((gate, arrivals));
        let options = ArchiverOptions {
            interval: Duration::ZERO,
            stop: stop.clone(),
            ..ArchiverOptions::default()
        };
        archivers.push((archive, options));
    }
    let soon = Duration::from_secs(30);
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let steps = || -> Result<()> {
            for (i, (archive, options)) in archivers.into_iter().enumerate() {
                w.append(50)?;
                let archiver = Archiver {
                    face: &plan.sources()[0],
                    log: run::local(&w.path("in"), &w.path("registry"), Format::JsonLines)?,
                    archive: Arc::new(archive),
                    start: Frontier::default(),
                    metrics: Arc::default(),
                    options,
                };
                threads.push(scope.spawn(move || archiver.run()));
                gates[i].1.recv_timeout(soon)?;
            }
            for (gate, arrivals) in gates.iter().rev() {
                gate.send(())?;
                arrivals.recv_timeout(soon)?;
            }
            w.append(50)?;
            let start = Instant::now();
            while let Err(e) = w.check("racing", true) {
                if threads.iter().any(|t| t.is_finished()) {
                    break;
                }
                ensure!(start.elapsed() < soon, "the archive does not reach the end: {e:#}");
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        };
        let done = steps();
        // Also after a failure: who waits at a gate goes on, and ends.
        stop.store(true, Relaxed);
        drop(gates);
        let ended = threads.into_iter().filter_map(|t| t.join().unwrap().err()).collect();
        done.map(|()| ended)
    })
}

#[test]
fn two_archivers_in_step() -> Result<()> {
    let plan = flights().plan()?;
    let mut w = World::new(Place::Dir, 400)?;
    let failed = two(&mut w, &plan, false)?;
    ensure!(failed.is_empty(), "{failed:?}");
    w.check("two in step", true)
}

/// Without P18 the same steps end in an index that does not tile, or an archiver that finds out.
#[test]
fn two_archivers_without_exclusive_creation() -> Result<()> {
    let plan = flights().plan()?;
    let mut w = World::new(Place::Dir, 400)?;
    let failed = two(&mut w, &plan, true)?;
    ensure!(
        failed.iter().any(|e| e.kind() == ErrorKind::Bug) || w.check("without the rule", true).is_err(),
        "exclusive creation could be left out"
    );
    Ok(())
}

/// P8: an archive that was cut otherwise is refused, and so is one of another log (P42).
#[test]
fn another_cut_and_another_log_are_refused() -> Result<()> {
    use rufous::prelude::*;
    use rufous_examples::flights::Flight;
    const OTHER: Source<Flight> = Source::new("flights").batches(Batcher::of_days(2)).timed_by(|f| f.date);
    const COUNTS: Store<String, u64> = Store::new("counts");
    let mut w = World::new(Place::Dir, 400)?;
    w.append(400)?;
    w.archive_all()?;
    let other = Job::new(
        "other",
        OTHER
            .read()
            .keyed(|f, out| out.emit(f.origin.as_str(), 1))
            .sum_by_key(COUNTS),
    )
    .plan()?;
    let archive = |plan: &Plan, registry: &Path, input: &Path| {
        run::archive(plan, run::local(input, registry, Format::JsonLines)?, &w.archive())
    };
    let registry = w.path("data/main/sources/flights");
    let refused = archive(&other, &registry, &w.path("in"))
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    ensure!(
        refused.contains("is cut by") && refused.contains("--instance"),
        "{refused}"
    );
    std::fs::create_dir(w.path("elsewhere"))?;
    std::fs::copy(w.path("in/part-1.jsonl"), w.path("elsewhere/part-0.jsonl"))?;
    let plan = flights().plan()?;
    let refused = archive(&plan, &w.path("r"), &w.path("elsewhere"))
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    ensure!(
        refused.contains("is another log than the one that was archived"),
        "{refused}"
    );
    w.check("unchanged", true)
}

/// Counts the bytes that a log handed out.
struct Counted(Box<dyn Log>, Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Log for Counted {
    fn location(&self) -> String {
        self.0.location()
    }
    fn format(&self) -> Format {
        self.0.format()
    }
    fn has_time(&self) -> bool {
        self.0.has_time()
    }
    fn partitions(&mut self) -> rufous_core::Result<Vec<PartitionInfo>> {
        self.0.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> rufous_core::Result<()> {
        self.0.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> rufous_core::Result<Polled> {
        let polled = self.0.poll(timeout, into)?;
        if polled == Polled::Records {
            let value = |e| into.value(e).map_or(0, <[u8]>::len);
            let bytes: usize = into.entries.iter().map(value).sum();
            let held = self.1.fetch_add(bytes, Relaxed) + bytes;
            self.2.fetch_max(held, Relaxed);
        }
        Ok(polled)
    }
}

/// Takes off what was archived.
struct Written(ParquetArchive, Arc<AtomicUsize>);

impl Archive for Written {
    fn source(&self) -> &str {
        self.0.source()
    }
    fn partitions(&self) -> rufous_core::Result<Vec<u32>> {
        self.0.partitions()
    }
    fn index(&self, partition: u32, from: u64) -> rufous_core::Result<Vec<IndexEntry>> {
        self.0.index(partition, from)
    }
    fn write(
        &self,
        partition: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> rufous_core::Result<ArchivedFile> {
        let values = records.iter().flat_map(|(r, of)| {
            let value = |e| r.value(e).map_or(0, <[u8]>::len);
            r.entries[of.clone()].iter().map(value)
        });
        self.1.fetch_sub(values.sum(), Relaxed);
        self.0.write(partition, batch, range, records)
    }
    fn commit(&self, partition: u32, number: u64, entry: &IndexEntry) -> rufous_core::Result<bool> {
        self.0.commit(partition, number, entry)
    }
    fn read(
        &self,
        partition: u32,
        file: &ArchivedFile,
        f: &mut dyn FnMut(&RecordBatch) -> rufous_core::Result<()>,
    ) -> rufous_core::Result<()> {
        self.0.read(partition, file, f)
    }
}

/// Blueprint section 5: the buffer is one budget for all partitions, however many there are.
#[test]
fn one_buffer_for_64_partitions() -> Result<()> {
    const BUFFER: usize = 2 << 20;
    let dir = tempfile::tempdir()?;
    let lines = rufous_integration_tests::data::sample_lines()?;
    run::write_files(
        &dir.path().join("in"),
        "jsonl",
        64,
        lines.iter().map(String::as_str),
        |i, _| i,
    )?;
    let plan = flights().plan()?;
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let log = run::local(&dir.path().join("in"), &dir.path().join("registry"), Format::JsonLines)?;
    let archiver = Archiver {
        face: &plan.sources()[0],
        log: Box::new(Counted(log, held.clone(), most.clone())),
        archive: Arc::new(Written(
            ParquetArchive::open(&dir.path().join("a"), "flights")?,
            held.clone(),
        )),
        start: Frontier::default(),
        metrics: Arc::default(),
        options: ArchiverOptions {
            interval: Duration::from_secs(3_600),
            buffer: BUFFER,
            until_end: true,
            ..ArchiverOptions::default()
        },
    };
    archiver.run()?;
    let (held, most) = (held.load(Relaxed), most.load(Relaxed));
    ensure!(held == 0, "{held} bytes were not archived");
    // What one poll brings comes on top.
    ensure!(most < BUFFER + (1 << 20), "{most} bytes were held");
    ensure!(most > BUFFER / 4, "{most}: too few to be a test");
    let mut records = 0;
    for p in 0..64 {
        records += archived::read_dir(&dir.path().join("a"), p)?.records.len();
    }
    ensure!(records == lines.len(), "{records} of {}", lines.len());
    Ok(())
}
