//! One test a rule: P32, P33, P34, P35, P42.

use super::*;
use rufous_core::{BatchId, ErrorKind};

fn cut(batch: i64, cut: u64, before: i64) -> Cut {
    Cut {
        batch: BatchId(batch),
        cut,
        batch_before: BatchId(before),
    }
}

fn decide(row: Option<&Progress>, start: u64, end: u64, frontier: Cut, drop_before: Cut) -> Result<Repair> {
    let p = SourcePartition::new("s", 3);
    let log = PartitionInfo {
        partition: 3,
        start,
        end,
        topic_id: "t".into(),
        owned: true,
    };
    repair(
        row,
        &Situation {
            p: &p,
            log: &log,
            frontier,
            drop_before,
            cut_spec: "c",
            fingerprint: "f",
            truncated: None,
            operators: false,
            lost: &[],
        },
    )
}

fn row(next: u64, batch: i64, cuts: &[(i64, u64)]) -> Progress {
    let mut r = Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
    (r.next, r.batch) = (next, BatchId(batch));
    r.cuts.extend(cuts.iter().map(|(b, o)| (BatchId(*b), *o)));
    r
}

#[test]
fn p32_a_missing_or_misaligned_shard_is_rebuilt_at_the_drop_permission() {
    let drop = cut(4, 40, 3);
    let stands = |r: Result<Repair>| match r.unwrap() {
        Repair::Replace(r) => assert_eq!(
            (r.next, r.batch, r.retained_from, r.cut(BatchId(4))),
            (40, BatchId(3), BatchId(4), Some(40))
        ),
        keep => panic!("{keep:?}"),
    };
    stands(decide(None, 0, 100, cut(6, 60, 5), drop));
    stands(decide(
        Some(&row(70, 6, &[(4, 40), (6, 61)])),
        0,
        100,
        cut(6, 60, 5),
        drop,
    ));
    stands(decide(Some(&row(20, 2, &[(2, 10)])), 0, 100, cut(6, 60, 5), drop));
    let good = row(70, 6, &[(4, 40), (6, 60)]);
    assert_eq!(
        decide(Some(&good), 0, 100, cut(6, 60, 5), drop).unwrap(),
        Repair::Keep(good)
    );
}

#[test]
fn p33_a_covered_loss_goes_on_at_the_frontier() {
    let Repair::Keep(r) = decide(Some(&row(20, 2, &[(2, 10)])), 50, 100, cut(6, 60, 5), Cut::ORIGIN).unwrap() else {
        panic!()
    };
    assert_eq!((r.next, r.batch, r.cut(BatchId(6))), (60, BatchId(5), Some(60)));
    assert_eq!((r.holes[0].from, r.holes[0].to), (20, 60));
    assert!(r.aligned(cut(6, 60, 5)).is_ok());
}

#[test]
fn p34_p35_a_real_loss_is_recorded_and_keeps_the_floor() {
    let Repair::Keep(r) = decide(Some(&row(20, 2, &[(2, 10)])), 50, 100, cut(6, 30, 5), Cut::ORIGIN).unwrap() else {
        panic!()
    };
    assert_eq!(
        (r.next, r.batch),
        (50, BatchId(6)),
        "a record after the loss is not below the frontier's batch"
    );
    assert_eq!((r.holes[0].from, r.holes[0].to), (20, 50));
    let Repair::Keep(r) = decide(Some(&row(20, 2, &[(2, 10)])), 50, 100, Cut::ORIGIN, Cut::ORIGIN).unwrap() else {
        panic!()
    };
    assert_eq!((r.next, r.batch), (50, BatchId(2)));
}

#[test]
fn p42_another_or_a_shorter_log_is_refused() {
    let mut other = row(20, 2, &[(2, 10)]);
    assert!(
        decide(Some(&other), 0, 19, Cut::ORIGIN, Cut::ORIGIN)
            .unwrap_err()
            .to_string()
            .contains("ends at offset 19, but it was read to 20")
    );
    other.topic_id = "x".into();
    let e = decide(Some(&other), 0, 100, Cut::ORIGIN, Cut::ORIGIN).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    other.topic_id = "t".into();
    other.cut_spec = "y".into();
    assert!(decide(Some(&other), 0, 100, Cut::ORIGIN, Cut::ORIGIN).is_err());
}

/// P42: a truncation rebuilds what was read above it, and the range is a hole; below it nothing happens; a generation that
/// covers more cannot be helped from the log.
#[test]
fn p42_a_truncation_rebuilds_and_is_recorded() {
    let p = SourcePartition::new("s", 3);
    let log = PartitionInfo {
        partition: 3,
        start: 0,
        end: 100,
        topic_id: "t".into(),
        owned: true,
    };
    let cut_off = |row: &Progress, at: u64, frontier: Cut| {
        repair(
            Some(row),
            &Situation {
                p: &p,
                log: &log,
                frontier,
                drop_before: Cut::ORIGIN,
                cut_spec: "c",
                fingerprint: "f",
                truncated: Some(at),
                operators: false,
                lost: &[],
            },
        )
    };
    let mut read = row(70, 6, &[(4, 40), (6, 60)]);
    (read.leader_epoch, read.epoch) = (2, 9);
    let Repair::Replace(r) = cut_off(&read, 50, cut(4, 40, 3)).unwrap() else {
        panic!("a rebuild")
    };
    assert_eq!((r.next, r.leader_epoch, r.batch), (0, -1, BatchId::MIN));
    assert_eq!((r.holes.len(), r.holes[0].from, r.holes[0].to), (1, 50, 70));
    assert!(r.holes[0].reason.contains("truncated"), "{:?}", r.holes);
    assert_eq!(cut_off(&read, 70, cut(4, 40, 3)).unwrap(), Repair::Keep(read.clone()));
    let e = cut_off(&read, 30, cut(4, 40, 3)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains("offset 30") && e.to_string().contains("offset 40"),
        "{e}"
    );
}

/// P10a: giving up marks a row and nothing else, and makes one where there was none; acquiring takes the mark off.
#[test]
fn p10a_a_released_row_is_taken_back() {
    let p = SourcePartition::new("s", 3);
    let log = PartitionInfo {
        partition: 3,
        start: 0,
        end: 100,
        topic_id: "t".into(),
        owned: false,
    };
    let s = Situation {
        p: &p,
        log: &log,
        frontier: Cut::ORIGIN,
        drop_before: cut(4, 40, 3),
        cut_spec: "c",
        fingerprint: "f",
        truncated: None,
        operators: false,
        lost: &[],
    };
    let read = row(70, 6, &[(4, 40), (6, 60)]);
    let marked = Progress {
        released: true,
        ..read.clone()
    };
    assert_eq!(release(Some(&read), &s), Repair::Keep(marked.clone()));
    let Repair::Keep(new) = release(None, &s) else {
        panic!("a row")
    };
    assert_eq!((new.released, new.next, new.retained_from), (true, 40, BatchId(4)));
    assert_eq!(
        decide(Some(&marked), 0, 100, Cut::ORIGIN, Cut::ORIGIN).unwrap(),
        Repair::Keep(read)
    );
}
