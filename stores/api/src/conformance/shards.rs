//! A shard's life: acquire, drop, replace (P10a, P26, P32).

use rufous_core::{BatchId, Cut, Error, Frontier};

use super::Make;
use super::bed::{Bed, part, start};
use crate::progress::Progress;
use crate::realtime::Repair;

pub(super) fn the_epoch_rises(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let a = part("left", 0);
    for epoch in 1..4 {
        bed.acquire(&a);
        assert_eq!(bed.rows[&a].epoch, epoch);
        bed.compare(&Frontier::default());
    }
    // What the repair says of the epoch does not count.
    let lie = |found: Option<&Progress>| {
        Ok(Repair::Keep(Progress {
            epoch: 0,
            next: 77,
            ..found.cloned().unwrap_or_else(start)
        }))
    };
    for store in bed.stores() {
        let row = bed.store.acquire(store, &a, &mut { lie }).expect("acquire");
        assert_eq!((row.epoch, row.next), (4, 77));
    }
    let row = bed.rows.get_mut(&a).expect("acquired");
    (row.epoch, row.next) = (4, 77);
    bed.compare(&Frontier::default());
}

pub(super) fn a_failed_repair_writes_nothing(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("left", 1));
    bed.acquire(&a);
    for p in [&a, &b] {
        let e = bed
            .store
            .acquire("counts", p, &mut |_| Err(Error::closed("no")))
            .expect_err("the repair fails");
        assert_eq!(e.kind(), rufous_core::ErrorKind::Closed);
        bed.compare(&Frontier::default());
    }
    assert!(
        bed.store
            .acquire("nowhere", &a, &mut |_| Ok(Repair::Keep(start())))
            .is_err(),
        "a store that is not bound"
    );
}

pub(super) fn dropping_hides(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("right", 0));
    bed.acquire(&a);
    bed.acquire(&b);
    for batch in 1..=4 {
        let steps = [bed.step(&a, 5, batch), bed.step(&b, 5, batch)];
        bed.commit(
            &steps,
            &[
                ("left", 0, batch, "k", 1),
                ("right", 0, batch, "k", 2),
                ("right", 0, batch, "r", 2),
            ],
        );
    }
    bed.drop_below(&a, 3);
    bed.compare(&Frontier::default());
    assert_eq!(
        bed.rows[&a].cut(BatchId(3)),
        Some(10),
        "the cut at retained_from is kept"
    );
    // Never back; and the other partition goes its own way.
    bed.drop_below(&a, 2);
    bed.compare(&Frontier::default());
    bed.drop_below(&b, 4);
    bed.compare(&Frontier::default());
    bed.drop_below(&a, 4);
    bed.compare(&Frontier::default());
    // Beyond what was read.
    bed.drop_below(&a, 9);
    bed.compare(&Frontier::default());
    let step = bed.step(&a, 5, 9);
    bed.commit(&[step], &[("left", 0, 9, "k", 1)]);
    bed.compare(&Frontier::default());
    bed.store
        .drop_below(&part("left", 8), BatchId(1))
        .expect("a partition that nobody knows has nothing to drop");
    bed.compare(&Frontier::default());
}

pub(super) fn replacing_forgets_one_partition(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("left", 1));
    bed.acquire(&a);
    bed.acquire(&b);
    let steps = [bed.step(&a, 5, 4), bed.step(&b, 5, 4)];
    bed.commit(
        &steps,
        &[
            ("left", 0, 4, "k", 1),
            ("left", 1, 4, "k", 2),
            ("left", 0, 4, "gone", 2),
        ],
    );
    let fresh = Progress::standing_at(
        Cut {
            batch: BatchId(3),
            cut: 2,
            batch_before: BatchId(2),
        },
        "topic".into(),
        "cut".into(),
        "print".into(),
    );
    for times in 2..5 {
        for store in bed.stores() {
            let row = bed
                .store
                .acquire(store, &a, &mut |_| Ok(Repair::Replace(fresh.clone())))
                .expect("acquire");
            assert_eq!(
                row,
                Progress {
                    epoch: times,
                    ..fresh.clone()
                }
            );
        }
        bed.rows.insert(
            a.clone(),
            Progress {
                epoch: times,
                ..fresh.clone()
            },
        );
        bed.cells.retain(|(_, _, p), _| *p != a);
        bed.compare(&Frontier::default());
        // The first record of the batch that the shard stands at: its cut is told again.
        let step = bed.step(&a, 5, 3);
        bed.commit(&[step], &[("left", 0, 3, "k", 5)]);
        assert_eq!(bed.rows[&a].cuts, [(BatchId(3), 2); 2]);
        bed.compare(&Frontier::default());
        let step = bed.step(&a, 5, 4);
        bed.commit(&[step], &[("left", 0, 4, "k", 10)]);
        bed.compare(&Frontier::default());
    }
}

/// What a process gives up, it says in the row of every store, also where there was none; acquiring takes it back.
pub(super) fn a_released_row_is_shown(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("left", 1));
    bed.acquire(&a);
    let step = bed.step(&a, 5, 4);
    bed.commit(&[step], &[("left", 0, 4, "k", 3)]);
    let late = bed.step(&a, 5, 4);
    for p in [&a, &b] {
        let mut written = Vec::new();
        for store in bed.stores() {
            let mut release = |row: Option<&Progress>| {
                Ok(Repair::Keep(Progress {
                    released: true,
                    ..row.cloned().unwrap_or_else(start)
                }))
            };
            written.push(bed.store.acquire(store, p, &mut release).expect("release"));
        }
        assert!(written.iter().all(|r| r.released && *r == written[0]), "{written:?}");
        bed.rows.insert(p.clone(), written[0].clone());
        bed.compare(&Frontier::default());
    }
    // A chunk that was on its way when the partition was given up does not get in.
    let outcome = bed.try_commit(&[late], &[("left", 0, 4, "k", 100)]).expect("commit");
    assert!(
        matches!(outcome, crate::realtime::Committed::Refused { .. }),
        "{outcome:?}"
    );
    bed.compare(&Frontier::default());
    for store in bed.stores() {
        let mut take = |row: Option<&Progress>| {
            Ok(Repair::Keep(Progress {
                released: false,
                ..row.cloned().unwrap_or_else(start)
            }))
        };
        let row = bed.store.acquire(store, &a, &mut take).expect("acquire");
        assert_eq!((row.released, row.epoch, row.next), (false, 3, 5));
    }
    let row = bed.rows.get_mut(&a).expect("acquired");
    (row.released, row.epoch) = (false, 3);
    let step = bed.step(&a, 5, 5);
    bed.commit(&[step], &[("left", 0, 5, "k", 1)]);
    bed.compare(&Frontier::default());
}
