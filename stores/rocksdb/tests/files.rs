//! What is on disk: kept over a reopen, refused when it means something else, noticed when it is damaged.

mod bed;

use std::path::Path;

use bed::*;
use rocksdb::{DB, Options};
use rufous_algebra::Codec;
use rufous_core::{BatchId, ErrorKind, Frontier, Store, StoreFace, key};
use rufous_derive::{Codec, Monoid};
use rufous_store_api::{Committed, RealtimeReader, RealtimeStore};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore, layout, packed};

#[test]
fn a_reopen_keeps_all() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (part(0), part(9));
    let store = open(dir.path());
    acquire(&store, &a);
    acquire(&store, &b);
    add(&store, &a, 3, &["x", "x", "y"]);
    add(&store, &b, 4, &["x"]);
    let before = row(&store, &a);
    drop(store);
    let store = open(dir.path());
    assert_eq!(row(&store, &a), before);
    assert_eq!(acquire(&store, &a).epoch, 2);
    add(&store, &a, 4, &["x"]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!((total(&*snapshot, "x"), total(&*snapshot, "y")), (4, 1));
    // A snapshot outlives the store; the namespace is free when it is gone.
    drop(store);
    assert_eq!(total(&*snapshot, "x"), 4);
    assert_eq!(
        RocksStore::open(dir.path(), "n1", &faces(), RocksOptions::default())
            .err()
            .unwrap()
            .kind(),
        ErrorKind::Closed
    );
    drop(snapshot);
    assert_eq!(total(&*open(dir.path()).snapshot().unwrap(), "x"), 4);
}

#[test]
fn what_means_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let other: Store<String, i64> = Store::new("counts");
    let open = |namespace: &str, stores: &[StoreFace]| {
        RocksStore::open(dir.path(), namespace, stores, RocksOptions::default())
            .err()
            .unwrap()
    };
    let e = open("n1", &[StoreFace::of(other)]);
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string().contains(&StoreFace::of(COUNTS).schema())
            && e.to_string().contains(&StoreFace::of(other).schema()),
        "{e}"
    );
    assert!(open("n2", &faces()).to_string().contains("holds namespace n1, not n2"));
    assert!(open("n1", &[]).to_string().contains("holds store `counts`"));
    let e = RocksReader::open(dir.path(), "n1", &[StoreFace::of(other)])
        .err()
        .unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    // Nothing was changed by all that, and a store may be added.
    let more = [StoreFace::of(COUNTS), StoreFace::of(Store::<u64, u64>::new("default"))];
    drop(RocksStore::open(dir.path(), "n1", &more, RocksOptions::default()).unwrap());
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
#[algebra(crate = rufous_algebra)]
struct Before {
    count: u64,
}

mod after {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Monoid, Codec)]
    #[algebra(crate = rufous_algebra)]
    pub(super) struct Before {
        pub(super) count: u64,
        #[algebra(default)]
        pub(super) late: u64,
    }
}

/// A store opens for values with a field that was added with a default; from then on what lacks the field cannot open it.
#[test]
fn a_field_may_be_added() {
    let dir = tempfile::tempdir().unwrap();
    let before = [StoreFace::of(Store::<String, Before>::new("counts"))];
    let after = [StoreFace::of(Store::<String, after::Before>::new("counts"))];
    let open = |faces: &[StoreFace]| RocksStore::open(dir.path(), "n1", faces, RocksOptions::default());
    drop(open(&before).unwrap());
    drop(open(&before).unwrap());
    drop(open(&after).unwrap());
    let e = open(&before).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(e.to_string().contains("late?:u64"), "{e}");
}

/// The database of a closed store, by hand.
fn by_hand(dir: &Path, f: impl FnOnce(&DB, &rocksdb::ColumnFamily)) {
    let mut o = Options::default();
    o.set_merge_operator_associative("rufous-packed-1", packed::operator(faces()[0].value));
    let db = DB::open_cf_with_opts(
        &Options::default(),
        dir.join("db"),
        [("default", Options::default()), ("store/counts", o)],
    )
    .unwrap();
    f(&db, db.cf_handle("store/counts").unwrap());
}

fn cell_key(batch: i64, word: &str) -> Vec<u8> {
    let mut out = Vec::new();
    layout::cell_key(BatchId(batch), &key::to_bytes(word), &mut out);
    out
}

/// Golden: two partitions' cells in one row, as they lie on disk.
#[test]
fn the_row_on_disk_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Lanes are given out in the order of acquiring, not of the numbers.
    acquire(&store, &part(7));
    acquire(&store, &part(2));
    add(&store, &part(2), 3, &["x"; 5]);
    add(&store, &part(7), 3, &["x"; 2]);
    add(&store, &part(7), 3, &["x"]);
    let cells = store
        .snapshot()
        .unwrap()
        .cells("counts", &[key::to_bytes("x")], &Frontier::default())
        .unwrap();
    assert_eq!(
        cells[0]
            .iter()
            .map(|c| (c.partition, u64::decode(&c.value).unwrap()))
            .collect::<Vec<_>>(),
        [(0, 5), (1, 3)]
    );
    drop(store);
    by_hand(dir.path(), |db, cf| {
        let value = db
            .get_cf(cf, b"\x01\x80\x00\x00\x00\x00\x00\x00\x03x\x00")
            .unwrap()
            .unwrap();
        let expected = [&[1, 0, 8, 3][..], &[0; 7], &[1, 8, 5], &[0; 7]].concat();
        assert_eq!(value, expected, "version; lane 0: 8 bytes, 3; lane 0 + 1: 8 bytes, 5");
    });
}

#[test]
fn damage_is_an_error_not_a_smaller_sum() {
    for (damage, whole_value) in [
        (&b"\x01\x00\x05\x01"[..], false),
        (b"\x02\x00\x01\x01", false),
        (b"", true),
        (b"\x01\x00\x01\x01\x00\x01\x01", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        acquire(&store, &part(0));
        add(&store, &part(0), 3, &["x", "y"]);
        drop(store);
        by_hand(dir.path(), |db, cf| {
            if whole_value {
                db.put_cf(cf, cell_key(3, "y"), damage).unwrap()
            } else {
                db.merge_cf(cf, cell_key(3, "y"), damage).unwrap()
            }
        });
        let Ok(reader) = RocksReader::open(dir.path(), "n1", &faces()) else {
            panic!("the rest is readable")
        };
        let snapshot = reader.unwrap().snapshot().unwrap();
        let e = snapshot
            .cells(
                "counts",
                &[key::to_bytes("x"), key::to_bytes("y")],
                &Frontier::default(),
            )
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
        assert!(e.to_string().contains("store `counts`, batch 3, key y"), "{e}");
        let e = snapshot
            .scan("counts", b"", &Frontier::default(), &mut |_, _| Ok(()))
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
        assert_eq!(total(&*snapshot, "x"), 1);
    }
}

#[test]
fn dropped_batches_leave_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for p in 0..3 {
        acquire(&store, &part(p));
    }
    for batch in 1..=4 {
        add(&store, &part(0), batch, &["x", "y"]);
        add(&store, &part(1), batch, &["x"]);
    }
    // Partition 2 has a single old cell and is idle: it holds batch 1, and no other.
    add(&store, &part(2), 1, &["x"]);
    store.drop_below(&part(0), BatchId(4)).unwrap();
    store.drop_below(&part(1), BatchId(3)).unwrap();
    assert_eq!(total(&*store.snapshot().unwrap(), "x"), 1 + 2 + 1);
    drop(store);
    by_hand(dir.path(), |db, cf| {
        let left: Vec<_> = (1..=4)
            .filter(|b| db.get_cf(cf, cell_key(*b, "x")).unwrap().is_some())
            .collect();
        assert_eq!(left, [1, 3, 4]);
    });
    let store = open(dir.path());
    assert_eq!(total(&*store.snapshot().unwrap(), "x"), 4);
    // Cells that no cut names could vanish with a drop: refused.
    let e = {
        acquire(&store, &part(0));
        try_add(&store, &part(0), 2, &["x"]).unwrap_err()
    };
    assert_eq!(e.kind(), ErrorKind::Bug, "{e}");
    assert!(matches!(try_add(&store, &part(0), 4, &["x"]), Ok(Committed::Done)));
}
