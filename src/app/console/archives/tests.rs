//! How often a place far away is asked, and that what it says is what is told.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::core::{BatchId, RecordBatch};
use crate::store_api::ArchivedFile;

const PARTITIONS: u32 = 256;

/// Indexes as lists, that count what they are asked.
#[derive(Default)]
pub(in crate::app::console) struct Lists {
    near: bool,
    indexes: Mutex<Vec<Vec<IndexEntry>>>,
    listed: AtomicUsize,
    entries: AtomicUsize,
    lasts: AtomicUsize,
    /// Questions that are under way, and the most that ever were.
    now: AtomicUsize,
    most: AtomicUsize,
    /// Partition 100 does not answer.
    pub(in crate::app::console) fails: AtomicBool,
    /// The list of partitions takes so many milliseconds.
    pub(in crate::app::console) slow: AtomicUsize,
}

impl Lists {
    pub(in crate::app::console) fn begin(near: bool) -> Arc<Self> {
        let index = |_| (0..5).map(entry).collect();
        let indexes = (0..PARTITIONS).map(index).collect();
        Arc::new(Self {
            near,
            indexes: Mutex::new(indexes),
            ..Self::default()
        })
    }

    fn grow(&self, partition: usize) {
        let index = &mut self.indexes.lock().unwrap()[partition];
        index.push(entry(index.len() as u64));
    }

    /// Asked since the last time: lists, single entries, ends.
    fn asked(&self) -> [usize; 3] {
        [&self.listed, &self.entries, &self.lasts].map(|n| n.swap(0, Relaxed))
    }

    fn question<R>(&self, partition: u32, answer: impl FnOnce(&[IndexEntry]) -> R) -> Result<R> {
        let under_way = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(under_way, Relaxed);
        std::thread::sleep(Duration::from_micros(300));
        self.now.fetch_sub(1, Relaxed);
        if self.fails.load(Relaxed) && partition == 100 {
            return Err(Error::try_again("the bucket does not answer"));
        }
        Ok(answer(&self.indexes.lock().unwrap()[partition as usize]))
    }
}

fn entry(number: u64) -> IndexEntry {
    IndexEntry {
        format: 1,
        from: number * 10,
        to: number * 10 + 10,
        batch_before: BatchId(number as i64),
        files: Vec::new(),
        cuts: Vec::new(),
        hole: None,
        topic_id: String::new(),
        leader_epoch: -1,
        cut_spec: String::new(),
    }
}

impl Archive for Lists {
    fn source(&self) -> &str {
        "lines"
    }
    fn is_far(&self) -> bool {
        !self.near
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        self.listed.fetch_add(1, Relaxed);
        std::thread::sleep(Duration::from_millis(self.slow.load(Relaxed) as u64));
        Ok((0..PARTITIONS).collect())
    }
    fn index(&self, _: u32, _: u64) -> Result<Vec<IndexEntry>> {
        Err(Error::bug("nobody needs all of an index"))
    }
    fn entry(&self, partition: u32, number: u64) -> Result<Option<IndexEntry>> {
        self.entries.fetch_add(1, Relaxed);
        self.question(partition, |index| index.get(number as usize).cloned())
    }
    fn last(&self, partition: u32, from: u64) -> Result<Option<(u64, IndexEntry)>> {
        self.lasts.fetch_add(1, Relaxed);
        self.question(partition, |index| {
            let all = (0..).zip(index.iter().cloned());
            all.skip(from as usize).last()
        })
    }
    fn write(&self, _: u32, _: BatchId, _: Range<u64>, _: &[(&RecordBatch, Range<usize>)]) -> Result<ArchivedFile> {
        Err(Error::bug("who looks writes nothing"))
    }
    fn commit(&self, _: u32, _: u64, _: &IndexEntry) -> Result<bool> {
        Err(Error::bug("who looks writes nothing"))
    }
    fn read(&self, _: u32, _: &ArchivedFile, _: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        Err(Error::bug("who looks reads no records"))
    }
}

/// Makes what is known so old that it is asked for again.
pub(super) fn age(known: &Known, by: Duration) {
    let mut told = known.told.lock().unwrap();
    let back = |at: &mut Option<Instant>| *at = at.and_then(|at| at.checked_sub(by));
    back(&mut told.asked);
    back(&mut told.listed);
}

/// Where each partition ends, by the lists.
fn wanted(lists: &Lists) -> Vec<u64> {
    let indexes = lists.indexes.lock().unwrap();
    indexes.iter().map(|index| index.last().unwrap().to).collect()
}

fn told(known: &Known) -> Vec<u64> {
    let ends = known.ends().unwrap();
    assert!(ends.values().all(|ends| ends.first == entry(0)));
    ends.values().map(|ends| ends.last.to).collect()
}

/// The first look asks for both ends of every partition, several at a time; the next one asks nothing; one some seconds later asks once a
/// partition, and further only where something came; and lists are made now and then.
#[test]
fn a_place_far_away_is_asked_for_what_is_new() {
    let lists = Lists::begin(false);
    let known = Known::new(lists.clone(), "cut".into());
    assert_eq!(told(&known), wanted(&lists));
    assert_eq!(lists.asked(), [1, 256, 256]);
    let most = lists.most.load(Relaxed);
    assert!((2..=AT_ONCE).contains(&most), "{most} at a time");
    lists.grow(7);
    let before = told(&known);
    assert_eq!(lists.asked(), [0, 0, 0], "within a moment it is asked nothing");
    assert_ne!(before, wanted(&lists));
    age(&known, GOOD_FOR);
    assert_eq!(told(&known), wanted(&lists));
    assert_eq!(lists.asked(), [0, 256, 1]);
    age(&known, LISTED_FOR);
    assert_eq!(told(&known), wanted(&lists));
    assert_eq!(lists.asked(), [1, 256, 0]);
}

/// A directory is asked each time: what came is seen at once.
#[test]
fn what_is_near_is_seen_at_once() {
    let lists = Lists::begin(true);
    let known = Known::new(lists.clone(), "cut".into());
    for partition in [3, 3, 200] {
        lists.grow(partition);
        assert_eq!(told(&known), wanted(&lists));
    }
    assert_eq!(lists.most.load(Relaxed), 1);
}

/// One partition that does not answer fails the look, and what the others said is not asked for again from the beginning.
#[test]
fn what_was_answered_is_kept_when_one_fails() {
    let lists = Lists::begin(false);
    let known = Known::new(lists.clone(), "cut".into());
    told(&known);
    lists.asked();
    age(&known, GOOD_FOR);
    lists.fails.store(true, Relaxed);
    let e = known.ends().unwrap_err();
    assert!(e.to_string().contains("the bucket does not answer"), "{e}");
    lists.fails.store(false, Relaxed);
    lists.asked();
    assert_eq!(told(&known), wanted(&lists));
    assert_eq!(lists.asked(), [0, 256, 0], "no partition is new");
}
