//! Sinks that are a part of each generation (O22): batch runs of the program, ended between any two of their writes, extended, made
//! anew beside the old ones, rolled back, deleted, damaged. The oracle is a loop over the lines below the frontier.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rufous::store_api::points::{BULK, VARIABLE};
use rufous::store_api::{Manifest, ManifestLog};
use rufous_core::SourcePartition;
use rufous_integration_tests::alerts::expected;
use rufous_store_offline::Manifests;

use crate::world::{Got, PARTITIONS, World, text};

const SINKS: [&str; 2] = ["overdrawn", "copies"];

fn world(seed: u64) -> Result<World> {
    World::new(seed, |_| "generations x".to_string())
}

/// What `sink read` prints.
fn read(w: &World, name: &str, args: &[&str]) -> Result<Vec<Got>> {
    let out = w.run("sink read", &[&[name], args].concat())?;
    let mut all = Vec::new();
    for line in String::from_utf8(out.stdout)?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let id = line["id"].as_str().context("an id")?;
        let record = line["record"].to_string();
        let record = if name == "copies" { text(&record)? } else { record };
        all.push(Got::new(name, id, record)?);
    }
    Ok(all)
}

fn job(w: &World) -> PathBuf {
    w.data().join("main/jobs/alerts")
}

fn manifest(w: &World, number: Option<u64>) -> Result<Manifest> {
    let log = Manifests::new(job(w).join("manifests"));
    let found = match number {
        Some(number) => log.get(number)?,
        None => log.newest(0)?,
    };
    found.context("a manifest")
}

/// A generation has exactly what a loop makes of the lines below its frontier, each once, in the order of ids. Returns how many lines
/// that are.
fn check(w: &World, what: &str, number: Option<u64>) -> Result<usize> {
    let m = manifest(w, number)?;
    let of = m.number.to_string();
    let mut covered = 0;
    let mut all = Vec::new();
    for (p, lines) in w.lines.iter().enumerate() {
        let cut = m.frontier.of(&SourcePartition::new("payments", p as u32)).cut;
        let mut at = 0;
        let below = lines.iter().take_while(|line| {
            let is_below = at < cut;
            at += line.len() as u64 + 1;
            is_below
        });
        let below: Vec<&str> = below.map(String::as_str).collect();
        covered += below.len();
        all.push(expected(below));
    }
    for sink in SINKS {
        let got = match m.sinks.get(sink) {
            Some(_) => read(w, sink, &["--generation", &of])?,
            // Genesis, which covers nothing.
            None => {
                ensure!(covered == 0, "{what}: generation {of} has no {sink}");
                continue;
            }
        };
        let ids: Vec<_> = got.iter().map(|g| (g.partition, g.offset, g.number)).collect();
        ensure!(ids.is_sorted(), "{what}: {sink} of generation {of} is out of order");
        ensure!(
            ids.iter().collect::<BTreeSet<_>>().len() == ids.len(),
            "{what}: {sink} of generation {of} has an id twice"
        );
        for (p, all) in all.iter().enumerate() {
            let got: Vec<_> = got
                .iter()
                .filter(|g| g.partition as usize == p)
                .map(|g| &g.record)
                .collect();
            let expected = if sink == "copies" { &all.copies } else { &all.overdrawn };
            ensure!(
                got == expected.iter().collect::<Vec<_>>(),
                "{what}: {sink} of generation {of}, partition {p}: {} records, expected {}",
                got.len(),
                expected.len()
            );
        }
    }
    Ok(covered)
}

fn grow(w: &mut World, lines: usize) -> Result<()> {
    w.append_all(lines)?;
    w.run("archive", &["--until-end"]).map(drop)
}

/// Row 2 of the fault table: ended between any two writes of a run, readers see the generation before or the new one, each exact; run
/// again it ends well, and what it left goes.
#[test]
fn ended_between_any_two_writes() -> Result<()> {
    let mut w = world(51)?;
    let mut ended = 0;
    // A store and two sinks: three files a run.
    for point in BULK {
        for time in 1..=3 {
            grow(&mut w, 400)?;
            let out = w.command("batch").env(VARIABLE, format!("{point}:{time}")).output()?;
            if out.status.success() {
                ensure!(point.starts_with("entry."), "{point}:{time} was passed by");
            } else {
                let err = String::from_utf8_lossy(&out.stderr);
                ensure!(out.status.code().is_none(), "{point}:{time}: {} {err}", out.status);
                ended += 1;
            }
            check(&w, &format!("ended at {point}:{time}"), None)?;
        }
        w.run("batch", &[])?;
        ensure!(
            check(&w, &format!("{point}, and run again"), None)? > 0,
            "nothing is covered"
        );
    }
    ensure!(ended >= BULK.len() + 10, "{ended} runs were ended");
    // What killed runs left is swept, what manifests name stays.
    w.run("gc", &["--keep", "0", "--grace-minutes", "0"])?;
    check(&w, "after gc", None)?;
    for sink in SINKS {
        let current = manifest(&w, None)?;
        let files = &current.sinks[sink].files;
        let named: BTreeSet<_> = files.iter().map(|f| f.file.path.clone()).collect();
        let there = std::fs::read_dir(job(&w).join("offline/sinks").join(sink))?;
        let there: BTreeSet<_> = there
            .map(|e| Ok(e?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        // Whoever was killed held it: an hour later it goes.
        ensure!(named.is_subset(&there), "{sink}: {there:?}, named {named:?}");
    }
    Ok(())
}

/// An incremental run adds files, and older generations stay what they were; a backfill writes all anew beside them; switch and
/// rollback change the records with the answers.
#[test]
fn generations_extend_and_replace_each_other() -> Result<()> {
    let mut w = world(52)?;
    let mut covered = Vec::new();
    for n in 1..=3 {
        grow(&mut w, 500)?;
        let out = w.run("batch", &["--keep", "9"])?;
        let out = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(
            out.contains(" records in overdrawn") && out.contains(" records in copies"),
            "{out}"
        );
        covered.push(check(&w, "extended", Some(n))?);
    }
    ensure!(covered.is_sorted() && covered[0] < covered[2], "{covered:?}");
    ensure!(
        check(&w, "an older one", Some(1))? == covered[0],
        "generation 1 changed"
    );
    let before = manifest(&w, None)?;
    w.run("backfill", &["--part-rows", "300"])?;
    w.run("switch", &["--behind"])?;
    let after = manifest(&w, None)?;
    check(&w, "switched", None)?;
    for sink in SINKS {
        let old: Vec<_> = before.sinks[sink].files.iter().map(|f| &f.file.path).collect();
        ensure!(
            after.sinks[sink].files.iter().all(|f| !old.contains(&&f.file.path)),
            "{sink} is not written anew"
        );
        ensure!(
            after.sinks[sink].records() == before.sinks[sink].records(),
            "{sink} has other records"
        );
    }
    w.run("rollback", &[])?;
    let back = manifest(&w, None)?;
    ensure!(back.sinks == before.sinks, "not what it was");
    check(&w, "rolled back", None)?;
    // From an id on, and so many.
    let all = read(&w, "copies", &[])?;
    let middle = &all[all.len() / 2];
    let from = format!(
        "copies/payments/{}/{}/{}",
        middle.partition, middle.offset, middle.number
    );
    ensure!(
        read(&w, "copies", &["--from", &from])? == all[all.len() / 2..],
        "from {from}"
    );
    ensure!(
        read(&w, "copies", &["--from", &from, "--limit", "3"])? == all[all.len() / 2..][..3],
        "three"
    );
    let doctor = String::from_utf8(w.run("doctor", &["--checksums"])?.stdout)?;
    ensure!(
        doctor.contains("records of overdrawn") && doctor.contains("each id once"),
        "{doctor}"
    );
    let listed = String::from_utf8(w.run("generations", &[])?.stdout)?;
    ensure!(
        listed.contains(&format!("sink copies: {} records", all.len())),
        "{listed}"
    );
    // The typed client.
    let client = rufous_store_offline::Generations::new(job(&w).join("offline"));
    let generation = &back.sinks["copies"];
    rufous::store_api::records::verify(&client, "copies", generation)?;
    Ok(())
}

/// A file that is not what was written is an error that names it, for who reads and for who checks.
#[test]
fn a_damaged_file_is_named() -> Result<()> {
    let mut w = world(53)?;
    grow(&mut w, 500)?;
    w.run("batch", &[])?;
    let m = manifest(&w, None)?;
    let name = &m.sinks["overdrawn"].files[0].file.path;
    let path = job(&w).join("offline/sinks/overdrawn").join(name);
    let mut bytes = std::fs::read(&path)?;
    bytes[40] ^= 1;
    std::fs::write(&path, bytes)?;
    for command in ["sink read", "doctor"] {
        let mut c = w.command(command);
        c.arg(if command == "sink read" {
            "overdrawn"
        } else {
            "--checksums"
        });
        let out = c.output()?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        ensure!(
            !out.status.success() && said.contains(name.as_str()),
            "{command}: {said}"
        );
    }
    for p in 0..PARTITIONS {
        ensure!(
            read(&w, "copies", &[])?.iter().any(|g| g.partition as usize == p),
            "the others are read"
        );
    }
    for (args, why) in [
        (&["nothing"][..], "has no sink `nothing` (it has: overdrawn, copies)"),
        (&["copies", "--generation", "99"], "there is no generation 99"),
        (
            &["copies", "--generation", "0"],
            "generation 0 has nothing of sink `copies`",
        ),
        (
            &["copies", "--from", "payments/x"],
            "`payments/x` is no id of a record: write copies/SOURCE/PARTITION",
        ),
    ] {
        let out = w.command("sink read").args(args).output()?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(1) && err.contains(why), "{args:?}: {err}");
    }
    Ok(())
}

/// One layer writes, and each says which; bound in both is refused before anything opens.
#[test]
fn one_layer_writes() -> Result<()> {
    let mut w = world(54)?;
    w.to = format!("mixed {}/", w.dir.path().display());
    w.append_all(500)?;
    w.run("stream", &["--until-end"])?;
    let said = String::from_utf8(w.run("batch", &[])?.stdout)?;
    ensure!(
        said.contains("sink `copies`: written by the live part, not by this run")
            && said.contains(" records in overdrawn"),
        "{said}"
    );
    let m = manifest(&w, None)?;
    ensure!(m.sinks.keys().eq(["overdrawn"]), "{:?}", m.sinks.keys());
    ensure!(!w.dir.path().join("overdrawn").exists(), "the live part wrote it");
    let lines = std::fs::read_to_string(w.dir.path().join("copies/payments-0.jsonl"))?;
    ensure!(
        lines.lines().count() == w.expected(0).copies.len(),
        "the live part writes copies"
    );
    let explained = String::from_utf8(w.run("explain", &[])?.stdout)?;
    ensure!(
        explained.contains("the live part writes copies, before its state")
            && explained.contains("bulk runs and backfills write overdrawn, as files of each generation"),
        "{explained}"
    );
    // What was made without it is not extended.
    w.to = "generations x".into();
    w.append_all(500)?;
    w.run("archive", &["--until-end"])?;
    let out = w.command("batch").output()?;
    let err = String::from_utf8_lossy(&out.stderr);
    ensure!(
        out.status.code() == Some(1)
            && err.contains("sink `copies`")
            && err.contains("was made without it: `backfill --new`"),
        "{err}"
    );
    w.to = format!("both {}/", w.dir.path().display());
    for command in ["stream", "batch"] {
        let out = w.command(command).output()?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(
            out.status.code() == Some(1) && err.contains("sink `overdrawn` is bound in both layers"),
            "{command}: {err}"
        );
    }
    Ok(())
}
