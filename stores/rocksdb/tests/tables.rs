//! Tables in RocksDB pass what every place of tables must, and what only files can go wrong with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rufous_core::{ErrorKind, Result, SourcePartition};
use rufous_store_api::conformance;
use rufous_store_api::table::{Append, Claim, EachRow, TableFace, TableMark, TableReader, TableRow, TableStore};
use rufous_store_api::{Hole, WrittenId};
use rufous_store_rocksdb::{RocksTables, RocksTablesReader};

const SINKS: [&str; 3] = ["alerts", "copies", "others"];
const MEMORY: usize = 16 << 20;

fn face() -> TableFace {
    TableFace {
        sink: "alerts".into(),
        of: "job of main".into(),
        schema: "text".into(),
    }
}

fn payments(n: u32) -> SourcePartition {
    SourcePartition::new("payments", n)
}

/// Writes one row an offset, of partition 0.
fn write(t: &RocksTables, from: u64, to: u64) -> Result<()> {
    let claim = t.claim(&face(), &payments(0), 0)?;
    assert_eq!(claim.mark, from);
    let rows: Vec<_> = (from..to)
        .map(|offset| TableRow {
            offset,
            number: 0,
            value: b"record",
        })
        .collect();
    t.append(
        &face(),
        &Append {
            partition: &payments(0),
            epoch: claim.epoch,
            from,
            to,
            rows: &rows,
        },
    )
}

fn count(t: &dyn TableReader) -> Result<u64> {
    let mut n = 0;
    t.rows("alerts", None, &mut |_, _, _| {
        n += 1;
        Ok(true)
    })?;
    Ok(n)
}

/// Writes as the owner, reads as another process would, while it writes.
struct Outside {
    tables: RocksTables,
    reader: RocksTablesReader,
}

impl TableReader for Outside {
    fn location(&self) -> String {
        self.reader.location()
    }
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        self.reader.marks(sink)
    }
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        self.reader.rows(sink, from, each)
    }
}

impl TableStore for Outside {
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim> {
        self.tables.claim(table, p, start)
    }
    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()> {
        self.tables.append(table, append)
    }
    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()> {
        self.tables.pass(table, p, epoch, hole)
    }
}

/// A directory a place.
#[derive(Default)]
struct Places(Mutex<BTreeMap<String, tempfile::TempDir>>);

impl Places {
    fn at(&self, place: &str) -> PathBuf {
        let mut places = self.0.lock().unwrap();
        let dir = places
            .entry(place.into())
            .or_insert_with(|| tempfile::tempdir().unwrap());
        dir.path().to_path_buf()
    }
}

#[test]
fn conforms() {
    let places = Places::default();
    conformance::tables(&|place| Arc::new(RocksTables::open(&places.at(place), &SINKS, MEMORY).unwrap()));
}

#[test]
fn conforms_as_others_see_it() {
    let places = Places::default();
    conformance::tables(&|place| {
        let dir = places.at(place);
        let tables = RocksTables::open(&dir, &SINKS, MEMORY).unwrap();
        let reader = RocksTablesReader::open(&dir).unwrap().unwrap();
        Arc::new(Outside { tables, reader })
    });
}

/// O23: one process has the tables open; readers need not wait for it.
#[test]
fn a_second_writer_is_told_who_has_them() {
    let dir = tempfile::tempdir().unwrap();
    assert!(RocksTablesReader::open(dir.path()).unwrap().is_none(), "nothing there");
    let first = RocksTables::open(dir.path(), &SINKS, MEMORY).unwrap();
    let e = RocksTables::open(dir.path(), &SINKS, MEMORY).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Closed);
    assert!(
        e.to_string()
            .contains(&format!("is owned by process {}", std::process::id())),
        "{e}"
    );
    write(&first, 0, 10).unwrap();
    let reader = RocksTablesReader::open(dir.path()).unwrap().unwrap();
    assert_eq!(count(&reader).unwrap(), 10);
    write(&first, 10, 15).unwrap();
    assert_eq!(count(&reader).unwrap(), 15, "each reading is of its own time");
    drop(first);
    assert_eq!(count(&reader).unwrap(), 15);
    write(&RocksTables::open(dir.path(), &SINKS, MEMORY).unwrap(), 15, 16).unwrap();
}

/// O27: a table of a sink that the job does not have any more stays, and so does its reader's way to it.
#[test]
fn a_table_that_is_not_bound_stays() {
    let dir = tempfile::tempdir().unwrap();
    write(&RocksTables::open(dir.path(), &["alerts"], MEMORY).unwrap(), 0, 3).unwrap();
    let t = RocksTables::open(dir.path(), &["copies"], MEMORY).unwrap();
    assert_eq!(count(&t).unwrap(), 3);
    assert_eq!(t.marks("others").unwrap(), []);
    let e = t
        .claim(
            &TableFace {
                sink: "others".into(),
                ..face()
            },
            &payments(0),
            0,
        )
        .unwrap_err();
    assert!(e.to_string().contains("has no table of sink `others`"), "{e}");
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("db")).unwrap().map(|e| e.unwrap().path());
    all.filter(|p| p.extension().is_some_and(|e| e == ending)).collect()
}

/// Damage is an error that names the directory and what to do, for writer and reader: no fewer rows, no panic.
#[test]
fn damage_is_told_with_the_repair() {
    let dir = tempfile::tempdir().unwrap();
    let t = RocksTables::open(dir.path(), &SINKS, MEMORY).unwrap();
    write(&t, 0, 50).unwrap();
    drop(t);
    // Opened again, what was in the log is in a table.
    let t = RocksTables::open(dir.path(), &SINKS, MEMORY).unwrap();
    write(&t, 50, 60).unwrap();
    drop(t);
    let copy = |to: &Path| {
        fs::create_dir_all(to.join("db")).unwrap();
        for entry in fs::read_dir(dir.path().join("db")).unwrap().map(|e| e.unwrap()) {
            fs::copy(entry.path(), to.join("db").join(entry.file_name())).unwrap();
        }
        fs::write(to.join("owner"), "").unwrap();
    };
    let tables = files(dir.path(), "sst");
    assert!(!tables.is_empty());
    for change in 0..3 {
        let damaged = tempfile::tempdir().unwrap();
        copy(damaged.path());
        let table = damaged.path().join("db").join(tables[0].file_name().unwrap());
        match change {
            0 => fs::remove_file(&table).unwrap(),
            1 => fs::remove_file(damaged.path().join("db/CURRENT")).unwrap(),
            _ => {
                let mut bytes = fs::read(&table).unwrap();
                bytes.iter_mut().take(200).for_each(|b| *b ^= 0x55);
                fs::write(&table, bytes).unwrap();
            }
        }
        let reading = || RocksTablesReader::open(damaged.path()).and_then(|r| count(&r.unwrap()));
        let writing = || RocksTables::open(damaged.path(), &SINKS, MEMORY).and_then(|t| count(&t));
        for e in [reading().unwrap_err(), writing().unwrap_err()] {
            assert_eq!(e.kind(), ErrorKind::CorruptData, "change {change}: {e}");
            let text = e.to_string();
            assert!(
                text.contains("restore the directory from a copy"),
                "change {change}: {text}"
            );
            assert!(!text.contains("rebuild"), "change {change}: {text}");
        }
    }
}
