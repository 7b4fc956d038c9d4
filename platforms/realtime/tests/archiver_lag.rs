//! An archiver whose entries cannot be created for long: its log grows meanwhile, and its files grow old.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rufous_core::{BatchId, Error, Format, Frontier, RecordBatch, Result};
use rufous_realtime::{Archiver, ArchiverOptions, Log, Metrics, PartitionInfo, Polled};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};
use support::{ListLog, Lists, Rec, count_lines, lists};

/// Keeps entries of partition 0 in a list; commits fail while it is `full`.
#[derive(Default)]
struct Listed {
    full: AtomicBool,
    entries: Mutex<Vec<IndexEntry>>,
    /// When each file was written.
    files: Mutex<BTreeMap<String, Instant>>,
}

impl Listed {
    /// What the sweep does (P19); true: it found something.
    fn sweep(&self, older_than: Duration) -> bool {
        let entries = self.entries.lock().unwrap();
        let named: BTreeSet<&String> = entries.iter().flat_map(|e| &e.files).map(|f| &f.path).collect();
        let mut files = self.files.lock().unwrap();
        let before = files.len();
        files.retain(|path, written| named.contains(path) || written.elapsed() < older_than);
        files.len() < before
    }
}

impl Archive for Listed {
    fn source(&self) -> &str {
        "lines"
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        Ok(vec![0])
    }
    fn index(&self, _: u32, from: u64) -> Result<Vec<IndexEntry>> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.iter().skip(from as usize).cloned().collect())
    }
    fn write(
        &self,
        _: u32,
        batch: BatchId,
        range: Range<u64>,
        records: &[(&RecordBatch, Range<usize>)],
    ) -> Result<ArchivedFile> {
        let mut files = self.files.lock().unwrap();
        let path = format!("{}-{}-{:?}", range.start, range.end, Instant::now());
        files.insert(path.clone(), Instant::now());
        Ok(ArchivedFile {
            path,
            batch,
            from: range.start,
            to: range.end,
            rows: records.iter().map(|(_, of)| of.len() as u64).sum(),
            bytes: 0,
            checksum: String::new(),
        })
    }
    fn commit(&self, _: u32, number: u64, entry: &IndexEntry) -> Result<bool> {
        if self.full.load(Relaxed) {
            return Err(Error::try_again("no space is left"));
        }
        let mut entries = self.entries.lock().unwrap();
        assert_eq!(number, entries.len() as u64);
        entries.push(entry.clone());
        Ok(true)
    }
    fn read(&self, _: u32, _: &ArchivedFile, _: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        Err(Error::bug("nothing is read here"))
    }
}

/// A log that knows its end without being asked, as a Kafka client does.
struct Knows(ListLog, Lists);

impl Log for Knows {
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
        self.0.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.0.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        self.0.poll(timeout, into)
    }
    fn end(&self, partition: u32) -> Option<u64> {
        Some(self.1.lock().unwrap()[partition as usize].len() as u64)
    }
}

/// An assertion that fails ends the archiver, too.
struct Stops(Arc<AtomicBool>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Row 12 of the fault table, seen from outside: an archiver that cannot write and whose buffer is full reads no further. What
/// the log gains meanwhile is its lag, which is what people are to be warned by; it was frozen at what had been read.
#[test]
fn the_lag_grows_with_the_log_while_the_archive_is_full() {
    let plan = count_lines();
    let lists = lists(vec![(0..5).map(|i| Rec::text(&format!("line {i}"))).collect()]);
    let archive = Arc::new(Listed::default());
    archive.full.store(true, Relaxed);
    let (metrics, stop) = (Arc::new(Metrics::default()), Arc::new(AtomicBool::new(false)));
    let archiver = Archiver {
        face: &plan.sources()[0],
        log: Box::new(Knows(ListLog::new(&lists, 5), lists.clone())),
        archive: archive.clone(),
        start: Frontier::default(),
        metrics: metrics.clone(),
        options: ArchiverOptions {
            interval: Duration::from_millis(1),
            buffer: 1,
            longest_pause: Duration::from_millis(600),
            stop: stop.clone(),
            ..ArchiverOptions::default()
        },
    };
    let source = metrics.source("lines");
    let p = source.partition(0);
    std::thread::scope(|scope| {
        let stops = Stops(stop);
        let done = scope.spawn(|| archiver.run());
        until("the pause", || source.paused.load(Relaxed));
        assert_eq!((p.next.load(Relaxed), p.lag()), (5, 5));
        lists.lock().unwrap()[0].extend((0..1000).map(|i| Rec::text(&format!("more {i}"))));
        // The buffer takes one more batch at most; the log's end is what counts.
        until("the lag", || p.lag() == 1005);
        assert!(p.next.load(Relaxed) <= 10, "it reads no further");
        archive.full.store(false, Relaxed);
        until("the archive to catch up", || p.committed.load(Relaxed) == 1005);
        until("no lag", || p.lag() == 0);
        drop(stops);
        done.join().unwrap().unwrap();
    });
    assert_eq!(archive.entries.lock().unwrap().last().unwrap().to, 1005);
}

/// P18, P19: the place of the entries takes nothing for longer than the sweep spares files that no entry names. The files wait
/// for their entry and are swept; the entry that is created in the end must name files that are there, for nobody can change it.
#[test]
fn a_sweep_takes_no_file_that_an_entry_names_later() {
    let plan = count_lines();
    let lists = lists(vec![(0..5).map(|i| Rec::text(&format!("line {i}"))).collect()]);
    let archive = Arc::new(Listed::default());
    archive.full.store(true, Relaxed);
    let (metrics, stop) = (Arc::new(Metrics::default()), Arc::new(AtomicBool::new(false)));
    let archiver = Archiver {
        face: &plan.sources()[0],
        log: Box::new(ListLog::new(&lists, 5)),
        archive: archive.clone(),
        start: Frontier::default(),
        metrics: metrics.clone(),
        options: ArchiverOptions {
            interval: Duration::from_millis(1),
            longest_pause: Duration::from_millis(60),
            renew: Duration::from_millis(100),
            stop: stop.clone(),
            ..ArchiverOptions::default()
        },
    };
    let source = metrics.source("lines");
    std::thread::scope(|scope| {
        let stops = Stops(stop);
        let done = scope.spawn(|| archiver.run());
        until("a file old enough to be swept", || {
            archive.sweep(Duration::from_secs(1))
        });
        archive.full.store(false, Relaxed);
        until("the entry", || source.partition(0).committed.load(Relaxed) == 5);
        drop(stops);
        done.join().unwrap().unwrap();
    });
    let (entries, files) = (archive.entries.lock().unwrap(), archive.files.lock().unwrap());
    for file in entries.iter().flat_map(|e| &e.files) {
        assert!(
            files.contains_key(&file.path),
            "{} was swept: {:?}",
            file.path,
            files.keys()
        );
    }
}
