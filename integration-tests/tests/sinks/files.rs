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
    for (n, point) in points.iter().chain(&store).enumerate() {
        for time in [1, 2, 5, 9] {
            w.append_all(40)?;
            ended += usize::from(w.end_at(&format!("{point}:{}", time + n % 2))?);
        }
        w.append_all(3)?;
        w.catch_up()?;
        check(&w, point)?;
    }
    ensure!(ended >= 14, "{ended} streams came to their points");
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
    std::fs::remove_dir_all(w.data().join("main/jobs/alerts/realtime"))?;
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
        err.contains("sink `overdrawn` is not bound: add `.sink(OVERDRAWN, table())`"),
        "{err}"
    );
    ensure!(!w.data().exists(), "nothing is made before that");
    Ok(())
}
