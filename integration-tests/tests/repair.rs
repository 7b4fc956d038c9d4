//! Repair through the real thing: a lost shard is rebuilt from the log (P32), a lost range is an error that names it (P31, P34),
//! never a smaller number.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use rufous_examples::flights::flights;
use rufous_integration_tests::run::{self, answers_on_disk, assert_same};
use rufous_integration_tests::{data, kafka};

fn job(dir: &Path, args: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_job-flights"));
    command
        .args(args)
        .arg("--data")
        .arg(dir.join("data"))
        .env("RUFOUS_LOG", "error");
    Ok(command.current_dir(dir).output()?)
}

fn good(dir: &Path, args: &[&str]) -> Result<String> {
    let out = job(dir, args)?;
    ensure!(
        out.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(String::from_utf8_lossy(&out.stdout).into())
}

#[test]
fn p32_a_lost_shard_is_rebuilt() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (input, lines) = (dir.path().join("in"), data::sample_lines()?);
    let source = format!("flights=dir:{}+jsonl", input.display());
    let append = |range: std::ops::Range<usize>| {
        run::write_files(&input, "jsonl", 3, lines[range].iter().map(String::as_str), |i, _| i)
    };
    let plan = flights().plan()?;
    append(0..50_000)?;
    good(dir.path(), &["stream", "--until-end", "--source", &source])?;
    good(dir.path(), &["batch"])?;
    append(50_000..90_000)?;
    good(dir.path(), &["stream", "--until-end", "--source", &source])?;
    good(dir.path(), &["batch"])?;
    append(90_000..lines.len())?;
    good(dir.path(), &["stream", "--until-end", "--source", &source])?;
    let before = answers_on_disk(&plan, &dir.path().join("data"))?;
    std::fs::remove_dir_all(dir.path().join("data/main/jobs/flights/realtime"))?;
    // Without the shard the offline part answers, and its coverage says so; the rebuilt one gives all of it again.
    let partial = good(dir.path(), &["get", "ATL,2001-01-01", "--json"])?;
    ensure!(partial.contains("\"freshness\":null"), "{partial}");
    good(dir.path(), &["stream", "--until-end", "--source", &source])?;
    assert_same("rebuilt", &answers_on_disk(&plan, &dir.path().join("data"))?, &before);
    Ok(())
}

#[test]
fn p34_a_lost_range_is_named() -> Result<()> {
    let broker = kafka::shared()?;
    let topic = kafka::unique_name("lost");
    broker.create_topic(&topic, 1, &[])?;
    let (dir, lines) = (tempfile::tempdir()?, data::sample_lines()?);
    let source = format!("flights=kafka://{}/{topic}+jsonl", broker.addr());
    let stream = ["stream", "--until-end", "--no-archive", "--source", &source];
    broker.produce(&topic, 0, lines[..1_000].iter().map(|l| (1, "", l.as_str())))?;
    good(dir.path(), &stream)?;
    broker.produce(&topic, 0, lines[1_000..2_000].iter().map(|l| (1, "", l.as_str())))?;
    broker.delete_records(&topic, 0, 1_500)?;
    good(dir.path(), &stream)?;
    let out = job(dir.path(), &["get", "ATL,2001-01-01"])?;
    let stderr = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(6), "{} {stderr}", out.status);
    ensure!(
        stderr.contains("offsets 1000..1500 of partition 0 of `flights`"),
        "{stderr}"
    );
    let accepted = good(dir.path(), &["get", "ATL,2001-01-01", "--json", "--accept-holes"])?;
    ensure!(
        accepted.contains("1000") && accepted.contains("1500"),
        "the accepted hole is listed: {accepted}"
    );
    Ok(())
}
