//! P26, P27: batches are dropped, partition by partition, while readers hold snapshots. Each snapshot is one point in time: it has
//! the cells that its own rows say are kept, all of them, also after the files of those batches are gone.

mod bed;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bed::*;
use rufous_core::BatchId;
use rufous_store_api::{RealtimeReader, RealtimeStore, Snapshot};

const PARTITIONS: u32 = 16;
const BATCHES: i64 = 24;

/// Each partition has one `x` in each batch: what a snapshot must count, by its rows alone.
fn kept(snapshot: &dyn Snapshot) -> u64 {
    let rows = snapshot.partitions("counts").unwrap();
    assert_eq!(rows.len(), PARTITIONS as usize);
    rows.iter()
        .map(|(_, r)| (r.batch.0 - r.retained_from.0.max(1) + 1) as u64)
        .sum()
}

#[test]
fn snapshots_outlive_drops() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for p in 0..PARTITIONS {
        acquire(&store, &part(p));
    }
    for batch in 1..=BATCHES {
        for p in 0..PARTITIONS {
            add(&store, &part(p), batch, &["x"]);
        }
    }
    let first = store.snapshot().unwrap();
    let all = (BATCHES * i64::from(PARTITIONS)) as u64;
    assert_eq!((kept(&*first), total(&*first, "x")), (all, all));
    let (done, looked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                while !done.load(SeqCst) || looked.load(SeqCst) < 30 {
                    let snapshot = store.snapshot().unwrap();
                    let wanted = kept(&*snapshot);
                    std::thread::yield_now();
                    assert_eq!(total(&*snapshot, "x"), wanted);
                    looked.fetch_add(1, SeqCst);
                }
            });
        }
        for batch in 2..=BATCHES {
            // In another order each time; the last of them lets the files go.
            for p in 0..PARTITIONS {
                store
                    .drop_below(&part((p * 7 + batch as u32) % PARTITIONS), BatchId(batch))
                    .unwrap();
            }
        }
        done.store(true, SeqCst);
    });
    assert_eq!(total(&*first, "x"), all, "the first snapshot has all of it still");
    let last = store.snapshot().unwrap();
    assert_eq!(total(&*last, "x"), u64::from(PARTITIONS));
    drop((first, last));
    // A drop twice, and below what is dropped already, changes nothing.
    store.drop_below(&part(3), BatchId(2)).unwrap();
    drop(store);
    let store = open(dir.path());
    let snapshot = store.snapshot().unwrap();
    assert_eq!((kept(&*snapshot), total(&*snapshot, "x")), (16, 16));
}
