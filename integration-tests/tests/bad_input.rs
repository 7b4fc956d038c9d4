//! Bad input gets a clear error with file, line or offset and the repair, and an exit code by kind; nothing is half-written.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn flights(dir: &Path, args: &[&str]) -> Result<Run> {
    program(env!("CARGO_BIN_EXE_job-flights"), dir, args)
}

fn program(program: &str, dir: &Path, args: &[&str]) -> Result<Run> {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("RUFOUS_LOG", "warn")
        .output()?;
    Ok(Run {
        code: out.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&out.stdout).into(),
        err: String::from_utf8_lossy(&out.stderr).into(),
    })
}

const GOOD: &str = r#"{"date":"2001-01-01T00:05:00","delay":3,"distance":10,"origin":"ATL","destination":"LAX"}"#;

fn expect(what: &str, run: &Run, code: i32, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(
            run.err.contains(word),
            "{what}: the message does not say `{word}`: {}",
            run.err
        );
    }
    ensure!(
        run.code == code,
        "{what}: exit code {} in place of {code}: {}",
        run.code,
        run.err
    );
    ensure!(!run.err.contains("panicked"), "{what}: {}", run.err);
    Ok(())
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, bytes)?;
    Ok(path)
}

#[test]
fn bad_records_fail_or_are_counted() -> Result<()> {
    let invalid_utf8 = [
        br#"{"date":"2001-01-01T00:05:00","delay":3,"distance":10,"origin":""#,
        &b"\xff\xfe"[..],
        br#"","destination":"LAX"}"#,
    ]
    .concat();
    let missing = br#"{"date":"2001-01-01T00:05:00","delay":3,"origin":"ATL","destination":"LAX"}"#;
    let offset = (GOOD.len() + 1).to_string();
    let cases: [(&str, &[u8], &str); 4] = [
        ("no JSON", b"not json at all", "not a JSON object"),
        ("missing field", missing, "field `distance` is missing"),
        (
            "wrong type",
            br#"{"date":"soon","delay":3,"distance":1,"origin":"ATL","destination":"LAX"}"#,
            "field `date` is \"soon\"",
        ),
        ("invalid UTF-8", &invalid_utf8, "offset"),
    ];
    for (what, bad, words) in cases {
        let dir = tempfile::tempdir()?;
        write(
            dir.path(),
            "f.jsonl",
            &[GOOD.as_bytes(), b"\n", bad, b"\n", GOOD.as_bytes(), b"\n"].concat(),
        )?;
        let args = [
            "stream",
            "--until-end",
            "--no-archive",
            "--source",
            "flights=file:f.jsonl",
        ];
        let run = flights(dir.path(), &args)?;
        expect(what, &run, 1, &[words, &offset, "f.jsonl", "--on-bad-record skip"])?;
        let run = flights(dir.path(), &[&args[..], &["--on-bad-record", "skip"]].concat())?;
        expect(what, &run, 0, &[words])?;
        ensure!(
            run.out.contains("3 records") && run.out.contains("1 skipped"),
            "{what}: {}",
            run.out
        );
        let run = flights(dir.path(), &["get", "ATL,2001-01-01", "--json"])?;
        ensure!(run.out.contains(r#""flights":2"#), "{what}: {} {}", run.out, run.err);
    }
    Ok(())
}

#[test]
fn places_that_are_not_there() -> Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("empty"))?;
    write(dir.path(), "nothing.jsonl", b"")?;
    write(dir.path(), "bad.parquet", b"PAR1 this is no parquet file PAR1")?;
    let stream = |location: &str| {
        flights(
            dir.path(),
            &[
                "stream",
                "--until-end",
                "--no-archive",
                "--instance",
                "i",
                "--source",
                location,
            ],
        )
    };
    expect("missing file", &stream("flights=file:none.jsonl")?, 1, &["none.jsonl"])?;
    expect("missing directory", &stream("flights=dir:none")?, 1, &["none"])?;
    expect("empty directory", &stream("flights=dir:empty")?, 1, &["empty"])?;
    expect("unknown kind", &stream("flights=s3://x")?, 1, &["s3://x", "file:PATH"])?;
    expect(
        "unknown source",
        &stream("flight=file:nothing.jsonl")?,
        1,
        &["no source `flight`", "flights"],
    )?;
    expect(
        "not bound",
        &flights(dir.path(), &["stream"])?,
        1,
        &["source `flights` is not bound", "--source flights="],
    )?;
    let run = stream("flights=file:nothing.jsonl")?;
    expect("empty file", &run, 0, &[])?;
    ensure!(run.out.contains("0 records"), "{}", run.out);
    let batch = |location: &str| flights(dir.path(), &["batch", "--instance", "p", "--source", location]);
    expect(
        "corrupt parquet",
        &batch("flights=parquet:bad.parquet")?,
        4,
        &["bad.parquet"],
    )?;
    expect(
        "no parquet files",
        &batch("flights=parquet:empty")?,
        1,
        &["empty", ".parquet"],
    )?;
    expect(
        "nothing ran",
        &flights(dir.path(), &["get", "ATL,2001-01-01", "--instance", "q"])?,
        1,
        &["there is no data directory"],
    )?;
    expect(
        "malformed key",
        &flights(dir.path(), &["get", "ATL", "--instance", "i"])?,
        1,
        &["key `ATL`"],
    )?;
    Ok(())
}

#[test]
fn settings_are_checked() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "rufous.toml", b"[sources.flights]\nlocaton = \"file:x\"\n")?;
    expect(
        "unknown setting",
        &flights(dir.path(), &["explain"])?,
        1,
        &["rufous.toml", "locaton", "location"],
    )?;
    write(
        dir.path(),
        "rufous.toml",
        b"[sources.flights]\nlocation = \"file:f.jsonl\"\n",
    )?;
    write(dir.path(), "f.jsonl", format!("{GOOD}\n").as_bytes())?;
    let run = flights(dir.path(), &["stream", "--until-end"])?;
    expect("bound by settings", &run, 0, &[])?;
    expect(
        "usage",
        &flights(dir.path(), &["stream", "--nonsense"])?,
        2,
        &["--nonsense"],
    )
}

#[test]
fn a_broker_that_is_down() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let run = flights(
        dir.path(),
        &[
            "stream",
            "--until-end",
            "--source",
            "flights=kafka://127.0.0.1:9/flights",
        ],
    )?;
    expect("broker down", &run, 3, &["127.0.0.1:9"])
}

#[test]
fn a_topic_that_is_not_there() -> Result<()> {
    let broker = rufous_integration_tests::kafka::shared()?;
    let dir = tempfile::tempdir()?;
    let source = format!("flights=kafka://{}/no-such-topic", broker.addr());
    let run = flights(dir.path(), &["stream", "--until-end", "--source", &source])?;
    expect("unknown topic", &run, 1, &["no-such-topic"])
}

#[test]
fn a_truncated_file_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = write(dir.path(), "f.jsonl", format!("{GOOD}\n{GOOD}\n").as_bytes())?;
    let args = [
        "stream",
        "--until-end",
        "--no-archive",
        "--source",
        "flights=file:f.jsonl",
    ];
    expect("first", &flights(dir.path(), &args)?, 0, &[])?;
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)?
        .set_len(GOOD.len() as u64 + 1)?;
    let run = flights(dir.path(), &args)?;
    expect("truncated", &run, 1, &["f.jsonl"])
}

#[test]
fn a_changed_job_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "t.txt", b"to be or not\n")?;
    let words = |args: &[&str]| program(env!("CARGO_BIN_EXE_job-word-count"), dir.path(), args);
    let at = ["stream", "--until-end", "--source", "lines=file:t.txt"];
    expect("first", &words(&at)?, 0, &[])?;
    let run = words(&[&at[..], &["--min-len", "3"]].concat())?;
    expect("other arguments", &run, 1, &["changed", "fingerprint"])
}
