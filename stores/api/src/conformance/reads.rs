//! Snapshots and what they show (section 8).

use rufous_core::{ErrorKind, Frontier};

use super::Make;
use super::bed::{Add, Bed, bytes, frontier, part, scanned};

pub(super) fn a_snapshot_stands_still(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let (a, b) = (part("left", 0), part("left", 1));
    bed.acquire(&a);
    let step = bed.step(&a, 10, 5);
    bed.commit(&[step], &[("left", 0, 5, "k", 1), ("left", 0, 5, "old", 1)]);
    let before = bed.store.snapshot().expect("snapshot");
    let (rows, cells) = (bed.rows.clone(), bed.cells.clone());
    // Everything that can happen afterwards: a commit, a new partition, a drop.
    let step = bed.step(&a, 10, 6);
    bed.commit(&[step], &[("left", 0, 5, "k", 1), ("left", 0, 6, "new", 1)]);
    bed.acquire(&b);
    let step = bed.step(&b, 10, 6);
    bed.commit(&[step], &[("left", 1, 6, "k", 1)]);
    bed.drop_below(&a, 6);
    bed.drop_below(&b, 6);
    bed.compare(&Frontier::default());
    let later = (
        std::mem::replace(&mut bed.rows, rows),
        std::mem::replace(&mut bed.cells, cells),
    );
    bed.compare_with(&*before, &Frontier::default());
    (bed.rows, bed.cells) = later;
    drop(before);
    bed.compare(&Frontier::default());
}

pub(super) fn frontiers_filter_each_partition(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let parts = [part("left", 0), part("left", 1), part("right", 0)];
    parts.iter().for_each(|p| bed.acquire(p));
    for batch in [-2, 0, 1, 300] {
        let steps: Vec<_> = parts.iter().map(|p| bed.step(p, 5, batch)).collect();
        let adds: Vec<Add<'_>> = parts
            .iter()
            .flat_map(|p| ["k", "l"].map(|k| (p.source.as_str(), p.partition, batch, k, batch.unsigned_abs() + 1)))
            .collect();
        bed.commit(&steps, &adds);
    }
    let [a, b, c] = &parts;
    for cuts in [
        &[(a, 0)][..],
        &[(a, 1), (b, 0)],
        &[(a, 2), (b, -1), (c, 300)],
        &[(a, i64::MAX), (b, i64::MAX), (c, i64::MAX)],
        &[(a, i64::MIN)],
    ] {
        bed.compare(&frontier(cuts));
    }
}

pub(super) fn keys_and_prefixes(make: Make<'_>) {
    let mut bed = Bed::new(make);
    let a = part("left", 0);
    bed.acquire(&a);
    let keys = [
        "",
        "a",
        "ab",
        "abc",
        "b",
        "a\0b",
        "\u{ff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ];
    for batch in [1, 2] {
        let step = bed.step(&a, 5, batch);
        bed.commit(&[step], &keys.map(|k| ("left", 0, batch, k, k.len() as u64 + 1)));
    }
    bed.compare(&Frontier::default());
    let snapshot = bed.store.snapshot().expect("snapshot");
    for prefix in [
        &b""[..],
        b"a",
        b"ab",
        b"abc",
        b"abcd",
        b"b",
        b"\xff",
        b"\xff\xff",
        "\u{10ffff}".as_bytes(),
        b"\0",
        &bytes("a"),
        &bytes(""),
    ] {
        for store in bed.stores() {
            let expected = bed.expected(store, &Frontier::default(), |k| k.starts_with(prefix));
            assert_eq!(
                scanned(&*snapshot, store, prefix, &Frontier::default()),
                expected,
                "prefix {}",
                prefix.escape_ascii()
            );
        }
    }
    // A caller that has seen enough.
    let mut seen = 0;
    let stopped = snapshot.scan("counts", b"", &Frontier::default(), &mut |_, _| {
        seen += 1;
        Err(rufous_core::Error::closed("enough"))
    });
    assert_eq!((stopped.map_err(|e| e.kind()), seen), (Err(ErrorKind::Closed), 1));
    let snapshot = bed.store.snapshot().expect("snapshot");
    let mut seen = 0;
    let ranges = [bytes("a")..bytes("b"), bytes("b")..vec![0xff]];
    let stopped = snapshot.ranges("counts", &ranges, &Frontier::default(), &mut |place, _, _| {
        seen += 1;
        Err(rufous_core::Error::closed(if place == 0 { "enough" } else { "late" }))
    });
    assert_eq!((stopped.map_err(|e| e.to_string()), seen), (Err("enough".into()), 1));
    let snapshot = bed.store.snapshot().expect("snapshot");
    let nothing = &mut |_: usize, _: &[u8], _| Ok(());
    assert!(
        snapshot
            .ranges("nowhere", &ranges, &Frontier::default(), nothing)
            .is_err()
    );
    assert!(
        snapshot.cells("nowhere", &[], &Frontier::default()).is_err(),
        "a store that is not bound"
    );
    assert!(snapshot.partitions("nowhere").is_err());
    assert_eq!(
        snapshot.cells("counts", &[], &Frontier::default()).expect("no keys"),
        Vec::<Vec<_>>::new()
    );
}

pub(super) fn hostile_sizes(make: Make<'_>) {
    let mut bed = Bed::new(make);
    // Partitions in no order, and more than a byte can count.
    let parts: Vec<_> = (0..300u32)
        .map(|i| part(if i % 2 == 0 { "left" } else { "right" }, i * 7919 % 1000))
        .collect();
    parts.iter().for_each(|p| bed.acquire(p));
    let long = "k".repeat(100_000);
    let longer = format!("{long}\0");
    let adds: Vec<Add<'_>> = parts
        .iter()
        .map(|p| (p.source.as_str(), p.partition, 1, "everywhere", 1))
        .collect();
    let steps: Vec<_> = parts.iter().map(|p| bed.step(p, 5, 1)).collect();
    bed.commit(&steps, &adds);
    let p = &parts[17];
    let big: [Add<'_>; 3] = [
        (&p.source, p.partition, 1, &long, 3),
        (&p.source, p.partition, 1, &longer, 1),
        (&p.source, p.partition, 1, "value", 3_000_000),
    ];
    let step = bed.step(p, 5, 1);
    bed.commit(&[step], &big);
    bed.compare(&Frontier::default());
}
