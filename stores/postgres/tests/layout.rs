//! What people see by SQL: numbers that add up as ours, the parts of keys, names of any kind; and the form of the tables, which is
//! a promise (`LAYOUT.md`).

mod bed;

use bed::{List, acquire, after, commit, open, part, scanned, step, stores};
use rufous_algebra::{Codec, Count, Max, Saturating, Semigroup};
use rufous_core::{BatchId, ErrorKind, Frontier, Store, StoreFace, TimeBucket, Timestamp, key};
use rufous_store_api::{Cell, NamespaceOf, RealtimeReader, RealtimeStore, Until};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime};
use rufous_test_servers::postgres;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/format-1.txt");

/// Adds values one commit after another to one key, and compares with the algebra's own sum; SQL sees the same number.
fn sums<V: Semigroup + Codec + PartialEq + std::fmt::Debug>(values: &[V]) {
    let server = postgres::shared();
    let url = server.database("sums").unwrap();
    let faces = [StoreFace::of(Store::<String, V>::new("counts"))];
    let store = open(&url, &faces).unwrap();
    let p = part(0);
    let mut row = acquire(&store, &["counts"], &p);
    let mut sum: Option<V> = None;
    for v in values {
        let a = step(&p, &row, 1, 5);
        commit(
            &store,
            std::slice::from_ref(&a),
            &[("counts", &List::of(&[(0, 5, "k", v.clone())]))],
        )
        .unwrap();
        row = after(&row, &a);
        match &mut sum {
            Some(sum) => sum.combine(v),
            None => sum = Some(v.clone()),
        }
        let snapshot = store.snapshot().unwrap();
        let cells = snapshot
            .cells("counts", &[key::to_bytes("k")], &Frontier::default())
            .unwrap();
        let sum = sum.as_ref().unwrap();
        assert_eq!(cells[0][0].value, sum.to_bytes(), "{} after {v:?}", V::schema());
        let seen = server
            .sql_at(&url, "SELECT value FROM rufous.live_counts_1 WHERE key_1 = 'k'")
            .unwrap();
        assert_eq!(seen, sum.json().to_string(), "{}", V::schema());
    }
}

/// SQL adds as the algebra does, also where a sum leaves the range of its type.
#[test]
fn numbers_add_up_at_the_ends_of_their_range() {
    sums(&[1u64, u64::MAX - 1, 1, 5, u64::MAX, u64::MAX]);
    sums(&[i64::MAX, 1, i64::MIN, -1, i64::MIN, i64::MIN, i64::MAX, i64::MAX, 0]);
    sums(&[i64::MAX / 2, i64::MAX / 2, 2, i64::MIN / 2, -9]);
    sums(&[200u8, 100, 255, 255]);
    sums(&[-100i8, -100, 127, 127, -128]);
    sums(&[u32::MAX, 2, u32::MAX]);
    sums(&[i32::MIN, -1, i32::MAX, i32::MAX]);
    sums(&[Count::of(u64::MAX - 2), Count::of(1), Count::of(9)]);
    sums(&[Saturating(65_000u16), Saturating(500), Saturating(500)]);
}

/// What is no number is its canonical bytes.
#[test]
fn other_values_are_their_bytes() {
    let url = postgres::shared().database("bytes").unwrap();
    let store = open(&url, &stores()).unwrap();
    let p = part(0);
    let mut row = acquire(&store, &["counts", "cents", "greatest"], &p);
    for text in ["b", "c", "a"] {
        let a = step(&p, &row, 1, 5);
        let list = List(vec![(
            0,
            0,
            5,
            key::to_bytes(&7u32),
            Max::of(text.to_string()).to_bytes(),
        )]);
        commit(&store, std::slice::from_ref(&a), &[("greatest", &list)]).unwrap();
        row = after(&row, &a);
    }
    let expected: String = Max::of("c".to_string())
        .to_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let seen = postgres::shared()
        .sql_at(&url, "SELECT encode(value, 'hex'), key_1 FROM rufous.live_greatest_3")
        .unwrap();
    assert_eq!(seen, format!("{expected}|7"));
}

/// The parts of keys are columns; what PostgreSQL has no value for is null there, and whole in the canonical bytes.
#[test]
fn parts_of_keys_are_columns() {
    let server = postgres::shared();
    let url = server.database("keys").unwrap();
    let store = open(&url, &stores()).unwrap();
    let p = part(0);
    let row = acquire(&store, &["counts", "cents", "greatest"], &p);
    let hour = TimeBucket::hour(Timestamp::parse("2001-01-02T05:30:00Z").unwrap());
    let never = TimeBucket::hour(Timestamp(i64::MIN / 2));
    let keys = [
        ("a", hour),
        ("zero\0byte", hour),
        ("'; DROP TABLE rufous.meta; --", never),
    ];
    let mut cells: Vec<_> = keys
        .iter()
        .zip(1i64..)
        .map(|((t, b), n)| (0, 0, 5, key::to_bytes(&(*t, *b)), n.to_bytes()))
        .collect();
    cells.sort_by(|a, b| a.3.cmp(&b.3));
    commit(&store, &[step(&p, &row, 1, 5)], &[("cents", &List(cells))]).unwrap();
    let sql = "SELECT key_1, key_2 AT TIME ZONE 'UTC', key_2_ms, value FROM rufous.live_cents_2 ORDER BY value";
    let seen = server.sql_at(&url, sql).unwrap();
    let expected = [
        "a|2001-01-02 05:00:00|3600000|1",
        "|2001-01-02 05:00:00|3600000|2",
        "'; DROP TABLE rufous.meta; --||3600000|3",
    ];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected);
    let snapshot = store.snapshot().unwrap();
    for ((t, b), n) in keys.iter().zip(1i64..) {
        let cells = snapshot
            .cells("cents", &[key::to_bytes(&(*t, *b))], &Frontier::default())
            .unwrap();
        assert_eq!(cells[0][0].value, n.to_bytes());
    }
    // Whole, as a person decodes it: text, 0, size, number.
    let bytes: String = key::to_bytes(&("a", hour)).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        server
            .sql_at(
                &url,
                "SELECT encode(key, 'hex') FROM rufous.live_cents_2 WHERE key_1 = 'a'"
            )
            .unwrap(),
        bytes
    );
}

/// Keys that no index holds whole: found, not mistaken for each other, and in order, however alike they begin.
#[test]
fn long_keys_keep_their_order() {
    let url = postgres::shared().database("long").unwrap();
    let store = open(&url, &stores()).unwrap();
    let p = part(0);
    let row = acquire(&store, &["counts", "cents", "greatest"], &p);
    let mut n = 1u64;
    let mut letters = |length: usize| -> String {
        let letter = |n: &mut u64| {
            *n = n
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (*n >> 33) as u8 % 26)
        };
        (0..length).map(|_| letter(&mut n)).collect()
    };
    let common = letters(999);
    let mut texts: Vec<String> = vec![common.clone(), common[..998].into(), format!("{common}x"), "z".into()];
    for length in [1, 5, 400, 2000, 30_000] {
        texts.extend((0..4).map(|_| format!("{common}{}", letters(length))));
    }
    texts.sort();
    texts.dedup();
    let mut cells: Vec<_> = texts
        .iter()
        .zip(1u64..)
        .map(|(t, n)| (0, 0, 5, key::to_bytes(t), n.to_bytes()))
        .collect();
    cells.sort_by(|a, b| a.3.cmp(&b.3));
    let expected: Vec<_> = cells.iter().map(|c| (5, c.3.clone(), 0, c.4.clone())).collect();
    commit(&store, &[step(&p, &row, 1, 5)], &[("counts", &List(cells))]).unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(scanned(&*snapshot, "counts").unwrap(), expected);
    let keys: Vec<Vec<u8>> = expected.iter().map(|c| c.1.clone()).collect();
    for (found, expected) in snapshot
        .cells("counts", &keys, &Frontier::default())
        .unwrap()
        .iter()
        .zip(&expected)
    {
        assert_eq!(found[0].value, expected.3);
    }
    for (i, from) in keys.iter().enumerate().step_by(3) {
        for to in keys.iter().skip(i).step_by(4) {
            let (mut found, range) = (Vec::new(), from.clone()..to.clone());
            let f = &mut |_: usize, key: &[u8], _: Cell| {
                found.push(key.to_vec());
                Ok(())
            };
            snapshot
                .ranges("counts", std::slice::from_ref(&range), &Frontier::default(), f)
                .unwrap();
            assert_eq!(
                found,
                keys.iter().filter(|k| range.contains(*k)).cloned().collect::<Vec<_>>()
            );
        }
        for length in [1, 997, 1000, 1001, from.len()] {
            let prefix = &from[..length.min(from.len())];
            let mut found = 0;
            snapshot
                .scan("counts", prefix, &Frontier::default(), &mut |_, _| {
                    found += 1;
                    Ok(())
                })
                .unwrap();
            assert_eq!(
                found,
                keys.iter().filter(|k| k.starts_with(prefix)).count(),
                "a prefix of {length} bytes"
            );
        }
    }
}

/// Names of any kind are data, never SQL; those that PostgreSQL cannot hold are refused by name.
#[test]
fn hostile_names_are_data() {
    let server = postgres::shared();
    let url = server.database("names").unwrap();
    let name = "a\"; DROP SCHEMA public; -- ' \\ \u{1f426}";
    // Ports have plain names; whoever makes a face by hand may have another.
    let face = StoreFace {
        name: "\"counts'); DROP TABLE x; --",
        ..StoreFace::of(bed::COUNTS)
    };
    let options = PostgresOptions {
        schema: "sch\"ema'; --".into(),
        ..PostgresOptions::default()
    };
    let faces = [face];
    let of = NamespaceOf::new(name, name, name);
    let store = PostgresRealtime::open(&url, &options, of, &faces).unwrap();
    let p = rufous_core::SourcePartition::new(name, u32::MAX);
    let row = acquire(&store, &[face.name], &p);
    let list = List(vec![(0, u32::MAX, 5, key::to_bytes(name), 3u64.to_bytes())]);
    let done = store.commit(&rufous_store_api::Commit {
        advances: &[step(&p, &row, 1, 5)],
        sources: &[name],
        deltas: &[(face.name, &list)],
    });
    done.unwrap();
    store.drop_below(&p, BatchId(4)).unwrap();
    let reader = PostgresRealtime::reader(&url, &options, of, &faces, &Until::default())
        .unwrap()
        .unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(
        scanned(&*snapshot, face.name).unwrap(),
        [(5, key::to_bytes(name), 0, 3u64.to_bytes())]
    );
    assert_eq!(snapshot.partitions(face.name).unwrap()[0].0, p);
    assert_eq!(
        server
            .sql_at(&url, "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'")
            .unwrap(),
        "1"
    );
    drop(snapshot);
    assert!(rufous_store_postgres::discard::discard(&url, &options, of).unwrap());
    for bad in ["zero\0byte", &"x".repeat(600)] {
        let e = PostgresRealtime::open(&url, &options, NamespaceOf::new(bad, "main", "n"), &faces).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert!(e.to_string().contains("job `"), "{e}");
        let options = PostgresOptions {
            schema: bad.into(),
            ..PostgresOptions::default()
        };
        assert_eq!(
            PostgresRealtime::open(&url, &options, NamespaceOf::new("j", "i", "n"), &faces)
                .unwrap_err()
                .kind(),
            ErrorKind::InvalidRequest
        );
    }
}

/// The tables after a fixed history, word for word: columns, types, and how everything is written down.
#[test]
fn the_form_of_format_1() {
    let server = postgres::shared();
    let url = server.database("golden").unwrap();
    let faces = stores();
    let store = open(&url, &faces).unwrap();
    let names = ["counts", "cents", "greatest"];
    let (p, q) = (part(0), part(12));
    let mut rows = [acquire(&store, &names, &p), acquire(&store, &names, &q)];
    let day = TimeBucket::day(Timestamp(86_400_000 * 400));
    for (batch, n) in [(5, 1u64), (6, 1 << 63), (6, 1 << 62)] {
        let mut steps = [step(&p, &rows[0], 10, batch), step(&q, &rows[1], 7, batch)];
        steps[0].last_time = Some(Timestamp(batch));
        steps[1].running = Some(Timestamp(-batch));
        steps[1].holes = vec![rufous_store_api::Hole {
            from: 1,
            to: 2,
            reason: "it's \"gone\"\0".into(),
        }];
        let counts = List::of(&[(0, batch, "a", n), (0, batch, "é", 2), (12, batch, "a", 3)]);
        let cents = List(vec![(0, 0, batch, key::to_bytes(&("x", day)), (-5i64).to_bytes())]);
        let greatest = List(vec![(
            0,
            12,
            batch,
            key::to_bytes(&9u32),
            Max::of(n.to_string()).to_bytes(),
        )]);
        commit(
            &store,
            &steps,
            &[("counts", &counts), ("cents", &cents), ("greatest", &greatest)],
        )
        .unwrap();
        rows = [after(&rows[0], &steps[0]), after(&rows[1], &steps[1])];
    }
    store.drop_below(&p, BatchId(6)).unwrap();
    // What was dropped is deleted a moment later.
    while server.sql_at(&url, "SELECT count(*) FROM rufous.garbage").unwrap() != "0" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut dump = String::new();
    let columns = "SELECT table_name, column_name, data_type, is_nullable, coalesce(numeric_precision::text, '') FROM information_schema.columns \
                   WHERE table_schema = 'rufous' ORDER BY table_name, ordinal_position";
    let mut queries = vec![columns.to_string()];
    for (table, order) in [
        ("meta", "1"),
        ("namespaces", "1"),
        ("stores", "1"),
        ("progress", "1, 2, 3"),
        ("garbage", "1"),
        ("cells_1", "1, 2, 3"),
        ("cells_2", "1, 2, 3"),
        ("cells_3", "1, 2, 3"),
        ("live_counts_1", "1, 2, 3, 4"),
        ("live_cents_2", "1, 2, 3, 4"),
    ] {
        queries.push(format!(
            "SET timezone = 'UTC'; SELECT * FROM rufous.{table} ORDER BY {order}"
        ));
    }
    for query in queries {
        dump += &format!("-- {query}\n{}\n", server.sql_at(&url, &query).unwrap());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &dump).unwrap();
    }
    assert_eq!(dump, std::fs::read_to_string(GOLDEN).unwrap());
    // And it is read back: another handle sees what was committed.
    let again = open(&url, &faces).unwrap();
    let snapshot = again.snapshot().unwrap();
    let rows = snapshot.partitions("counts").unwrap();
    let found: Vec<_> = rows.iter().map(|(_, r)| r).collect();
    assert_eq!(
        (found[0].next, found[0].retained_from, &found[0].cuts),
        (30, BatchId(6), &vec![(BatchId(6), 10)])
    );
    assert_eq!(
        (found[1].next, found[1].running, found[1].holes.len()),
        (21, Some(Timestamp(-6)), 3)
    );
    assert_eq!(found[1].holes[0].reason, "it's \"gone\"\0");
}
