//! `sink list`, `release` and `resume`; and jobs that only write.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::world::{Got, PARTITIONS, World, text};

fn world(seed: u64) -> Result<World> {
    World::new(seed, |dir| format!("files {}/", dir.display()))
}

/// Standard output and error of `sink WORD`.
fn sink(w: &World, args: &[&str]) -> Result<(bool, String, String)> {
    let out = w
        .command("sink")
        .arg(args[0])
        .args(w.places())
        .args(&args[1..])
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((out.status.success(), text(&out.stdout), text(&out.stderr)))
}

fn read(w: &World, name: &str) -> Result<Vec<Got>> {
    let (ok, out, err) = sink(w, &["read", name])?;
    ensure!(ok, "{err}");
    let one = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let record = line["record"].to_string();
        let record = if name == "copies" { text(&record)? } else { record };
        Got::new(name, line["id"].as_str().context("an id")?, record)
    };
    out.lines().map(one).collect()
}

/// O25, O26: a sink that is given up is not written and holds nothing; taken up again it goes on from its mark, and what cannot be
/// made any more is recorded in it as lost. Each of its records is there once.
#[test]
fn given_up_and_taken_up_again() -> Result<()> {
    let mut w = world(61)?;
    w.append_all(300)?;
    w.run("stream", &["--until-end"])?;
    let before = read(&w, "copies")?;
    w.check("before", &read(&w, "overdrawn")?, &before)?;
    let (ok, _, err) = sink(&w, &["release", "others"])?;
    ensure!(!ok && err.contains("has no sink `others` (it has: "), "{err}");
    let (ok, _, err) = sink(&w, &["resume", "copies"])?;
    ensure!(!ok && err.contains("sink `copies` is not released"), "{err}");
    let (ok, out, err) = sink(&w, &["release", "copies"])?;
    ensure!(ok && out.contains("sink `copies` is released"), "{out} {err}");
    let (ok, _, err) = sink(&w, &["release", "copies"])?;
    ensure!(!ok && err.contains("`sink resume copies` takes it up again"), "{err}");
    for _ in 0..3 {
        w.append_all(300)?;
        w.run("stream", &["--until-end"])?;
        w.run("archive", &["--until-end"])?;
        w.run("batch", &["--keep", "0"])?;
    }
    ensure!(read(&w, "copies")? == before, "it is not written any more");
    let (_, out, _) = sink(&w, &["list"])?;
    ensure!(out.contains("copies: files:") && out.contains("; released "), "{out}");
    ensure!(
        out.lines()
            .any(|line| line.starts_with("overdrawn:") && !line.contains("released")),
        "{out}"
    );
    let doctor = String::from_utf8(w.run("doctor", &[])?.stdout)?;
    ensure!(doctor.contains("; released "), "{doctor}");
    let (ok, _, err) = sink(&w, &["resume", "copies"])?;
    ensure!(ok, "{err}");
    // Until the live part has met it again, nobody knows how far it is.
    w.append_all(300)?;
    w.run("archive", &["--until-end"])?;
    let said = String::from_utf8(w.run("batch", &["--keep", "0"])?.stdout)?;
    ensure!(
        said.contains("cells stay: not all of what this generation covers is written"),
        "{said}"
    );
    w.run("stream", &["--until-end"])?;
    w.append_all(100)?;
    w.run("stream", &["--until-end"])?;
    let (_, out, _) = sink(&w, &["list"])?;
    let (overdrawn, copies) = (read(&w, "overdrawn")?, read(&w, "copies")?);
    ensure!(copies.len() > before.len(), "it goes on");
    // Where each line of a file begins is the offset of its records.
    let mut lost = 0;
    for p in 0..PARTITIONS {
        let hole = hole(&out, p)?;
        let mut offset = 0;
        let mut expected = Vec::new();
        for line in &w.lines[p] {
            if line.ends_with('3') {
                if (hole.0..hole.1).contains(&offset) {
                    lost += 1;
                } else {
                    expected.push((offset, format!("{line}, first")));
                    expected.push((offset, format!("{line}, second")));
                }
            }
            offset += line.len() as u64 + 1;
        }
        let of = copies.iter().filter(|g| g.partition as usize == p);
        let got: Vec<_> = of.map(|g| (g.offset, g.record.clone())).collect();
        ensure!(got == expected, "partition {p}: {} of {}", got.len(), expected.len());
    }
    ensure!(lost > 0, "nothing was lost: {out}");
    let ids: BTreeSet<_> = overdrawn.iter().map(|g| (g.partition, g.offset, g.number)).collect();
    ensure!(ids.len() == overdrawn.len(), "the other sink has each once");
    let all: usize = (0..PARTITIONS).map(|p| w.expected(p).overdrawn.len()).sum();
    ensure!(overdrawn.len() == all, "{} of {all}", overdrawn.len());
    // O25: it holds the permission again.
    w.run("archive", &["--until-end"])?;
    let said = String::from_utf8(w.run("batch", &["--keep", "0"])?.stdout)?;
    ensure!(!said.contains("cells stay"), "{said}");
    Ok(())
}

/// The range that `sink list` shows as lost to a partition of `copies`; empty: none is.
fn hole(list: &str, p: usize) -> Result<(u64, u64)> {
    let of = list.lines().skip_while(|l| !l.starts_with("copies:")).skip(1);
    let mut of = of.take_while(|l| l.starts_with(' '));
    let line = of.find(|l| l.contains(&format!("payments/{p}:"))).context("a mark")?;
    let Some((_, lost)) = line.split_once("lost: offsets ") else {
        return Ok((0, 0));
    };
    ensure!(lost.contains("the sink was resumed"), "{line}");
    let mut numbers = lost.split(' ').filter_map(|n| n.parse::<u64>().ok());
    Ok((numbers.next().context("from")?, numbers.next().context("to")?))
}

/// Nothing changes under a live part that would go on as it began.
#[test]
fn refused_while_the_live_part_runs() -> Result<()> {
    let mut w = world(62)?;
    w.append_all(10)?;
    let mut child = w.live()?;
    let answered = sink(&w, &["release", "copies"]);
    child.kill()?;
    child.wait()?;
    let (ok, _, err) = answered?;
    ensure!(
        !ok && err.contains("the live part runs, and would go on as it began") && err.contains("stop it"),
        "{err}"
    );
    let (ok, _, err) = sink(&w, &["release", "copies"])?;
    ensure!(ok, "{err}");
    Ok(())
}

/// Two sinks with one directory would have the same files: said so, before anything is made.
#[test]
fn two_sinks_of_one_directory() -> Result<()> {
    let mut w = world(63)?;
    std::fs::remove_dir_all(w.data())?;
    std::fs::create_dir(w.dir.path().join("both"))?;
    w.to = format!("same-files {}/both/", w.dir.path().display());
    let out = w.command("stream").args(["--until-end", "--no-archive"]).output()?;
    let err = String::from_utf8_lossy(&out.stderr);
    ensure!(err.contains("give each a directory of its own"), "{err}");
    Ok(())
}

/// A job without a store: its rows say how far it is, and nothing is merged or read.
#[test]
fn a_job_that_only_writes() -> Result<()> {
    let mut w = World::only_copies(64)?;
    for time in [1, 3] {
        w.append_all(60)?;
        w.end_at(&format!("sinks.written:{time}"))?;
    }
    for _ in 0..10 {
        w.append_all(60)?;
        w.kill(90)?;
    }
    w.catch_up()?;
    let copies = read(&w, "copies")?;
    for p in 0..PARTITIONS {
        let of = copies.iter().filter(|g| g.partition as usize == p);
        let got: Vec<_> = of.map(|g| g.record.clone()).collect();
        ensure!(got == w.expected(p).copies, "partition {p}: {} records", got.len());
    }
    let refused = |command: &str, args: &[&str], what: &str| -> Result<()> {
        let out = w.command(command).args(args).output()?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(!out.status.success() && err.contains(what), "{command}: {err}");
        Ok(())
    };
    refused("get", &["a"], "has no store: it only writes (copies)")?;
    refused("top", &[], "has no store: it only writes (copies)")?;
    refused(
        "window",
        &["a", "--last", "1d"],
        "has no store: it only writes (copies)",
    )?;
    refused("batch", &[], "is written by the live job")?;
    let doctor = String::from_utf8(w.run("doctor", &[])?.stdout)?;
    ensure!(doctor.contains("ok    sink copies"), "{doctor}");
    w.run("rebuild", &["--delete"])?;
    w.append_all(10)?;
    w.catch_up()?;
    let all: usize = (0..PARTITIONS).map(|p| w.expected(p).copies.len()).sum();
    ensure!(read(&w, "copies")?.len() == all, "each once, made anew");
    Ok(())
}
