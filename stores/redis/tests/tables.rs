//! Tables of written records in Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use rufous_core::{Error, ErrorKind, SourcePartition};
use rufous_store_api::conformance;
use rufous_store_api::table::{Append, TableFace, TableReader, TableRow, TableStore};
use rufous_store_redis::{RedisOptions, RedisTables};
use rufous_test_servers::redis::{RedisServer, RedisSetup};

#[test]
fn redis_conforms() {
    let server = RedisSetup::durable("everysec").start().unwrap();
    conformance::tables(&|place| {
        Arc::new(RedisTables::open(&server.url(), &RedisOptions::default(), place, "main").unwrap())
    });
}

fn open(server: &RedisServer) -> RedisTables {
    let options = RedisOptions {
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(5),
        ..RedisOptions::default()
    };
    RedisTables::open(&server.url(), &options, "job/1", "main").unwrap()
}

fn face() -> TableFace {
    TableFace {
        sink: "al erts".into(),
        of: "job/1 of main".into(),
        schema: "text".into(),
    }
}

fn part() -> SourcePartition {
    SourcePartition::new("pay/ments", 3)
}

/// One row an offset, its text.
fn append(t: &RedisTables, epoch: u64, from: u64, to: u64) -> Result<(), Error> {
    let texts: Vec<String> = (from..to).map(|o| format!("row {o}")).collect();
    let rows: Vec<_> = (from..to)
        .zip(&texts)
        .map(|(offset, text)| TableRow {
            offset,
            number: 0,
            value: text.as_bytes(),
        })
        .collect();
    let p = part();
    t.append(
        &face(),
        &Append {
            partition: &p,
            epoch,
            from,
            to,
            rows: &rows,
        },
    )
}

fn read(t: &dyn TableReader) -> Result<Vec<u64>, Error> {
    let mut offsets = Vec::new();
    t.rows("al erts", None, &mut |id, schema, value| {
        assert_eq!((schema, value), ("text", format!("row {}", id.offset).as_bytes()));
        offsets.push(id.offset);
        Ok(true)
    })?;
    Ok(offsets)
}

fn raw(server: &RedisServer, words: &[&[u8]]) -> Value {
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut cmd = redis::Cmd::new();
    words.iter().for_each(|word| {
        cmd.arg(*word);
    });
    cmd.query(&mut connection).unwrap()
}

const PREFIX: &str = "rufous-tables:{job%2F1/main}:";

/// The layout, key by key.
#[test]
fn a_fixed_history_leaves_these_keys() {
    let server = RedisSetup::durable("no").start().unwrap();
    let t = open(&server);
    let c = t.claim(&face(), &part(), 5).unwrap();
    append(&t, c.epoch, 5, 7).unwrap();
    let text = |words: &[&str]| {
        let words: Vec<Vec<u8>> = words.iter().map(|w| w.replace("P:", PREFIX).into_bytes()).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match raw(&server, &words) {
            Value::Array(values) => values
                .iter()
                .map(|v| match v {
                    Value::BulkString(bytes) => bytes.escape_ascii().to_string(),
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let mut keys = text(&["KEYS", "*"]);
    keys.sort();
    let names = [
        "ids/al%20erts/pay%2Fments/3",
        "marks/al%20erts",
        "rows/al%20erts/pay%2Fments/3",
        "schemas/al%20erts",
    ];
    assert_eq!(keys, names.map(|name| format!("{PREFIX}{name}")));
    assert_eq!(
        text(&["HGETALL", "P:marks/al%20erts"]),
        [
            "pay%2Fments/3",
            r#"{\"format\":1,\"rows\":2,\"mark\":{\"of\":\"job/1 of main\",\"sink\":\"al erts\",\"epoch\":1,\"mark\":7,\"start\":5,\"holes\":[]}}"#
        ]
    );
    assert_eq!(text(&["HGETALL", "P:schemas/al%20erts"]), ["0", "text"]);
    let id = |n: u8| format!(r"\x00\x00\x00\x00\x00\x00\x00\x0{n}\x00\x00\x00\x00\x00\x00\x00\x00");
    assert_eq!(
        text(&["HGETALL", "P:rows/al%20erts/pay%2Fments/3"]),
        [id(5), r"\x01\x00row 5".into(), id(6), r"\x01\x00row 6".into()]
    );
    assert_eq!(
        text(&["ZRANGE", "P:ids/al%20erts/pay%2Fments/3", "0", "-1"]),
        [id(5), id(6)]
    );
}

/// Rows that somebody deleted or overwrote are an error that names the partition or the row, for readers and writers.
#[test]
fn what_somebody_else_wrote_is_named() {
    let server = RedisSetup::durable("no").start().unwrap();
    let rows = "P:rows/al%20erts/pay%2Fments/3";
    let damages: &[(&[&str], &str)] = &[
        (&["DEL", rows], "pay/ments/3 should have 2 rows"),
        (
            &["DEL", "P:ids/al%20erts/pay%2Fments/3"],
            "pay/ments/3 should have 2 rows",
        ),
        (
            &["HSET", rows, "0123456789abcdef", "x"],
            "pay/ments/3 should have 2 rows",
        ),
        (&["SET", rows, "x"], "a key holds something else"),
        (
            &["HSET", "P:marks/al%20erts", "pay%2Fments/3", "x"],
            "the mark of pay/ments/3 cannot be read",
        ),
        (&["HSET", "P:marks/al%20erts", "pay", "x"], "names no partition"),
        (&["HSET", "P:schemas/al%20erts", "x", "y"], "a schema cannot be read"),
    ];
    for (damage, named) in damages {
        raw(&server, &[b"FLUSHALL"]);
        let t = open(&server);
        let c = t.claim(&face(), &part(), 0).unwrap();
        append(&t, c.epoch, 0, 2).unwrap();
        let damage: Vec<Vec<u8>> = damage.iter().map(|w| w.replace("P:", PREFIX).into_bytes()).collect();
        raw(&server, &damage.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for e in [read(&t).unwrap_err(), append(&t, c.epoch, 2, 3).unwrap_err()] {
            assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
            assert!(e.to_string().contains(named), "{named}: {e}");
        }
    }
    // A row whose schema went: readers say so.
    raw(&server, &[b"FLUSHALL"]);
    let t = open(&server);
    let c = t.claim(&face(), &part(), 0).unwrap();
    append(&t, c.epoch, 0, 2).unwrap();
    raw(&server, &[b"DEL", format!("{PREFIX}schemas/al%20erts").as_bytes()]);
    let e = read(&t).unwrap_err();
    assert!(
        e.to_string().contains("row al erts/pay/ments/3/0/0 names schema 0"),
        "{e}"
    );
}

/// Two processes: who claimed first is shut out by the server, though it knows nothing of the other.
#[test]
fn a_writer_that_was_shut_out_writes_nothing() {
    let server = RedisSetup::durable("no").start().unwrap();
    let (a, b) = (open(&server), open(&server));
    let old = a.claim(&face(), &part(), 0).unwrap();
    append(&a, old.epoch, 0, 2).unwrap();
    let new = b.claim(&face(), &part(), 0).unwrap();
    assert_eq!(new.mark, 2);
    assert_eq!(append(&a, old.epoch, 2, 4).unwrap_err().kind(), ErrorKind::Closed);
    append(&b, new.epoch, 2, 3).unwrap();
    assert_eq!(read(&a).unwrap(), [0, 1, 2]);
}

/// Many rows and large ones: pages, pieces, and a table that grows while it is read.
#[test]
fn large_tables_are_read_as_they_were() {
    let server = RedisSetup::durable("no").start().unwrap();
    let t = open(&server);
    let c = t.claim(&face(), &part(), 0).unwrap();
    append(&t, c.epoch, 0, 210_000).unwrap();
    append(&t, c.epoch, 210_000, 211_000).unwrap();
    let (mut seen, mut mark) = (0, 211_000);
    let reader = RedisTables::open_reader(&server.url(), &RedisOptions::default(), "job/1", "main").unwrap();
    reader
        .rows("al erts", None, &mut |id, _, _| {
            assert_eq!(id.offset, seen);
            seen += 1;
            if seen % 50_000 == 0 {
                append(&t, c.epoch, mark, mark + 10)?;
                mark += 10;
            }
            Ok(true)
        })
        .unwrap();
    assert_eq!(seen, 211_000, "what came meanwhile is of a later moment");
}

/// The server is killed under load: marks and rows come back together.
#[test]
fn a_killed_server_has_marks_and_rows_of_one_moment() {
    let mut server = RedisSetup::durable("always").start().unwrap();
    let t = open(&server);
    let mut written = t.claim(&face(), &part(), 0).unwrap();
    let mut failed = 0;
    for _ in 0..5 {
        let ends = Instant::now() + Duration::from_millis(80);
        while Instant::now() < ends {
            append(&t, written.epoch, written.mark, written.mark + 3).unwrap();
            written.mark += 3;
        }
        server.kill().unwrap();
        let e = append(&t, written.epoch, written.mark, written.mark + 3).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{e}");
        failed += 1;
        server.start_again().unwrap();
        let again = (0..3).find_map(|_| t.claim(&face(), &part(), 0).ok()).unwrap();
        assert_eq!((again.mark, again.epoch), (written.mark, written.epoch + 1), "O23");
        assert_eq!(read(&t).unwrap(), (0..again.mark).collect::<Vec<_>>());
        written = again;
    }
    assert_eq!(failed, 5);
}
