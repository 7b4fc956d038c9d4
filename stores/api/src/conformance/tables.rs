//! What every place of tables must pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_core::{ErrorKind, SourcePartition};

use crate::id::WrittenId;
use crate::progress::Hole;
use crate::table::{Append, TableFace, TableRow, TableStore};

/// Opens the place of this name: an empty one at first, and what was left there later. Whoever had it open has let go of it.
pub type MakeTables<'a> = &'a dyn Fn(&str) -> Arc<dyn TableStore>;

type Check = (&'static str, fn(MakeTables<'_>));

pub(super) const CHECKS: &[Check] = &[
    (
        "O23: rows and mark are one write, and outlive their writer",
        written_whole,
    ),
    ("O23: a claim shuts out the claims before it", one_writer),
    ("O23: a write begins where the mark stands", compare_and_set),
    ("a table of another job or instance is refused", another_job),
    ("O26: a lost range moves the mark, and is kept", holes),
    ("rows come ascending by id, from any id on", ordered),
    ("rows keep the schema that they were written under", schemas),
    ("hostile sizes", sizes),
    ("random histories against a plain map", histories),
];

fn face(sink: &str) -> TableFace {
    TableFace {
        sink: sink.into(),
        of: "job of main".into(),
        schema: "text".into(),
    }
}

fn at(source: &str, partition: u32) -> SourcePartition {
    SourcePartition::new(source, partition)
}

type Found = Vec<((String, u32, u64, u64), String, Vec<u8>)>;

/// All rows from an id on.
fn read(t: &dyn TableStore, sink: &str, from: Option<&WrittenId>) -> Found {
    let mut found = Vec::new();
    t.rows(sink, from, &mut |id, schema, value| {
        let place = (id.source.clone(), id.partition, id.offset, id.number);
        found.push((place, schema.to_string(), value.to_vec()));
        Ok(true)
    })
    .unwrap();
    found
}

fn append(
    t: &dyn TableStore,
    face: &TableFace,
    p: &SourcePartition,
    epoch: u64,
    (from, to): (u64, u64),
    rows: &[(u64, u64, &[u8])],
) -> rufous_core::Result<()> {
    let rows: Vec<_> = rows
        .iter()
        .map(|&(offset, number, value)| TableRow { offset, number, value })
        .collect();
    t.append(
        face,
        &Append {
            partition: p,
            epoch,
            from,
            to,
            rows: &rows,
        },
    )
}

fn written_whole(make: MakeTables<'_>) {
    let (t, f, p) = (make("whole"), face("alerts"), at("payments", 3));
    assert_eq!(t.marks("alerts").unwrap(), [], "never begun");
    assert_eq!(read(&*t, "alerts", None), []);
    let claim = t.claim(&f, &p, 5).unwrap();
    assert_eq!(claim.mark, 5);
    append(
        &*t,
        &f,
        &p,
        claim.epoch,
        (5, 9),
        &[(6, 0, b"a"), (6, 1, b""), (8, 0, b"c")],
    )
    .unwrap();
    append(&*t, &f, &p, claim.epoch, (9, 11), &[]).unwrap();
    drop(t);
    let t = make("whole");
    let marks = t.marks("alerts").unwrap();
    let [(of, mark)] = marks.as_slice() else {
        panic!("{marks:?}")
    };
    assert_eq!((of, mark.mark, mark.start, mark.holes.len()), (&p, 11, 5, 0));
    assert_eq!((mark.of.as_str(), mark.sink.as_str()), ("job of main", "alerts"));
    let values: Vec<_> = read(&*t, "alerts", None).into_iter().map(|(_, _, v)| v).collect();
    assert_eq!(values, [&b"a"[..], b"", b"c"]);
    let again = t.claim(&f, &p, 0).unwrap();
    assert!((again.mark, again.epoch > claim.epoch) == (11, true), "{again:?}");
}

fn one_writer(make: MakeTables<'_>) {
    let (t, f, p, other) = (make("writer"), face("alerts"), at("payments", 0), at("payments", 1));
    let (old, beside) = (t.claim(&f, &p, 0).unwrap(), t.claim(&f, &other, 0).unwrap());
    let new = t.claim(&f, &p, 0).unwrap();
    let e = append(&*t, &f, &p, old.epoch, (0, 1), &[(0, 0, b"old")]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    let hole = Hole {
        from: 0,
        to: 5,
        reason: "lost".into(),
    };
    assert_eq!(t.pass(&f, &p, old.epoch, &hole).unwrap_err().kind(), ErrorKind::Closed);
    append(&*t, &f, &p, new.epoch, (0, 1), &[(0, 0, b"new")]).unwrap();
    append(&*t, &f, &other, beside.epoch, (0, 1), &[]).unwrap();
    let values: Vec<_> = read(&*t, "alerts", None).into_iter().map(|(_, _, v)| v).collect();
    assert_eq!(values, [b"new"], "nothing of a writer that was shut out");
    // Who never claimed writes nothing.
    let e = append(&*t, &f, &at("payments", 9), 1, (0, 1), &[]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
}

fn compare_and_set(make: MakeTables<'_>) {
    let (t, f, p) = (make("set"), face("alerts"), at("payments", 0));
    let c = t.claim(&f, &p, 4).unwrap();
    for step in [(0, 6), (5, 6), (4, 3)] {
        let e = append(&*t, &f, &p, c.epoch, step, &[(5, 0, b"x")]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    }
    assert_eq!(read(&*t, "alerts", None), []);
    assert_eq!(t.claim(&f, &p, 0).unwrap().mark, 4);
}

fn another_job(make: MakeTables<'_>) {
    let (t, f, p) = (make("foreign"), face("alerts"), at("payments", 0));
    t.claim(&f, &p, 0).unwrap();
    let other = TableFace {
        of: "job of other".into(),
        ..f.clone()
    };
    // Also a partition that is not there yet: its rows would stand beside foreign ones.
    for p in [&p, &at("payments", 1)] {
        let e = t.claim(&other, p, 0).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidRequest, "{e}");
        let text = e.to_string();
        assert!(text.contains("job of main") && text.contains("job of other"), "{text}");
    }
    t.claim(&face("others"), &p, 0).unwrap();
    assert_eq!(t.marks("alerts").unwrap().len(), 1);
}

fn holes(make: MakeTables<'_>) {
    let (t, f, p) = (make("holes"), face("alerts"), at("payments", 0));
    let c = t.claim(&f, &p, 0).unwrap();
    append(&*t, &f, &p, c.epoch, (0, 3), &[(1, 0, b"x")]).unwrap();
    let hole = |from, to| Hole {
        from,
        to,
        reason: "lost".into(),
    };
    t.pass(&f, &p, c.epoch, &hole(3, 7)).unwrap();
    let e = t.pass(&f, &p, c.epoch, &hole(3, 9)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Closed, "{e}");
    append(&*t, &f, &p, c.epoch, (7, 8), &[(7, 0, b"y")]).unwrap();
    drop(t);
    let t = make("holes");
    let (_, mark) = t.marks("alerts").unwrap().remove(0);
    assert_eq!((mark.mark, mark.start, mark.holes), (8, 0, vec![hole(3, 7)]));
    assert_eq!(read(&*t, "alerts", None).len(), 2);
}

fn ordered(make: MakeTables<'_>) {
    let t = make("ordered");
    let f = face("alerts");
    let mut expected = Vec::new();
    // Names of which one begins the other, numbers that sort otherwise as text.
    for (source, p) in [("b", 0), ("a-b", 256), ("a", 255), ("ab", 1), ("a", 2)] {
        let (p, rows) = (
            at(source, p),
            [(0, 0), (0, 300), (1, 2), (255, 0), (256, 1), (1 << 40, 0)],
        );
        let c = t.claim(&f, &p, 0).unwrap();
        let with: Vec<(u64, u64, &[u8])> = rows.iter().map(|(o, n)| (*o, *n, &b"v"[..])).collect();
        append(&*t, &f, &p, c.epoch, (0, u64::MAX), &with).unwrap();
        expected.extend(rows.map(|(o, n)| (source.to_string(), p.partition, o, n)));
    }
    expected.sort();
    let ids =
        |from: Option<&WrittenId>| -> Vec<_> { read(&*t, "alerts", from).into_iter().map(|(id, ..)| id).collect() };
    assert_eq!(ids(None), expected);
    for (i, (source, p, offset, number)) in expected.iter().enumerate() {
        let mut from = WrittenId::of(&at(source, *p), *offset, *number);
        assert_eq!(ids(Some(&from)), expected[i..], "from {from:?}");
        from.number += 1;
        assert_eq!(ids(Some(&from)), expected[i + 1..], "behind {from:?}");
    }
    let mut taken = 0;
    t.rows("alerts", None, &mut |_, _, _| {
        taken += 1;
        Ok(taken < 3)
    })
    .unwrap();
    assert_eq!(taken, 3, "it ends where it is told to");
}

fn schemas(make: MakeTables<'_>) {
    let (old, p) = (face("alerts"), at("payments", 0));
    let new = TableFace {
        schema: "Alert{cents:i64}".into(),
        ..old.clone()
    };
    let t = make("schemas");
    let c = t.claim(&old, &p, 0).unwrap();
    append(&*t, &old, &p, c.epoch, (0, 1), &[(0, 0, b"a")]).unwrap();
    drop(t);
    let t = make("schemas");
    let c = t.claim(&new, &p, 0).unwrap();
    append(&*t, &new, &p, c.epoch, (1, 2), &[(1, 0, b"b")]).unwrap();
    let c = t.claim(&old, &p, 0).unwrap();
    append(&*t, &old, &p, c.epoch, (2, 3), &[(2, 0, b"c")]).unwrap();
    let of: Vec<_> = read(&*t, "alerts", None)
        .into_iter()
        .map(|(_, schema, _)| schema)
        .collect();
    assert_eq!(of, ["text", "Alert{cents:i64}", "text"]);
}

fn sizes(make: MakeTables<'_>) {
    let (t, f, p) = (make("sizes"), face("alerts"), at("payments", u32::MAX));
    let c = t.claim(&f, &p, u64::MAX - 1).unwrap();
    let large = vec![0xff; 3 << 20];
    let rows: [(u64, u64, &[u8]); 3] = [
        (u64::MAX - 1, 0, b"\0"),
        (u64::MAX - 1, 1, &large),
        (u64::MAX - 1, u64::MAX, b""),
    ];
    append(&*t, &f, &p, c.epoch, (u64::MAX - 1, u64::MAX), &rows).unwrap();
    let values: Vec<_> = read(&*t, "alerts", None).into_iter().map(|(_, _, v)| v).collect();
    assert_eq!(values, [b"\0".to_vec(), large, Vec::new()]);
    assert_eq!(t.claim(&f, &p, 0).unwrap().mark, u64::MAX);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn histories(make: MakeTables<'_>) {
    let mut random = Random(7);
    for seed in 0..8 {
        let place = format!("history-{seed}");
        let mut t = make(&place);
        let sinks = ["alerts", "copies"].map(face);
        // (sink, partition) -> (epoch, mark); and the rows, by a plain map.
        let mut marks: BTreeMap<(usize, u32), (u64, u64)> = BTreeMap::new();
        let mut rows: BTreeMap<(usize, u32, u64, u64), Vec<u8>> = BTreeMap::new();
        for _ in 0..120 {
            let (s, n) = (random.below(2) as usize, random.below(3) as u32);
            let (f, p) = (&sinks[s], at("payments", n));
            match (random.below(10), marks.get(&(s, n)).copied()) {
                (0, _) => {
                    drop(t);
                    t = make(&place);
                }
                (1 | 2, known) | (_, known @ None) => {
                    let start = random.below(50);
                    let c = t.claim(f, &p, start).unwrap();
                    assert_eq!(c.mark, known.map_or(start, |(_, mark)| mark));
                    marks.insert((s, n), (c.epoch, c.mark));
                }
                (3, Some((epoch, mark))) => {
                    let stale = append(&*t, f, &p, epoch - 1, (mark, mark + 1), &[(mark, 0, b"stale")]);
                    assert!(stale.is_err());
                }
                (_, Some((epoch, mark))) => {
                    let to = mark + random.below(5);
                    let mut new = Vec::new();
                    for offset in mark..to {
                        for number in 0..random.below(3) {
                            new.push((offset, number, random.below(1 << 40).to_string().into_bytes()));
                        }
                    }
                    let with: Vec<(u64, u64, &[u8])> = new.iter().map(|(o, i, v)| (*o, *i, v.as_slice())).collect();
                    append(&*t, f, &p, epoch, (mark, to), &with).unwrap();
                    marks.insert((s, n), (epoch, to));
                    rows.extend(new.into_iter().map(|(o, i, v)| ((s, n, o, i), v)));
                }
            }
        }
        for (s, f) in sinks.iter().enumerate() {
            let found: Vec<_> = read(&*t, &f.sink, None)
                .into_iter()
                .map(|((_, n, o, i), _, v)| ((s, n, o, i), v))
                .collect();
            let expected: Vec<_> = rows
                .iter()
                .filter(|(id, _)| id.0 == s)
                .map(|(id, v)| (*id, v.clone()))
                .collect();
            assert_eq!(found, expected, "history {seed}, sink {}", f.sink);
            let found: Vec<_> = t
                .marks(&f.sink)
                .unwrap()
                .into_iter()
                .map(|(p, m)| (p.partition, m.mark))
                .collect();
            let expected: Vec<_> = marks
                .iter()
                .filter(|(of, _)| of.0 == s)
                .map(|(of, m)| (of.1, m.1))
                .collect();
            assert_eq!(found, expected);
        }
    }
}
