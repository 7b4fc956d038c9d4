//! P1-P9 through the whole engine: what cells, cuts and counters a log leaves.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rufous_core::{BatchId, Batcher, Frontier, Job, Plan, Source, SourcePartition, Timestamp};
use rufous_realtime::OnBadRecord;
use rufous_store_api::RealtimeReader;
use support::{Bed, COUNTS, Rec, count_lines, counted, lists};

const HOUR: i64 = 3_600_000;

/// Cells as (partition, batch) -> how many records, and the cuts of each partition.
fn cells(bed: &Bed) -> (BTreeMap<(u32, i64), u64>, Vec<Vec<(i64, u64)>>) {
    let snapshot = bed.memory.snapshot().unwrap();
    let rows = snapshot.partitions("counts").unwrap();
    let mut found = BTreeMap::new();
    snapshot
        .scan("counts", &[], &Frontier::default(), &mut |_, cell| {
            let p = rows[cell.partition as usize].0.partition;
            *found.entry((p, cell.batch.0)).or_default() += u64::from(cell.value[0]);
            Ok(())
        })
        .unwrap();
    let cuts = rows
        .iter()
        .map(|(_, r)| r.cuts.iter().map(|(b, o)| (b.0, *o)).collect())
        .collect();
    (found, cuts)
}

fn at(hour: i64, text: &str) -> Rec {
    Rec::at(hour * HOUR, text)
}

/// P1, P4, P6, P7, row 8: late records are in the running batch and reported by how late; a partition that is idle seals
/// nothing; a heartbeat seals and is counted by nobody.
#[test]
fn late_records_idle_partitions_and_heartbeats() {
    let plan = count_lines();
    let heartbeat = Rec {
        value: None,
        heartbeat: true,
        ..at(9, "")
    };
    let given = vec![
        vec![at(5, "a"), at(3, "a"), at(6, "b"), at(5, "b"), at(-100, "a")],
        vec![at(5, "c")],
        vec![at(5, "d"), heartbeat, at(8, "d")],
    ];
    for chunk in [1, 2, 100] {
        let mut bed = Bed::new(&plan);
        bed.chunk = chunk;
        let report = bed.run(&plan, &lists(given.clone())).unwrap();
        let (found, cuts) = cells(&bed);
        let expected = [((0, 5), 2), ((0, 6), 3), ((1, 5), 1), ((2, 5), 1), ((2, 9), 1)];
        assert_eq!(found, expected.into());
        let min = i64::MIN;
        assert_eq!(
            cuts,
            [
                vec![(min, 0), (5, 0), (6, 2)],
                vec![(min, 0), (5, 0)],
                vec![(min, 0), (5, 0), (9, 1)]
            ]
        );
        // Two hours, one hour and four days behind; of the third partition one, behind the heartbeat's batch only.
        assert_eq!(report.late, 4);
        let lateness: Vec<_> = bed.metrics.lateness.iter().map(|n| n.load(Relaxed)).collect();
        assert_eq!(lateness, [0, 0, 2, 1, 0]);
        // Of each chunk that has some, one can be seen.
        let source = bed.metrics.source("lines");
        let mut seen: Vec<_> = { source.late_samples.newest().into_iter() }
            .map(|s| (s.partition, s.offset, s.time.unwrap().0 / HOUR, s.payload))
            .collect();
        seen.sort();
        let late: [(u32, u64, i64, &[u8]); 4] = [(0, 1, 3, b"a"), (0, 3, 5, b"b"), (0, 4, -100, b"a"), (2, 2, 8, b"d")];
        let wanted: &[_] = match chunk {
            1 => &late,
            2 => &[late[0], late[1], late[2], late[3]],
            _ => &late[2..],
        };
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(p, o, t, text)| (*p, *o, *t, text.to_vec()))
            .collect();
        assert_eq!(seen, wanted, "in chunks of {chunk}");
        assert!(source.bad_samples.newest().is_empty());
        assert_eq!(bed.sums(&plan), counted(["a", "a", "b", "b", "a", "c", "d", "d"]));
    }
}

/// P3, row 8: a timestamp that is wrong by years raises the batch by a week at most, is counted, and delays nobody else.
#[test]
fn a_wrong_clock_moves_a_batch_by_max_step() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let years = 24 * 365 * 30;
    let report = bed
        .run(
            &plan,
            &lists(vec![vec![at(5, "a"), at(years, "b"), at(6, "c")], vec![at(5, "d")]]),
        )
        .unwrap();
    let week = 24 * 7;
    assert_eq!(cells(&bed).0, [((0, 5), 1), ((0, 5 + week), 2), ((1, 5), 1)].into());
    assert_eq!(report.held, 1);
}

/// P1 with bad records, P14's neighbour: a record that cannot be read, or panics, has a batch by its time all the same, so a
/// partition is cut alike whatever the policy does to it.
#[test]
fn bad_records_have_a_batch() {
    const LINES: Source<str> = support::LINES;
    let counts = LINES.read().keyed(|l, out| {
        assert!(l != "poison", "poison");
        out.emit(l, 1)
    });
    let plan = Job::new("poison", counts.sum_by_key(COUNTS)).plan().unwrap();
    let broken = Rec {
        value: Some(vec![0xff]),
        ..at(7, "")
    };
    let mut bed = Bed::new(&plan);
    bed.options.on_bad_record = OnBadRecord::Skip;
    let given = vec![vec![at(5, "a"), at(6, "poison"), at(5, "b"), broken, at(6, "c")]];
    bed.run(&plan, &lists(given)).unwrap();
    let (found, cuts) = cells(&bed);
    assert_eq!(found, [((0, 5), 1), ((0, 6), 1), ((0, 7), 1)].into());
    assert_eq!(cuts, [vec![(i64::MIN, 0), (5, 0), (6, 1), (7, 3)]]);
}

/// P8a, row 8: batches by offset: no time takes part.
#[test]
fn batches_by_offset() {
    const BY_OFFSET: Source<str> = Source::new("lines").batches(Batcher::of_offsets(3));
    let plan = Job::new(
        "offsets",
        BY_OFFSET.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS),
    )
    .plan()
    .unwrap();
    let bed = Bed::new(&plan);
    let given: Vec<Rec> = (0..8).map(|i| at(100 - 9 * i, "a")).collect();
    bed.run(&plan, &lists(vec![given])).unwrap();
    let (found, cuts) = cells(&bed);
    assert_eq!(found, [((0, 0), 3), ((0, 1), 3), ((0, 2), 2)].into());
    assert_eq!(cuts, [vec![(i64::MIN, 0), (0, 0), (1, 3), (2, 6)]]);
}

/// P2, P4: the log's time cuts, the event time says how late: of a source with both.
#[test]
fn lateness_is_of_the_event_time() {
    const TIMED: Source<str> = Source::new("lines").timed_by(|l| Timestamp(l.parse::<i64>().unwrap_or(0) * HOUR));
    let plan = Job::new("timed", TIMED.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS))
        .plan()
        .unwrap();
    let bed = Bed::new(&plan);
    bed.run(
        &plan,
        &lists(vec![vec![at(1, "1000"), at(1, "1000"), at(2, "999"), at(3, "5")]]),
    )
    .unwrap();
    let lateness: Vec<_> = bed.metrics.lateness.iter().map(|n| n.load(Relaxed)).collect();
    assert_eq!(lateness, [0, 0, 1, 0, 1]);
    assert_eq!(cells(&bed).0, [((0, 1), 2), ((0, 2), 1), ((0, 3), 1)].into());
}

/// P8: another way of cutting the same log is refused at the start, with both ways.
#[test]
fn another_cut_is_refused() {
    const HOURS: Source<str> = Source::new("lines");
    const DAYS: Source<str> = Source::new("lines").batches(Batcher::of_days(1));
    let plan = |source: Source<str>| {
        Job::new("cut", source.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS))
            .plan()
            .unwrap()
    };
    let bed = Bed::new(&plan(HOURS));
    bed.run(&plan(HOURS), &lists(vec![vec![at(1, "a")]])).unwrap();
    let e = bed
        .run(&plan(DAYS), &lists(vec![vec![at(1, "a")]]))
        .unwrap_err()
        .to_string();
    assert!(e.contains("--instance"), "{e}");
    // The fingerprint knows the cut; so does the row, for a job that is declared to be the same code.
    let mut specs = BTreeMap::new();
    specs.insert("lines".to_string(), plan(DAYS).sources()[0].cut_spec(true).text());
    let manifest = rufous_store_api::ManifestLog::newest(&bed.manifests, 0)
        .unwrap()
        .unwrap();
    let e = rufous_realtime::genesis::check(&plan(HOURS), &specs, &manifest)
        .unwrap_err()
        .to_string();
    assert!(e.contains("is cut by") && e.contains("was cut by"), "{e}");
}

/// A manifest as a bulk run would publish it: its frontier at `batch`, the permission to drop at `drop`.
fn publish(bed: &Bed, plan: &Plan, cuts: &[(u32, i64, u64, i64)], drop: &[(u32, i64, u64, i64)]) {
    use rufous_store_api::ManifestLog as _;
    let frontier = |cuts: &[(u32, i64, u64, i64)]| {
        let mut frontier = Frontier::default();
        for (p, batch, cut, before) in cuts {
            frontier.0.insert(
                SourcePartition::new("lines", *p),
                rufous_core::Cut {
                    batch: BatchId(*batch),
                    cut: *cut,
                    batch_before: BatchId(*before),
                },
            );
        }
        frontier
    };
    let mut manifest = bed.manifests.newest(0).unwrap().unwrap();
    manifest.number += 1;
    manifest.frontier = frontier(cuts);
    manifest
        .drop_before
        .insert(plan.fingerprint().to_string(), frontier(drop));
    bed.manifests.publish(&manifest).unwrap();
}

/// P26, P23: cells below the drop permission go, those between it and the frontier stay (a rollback needs them); a partition
/// that is not aligned with the permission keeps all; a snapshot taken before sees what it saw (P27); what comes late after a
/// drop goes into the running batch (P14 never hides it).
#[test]
fn cells_below_the_permission_are_dropped() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let partition = || vec![at(1, "a"), at(2, "b"), at(3, "c"), at(3, "c")];
    let given = lists(vec![partition(), partition()]);
    bed.run(&plan, &given).unwrap();
    let before = bed.memory.snapshot().unwrap();
    // The second partition is permitted at another offset than it has: repaired or not, nothing of it may be lost.
    publish(
        &bed,
        &plan,
        &[(0, 3, 2, 2), (1, 3, 2, 2)],
        &[(0, 2, 1, 1), (1, 2, 1, 1)],
    );
    given.lock().unwrap()[0].push(at(1, "late"));
    bed.run(&plan, &given).unwrap();
    assert_eq!(
        cells(&bed).0,
        [((0, 2), 1), ((0, 3), 3), ((1, 2), 1), ((1, 3), 2)].into()
    );
    let rows = bed.memory.snapshot().unwrap().partitions("counts").unwrap();
    assert!(rows.iter().all(|(_, r)| r.retained_from == BatchId(2)));
    let mut seen = 0;
    before
        .scan("counts", &[], &Frontier::default(), &mut |_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 6, "the old snapshot has three keys of both partitions");
    // Nothing new: nothing more is dropped, and a restart goes on where it was.
    bed.run(&plan, &given).unwrap();
    assert_eq!(cells(&bed).0.len(), 4);
}

/// Runs a stream beside `during`, which may look and wait.
fn beside(bed: &Bed, plan: &Plan, given: &support::Lists, during: impl FnOnce()) {
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stream = rufous_realtime::Stream {
        plan,
        logs: vec![bed.bind(given)],
        store: Arc::new(bed.memory.clone()),
        manifests: &bed.manifests,
        generations: None,
        metrics: bed.metrics.clone(),
        options: rufous_realtime::StreamOptions {
            stop: stop.clone(),
            until_end: false,
            ..bed.options.clone()
        },
    };
    std::thread::scope(|s| {
        let running = s.spawn(|| stream.run());
        // Also when it fails: the stream would never end.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        stop.store(true, Relaxed);
        let report = running.join().unwrap();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
        report.unwrap();
    });
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_secs() < 60, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// P26: a manifest that arrives while the stream runs drops cells without a restart, and values under way are not lost.
#[test]
fn cells_are_dropped_while_the_stream_runs() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let given = lists(vec![vec![at(1, "a"), at(2, "b"), at(3, "c")]]);
    beside(&bed, &plan, &given, || {
        wait("three records", || cells(&bed).0.len() == 3);
        publish(&bed, &plan, &[(0, 3, 2, 2)], &[(0, 3, 2, 2)]);
        given.lock().unwrap()[0].extend([at(3, "d"), at(4, "e")]);
        wait("dropped", || cells(&bed).0.keys().all(|(_, b)| *b >= 3));
        wait("read on", || cells(&bed).0 == [((0, 3), 2), ((0, 4), 1)].into());
    });
    assert_eq!(cells(&bed).0, [((0, 3), 2), ((0, 4), 1)].into());
}

/// P14: a shard that is behind the permission reads on to it and writes no cell; what lies at and above it is written.
#[test]
fn records_below_the_permission_write_no_cell() {
    let plan = count_lines();
    let bed = Bed::new(&plan);
    let given = lists(vec![vec![at(1, "a"), at(2, "b")]]);
    beside(&bed, &plan, &given, || {
        wait("two records", || cells(&bed).0.len() == 2);
        // The archive is ahead: it has read offsets 2 and 3, of batches 2 and 3, and offset 4 is of batch 5.
        publish(&bed, &plan, &[(0, 5, 4, 3)], &[(0, 5, 4, 3)]);
        wait("dropped", || cells(&bed).0.is_empty());
        given.lock().unwrap()[0].extend([at(2, "x"), at(3, "x"), at(5, "d"), at(4, "late"), at(6, "e")]);
        wait("read on", || cells(&bed).0.contains_key(&(0, 6)));
    });
    assert_eq!(cells(&bed).0, [((0, 5), 2), ((0, 6), 1)].into());
    assert_eq!(bed.sums(&plan), counted(["d", "late", "e"]));
    let row = bed.memory.snapshot().unwrap().partitions("counts").unwrap()[0]
        .1
        .clone();
    assert_eq!((row.next, row.retained_from), (7, BatchId(5)));
    assert!(row.aligned(bed_frontier(&bed)).is_ok());
}

fn bed_frontier(bed: &Bed) -> rufous_core::Cut {
    let manifest = rufous_store_api::ManifestLog::newest(&bed.manifests, 0)
        .unwrap()
        .unwrap();
    manifest.frontier.of(&SourcePartition::new("lines", 0))
}
