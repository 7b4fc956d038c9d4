//! Files that are taken whole name no offsets, so a generation of them and cells of a log cannot be added (P8a; section
//! 10 of the protocol). Either way round it is refused with that reason, and what was there is answered on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::run::{answers_on_disk, assert_same};

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");

fn run(dir: &Path, args: &[&str]) -> Result<(i32, String)> {
    let mut c = Command::new(PROGRAM);
    let out = c
        .args(args)
        .args(["--data", "data"])
        .env("RUFOUS_LOG", "warn")
        .current_dir(dir)
        .output()?;
    let said = [out.stdout, out.stderr].concat();
    Ok((
        out.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

fn refused_after(first: &[&str], then: &[&[&str]], reason: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("in"))?;
    fs::write(dir.path().join("in/a.txt"), "one two two\n")?;
    let (code, said) = run(dir.path(), first)?;
    ensure!(code == 0, "{said}");
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let answers = || answers_on_disk(&plan, &dir.path().join("data"));
    let before = answers()?;
    ensure!(before.len() == 2);
    fs::write(dir.path().join("in/b.txt"), "three\n")?;
    for args in then {
        let (code, said) = run(dir.path(), args)?;
        ensure!(code == 1 && said.contains(reason), "{args:?}: {code}: {said}");
        assert_same(reason, &answers()?, &before);
    }
    let (code, said) = run(dir.path(), first)?;
    ensure!(code == 0 && answers()?.len() == 3, "what was begun goes on: {said}");
    Ok(())
}

const LIVE: [&str; 4] = ["stream", "--until-end", "--source", "lines=dir:in+text"];
const WHOLE: [&str; 3] = ["batch", "--source", "lines=bulk:in+text"];

#[test]
fn files_taken_whole_after_a_live_part() -> Result<()> {
    let dry = [&WHOLE[..], &["--dry-run"]].concat();
    refused_after(
        &LIVE,
        &[&WHOLE, &dry],
        "files that are taken whole name no offsets to hand over at",
    )
}

#[test]
fn a_live_part_after_files_taken_whole() -> Result<()> {
    refused_after(&WHOLE, &[&LIVE], "a generation of a bounded input")
}
