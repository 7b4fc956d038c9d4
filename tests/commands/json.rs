//! `--json` on every command: each line of output is an object, whose members stay.

use serde_json::{Value, json};

use crate::bed::{Bed, LENGTHS, WORDS};

fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

const ANSWER: [&str; 6] = ["key", "value", "covered_until", "freshness", "coverage", "token"];

/// What is read is read by programs, and what it says is what the lists say.
#[test]
fn answers_are_objects() {
    let bed = Bed::published();
    let get = bed
        .says(&["get", "--json", "--store", "counts", "to", "whale"])
        .objects();
    assert_eq!((&get[0]["value"], &get[1]["value"]), (&json!(2), &Value::Null));
    assert!(get.iter().all(|o| members(o) == ANSWER), "{get:?}");
    let explained = bed
        .says(&["explain-answer", "--json", "--store", "counts", "to"])
        .objects();
    let part = &explained[0]["parts"][0];
    assert_eq!(
        (&explained[0]["value"], &part["layer"], &part["value"]),
        (&json!(2), &json!("offline"), &json!(2))
    );
    let said = bed.says(&["explain-answer", "--store", "counts", "to", "whale"]);
    assert!(
        said.out.starts_with("`to`: 2\n") && said.out.contains("offline, manifest 1, run "),
        "{}{}",
        said.out,
        said.err
    );
    let mut by_size = WORDS;
    by_size.sort_by_key(|(word, n)| (std::cmp::Reverse(*n), *word));
    let top = bed.says(&["top", "--json", "--store", "counts", "-n", "3"]).objects();
    let found: Vec<_> = top
        .iter()
        .map(|o| (o["key"].as_str().unwrap(), o["value"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, by_size[..3]);
    let scan = bed.says(&["scan", "--json", "--store", "by-length"]).objects();
    let found: Vec<_> = scan
        .iter()
        .map(|o| (o["key"].as_u64().unwrap() as u32, o["value"].as_u64().unwrap()))
        .collect();
    assert_eq!(found, LENGTHS);
    assert!(scan.iter().all(|o| members(o) == ANSWER), "{scan:?}");
}

/// A command that prints prints objects, and its members are those that are listed.
#[test]
fn every_command_prints_objects() {
    let listed = include_str!("../../src/app/JSON.md");
    let bed = Bed::published();
    let cases: [(&[&str], &[&str]); 13] = [
        (
            &["generations"],
            &[
                "generation",
                "form_of",
                "covered_until",
                "keys",
                "bytes",
                "runs",
                "created_at",
                "line",
                "fingerprint",
                "state",
                "why",
                "sinks",
                "frontier",
            ],
        ),
        (&["batches"], &[]),
        (&["config", "--all"], &["name", "origin", "about"]),
        (&["explain"], &["job", "fingerprint", "plan", "platforms"]),
        (&["explain", "--dot"], &["job", "fingerprint", "dot"]),
        (&["gc", "--dry-run"], &["event", "files", "bytes", "dry_run"]),
        (
            &["sink", "list"],
            &["sink", "place", "promise", "released", "turn", "marks", "unknown"],
        ),
        (&["doctor"], &["event", "status", "check", "says"]),
        (&["doctor", "-v"], &["event"]),
        (&["completions", "bash"], &["shell", "script"]),
        (&["reconcile"], &["event", "store", "generation", "batches"]),
        (&["rollback"], &["event", "generation", "to", "covered_until"]),
        (&["get", "be", "--store", "counts"], &ANSWER),
    ];
    for (args, wanted) in cases {
        let said = bed.says(&[args, &["--json"]].concat());
        let objects = said.objects();
        assert!(wanted.is_empty() || !objects.is_empty(), "{args:?}: {}", said.err);
        for object in &objects {
            for member in wanted {
                assert!(members(object).contains(member), "{args:?}: `{member}` in {object}");
            }
            for member in members(object) {
                assert!(
                    listed.contains(&format!("`{member}`")),
                    "{args:?}: `{member}` is not in JSON.md"
                );
            }
        }
        if said.code != Some(0) {
            assert_eq!(said.error()["exit_code"], said.code.unwrap(), "{args:?}");
        }
    }
}

/// Whoever asked for any port reads it on the first line.
#[cfg(feature = "server")]
#[test]
fn serve_says_where_in_an_object() {
    use std::io::{BufRead, BufReader};
    let bed = Bed::published();
    let mut child = bed
        .command(&["serve", "--listen", "0", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(members(&said), ["event", "url"]);
    assert!(
        said["event"] == "serving" && said["url"].as_str().unwrap().starts_with("http://127.0.0.1:"),
        "{line}"
    );
}

/// Where a command prints several kinds of lines, `event` says which each is.
#[test]
fn settings_and_checks_are_told_apart() {
    let said = Bed::published().says(&["doctor", "-v", "--json"]);
    let objects = said.objects();
    let of = |event: &str| objects.iter().filter(|o| o["event"] == event).collect::<Vec<_>>();
    let (settings, checks) = (of("setting"), of("check"));
    assert_eq!(settings.len() + checks.len(), objects.len(), "{}", said.out);
    assert!(
        settings
            .iter()
            .all(|o| o["name"].is_string() && o["origin"].is_string())
    );
    assert!(
        checks.len() > 5 && checks.iter().all(|o| o["status"] == "ok"),
        "{}",
        said.out
    );
}
