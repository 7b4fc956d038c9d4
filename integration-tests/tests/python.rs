//! The example in Python, run against a live `serve`: it prints what a plain count says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::kafka::process;

const TEXT: &str = "the whale and the sea\nthe white whale\n\nand the sea and the sky, l'été\n";

fn command(program: &str, dir: &Path) -> Command {
    let mut c = Command::new(program);
    c.current_dir(dir).env("RUFOUS_LOG", "warn").stdin(Stdio::null());
    c
}

fn python(args: &[&str]) -> Result<Output> {
    let prepared = std::env::var_os("RUFOUS_PYTHON_DIR").context("RUFOUS_PYTHON_DIR is not set: run `./x test`")?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/python/read_answers.py");
    let mut c = Command::new(PathBuf::from(prepared).join("venv/bin/python"));
    Ok(c.arg(script).args(args).output()?)
}

#[test]
fn python_reads_answers_and_tables() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let job = env!("CARGO_BIN_EXE_job-word-count");
    std::fs::File::create(dir.path().join("lines.txt"))?.write_all(TEXT.as_bytes())?;
    let source = ["--source", "lines=file:lines.txt"];
    let done = command(job, dir.path())
        .arg("stream")
        .args(source)
        .arg("--until-end")
        .output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut serve = command(job, dir.path());
    serve.args(["serve", "--listen", "0"]).stdout(Stdio::piped());
    let mut serve = process::spawn(serve)?;
    let mut line = String::new();
    BufReader::new(serve.stdout.take().context("no output")?).read_line(&mut line)?;
    let url = line
        .trim()
        .strip_prefix("serving ")
        .with_context(|| format!("it said {line:?}"))?;

    let seen = python(&[url, "counts", "whale", "été", "squid"])?;
    let (out, err) = (
        String::from_utf8(seen.stdout)?,
        String::from_utf8_lossy(&seen.stderr).into_owned(),
    );
    ensure!(seen.status.success(), "{out}{err}");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in TEXT.split([' ', '\n', ',', '\'']).filter(|w| !w.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let (keys, all) = (counts.len(), counts.values().sum::<u64>());
    let expected = format!(
        "whale: 2 (offline until the beginning)\nété: 1 (offline until the beginning)\nsquid: None (offline until the beginning)\n\
         {keys} keys, {all} in all\n  the: 5\n  and: 3\n  sea: 2\n"
    );
    let (shown, token) = out.split_once("token ").context("no token")?;
    assert_eq!(shown, expected);
    assert!(token.trim().ends_with(&format!("lines/0={}", TEXT.len())), "{token}");

    // What is refused is told in the server's words.
    let refused = python(&[url, "count", "whale"])?;
    let err = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(
        !refused.status.success() && err.contains("404 invalid_request") && err.contains("counts"),
        "{err}"
    );
    process::stop(&mut serve)
}
