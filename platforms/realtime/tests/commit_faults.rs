//! P11-P15: commits that fail in every way, zombies, crashes between the acquisitions of two stores, dropped batches.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rufous_core::{BatchId, Error, ErrorKind, Job, Result, SourcePartition, Store};
use rufous_realtime::Stream;
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_memory::MemoryRealtime;
use support::{Bed, COUNTS, Fault, Faulty, LINES, Rec, count_lines, counted, lists, sums};

fn input(n: usize) -> Vec<Vec<Rec>> {
    let hour = 3_600_000;
    (0..3)
        .map(|p| {
            (0..n)
                .map(|i| Rec::at(i as i64 / 40 * hour, &format!("k{}", (i * 7 + p) % 13)))
                .collect()
        })
        .collect()
}

fn oracle(partitions: &[Vec<Rec>]) -> BTreeMap<String, u64> {
    counted(
        partitions
            .iter()
            .flatten()
            .map(|r| std::str::from_utf8(r.value.as_ref().unwrap()).unwrap()),
    )
}

/// P12, P13: refused, an error before the write, an error after it (the outcome is unknown): totals stay exact.
#[test]
fn commits_that_fail_are_not_sent_again_blindly() {
    let plan = count_lines();
    for seed in 0..24_u64 {
        let mut bed = Bed::new(&plan);
        bed.chunk = 1 + (seed % 9) as usize;
        bed.options.commit_interval = Duration::ZERO;
        let given = input(200);
        let store = Faulty::new(bed.memory.clone(), move |n| {
            // A hash of the number; never more than three faults in a row.
            let roll = (n.wrapping_mul(2_654_435_761).wrapping_add(seed * 97)) >> 7;
            match roll % 6 {
                _ if n % 4 == 3 => Fault::None,
                0 => Fault::Refused,
                1 => Fault::Before,
                2 => Fault::After,
                _ => Fault::None,
            }
        });
        bed.run_on(&plan, Arc::new(store), vec![bed.bind(&lists(given.clone()))])
            .unwrap();
        assert_eq!(bed.sums(&plan), oracle(&given), "seed {seed}");
    }
}

/// The last commit of a run that reads to the end counts like every other: when it fails, the end is not reached yet.
#[test]
fn the_last_commit_may_fail() {
    let plan = count_lines();
    for fault in [Fault::Refused, Fault::Before, Fault::After] {
        let mut bed = Bed::new(&plan);
        bed.options.commit_interval = Duration::from_secs(60);
        let given = input(50);
        let store = Faulty::new(bed.memory.clone(), move |n| if n == 0 { fault } else { Fault::None });
        bed.run_on(&plan, Arc::new(store), vec![bed.bind(&lists(given.clone()))])
            .unwrap();
        assert_eq!(bed.sums(&plan), oracle(&given), "{fault:?}");
    }
}

/// Row 12: a store that takes nothing is waited for, until the stream is told to stop: then its failure is the answer, and
/// nothing was written.
#[test]
fn a_store_that_takes_nothing_is_waited_for() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let options = bed.options.clone();
    let stop = options.stop.clone();
    let store = Faulty::new(bed.memory.clone(), move |n| {
        stop.store(n >= 3, Relaxed);
        Fault::Before
    });
    let stream = Stream {
        plan: &plan,
        logs: vec![bed.bind(&lists(input(20)))],
        store: Arc::new(store),
        manifests: &bed.manifests,
        generations: None,
        metrics: bed.metrics.clone(),
        options,
    };
    let e = stream.run().unwrap_err();
    assert!(e.to_string().contains("before the write"), "{e}");
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(bed.sums(&plan).is_empty());
}

/// P10a, P13: a second owner raises the epoch in the middle of a run; the first one's commits are refused, it acquires again,
/// and the totals are exact.
#[test]
fn a_fenced_owner_commits_nothing() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.chunk = 5;
    bed.options.commit_interval = Duration::ZERO;
    let other = bed.memory.clone();
    let store = Faulty::new(bed.memory.clone(), move |n| {
        if n % 5 == 2 {
            let p = SourcePartition::new("lines", (n % 3) as u32);
            let keep = &mut |row: Option<&Progress>| Ok(Repair::Keep(row.unwrap().clone()));
            other.acquire("counts", &p, keep).unwrap();
        }
        Fault::None
    });
    let given = input(120);
    bed.run_on(&plan, Arc::new(store), vec![bed.bind(&lists(given.clone()))])
        .unwrap();
    assert_eq!(bed.sums(&plan), oracle(&given));
}

const LENGTHS: Store<u64, u64> = Store::new("lengths");

/// Fails acquisition number `at`.
struct DiesAcquiring {
    inner: MemoryRealtime,
    acquired: AtomicU64,
    at: u64,
}

impl RealtimeReader for DiesAcquiring {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}
impl RealtimeStore for DiesAcquiring {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        if self.acquired.fetch_add(1, Relaxed) == self.at {
            return Err(Error::closed("killed"));
        }
        self.inner.acquire(store, p, repair)
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.inner.commit(commit)
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.inner.drop_below(p, batch)
    }
}

/// P10a, P15: a crash between the acquisitions of a job's two stores leaves their epochs apart; the next start levels them.
#[test]
fn a_crash_between_two_acquisitions_is_healed() {
    let lines = LINES.read();
    let counts = lines.clone().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS);
    let lengths = lines.keyed(|l, out| out.emit(l.len() as u64, 1)).sum_by_key(LENGTHS);
    let plan = Job::new("two", (counts, lengths)).plan().unwrap();
    let given = input(30);
    for at in 0..7 {
        let bed = Bed::new(&plan);
        for crashes in 0..3 {
            let store = DiesAcquiring {
                inner: bed.memory.clone(),
                acquired: AtomicU64::new(0),
                at: if crashes < 2 { at } else { u64::MAX },
            };
            let done = bed.run_on(&plan, Arc::new(store), vec![bed.bind(&lists(given.clone()))]);
            assert_eq!(done.is_err(), crashes < 2 && at < 6, "{at}: {done:?}");
        }
        assert_eq!(bed.sums(&plan), oracle(&given), "killed at {at}");
        assert_eq!(sums(&bed.memory, &plan, "lengths").values().sum::<u64>(), 90);
    }
}
