//! Row 15: bad records never block a partition, are never passed in silence, and reach the dead letters before the commit
//! that passes them.

mod support;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use rufous_core::{Error, Result, SourcePartition};
use rufous_realtime::{BoundLog, DeadLetters, Letter, OnBadRecord};
use rufous_store_api::RealtimeReader;
use rufous_store_memory::MemoryRealtime;
use support::{Bed, Rec, count_lines, counted, lists};

fn bad(bytes: &[u8]) -> Rec {
    Rec {
        value: Some(bytes.to_vec()),
        ..Rec::text("")
    }
}

/// Two partitions with three bad records.
fn mixed() -> Vec<Vec<Rec>> {
    vec![
        vec![
            Rec::text("a"),
            bad(b"\xff"),
            Rec::text("b"),
            Rec {
                value: None,
                ..Rec::text("")
            },
        ],
        vec![bad(b"x\xfe"), Rec::text("a"), Rec::text("c")],
    ]
}

/// A place that forgets what is not flushed, refuses now and then, and looks at the store when it is flushed.
#[derive(Clone, Default)]
struct Place(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    calls: u64,
    refuse_every: u64,
    waiting: Vec<(u32, u64, String, Option<Vec<u8>>)>,
    stored: Vec<(u32, u64, String, Option<Vec<u8>>)>,
    store: Option<MemoryRealtime>,
    /// Positions that the store had when letters below them were still on their way.
    early: Vec<String>,
}

impl DeadLetters for Place {
    fn location(&self) -> String {
        "a list".into()
    }
    fn send(&mut self, letter: &Letter<'_>) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.calls += 1;
        if inner.refuse_every > 0 && inner.calls.is_multiple_of(inner.refuse_every) {
            return Err(Error::try_again("full"));
        }
        assert_eq!(letter.source, "lines");
        inner.waiting.push((
            letter.partition,
            letter.offset,
            letter.reason.to_string(),
            letter.payload.map(<[u8]>::to_vec),
        ));
        Ok(())
    }
    fn flush(&mut self) -> Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.calls += 1;
        if inner.refuse_every > 0 && inner.calls.is_multiple_of(inner.refuse_every) {
            return Err(Error::try_again("slow"));
        }
        let rows = match &inner.store {
            Some(store) => store.snapshot()?.partitions("counts")?,
            None => Default::default(),
        };
        for (p, row) in rows.iter() {
            let passed = inner.waiting.iter().find(|l| l.0 == p.partition && l.1 < row.next);
            if let Some(passed) = passed.map(|l| format!("{l:?} behind {}", row.next)) {
                inner.early.push(passed);
            }
        }
        let waiting = std::mem::take(&mut inner.waiting);
        inner.stored.extend(waiting);
        Ok(())
    }
}

/// All letters, with their places and bytes, each once; all good records counted.
#[test]
fn letters_are_stored_before_they_are_passed() {
    let plan = count_lines();
    for refuse_every in [0, 2, 3] {
        for chunk in [1, 3, 100] {
            let place = Place::default();
            let mut bed = Bed::new(&plan);
            bed.chunk = chunk;
            bed.options.on_bad_record = OnBadRecord::DeadLetter;
            {
                let mut inner = place.0.lock().unwrap();
                inner.refuse_every = refuse_every;
                inner.store = Some(bed.memory.clone());
            }
            let log = BoundLog {
                dead_letters: Some(Box::new(place.clone())),
                ..bed.bind(&lists(mixed()))
            };
            let report = bed.run_on(&plan, Arc::new(bed.memory.clone()), vec![log]).unwrap();
            assert_eq!(bed.sums(&plan), counted(["a", "b", "a", "c"]));
            assert_eq!((report.bad, report.dead_letters), (3, 3));
            let inner = place.0.lock().unwrap();
            assert_eq!(inner.early, Vec::<String>::new());
            assert!(inner.waiting.is_empty());
            let mut stored = inner.stored.clone();
            stored.sort();
            let expected = [
                (0, 1, "not UTF-8 at byte 0".to_string(), Some(b"\xff".to_vec())),
                (
                    0,
                    3,
                    "no value (a tombstone): a source of `Message<_>` shows such records".to_string(),
                    None,
                ),
                (1, 0, "not UTF-8 at byte 1".to_string(), Some(b"x\xfe".to_vec())),
            ];
            assert_eq!(stored, expected);
        }
    }
}

/// Letters that cannot be stored hold their records back: nothing that passes them is committed, and a restart sends them.
#[test]
fn letters_that_cannot_be_stored_hold_back_the_commit() {
    let plan = count_lines();
    let place = Place::default();
    place.0.lock().unwrap().refuse_every = 1;
    let mut bed = Bed::new(&plan);
    bed.options.on_bad_record = OnBadRecord::DeadLetter;
    let logs = || {
        vec![BoundLog {
            dead_letters: Some(Box::new(place.clone())),
            ..bed.bind(&lists(mixed()))
        }]
    };
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stream = rufous_realtime::Stream {
        plan: &plan,
        logs: logs(),
        store: Arc::new(bed.memory.clone()),
        manifests: &bed.manifests,
        generations: None,
        metrics: bed.metrics.clone(),
        options: rufous_realtime::StreamOptions {
            stop: stop.clone(),
            ..bed.options.clone()
        },
    };
    let e = std::thread::scope(|s| {
        s.spawn(|| {
            let start = std::time::Instant::now();
            while place.0.lock().unwrap().calls < 3 && start.elapsed().as_secs() < 60 {
                std::thread::yield_now();
            }
            stop.store(true, Relaxed);
        });
        stream.run().unwrap_err()
    });
    assert!(
        e.to_string().contains("stopped before all dead letters were stored"),
        "{e}"
    );
    assert!(bed.sums(&plan).is_empty());
    place.0.lock().unwrap().refuse_every = 0;
    bed.run_on(&plan, Arc::new(bed.memory.clone()), logs()).unwrap();
    assert_eq!(bed.sums(&plan), counted(["a", "b", "a", "c"]));
    let places: std::collections::BTreeSet<_> = place.0.lock().unwrap().stored.iter().map(|l| (l.0, l.1)).collect();
    assert_eq!(places, [(0, 1), (0, 3), (1, 0)].into());
}

/// Fail names the place and the reason; skip passes and counts by source; dead letters need a place.
#[test]
fn policies_are_given_per_source() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    let e = bed.run(&plan, &lists(mixed()[..1].to_vec())).unwrap_err().to_string();
    for part in [
        "source `lines` (a list), partition 0, offset 1: not UTF-8",
        "--on-bad-record skip",
    ] {
        assert!(e.contains(part), "{e}");
    }
    bed.options.on_bad_record_of = [("lines".to_string(), OnBadRecord::DeadLetter)].into();
    let e = bed.run(&plan, &lists(mixed())).unwrap_err().to_string();
    assert!(e.contains("--dead-letters lines=kafka://"), "{e}");
    bed.options.on_bad_record_of = [("lines".to_string(), OnBadRecord::Skip)].into();
    let report = bed.run(&plan, &lists(mixed())).unwrap();
    assert_eq!((report.bad, bed.sums(&plan)), (3, counted(["a", "b", "a", "c"])));
    assert_eq!(
        bed.metrics
            .source("lines")
            .bad
            .load(std::sync::atomic::Ordering::Relaxed),
        3
    );
    let rows = bed.memory.snapshot().unwrap().partitions("counts").unwrap();
    let positions: Vec<_> = rows.iter().map(|(p, r)| (p.clone(), r.next)).collect();
    let part = |p| SourcePartition::new("lines", p);
    assert_eq!(positions, [(part(0), 4), (part(1), 3)]);
}

/// A record that is read again after a failed commit is counted and sent once.
#[test]
fn reading_again_does_not_send_again() {
    let plan = count_lines();
    let place = Place::default();
    let mut bed = Bed::new(&plan);
    bed.chunk = 2;
    bed.options.on_bad_record = OnBadRecord::DeadLetter;
    let log = BoundLog {
        dead_letters: Some(Box::new(place.clone())),
        ..bed.bind(&lists(mixed()))
    };
    let store = support::Faulty::new(bed.memory.clone(), |n| match n % 2 {
        0 => support::Fault::Refused,
        _ => support::Fault::None,
    });
    let report = bed.run_on(&plan, Arc::new(store), vec![log]).unwrap();
    assert_eq!((report.bad, report.dead_letters), (3, 3));
    assert_eq!(bed.sums(&plan), counted(["a", "b", "a", "c"]));
    assert_eq!(place.0.lock().unwrap().stored.len(), 3);
}
