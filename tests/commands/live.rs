//! The same with a live part, an archive and batch runs: what each command says of a job that runs, against lists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::bed::Bed;

/// Records of a batch have offsets, which are bytes of the file, in one stretch of so many.
const BATCH: u64 = 150;

fn lines() -> Vec<String> {
    (0..40)
        .map(|n| format!("to be or not to be wonderful{n:03}\n"))
        .collect()
}

/// Per batch its first offset and how many records it has.
fn batches(lines: &[String]) -> BTreeMap<u64, (u64, u64)> {
    let (mut at, mut found) = (0, BTreeMap::new());
    for line in lines {
        let of = found.entry(at / BATCH).or_insert((at, 0_u64));
        of.1 += 1;
        at += line.len() as u64;
    }
    found
}

fn states(bed: &Bed) -> Vec<(u64, String, u64, u64, Value)> {
    let said = bed.says(&["batches", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let line = |o: Value| {
        let n = |name: &str| o[name].as_u64().unwrap();
        (
            n("batch"),
            o["state"].as_str().unwrap().to_string(),
            n("from"),
            n("to"),
            o["records"].clone(),
        )
    };
    said.objects().into_iter().map(line).collect()
}

/// A batch goes from open over archived to published, and to dropped when the live part is told that it may; its offsets and records
/// are those of the file.
#[test]
fn batches_go_through_their_states() {
    let bed = Bed::new();
    let lines = lines();
    let given = lines[..20].concat();
    std::fs::write(bed.path("lines.txt"), &given).unwrap();
    let expect = |all: &[String], state: &dyn Fn(u64, u64) -> &'static str| -> Vec<(u64, String, u64, u64, Value)> {
        let batches = batches(all);
        let end = all.iter().map(|l| l.len() as u64).sum();
        let last = *batches.keys().last().unwrap();
        let ends = batches.values().skip(1).map(|(from, _)| *from).chain([end]);
        let of = |((batch, (from, n)), to): ((&u64, &(u64, u64)), u64)| {
            (*batch, state(*batch, last).to_string(), *from, to, json!(n))
        };
        batches.iter().zip(ends).map(of).collect()
    };
    let archived = |batch, last| if batch == last { "open" } else { "archived" };
    let published = |batch, last| if batch == last { "open" } else { "published" };
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    assert_eq!(states(&bed), expect(&lines[..20], &archived));
    assert_eq!(bed.says(&["batch"]).code, Some(0));
    assert_eq!(states(&bed), expect(&lines[..20], &published));
    let covered = *batches(&lines[..20]).keys().last().unwrap();
    std::fs::write(bed.path("lines.txt"), lines.concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let both = |batch, last| match batch {
        batch if batch < covered => "published",
        batch => archived(batch, last),
    };
    assert_eq!(states(&bed), expect(&lines, &both));
    // Nothing is kept for a rollback: what is published may go, and goes with the next commit.
    assert_eq!(bed.says(&["batch", "--keep", "0"]).code, Some(0));
    std::fs::write(bed.path("lines.txt"), lines.concat() + "more\n").unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    let dropped: BTreeSet<_> = states(&bed).into_iter().map(|line| line.1).collect();
    assert!(dropped.contains("dropped"), "{dropped:?}");
    let two = bed.says(&["batches", "--last", "2"]);
    assert_eq!(two.out.lines().count(), 2, "{}", two.out);
    // The permission is that of the cells, also where other code or other arguments ask.
    let droppable = |args: &[&str]| -> Vec<bool> {
        let said = bed.says(&[&["batches", "--json"], args].concat());
        said.objects()
            .iter()
            .map(|o| o["droppable"].as_bool().unwrap())
            .collect()
    };
    assert!(droppable(&[]).contains(&true));
    assert_eq!(droppable(&["--min-len", "2"]), droppable(&[]));
}

/// Every command that works prints objects with members that are listed, and what it counts is what the file has.
#[test]
fn work_is_said_in_objects() {
    let bed = Bed::new();
    let lines = lines();
    std::fs::write(bed.path("lines.txt"), lines.concat()).unwrap();
    let listed = include_str!("../../src/app/JSON.md");
    let run = |args: &[&str]| -> Vec<Value> {
        let said = bed.says(&[args, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.err);
        let objects = said.objects();
        for object in &objects {
            for member in object.as_object().unwrap().keys() {
                assert!(
                    listed.contains(&format!("`{member}`")),
                    "{args:?}: `{member}` is not in JSON.md"
                );
            }
        }
        objects
    };
    let event = |objects: &[Value], name: &str| -> Value {
        let found = objects.iter().find(|o| o["event"] == name);
        found.unwrap_or_else(|| panic!("{name}: {objects:?}")).clone()
    };
    let streamed = event(
        &run(&["stream", "--until-end", "--no-archive", "--monitor", "0"]),
        "streamed",
    );
    assert_eq!(
        (&streamed["records"], &streamed["steps"]["split"]),
        (&json!(40), &json!(40 * 7))
    );
    let archived = run(&["archive", "--until-end"]);
    assert_eq!(event(&archived, "archived")["records"], 40);
    let plan = event(&run(&["batch", "--dry-run"]), "plan");
    assert!(plan["plan"].as_str().unwrap().contains("lines/0"), "{plan}");
    let batch = run(&["batch"]);
    let all = batches(&lines);
    let sealed: u64 = all.values().rev().skip(1).map(|(_, n)| n).sum();
    let published = event(&batch, "batch");
    assert_eq!(
        (&published["published"], &published["records"]),
        (&json!(true), &json!(sealed))
    );
    assert_eq!(event(&batch, "compared")["drifted"], 0);
    let reconciled = run(&["reconcile", "--store", "counts"]);
    assert_eq!(event(&reconciled, "compared")["keys"], published["keys"]["counts"]);
    let explained = run(&["explain-answer", "to", "--store", "counts"]);
    let parts = explained[0]["parts"].as_array().unwrap();
    let layers: BTreeSet<_> = parts.iter().map(|p| p["layer"].as_str().unwrap()).collect();
    assert_eq!(layers, BTreeSet::from(["offline", "realtime"]));
    let sum: u64 = parts.iter().map(|p| p["value"].as_u64().unwrap()).sum();
    assert_eq!((sum, &explained[0]["value"]), (80, &json!(80)));
    assert!(run(&["doctor"]).iter().all(|o| o["status"] == "ok"));
    let marks = run(&["sink", "list"]);
    let end: usize = lines.iter().map(String::len).sum();
    assert_eq!(marks[0]["marks"][0]["written_to"], json!(end));
    assert_eq!(run(&["sink", "read", "long-words"]).len(), 40);
    assert_eq!(
        event(&run(&["backfill"]), "filled")["covered_until"],
        published["covered_until"]
    );
    event(&run(&["switch"]), "switched");
    event(&run(&["rollback"]), "rolled_back");
    event(&run(&["gc", "--keep", "0", "--grace-minutes", "0"]), "deleted");
    event(&run(&["sweep", "--older-than-hours", "0"]), "deleted");
    event(&run(&["sink", "release", "long-words"]), "turn");
    event(&run(&["rebuild", "--delete"]), "rebuilt");
    run(&["generations"]);
    run(&[
        "window",
        "to",
        "--store",
        "hourly",
        "--last-hops",
        "2:1h",
        "--end",
        "1970-01-01T01:00:00Z",
    ]);
}

/// What the log lost before it was read, and a log that was cut off, are found before a stream meets them.
#[test]
fn doctor_sees_what_the_log_lost() {
    let bed = Bed::new();
    std::fs::write(bed.path("lines.txt"), lines().concat()).unwrap();
    assert_eq!(bed.says(&["stream", "--until-end"]).code, Some(0));
    assert_eq!(bed.says(&["doctor"]).code, Some(0));
    std::fs::write(bed.path("lines.txt"), lines()[..35].concat()).unwrap();
    let said = bed.says(&["doctor"]);
    assert!(!said.out.contains("ok    retention"), "{}", said.out);
    assert!(
        said.code != Some(0) && said.out.contains("FAIL  retention of lines: ") && said.out.contains("restore the log"),
        "{}{}",
        said.out,
        said.err
    );
}
