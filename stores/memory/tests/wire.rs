//! Connections to an owner outlive their snapshots: how often is dialled, when a snapshot ends, what a connection that died or hangs
//! means, and how builds of different age get on.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rufous_core::{Cut, ErrorKind, Frontier, Result, SourcePartition, Store, StoreFace};
use rufous_store_api::wire::{RemoteReader, Stream, serve_sessions};
use rufous_store_api::{Cell, First, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot, Until};
use rufous_store_memory::MemoryRealtime;

const COUNTS: Store<String, u64> = Store::new("counts");

/// Counts the snapshots that are held.
struct Counting(MemoryRealtime, Arc<()>);

struct Counted(Box<dyn Snapshot>, #[expect(dead_code, reason = "counted")] Arc<()>);

impl RealtimeReader for Counting {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(Counted(self.0.snapshot()?, self.1.clone())))
    }
}

impl Snapshot for Counted {
    fn namespace(&self) -> &str {
        self.0.namespace()
    }
    fn partitions(&self, store: &str) -> Result<rufous_store_api::ProgressRows> {
        self.0.partitions(store)
    }
    fn cells(
        &self,
        store: &str,
        keys: &[Vec<u8>],
        from: &rufous_core::Frontier,
    ) -> Result<Vec<Vec<rufous_store_api::Cell>>> {
        self.0.cells(store, keys, from)
    }
    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &rufous_core::Frontier,
        f: &mut dyn FnMut(&[u8], rufous_store_api::Cell) -> Result<()>,
    ) -> Result<()> {
        self.0.scan(store, prefix, from, f)
    }
}

/// An owner: its open connections, how often it was dialled, how many snapshots it holds, how many connections rest.
#[derive(Clone)]
struct Owner {
    store: MemoryRealtime,
    dialled: Arc<AtomicUsize>,
    held: Arc<()>,
    rest: Arc<AtomicUsize>,
    lines: Arc<Mutex<Vec<UnixStream>>>,
}

impl Owner {
    fn new() -> Self {
        Self {
            store: MemoryRealtime::new("n", &[StoreFace::of(COUNTS)]),
            dialled: Arc::default(),
            held: Arc::default(),
            rest: Arc::default(),
            lines: Arc::default(),
        }
    }
    fn dial(&self) -> UnixStream {
        let (here, there) = UnixStream::pair().unwrap();
        self.dialled.fetch_add(1, SeqCst);
        self.lines.lock().unwrap().push(there.try_clone().unwrap());
        let owner = self.clone();
        std::thread::spawn(move || {
            let reader = Counting(owner.store.clone(), owner.held.clone());
            let rests = |rests: bool| {
                if rests {
                    owner.rest.fetch_add(1, SeqCst);
                } else {
                    owner.rest.fetch_sub(1, SeqCst);
                }
            };
            serve_sessions(there, &reader, &rests)
        });
        here
    }
    fn reader(&self) -> RemoteReader {
        let owner = self.clone();
        RemoteReader::new(
            "n",
            "process 17",
            move |_| Ok(Box::new(owner.dial()) as Box<dyn Stream>),
        )
    }
    /// Snapshots that are held, once that is what it is.
    fn holds(&self, expected: usize) {
        let until = Instant::now() + Duration::from_secs(10);
        // One of the test, one of the reader, and two of each thread that serves, besides those of snapshots.
        let count = || Arc::strong_count(&self.held) - 2 - 2 * self.dialled.load(SeqCst);
        while count() != expected {
            assert!(
                Instant::now() < until,
                "{} snapshots are held in place of {expected}",
                count()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    fn dialled(&self) -> usize {
        self.dialled.load(SeqCst)
    }
}

fn asks(snapshot: &dyn Snapshot) {
    assert!(snapshot.partitions("counts").unwrap().is_empty());
}

#[test]
fn a_connection_is_dialled_once_for_many_snapshots() {
    let owner = Owner::new();
    let reader = owner.reader();
    for _ in 0..100 {
        asks(&*reader.snapshot().unwrap());
    }
    assert_eq!(owner.dialled(), 1);
    // Side by side each has its own; four of them are kept.
    let many: Vec<_> = (0..6).map(|_| reader.snapshot().unwrap()).collect();
    owner.holds(6);
    many.iter().for_each(|s| asks(&**s));
    assert_eq!(owner.dialled(), 6);
    drop(many);
    let again: Vec<_> = (0..5).map(|_| reader.snapshot().unwrap()).collect();
    again.iter().for_each(|s| asks(&**s));
    assert_eq!(owner.dialled(), 7);
}

/// Also where the answer to a question was an error.
#[test]
fn a_snapshot_ends_when_it_is_dropped_and_the_connection_rests() {
    let owner = Owner::new();
    let reader = owner.reader();
    for n in 0..3 {
        let snapshot = reader.snapshot().unwrap();
        let held = Arc::strong_count(&owner.held);
        assert_eq!(
            snapshot.partitions("nowhere").unwrap_err().kind(),
            ErrorKind::InvalidRequest
        );
        assert_eq!(owner.rest.load(SeqCst), 0);
        drop(snapshot);
        let until = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&owner.held) != held - 1 || owner.rest.load(SeqCst) != 1 {
            assert!(Instant::now() < until, "snapshot {n} is held after it was dropped");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(owner.dialled(), 1);
}

#[test]
fn a_connection_that_died_while_it_rested_is_dialled_again() {
    let owner = Owner::new();
    let reader = owner.reader();
    let two = [reader.snapshot().unwrap(), reader.snapshot().unwrap()];
    drop(two);
    for line in owner.lines.lock().unwrap().drain(..) {
        line.shutdown(std::net::Shutdown::Both).unwrap();
    }
    asks(&*reader.snapshot().unwrap());
    assert_eq!(owner.dialled(), 3);
    asks(&*reader.snapshot().unwrap());
    assert_eq!(owner.dialled(), 3);
    // One that dies under a snapshot ends it.
    let held = reader.snapshot().unwrap();
    owner
        .lines
        .lock()
        .unwrap()
        .iter()
        .for_each(|line| drop(line.shutdown(std::net::Shutdown::Both)));
    assert_eq!(held.partitions("counts").unwrap_err().kind(), ErrorKind::TryAgain);
    let e = held.partitions("counts").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert_eq!(
        e.to_string(),
        "process 17: the connection broke before: take a new snapshot"
    );
}

/// An owner of an older version says so, and is asked in its own: one of before version 2 with a connection a snapshot.
#[test]
fn an_older_owner_still_answers() {
    for (newest, dialled) in [(1, [3, 4, 5]), (2, [2, 2, 2])] {
        let owner = Owner::new();
        let reader = of_version(&owner, newest);
        for dialled in dialled {
            let snapshot = reader.snapshot_first(&first(&[]), &Until::default()).unwrap();
            asks(&*snapshot);
            let ranges = [b"a".to_vec()..b"b".to_vec(), b"b".to_vec()..b"c".to_vec()];
            let mut none = |_: usize, _: &[u8], _: Cell| panic!("there is nothing");
            snapshot.ranges("counts", &ranges, &NOTHING, &mut none).unwrap();
            drop(snapshot);
            assert_eq!(owner.dialled(), dialled, "of version {newest}");
        }
    }
}

static NOTHING: Frontier = Frontier(BTreeMap::new());

fn first(keys: &[Vec<u8>]) -> First<'_> {
    First {
        store: "counts",
        keys,
        from: &NOTHING,
    }
}

/// A reader of an owner that knows no newer version than this.
fn of_version(owner: &Owner, newest: u8) -> RemoteReader {
    let old = owner.clone();
    RemoteReader::new("n", "process 17", move |_| {
        let (here, mut proxy) = UnixStream::pair().unwrap();
        let mut there = old.dial();
        std::thread::spawn(move || {
            let mut hello = [0; 4 + 11];
            proxy.read_exact(&mut hello).unwrap();
            if hello[9] > newest {
                let text = b"the reader speaks a newer version of the protocol: use the same build for both";
                let mut frame = ((1 + 1 + 4 + text.len()) as u32).to_le_bytes().to_vec();
                frame.extend([b'E', 2]);
                frame.extend((text.len() as u32).to_le_bytes());
                frame.extend(text);
                proxy.write_all(&frame).unwrap();
                return;
            }
            there.write_all(&hello).unwrap();
            let (mut up, mut down) = (proxy.try_clone().unwrap(), there.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut there);
                let _ = there.shutdown(std::net::Shutdown::Both);
            });
            let _ = std::io::copy(&mut down, &mut proxy);
        });
        Ok(Box::new(here) as Box<dyn Stream>)
    })
}

/// Says how often its reader waited for the owner, and for how many bytes.
#[derive(Clone, Default)]
struct Waits(Arc<AtomicUsize>, Arc<AtomicUsize>);

struct Waiting {
    line: UnixStream,
    wrote: bool,
    waits: Waits,
}

impl Read for Waiting {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::take(&mut self.wrote) {
            self.waits.0.fetch_add(1, SeqCst);
        }
        let n = self.line.read(bytes)?;
        self.waits.1.fetch_add(n, SeqCst);
        Ok(n)
    }
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.wrote = true;
        self.line.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Stream for Waiting {
    fn limit(&self, wait: Duration) -> std::io::Result<()> {
        self.line.limit(wait)
    }
}

/// A read of keys waits for its owner once, and rows that went over the connection before do not go over it again; what was committed
/// since is seen all the same.
#[test]
fn a_read_waits_for_its_owner_once() {
    let owner = Owner::new();
    let (dialled, waits) = (owner.clone(), Waits::default());
    let counted = waits.clone();
    let reader = RemoteReader::new("n", "process 17", move |_| {
        let (line, waits) = (dialled.dial(), counted.clone());
        let waiting = Waiting {
            line,
            wrote: false,
            waits,
        };
        Ok(Box::new(waiting) as Box<dyn Stream>)
    });
    // The first one dials.
    asks(&*reader.snapshot().unwrap());
    let keys = [b"a".to_vec(), b"b".to_vec()];
    let read = |first: &First<'_>| {
        let before = (waits.0.load(SeqCst), waits.1.load(SeqCst));
        let snapshot = reader.snapshot_first(first, &Until::default()).unwrap();
        let rows = snapshot.partitions(first.store).unwrap();
        assert_eq!(
            snapshot.cells(first.store, first.keys, first.from).unwrap().len(),
            first.keys.len()
        );
        let taken = (waits.0.load(SeqCst) - before.0, waits.1.load(SeqCst) - before.1);
        (rows, taken)
    };
    let p = SourcePartition::new("lines", 0);
    for epoch in 1..4 {
        let commit = owner.store.acquire("counts", &p, &mut |row| {
            let new = || Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
            Ok(Repair::Keep(row.cloned().unwrap_or_else(new)))
        });
        assert_eq!(commit.unwrap().epoch, epoch);
        let (rows, (waited, all)) = read(&first(&keys));
        assert_eq!((rows[0].0.clone(), rows[0].1.epoch, waited), (p.clone(), epoch, 1));
        for _ in 0..3 {
            let (again, (waited, same)) = read(&first(&keys));
            assert_eq!((again, waited), (rows.clone(), 1));
            assert!(same < 20 && 20 < all, "{same} bytes after {all}");
        }
    }
    assert_eq!(owner.dialled(), 1);
    // More than is sent along is asked for afterwards, and an error of what was sent along is told to who asks.
    let many: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_le_bytes().repeat(100)).collect();
    assert!(read(&first(&many)).1.0 > 1);
    // A frontier that is too long for that: else owner and reader could both write and wait for each other to read.
    let cut = |n| (SourcePartition::new("lines", n), Cut::ORIGIN);
    let wide = Frontier((0..5000).map(cut).collect());
    let wide = First {
        from: &wide,
        ..first(&keys)
    };
    assert_eq!([read(&wide).1.0, read(&wide).1.0], [3, 1]);
    assert_eq!(read(&first(&keys)).1.0, 1);
    let nowhere = First {
        store: "nowhere",
        ..first(&keys)
    };
    let snapshot = reader.snapshot_first(&nowhere, &Until::default()).unwrap();
    for error in [
        snapshot.partitions("nowhere").err(),
        snapshot.cells("nowhere", &keys, &NOTHING).err(),
    ] {
        assert_eq!(error.unwrap().kind(), ErrorKind::InvalidRequest);
    }
    assert_eq!(snapshot.partitions("counts").unwrap().len(), 1);
    drop(snapshot);
    assert_eq!(read(&first(&keys)).1.0, 1);
    assert_eq!(owner.dialled(), 1);
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = ((1 + body.len()) as u32).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(body);
    frame
}

/// A reader of before version 2 is served as it was: one snapshot, and no frame of version 2.
#[test]
fn an_older_reader_is_still_served() {
    let owner = Owner::new();
    for (version, next) in [(1, b'E'), (2, b'O'), (3, b'O')] {
        let mut line = owner.dial();
        let mut hello = b"RfRd".to_vec();
        hello.extend([version, 1, 0, 0, 0, b'n']);
        line.write_all(&frame(b'H', &hello)).unwrap();
        let mut done = [0; 5];
        line.read_exact(&mut done).unwrap();
        assert_eq!(done, *frame(b'O', b""));
        line.write_all(&frame(b'N', b"")).unwrap();
        line.read_exact(&mut done).unwrap();
        assert_eq!(done[4], next, "version {version}");
    }
    // What is asked between two snapshots is an error and no answer, and the connection stays.
    let mut line = owner.dial();
    line.write_all(&frame(b'H', b"RfRd\x02\x01\0\0\0n")).unwrap();
    line.write_all(&frame(b'F', b"")).unwrap();
    line.write_all(&frame(b'P', b"\x06\0\0\0counts")).unwrap();
    line.write_all(&frame(b'N', b"")).unwrap();
    line.write_all(&frame(b'P', b"\x06\0\0\0counts")).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..4 {
        let mut head = [0; 5];
        line.read_exact(&mut head).unwrap();
        kinds.push(head[4]);
        let mut rest = vec![0; u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize - 1];
        line.read_exact(&mut rest).unwrap();
    }
    assert_eq!(kinds, *b"OEOR");
}

/// Neither an owner that says nothing nor one that says a byte now and then is waited for beyond the deadline.
#[test]
fn an_owner_that_hangs_is_left_at_the_deadline() {
    for trickles in [false, true] {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let lines = kept.clone();
        let reader = RemoteReader::new("n", "process 17", move |_| {
            let (here, mut there) = UnixStream::pair().unwrap();
            if trickles {
                std::thread::spawn(move || {
                    let frame = frame(b'E', &[b'x'; 1000]);
                    frame.iter().all(|byte| {
                        std::thread::sleep(Duration::from_millis(20));
                        there.write_all(&[*byte]).is_ok()
                    })
                });
            } else {
                lines.lock().unwrap().push(there);
            }
            Ok(Box::new(here) as Box<dyn Stream>)
        });
        let began = Instant::now();
        let e = reader
            .snapshot_until(&Until::from(began + Duration::from_millis(100)))
            .err()
            .unwrap();
        assert_eq!(e.kind(), ErrorKind::TryAgain);
        assert_eq!(e.to_string(), "process 17: receiving took too long");
        let took = began.elapsed();
        assert!(
            (Duration::from_millis(95)..Duration::from_millis(1900)).contains(&took),
            "{took:?}"
        );
    }
}

/// An owner that is silent is left soon after nobody waits any more, and not only at the deadline; as long as somebody waits, it is waited
/// for as long as an owner may be silent.
#[test]
fn an_owner_is_left_when_nobody_waits() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let lines = kept.clone();
    let reader = RemoteReader::new("n", "process 17", move |_| {
        let (here, there) = UnixStream::pair().unwrap();
        lines.lock().unwrap().push(there);
        Ok(Box::new(here) as Box<dyn Stream>)
    });
    for (gone_after, least, most) in [(150, 140, 1_000), (60_000, 1_900, 4_000)] {
        let began = Instant::now();
        let gone = move || began.elapsed() >= Duration::from_millis(gone_after);
        let until = Until::from(began + Duration::from_secs(30)).unless(Some(Arc::new(gone)));
        let e = reader.snapshot_until(&until).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
        let took = began.elapsed();
        assert!((least..most).contains(&took.as_millis()), "{took:?}");
    }
}
