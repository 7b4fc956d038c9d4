//! Mode 1: a store that several processes write (section 11 of the protocol). Whoever was shut out takes a partition again only when
//! the group says that it is his (P12).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::{BatchId, ErrorKind, Format, RecordBatch, Result, SourcePartition};
use rufous_realtime::{BoundLog, Log, PartitionInfo, Polled, Position};
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_memory::MemoryRealtime;
use support::{Bed, ListLog, Lists, Rec, count_lines, counted, lists};

/// A store of several processes; before the commits that `rivals` names a rival acquires what they are of.
#[derive(Clone)]
struct Several {
    inner: MemoryRealtime,
    commits: Arc<AtomicU64>,
    acquired: Arc<AtomicU64>,
    rivals: fn(u64) -> bool,
}

impl Several {
    fn new(inner: MemoryRealtime, rivals: fn(u64) -> bool) -> Self {
        Self {
            inner,
            commits: Arc::default(),
            acquired: Arc::default(),
            rivals,
        }
    }
}

impl RealtimeReader for Several {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}

impl RealtimeStore for Several {
    fn is_shared(&self) -> bool {
        true
    }
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        self.acquired.fetch_add(1, Relaxed);
        self.inner.acquire(store, p, repair)
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        if (self.rivals)(self.commits.fetch_add(1, Relaxed)) {
            let keep = &mut |row: Option<&Progress>| Ok(Repair::Keep(row.unwrap().clone()));
            for advance in commit.advances {
                self.inner.acquire("counts", &advance.partition, keep)?;
            }
        }
        self.inner.commit(commit)
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.inner.drop_below(p, batch)
    }
}

/// What a group says: how often it does not answer for the process before it does, and which partitions are another's.
#[derive(Clone, Default)]
struct Group {
    silent: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
    /// Something was read while the group did not answer.
    read: Arc<AtomicBool>,
    elsewhere: Option<u32>,
}

struct InGroup {
    inner: ListLog,
    group: Group,
    member: bool,
}

impl Log for InGroup {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let infos = self.inner.partitions()?.into_iter();
        let owned = |info: PartitionInfo| PartitionInfo {
            owned: Some(info.partition) != self.group.elsewhere,
            ..info
        };
        Ok(infos.map(owned).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.inner.assign(positions)
    }
    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        self.inner.assign_at(positions)
    }
    fn is_shared_out(&self) -> bool {
        true
    }
    fn is_member(&mut self) -> bool {
        self.group.asked.fetch_add(1, Relaxed);
        self.member = self
            .group
            .silent
            .fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
            .is_err();
        self.member
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        let polled = self.inner.poll(timeout, into)?;
        if polled == Polled::Records && !self.member {
            self.group.read.store(true, Relaxed);
        }
        Ok(polled)
    }
}

fn bind(lists: &Lists, group: &Group) -> Vec<BoundLog> {
    let log = InGroup {
        inner: ListLog::new(lists, 3),
        group: group.clone(),
        member: true,
    };
    vec![BoundLog::new("lines", Box::new(log))]
}

fn words(n: usize) -> Vec<Rec> {
    (0..n).map(|i| Rec::text(["a", "b", "c"][i % 3])).collect()
}

fn texts(n: usize) -> impl Iterator<Item = &'static str> {
    (0..n).map(|i| ["a", "b", "c"][i % 3])
}

/// P12: a process that was shut out acquires nothing and reads nothing until the group says that it is a member; then all is exact.
/// That it is refused time and again does not end it: how often partitions change hands is not up to it.
#[test]
fn who_was_shut_out_waits_for_the_group() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.options.commit_interval = Duration::ZERO;
    // Twelve in a row: what was refused is read again and comes again.
    let store = Several::new(bed.memory.clone(), |n| n < 12);
    let group = Group {
        silent: Arc::new(AtomicU64::new(3)),
        ..Group::default()
    };
    let started = Instant::now();
    bed.run_on(
        &plan,
        Arc::new(store.clone()),
        bind(&lists(vec![words(300), words(200)]), &group),
    )
    .unwrap();
    assert_eq!(bed.sums(&plan), counted(texts(300).chain(texts(200))));
    assert!(!group.read.load(Relaxed), "read while the group did not answer");
    // The first refusal was asked about until the group answered, the others once each.
    assert_eq!(group.silent.load(Relaxed), 0);
    assert_eq!(group.asked.load(Relaxed), 12 + 3);
    assert!(
        started.elapsed() >= Duration::from_millis(600),
        "the group is not asked in a loop"
    );
}

/// What a group says at one poll after the other.
#[derive(Clone)]
enum Says {
    /// A poll of the log.
    Records,
    Revoked,
    /// The partitions are given out anew: from now on those are this process's.
    Given(&'static [u32]),
}

/// A log whose group speaks as told; when all is said it gives everything.
struct Told {
    inner: ListLog,
    says: Vec<Says>,
    owned: Vec<u32>,
    /// So many times it does not answer for this process.
    silent: u64,
    /// Was told that partitions are taken; nothing may be read until they are given.
    revoked: bool,
    /// What was committed when the poll after that came.
    committed_then: Arc<AtomicU64>,
    metrics: Arc<rufous_realtime::Metrics>,
}

impl Log for Told {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let infos = self.inner.partitions()?.into_iter();
        let owned = |info: PartitionInfo| PartitionInfo {
            owned: self.owned.contains(&info.partition),
            ..info
        };
        Ok(infos.map(owned).collect())
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.inner.assign(positions)
    }
    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        self.inner.assign_at(positions)
    }
    fn is_shared_out(&self) -> bool {
        true
    }
    fn is_member(&mut self) -> bool {
        let silent = self.silent > 0;
        self.silent = self.silent.saturating_sub(1);
        !silent
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        if self.revoked {
            self.committed_then.store(self.metrics.report().commits, Relaxed);
        }
        let says = if self.says.is_empty() {
            if self.owned.len() == 2 {
                return self.inner.poll(timeout, into);
            }
            Says::Given(&[0, 1])
        } else {
            self.says.remove(0)
        };
        match says {
            Says::Records => self.inner.poll(timeout, into),
            Says::Revoked => {
                self.revoked = true;
                Ok(Polled::Revoked)
            }
            Says::Given(partitions) => {
                self.revoked = false;
                self.owned = partitions.to_vec();
                Ok(Polled::PartitionsChanged)
            }
        }
    }
}

/// Runs over two partitions of words, commits only when it must, and ends when all is read; the sums are exact.
fn told(says: &[Says], silent: u64, rivals: fn(u64) -> bool) -> u64 {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.options.commit_interval = Duration::from_secs(3600);
    let store = Several::new(bed.memory.clone(), rivals);
    let committed_then = Arc::new(AtomicU64::new(u64::MAX));
    let log = Told {
        inner: ListLog::new(&lists(vec![words(60), words(60)]), 3),
        says: says.to_vec(),
        owned: vec![0, 1],
        silent,
        revoked: false,
        committed_then: committed_then.clone(),
        metrics: bed.metrics.clone(),
    };
    bed.run_on(&plan, Arc::new(store), vec![BoundLog::new("lines", Box::new(log))])
        .unwrap();
    assert_eq!(bed.sums(&plan), counted(texts(60).chain(texts(60))));
    committed_then.load(Relaxed)
}

/// What was read is committed before the group shares out anew: the next call comes after it.
#[test]
fn what_was_read_is_committed_before_it_is_given_up() {
    use Says::{Given, Records, Revoked};
    let says = [Records, Records, Revoked, Given(&[1]), Records, Revoked, Given(&[0, 1])];
    assert_eq!(told(&says, 0, |_| false), 2);
    assert_eq!(told(&[Records, Revoked, Given(&[0, 1])], 0, |_| false), 1);
}

/// P12: what is taken is committed and refused, and the group does not answer for this process. Nothing that was read before or
/// meanwhile is in a map when it does, or it would count twice.
#[test]
fn nothing_of_before_is_left_when_the_group_answers() {
    use Says::{Given, Records};
    for silent in 0..4 {
        for before in 1..6 {
            let mut says = vec![Records; before];
            says.push(Given(&[0]));
            says.extend(vec![Records; 4]);
            told(&says, silent, |n| n == 0);
            told(&says, silent, |n| n < 3);
        }
    }
}

/// A refusal, and then a store that does not answer while partitions are acquired: it is waited for.
#[test]
fn a_refusal_and_then_a_store_that_is_away() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.options.commit_interval = Duration::ZERO;
    bed.options.longest_pause = Duration::from_millis(50);
    let store = Away {
        inner: Several::new(bed.memory.clone(), |n| n % 4 == 1 && n < 20),
        asked: AtomicU64::new(0),
    };
    let group = Group::default();
    bed.run_on(&plan, Arc::new(store), bind(&lists(vec![words(90), words(90)]), &group))
        .unwrap();
    assert_eq!(bed.sums(&plan), counted(texts(90).chain(texts(90))));
}

/// A store that does not answer each second question after the first ones.
struct Away {
    inner: Several,
    asked: AtomicU64,
}

impl RealtimeReader for Away {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}

impl RealtimeStore for Away {
    fn is_shared(&self) -> bool {
        true
    }
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        let n = self.asked.fetch_add(1, Relaxed);
        if n > 3 && n.is_multiple_of(3) {
            return Err(rufous_core::Error::try_again("the server is started again"));
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

/// Mode 1: what another process reads is in the same rows, so nobody marks them as read elsewhere.
#[test]
fn rows_of_other_processes_are_left_alone() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let store = Several::new(bed.memory.clone(), |_| false);
    let p = SourcePartition::new("lines", 1);
    let all = lists(vec![words(30), words(20)]);
    for (elsewhere, rows) in [(Some(1), 1), (Some(0), 2), (None, 2)] {
        let group = Group {
            elsewhere,
            ..Group::default()
        };
        bed.run_on(&plan, Arc::new(store.clone()), bind(&all, &group)).unwrap();
        let found = store.snapshot().unwrap().partitions("counts").unwrap();
        assert_eq!(found.len(), rows);
        assert!(found.iter().all(|(_, row)| !row.released), "{found:?}");
        assert!(elsewhere == Some(1) || found.iter().any(|(q, row)| *q == p && row.next == 20));
    }
    assert_eq!(bed.sums(&plan), counted(texts(30).chain(texts(20))));
}

/// Two processes that read the same files into one state shut each other out for ever: one ends, and says why.
#[test]
fn nobody_shares_files_out() {
    let plan = count_lines();
    let mut bed = Bed::new(&plan);
    bed.options.commit_interval = Duration::ZERO;
    let store = Several::new(bed.memory.clone(), |_| true);
    let e = bed
        .run_on(&plan, Arc::new(store), vec![bed.bind(&lists(vec![words(300)]))])
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    assert!(
        e.to_string()
            .contains("Another process reads a list into the same state"),
        "{e}"
    );
}
