//! States of batches, and that the end of an index says the same of the last ones as all of it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;
use crate::core::{Clock, Error, Job, RecordBatch, Source, Store};
use crate::store_api::ArchivedFile;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

fn entry(from: u64, to: u64, before: i64, cuts: &[(i64, u64)]) -> IndexEntry {
    let begins = cuts.iter().map(|&(_, at)| at).chain([to]);
    let mut files = Vec::new();
    let (mut batch, mut at) = (before, from);
    for (next, end) in cuts.iter().map(|c| c.0).chain([0]).zip(begins) {
        if end > at {
            files.push(ArchivedFile {
                path: String::new(),
                batch: BatchId(batch),
                from: at,
                to: end,
                rows: end - at,
                bytes: 0,
                checksum: String::new(),
            });
        }
        (batch, at) = (next, end);
    }
    IndexEntry {
        format: 1,
        from,
        to,
        batch_before: BatchId(before),
        files,
        cuts: cuts.iter().map(|&(b, at)| (BatchId(b), at)).collect(),
        hole: None,
        topic_id: String::new(),
        leader_epoch: -1,
        cut_spec: String::new(),
    }
}

fn row(next: u64, retained_from: i64, cuts: &[(i64, u64)]) -> Progress {
    let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new());
    row.next = next;
    row.retained_from = BatchId(retained_from);
    row.cuts = cuts.iter().map(|&(b, at)| (BatchId(b), at)).collect();
    row
}

fn cut(batch: i64, at: u64) -> Cut {
    Cut {
        batch: BatchId(batch),
        cut: at,
        ..Cut::ORIGIN
    }
}

/// A batch goes through its states in order, and each is told by the layer that knows it: batches 1..=6 of ten offsets each, the
/// live part has read to 55, the archive to 45, generations cover what is below 3, and cells below 2 are gone.
#[test]
fn each_layer_says_its_part() {
    let index = [
        entry(0, 25, i64::MIN, &[(1, 0), (2, 10), (3, 20)]),
        entry(25, 45, 3, &[(4, 30), (5, 40)]),
    ];
    let row = row(55, 2, &[(2, 10), (3, 20), (4, 30), (5, 40), (6, 50)]);
    let known = Known {
        row: Some(&row),
        index: &index,
        frontier: Some(cut(3, 20)),
        drop_before: Some(cut(3, 20)),
    };
    let found: Vec<_> = lines(&known)
        .into_iter()
        .map(|l| (l.batch.0, l.state, l.from, l.to, l.records, l.droppable))
        .collect();
    assert_eq!(
        found,
        [
            (1, State::Dropped, 0, 10, Some(10), true),
            (2, State::Published, 10, 20, Some(10), true),
            (3, State::Archived, 20, 30, Some(10), false),
            (4, State::Archived, 30, 40, Some(10), false),
            (5, State::Sealed, 40, 50, Some(5), false),
            (6, State::Open, 50, 55, None, false),
        ]
    );
    // The archive alone, and a bounded input, of which a generation has all.
    let known = Known {
        index: &index,
        ..Known::default()
    };
    let states: Vec<_> = lines(&known).into_iter().map(|l| (l.batch.0, l.state)).collect();
    assert_eq!(states[3..], [(4, State::Archived), (5, State::Open)]);
    let whole = Known {
        frontier: Some(cut(i64::MAX, 77)),
        ..Known::default()
    };
    assert_eq!((lines(&whole)[0].state, lines(&whole)[0].to), (State::Published, 77));
    assert!(lines(&Known::default()).is_empty());
}

/// An index, and how many of its entries were read.
struct Listed(Vec<IndexEntry>, AtomicUsize);

impl Archive for Listed {
    fn source(&self) -> &str {
        "lines"
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        Ok(vec![0])
    }
    fn index(&self, _: u32, from: u64) -> Result<Vec<IndexEntry>> {
        let found = self.0.iter().skip(usize::try_from(from).unwrap());
        let found: Vec<_> = found.cloned().collect();
        self.1.fetch_add(found.len(), Relaxed);
        Ok(found)
    }
    fn last(&self, _: u32, _: u64) -> Result<Option<(u64, IndexEntry)>> {
        Ok((0..).zip(self.0.iter().cloned()).last())
    }
    fn write(&self, _: u32, _: BatchId, _: Range<u64>, _: &[(&RecordBatch, Range<usize>)]) -> Result<ArchivedFile> {
        Err(Error::bug("who lists writes nothing"))
    }
    fn commit(&self, _: u32, _: u64, _: &IndexEntry) -> Result<bool> {
        Err(Error::bug("who lists writes nothing"))
    }
    fn read(&self, _: u32, _: &ArchivedFile, _: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        Err(Error::bug("who lists reads no records"))
    }
}

/// Entries of so many offsets each; a batch begins at each of these offsets.
fn index(lengths: &[u64], begins: &BTreeSet<u64>) -> Vec<IndexEntry> {
    let (mut from, mut batch, mut found) = (0, i64::MIN, Vec::new());
    for length in lengths {
        let to = from + length;
        let cuts: Vec<(i64, u64)> = begins
            .range(from..to)
            .map(|at| (i64::try_from(*at).unwrap(), *at))
            .collect();
        found.push(entry(from, to, batch, &cuts));
        batch = cuts.last().map_or(batch, |(b, _)| *b);
        from = to;
    }
    found
}

proptest! {
    /// The last batches are the same, records and all, whether the whole index is read or its end: batches go over several
    /// entries, entries hold several batches, the live part knows some, and has read further.
    #[test]
    fn the_last_batches_are_the_same_as_of_the_whole_index(
        lengths in prop::collection::vec(1_u64..30, 0..40),
        mut begins in prop::collection::btree_set(1_u64..600, 0..30),
        (read, knows, covered) in (0_u64..50, 0..6_usize, 0_u64..600),
        last in 0_usize..8,
    ) {
        begins.insert(0);
        let end: u64 = lengths.iter().sum();
        let archive = Listed(index(&lengths, &begins), AtomicUsize::new(0));
        let seen: Vec<(i64, u64)> = begins.range(..end + read).map(|at| (i64::try_from(*at).unwrap(), *at)).collect();
        let row = row(end + read, 0, &seen[seen.len().saturating_sub(knows)..]);
        let known = Known {
            row: (knows > 0).then_some(&row),
            frontier: Some(cut(i64::try_from(covered).unwrap(), covered)),
            ..Known::default()
        };
        let whole = lines(&Known { index: &archive.0, ..known });
        let found = partition(known, Some((&archive, 0)), Some(last)).unwrap();
        prop_assert_eq!(&found[..], &whole[whole.len().saturating_sub(last)..]);
        prop_assert_eq!(partition(known, Some((&archive, 0)), None).unwrap(), whole);
    }
}

/// Who asks for the last batch of a long index reads its end.
#[test]
fn the_last_batches_are_found_from_the_end() {
    let begins: BTreeSet<u64> = (0..10_000).map(|n| n * 30).collect();
    let archive = Listed(index(&[10; 30_000], &begins), AtomicUsize::new(0));
    for (last, most) in [(0, 1), (1, 8), (2, 16), (10, 128)] {
        archive.1.store(0, Relaxed);
        let found = partition(Known::default(), Some((&archive, 0)), Some(last)).unwrap();
        assert_eq!(found.len(), last);
        let read = archive.1.load(Relaxed);
        assert!(read <= most, "{read} entries for {last} batches");
    }
}

/// Times of batches are of those who cut them: the manifest first, then the live part, and this code where nothing was cut.
#[test]
fn batches_are_named_as_they_were_cut() {
    let plan = Job::new(
        "j",
        LINES
            .read()
            .keyed(|line: &str, out| out.emit(line, 1))
            .sum_by_key(COUNTS),
    )
    .plan()
    .unwrap();
    let face = &plan.sources()[0];
    let spec = |hours| CutSpec::new(Clock::Log, Batcher::of_hours(hours)).text();
    let mut row = row(0, 0, &[]);
    row.cut_spec = spec(2);
    assert_eq!(batcher(None, None, face), Some(face.batcher()));
    assert_eq!(batcher(None, Some(&row), face), Some(Batcher::of_hours(2)));
    assert_eq!(batcher(Some(&spec(3)), Some(&row), face), Some(Batcher::of_hours(3)));
    assert_eq!(batcher(Some(&"cut/9 by the moon".into()), Some(&row), face), None);
}

proptest! {
    /// A run says of each of its batches what `batches` says of it, and no batch is in none.
    #[test]
    fn runs_are_the_states_of_all_batches(
        lengths in prop::collection::vec(1_u64..30, 0..40),
        mut begins in prop::collection::btree_set(1_u64..600, 0..30),
        (read, knows, covered, kept) in (0_u64..50, 0..6_usize, 0_u64..600, 0_i64..600),
    ) {
        begins.insert(0);
        let end: u64 = lengths.iter().sum();
        let index = index(&lengths, &begins);
        let seen: Vec<(i64, u64)> = begins.range(..end + read).map(|at| (i64::try_from(*at).unwrap(), *at)).collect();
        let mut row = row(end + read, kept, &seen[seen.len().saturating_sub(knows)..]);
        row.batch = BatchId(seen.last().map_or(i64::MIN, |(b, _)| *b));
        let row = (knows > 0).then_some(&row);
        let frontier = Some(cut(i64::try_from(covered).unwrap(), covered));
        let found = runs::runs(&runs::Ends { row, first: index.first(), last: index.last(), frontier, ..Default::default() });
        for pair in found.windows(2) {
            prop_assert_eq!(pair[0].to, pair[1].from);
            prop_assert!(pair[0].state != pair[1].state);
        }
        for line in lines(&Known { row, index: &index, frontier, drop_before: None }) {
            let of: Vec<_> = found.iter().filter(|run| (run.from..run.to).contains(&line.batch.0)).collect();
            prop_assert_eq!(of.len(), 1, "batch {} in {:?}", line.batch.0, found);
            prop_assert_eq!(of[0].state, line.state.name(), "batch {} in {:?}", line.batch.0, found);
        }
    }

    /// What is laid over runs is that, and all else is what it was.
    #[test]
    fn what_is_laid_over_runs_is_seen(ends in prop::collection::btree_set(0_i64..60, 0..8), (from, length) in (0_i64..60, 0_i64..30)) {
        const STATES: [&str; 3] = ["a", "b", "c"];
        let ends: Vec<_> = ends.into_iter().collect();
        let mut all: Vec<_> = ends.windows(2).zip(STATES.iter().cycle()).map(|(w, state)| runs::Run { from: w[0], to: w[1], state }).collect();
        let state = |all: &[runs::Run], batch: i64| all.iter().find(|r| (r.from..r.to).contains(&batch)).map(|r| r.state);
        let before = all.clone();
        runs::overlay(&mut all, from, from + length, "hole");
        for batch in 0..70 {
            let was = state(&before, batch);
            let wanted = was.map(|was| if (from..from + length).contains(&batch) { "hole" } else { was });
            prop_assert_eq!(state(&all, batch), wanted);
        }
    }
}
