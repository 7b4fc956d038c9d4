//! `scan`, `batches`, `completions`, help: what lists.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::bed::{Bed, LENGTHS, WORDS};

fn first_words(out: &str) -> Vec<String> {
    out.lines()
        .map(|line| line.split("  ").take(2).collect::<Vec<_>>().join("="))
        .collect()
}

/// Every key once, in order, with its whole value; a limit says where the next one goes on, and pages make the whole.
#[test]
fn scan_lists_keys_in_order_and_pages_make_the_whole() {
    let bed = Bed::published();
    let all: Vec<String> = WORDS.iter().map(|(word, n)| format!("{word}={n}")).collect();
    let said = bed.says(&["scan", "--store", "counts"]);
    assert_eq!(
        (said.code, first_words(&said.out)),
        (Some(0), all.clone()),
        "{}",
        said.err
    );
    assert!(said.out.contains("offline until batch 3"), "{}", said.out);
    for limit in 1..=5_usize {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..10 {
            let n = limit.to_string();
            let mut args = vec!["scan", "--store", "counts", "--limit", &n, "--json"];
            if let Some(after) = &after {
                args.extend(["--after", after]);
            }
            let said = bed.says(&args);
            assert_eq!(said.code, Some(0), "{}", said.err);
            let mut objects = said.objects();
            after = match objects.last() {
                Some(last) if last["event"] == "more" => objects.pop().unwrap()["after"].as_str().map(str::to_string),
                _ => None,
            };
            found.extend(
                objects
                    .iter()
                    .map(|o| format!("{}={}", o["key"].as_str().unwrap(), o["value"])),
            );
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, all, "limit {limit}");
    }
    let lengths: Vec<String> = LENGTHS.iter().map(|(len, n)| format!("{len}={n}")).collect();
    let said = bed.says(&["scan", "--store", "by-length"]);
    assert_eq!(first_words(&said.out), lengths);
    let under = bed.says(&["scan", "to", "--store", "counts"]);
    assert_eq!(first_words(&under.out), ["to=2"]);
    let none = bed.says(&["scan", "x", "--store", "counts"]);
    assert!(
        none.code == Some(0) && none.out.starts_with("(no keys)"),
        "{}",
        none.out
    );
}

/// A reader that takes one line and goes (`| head -1`) is no error of any command.
#[test]
fn a_reader_that_goes_is_no_error() {
    let bed = Bed::published();
    for args in [
        &["scan", "--store", "counts"][..],
        &["get", "--store", "counts", "be", "not", "or", "to"],
        &["top", "--store", "counts"],
        &["generations"],
        &["batches"],
        &["config", "--all"],
        &["explain"],
        &["doctor"],
        &["completions", "bash"],
        &["sink", "list"],
        &["--help"],
        &["gc", "--dry-run"],
    ] {
        for lines in [0, 1] {
            let mut child = bed
                .command(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap());
            for _ in 0..lines {
                out.read_line(&mut String::new()).unwrap();
            }
            drop(out);
            let done = child.wait_with_output().unwrap();
            let err = String::from_utf8_lossy(&done.stderr);
            assert!(
                done.status.success() && !err.contains("panic"),
                "{args:?}: {:?} {err}",
                done.status
            );
        }
    }
}

/// `api-by-example.md` section 6 names the commands; a user finds each in the help, with what it does.
#[test]
fn help_names_every_command() {
    let bed = Bed::new();
    let said = bed.says(&["--help"]);
    for command in [
        "stream",
        "archive",
        "batch",
        "backfill",
        "switch",
        "rollback",
        "gc",
        "get",
        "top",
        "scan",
        "window",
        "batches",
        "reconcile",
        "explain",
        "explain-answer",
        "doctor",
        "config",
        "completions",
        "sweep",
        "generations",
        "rebuild",
        "views",
        "sink",
        "serve",
    ] {
        let line = said
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{command} ")));
        let about = line.map(|line| line.trim_start().trim_start_matches(command).trim());
        assert!(about.is_some_and(|about| about.len() > 10), "{command}: {}", said.out);
        let own = bed.says(&[command, "--help"]);
        assert_eq!(own.code, Some(0), "{command}");
        if !matches!(command, "completions" | "sink") {
            assert!(
                own.out.contains("--json") && own.out.contains("--set"),
                "{command}: {}",
                own.out
            );
        }
    }
}

/// Each shell gets a script that names the commands, and the stores of this job.
#[test]
fn completions_name_commands_and_stores() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = bed.says(&["completions", shell]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        for word in ["reconcile", "batches", "--accept-holes", "by-length", "hourly"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(said.out.contains(word), "{shell}: {word}");
        }
    }
    // The shell itself takes it.
    let script = bed.says(&["completions", "bash"]).out;
    let checked = std::process::Command::new("bash").args(["-n", "-c", &script]).output();
    if let Ok(checked) = checked {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    let wrong = bed.says(&["completions", "ksh"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("bash"), "{}", wrong.err);
}
