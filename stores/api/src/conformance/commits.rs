//! Commits: whole or not at all (P11, P13).

use rufous_core::{BatchId, Error, Frontier, Result};

use super::Make;
use super::bed::{Bed, part};
use crate::progress::Hole;
use crate::realtime::{Commit, Committed};

pub(super) fn a_commit_is_seen_whole(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("right", 0));
    bed.acquire(&a);
    bed.acquire(&b);
    bed.compare(&Frontier::default());
    let steps = [bed.step(&a, 10, 5), bed.step(&b, 7, 5)];
    bed.commit(
        &steps,
        &[
            ("left", 0, 5, "k", 1),
            ("right", 0, 5, "k", 2),
            ("left", 0, 5, "other", 1),
        ],
    );
    bed.compare(&Frontier::default());
    // The same cells again: values add up; a hole is kept, and a leader epoch that is not known is not the one before.
    let mut step = bed.step(&a, 10, 6);
    step.holes = vec![Hole {
        from: 12,
        to: 14,
        reason: "deleted".into(),
    }];
    step.leader_epoch = -1;
    bed.commit(&[step], &[("left", 0, 5, "k", 40), ("left", 0, 6, "k", 2)]);
    let row = bed.rows.get_mut(&a).expect("acquired");
    row.holes.push(Hole {
        from: 12,
        to: 14,
        reason: "deleted".into(),
    });
    row.leader_epoch = -1;
    bed.compare(&Frontier::default());
    // A step without any cell moves the row.
    let step = bed.step(&b, 3, 5);
    bed.commit(&[step], &[]);
    bed.compare(&Frontier::default());
}

pub(super) fn a_refused_commit_changes_nothing(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("right", 1));
    bed.acquire(&a);
    bed.acquire(&b);
    let step = bed.step(&a, 10, 5);
    bed.commit(std::slice::from_ref(&step), &[("left", 0, 5, "k", 1)]);
    // Sent again after a lost acknowledgement: right epoch, wrong offset (P13).
    let refused = bed
        .try_commit(std::slice::from_ref(&step), &[("left", 0, 5, "k", 1)])
        .expect("refused");
    assert_eq!(
        refused,
        Committed::Refused {
            partition: a.clone(),
            found: Some((10, 1))
        }
    );
    bed.compare(&Frontier::default());
    // A fenced owner: right offset, old epoch.
    let old = bed.step(&a, 10, 6);
    bed.acquire(&a);
    let refused = bed.try_commit(&[old], &[("left", 0, 6, "k", 1)]).expect("refused");
    assert_eq!(
        refused,
        Committed::Refused {
            partition: a.clone(),
            found: Some((10, 2))
        }
    );
    // One bad partition undoes the others, wherever it stands.
    let (good, mut bad) = (bed.step(&b, 5, 5), bed.step(&a, 5, 6));
    bad.from += 1;
    for steps in [[good.clone(), bad.clone()], [bad.clone(), good.clone()]] {
        let refused = bed
            .try_commit(&steps, &[("right", 1, 5, "k", 9), ("left", 0, 6, "k", 9)])
            .expect("refused");
        assert!(matches!(refused, Committed::Refused { partition, .. } if partition == a));
        bed.compare(&Frontier::default());
    }
    // Nobody acquired this one.
    let mut unknown = bed.step(&a, 5, 6);
    unknown.partition = part("left", 7);
    let refused = bed.try_commit(&[unknown], &[("left", 7, 6, "k", 9)]).expect("refused");
    assert_eq!(
        refused,
        Committed::Refused {
            partition: part("left", 7),
            found: None
        }
    );
    bed.compare(&Frontier::default());
}

/// Deltas that fail after their first cell.
struct Broken(Box<dyn rufous_core::Deltas>);

impl rufous_core::Deltas for Broken {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn for_each(&self, f: &mut dyn FnMut(rufous_core::Delta<'_>) -> Result<()>) -> Result<()> {
        self.0.for_each(f)?;
        Err(Error::try_again("the deltas end here"))
    }
    fn clear(&mut self) {
        self.0.clear();
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

pub(super) fn a_failed_commit_changes_nothing(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let a = part("left", 0);
    bed.acquire(&a);
    let step = bed.step(&a, 10, 5);
    bed.commit(&[step], &[("left", 0, 5, "k", 1)]);
    let mut deltas = bed.deltas(&[("left", 0, 5, "k", 1), ("left", 0, 5, "l", 1)]);
    let last = Broken(deltas.pop().expect("two stores"));
    let (steps, sources, stores) = ([bed.step(&a, 10, 6)], ["left", "right"], bed.stores());
    let by_store: [(&str, &dyn rufous_core::Deltas); 2] = [(stores[0], &*deltas[0]), (stores[1], &last)];
    let e = bed
        .store
        .commit(&Commit {
            advances: &steps,
            sources: &sources,
            deltas: &by_store,
        })
        .expect_err("the deltas fail");
    assert!(e.to_string().contains("the deltas end here"), "{e}");
    bed.compare(&Frontier::default());
    // A store that is not bound.
    let by_store: [(&str, &dyn rufous_core::Deltas); 1] = [("nowhere", &*deltas[0])];
    assert!(
        bed.store
            .commit(&Commit {
                advances: &steps,
                sources: &sources,
                deltas: &by_store
            })
            .is_err()
    );
    bed.compare(&Frontier::default());
    let step = bed.step(&a, 10, 6);
    bed.commit(&[step], &[("left", 0, 6, "k", 1)]);
    bed.compare(&Frontier::default());
}

/// A small generator of numbers: the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub(super) fn random_histories(make: Make<'_>) {
    for seed in 0..6 {
        let mut numbers = Numbers(seed);
        let mut bed = Bed::new(make);
        let partitions = [part("left", 0), part("left", 3), part("right", 0)];
        partitions.iter().for_each(|p| bed.acquire(p));
        for _ in 0..60 {
            let p = &partitions[numbers.below(3) as usize];
            match numbers.below(10) {
                0 => bed.acquire(p),
                1 => {
                    let batch = bed.rows[p].batch;
                    if batch != BatchId::MIN {
                        bed.drop_below(p, batch.0 - numbers.below(3) as i64);
                    }
                }
                _ => {
                    let row = &bed.rows[p];
                    let base = row.batch.max(row.retained_from).max(BatchId(0)).0;
                    let batch = base + numbers.below(2) as i64;
                    let keys = ["", "a", "ab", "b\0", "\u{10ffff}"];
                    let adds: Vec<_> = (0..numbers.below(6))
                        .map(|_| {
                            (
                                p.source.as_str(),
                                p.partition,
                                batch,
                                keys[numbers.below(5) as usize],
                                numbers.below(300),
                            )
                        })
                        .collect();
                    let step = bed.step(p, 1 + numbers.below(9), batch);
                    bed.commit(&[step], &adds);
                }
            }
            if numbers.below(8) == 0 {
                bed.compare(&Frontier::default());
            }
        }
        bed.compare(&Frontier::default());
    }
}
