//! Files.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::world::{Got, PARTITIONS, World, text};

fn world(seed: u64) -> Result<World> {
    World::new(seed, |dir| format!("files {}/", dir.display()))
}

/// What counts in the files of a sink.
fn read(dir: &Path, sink: &str) -> Result<Vec<Got>> {
    let mut all = Vec::new();
    for p in 0..PARTITIONS {
        let lines = std::fs::read_to_string(dir.join(format!("{sink}/payments-{p}.jsonl")))?;
        for line in lines.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let id = line["id"].as_str().context("an id")?;
            let record = line["record"].to_string();
            let record = if sink == "copies" { text(&record)? } else { record };
            all.push(Got::new(sink, id, record)?);
        }
    }
    Ok(all)
}

fn check(w: &World, what: &str) -> Result<()> {
    let dir = w.dir.path();
    w.check(what, &read(dir, "overdrawn")?, &read(dir, "copies")?)
}

/// O23: killed between any two writes of the sinks and the state, and at seeded instants.
#[test]
fn killed_anywhere() -> Result<()> {
    let mut w = world(31)?;
    let points = rufous::store_api::points::SINKS;
    let store = ["commit.before", "commit.written", "acquire.written"];
    let mut ended = 0;
    for point in points.iter().chain(&store) {
        for time in [1, 2, 5, 9] {
            w.append_all(40)?;
            ended += usize::from(w.end_at(&format!("{point}:{time}"))?);
        }
        w.append_all(3)?;
        w.catch_up()?;
        check(&w, point)?;
    }
    ensure!(
        ended >= points.len() + store.len(),
        "{ended} streams came to their points"
    );
    for _ in 0..20 {
        w.append_all(60)?;
        w.kill(90)?;
    }
    w.catch_up()?;
    check(&w, "killed 20 times")
}

/// O23, O25: the state is lost and made anew from the log, and the sink has each record once; the sink is lost, and the state
/// is taken back until it has all.
#[test]
fn state_or_sink_is_lost() -> Result<()> {
    let mut w = world(32)?;
    w.append_all(500)?;
    w.catch_up()?;
    std::fs::remove_dir_all(w.state())?;
    w.append_all(100)?;
    w.catch_up()?;
    check(&w, "without the state")?;
    std::fs::remove_dir_all(w.dir.path().join("copies"))?;
    w.append_all(100)?;
    w.catch_up()?;
    check(&w, "without a sink")
}

/// Section 7: what is not bound is refused before anything opens, with the line to add; so is a bulk run.
#[test]
fn refused_with_the_repair() -> Result<()> {
    let mut w = world(33)?;
    w.to = String::new();
    std::fs::remove_dir_all(w.data())?;
    let out = w.command("stream").args(["--until-end", "--no-archive"]).output()?;
    let err = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(1), "{} {err}", out.status);
    ensure!(
        err.contains("sink `overdrawn` is not bound: add `.sink(OVERDRAWN, topic("),
        "{err}"
    );
    ensure!(!w.data().exists(), "nothing is made before that");
    Ok(())
}

/// O22, O25: batch runs write nothing and say so, and let go of nothing that is not written: a state that is lost above many
/// generations is made anew and writes what is missing, once.
#[test]
fn generations_wait_for_the_sink() -> Result<()> {
    let mut w = world(34)?;
    w.append_all(400)?;
    w.run("stream", &["--until-end"])?;
    let mut said = String::new();
    for _ in 0..4 {
        w.run("archive", &["--until-end"])?;
        let out = w.run("batch", &["--keep", "0"])?;
        said.push_str(&String::from_utf8_lossy(&out.stdout));
        w.append_all(400)?;
    }
    ensure!(
        said.contains("sink `copies`: written by the live part, not by this run"),
        "{said}"
    );
    ensure!(
        said.contains("cells stay: not all of what this generation covers is written"),
        "{said}"
    );
    let doctor = w.run("doctor", &[])?;
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    ensure!(
        doctor.contains("held by the live part that writes the sinks: payments/0"),
        "{doctor}"
    );
    std::fs::remove_dir_all(w.state())?;
    w.run("stream", &["--until-end"])?;
    check(&w, "made anew below the generations")?;
    // What is written is let go of.
    w.append_all(400)?;
    w.run("archive", &["--until-end"])?;
    w.run("batch", &["--keep", "0"])?;
    w.run("stream", &["--until-end"])?;
    check(&w, "above the generations")?;
    std::fs::remove_dir_all(w.state())?;
    w.append_all(10)?;
    w.run("stream", &["--until-end"])?;
    check(&w, "made anew where it may be dropped")
}
