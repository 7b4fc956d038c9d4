//! The processes of the job: what they count, some of their records, and what they log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::Seen;
use crate::app::generations::now;
use crate::app::logged;
use crate::app::open::Context;
use crate::app::processes::asked::{self, Note, Process};
use crate::server::console::Wrong;

pub(super) fn live(context: &Context<'_>) -> Value {
    let processes: Vec<Value> = asked::status(context).into_iter().map(object).collect();
    let note = processes
        .is_empty()
        .then_some("no process of this job runs on this machine");
    json!({ "now_ms": now().0, "processes": processes, "note": note })
}

/// What it says, or that it does not answer: then nothing is known of it.
fn object(process: Process) -> Value {
    let Note {
        kind, pid, started_ms, ..
    } = process.note;
    let (mut members, why) = match process.found {
        Ok(Value::Object(found)) => (found, None),
        Ok(_) => (serde_json::Map::new(), Some("what it says is no answer".to_string())),
        Err(why) => (serde_json::Map::new(), Some(why)),
    };
    let unknown = json!({
        "healthy": false, "ready": false, "reasons": [], "sources": [], "steps": [], "memory": [], "commits": null,
        "failed_commits": null, "failing_commits": null, "last_commit_ms": null, "uncommitted_records": null, "progress": null,
    });
    if let (Some(_), Value::Object(unknown)) = (&why, unknown) {
        members.extend(unknown);
    }
    // Who it is says the note, whose lock it holds.
    let known = json!({
        "kind": kind, "pid": pid, "started_ms": started_ms, "reachable": why.is_none(), "why": why,
    });
    if let Value::Object(known) = known {
        members.extend(known);
    }
    Value::Object(members)
}

pub(super) fn samples(context: &Context<'_>, wrong: Wrong, limit: usize) -> Value {
    let processes = asked::samples(context, wrong == Wrong::Late, limit);
    json!({ "samples": in_turn(&processes, limit) })
}

/// The newest of each source of each process, then the next of each: a source with many hides no other.
fn in_turn(processes: &[Process], limit: usize) -> Vec<&Value> {
    let mut found = Vec::new();
    for process in processes {
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for sample in process.members("samples") {
            let nth = taken.entry(sample["source"].as_str().unwrap_or_default()).or_default();
            found.push((*nth, sample));
            *nth += 1;
        }
    }
    found.sort_by_key(|(nth, _)| *nth);
    found.into_iter().take(limit).map(|(_, sample)| sample).collect()
}

/// Lines that are kept of all processes together.
const MOST: usize = 4_000;
/// Lines that one look takes of a process: its ring has no more.
const AT_ONCE: usize = 1_000;

/// The logs of all processes as one, in the order in which they came here.
#[derive(Default)]
pub(super) struct Merged(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    lines: VecDeque<(u64, Value)>,
    last: u64,
    /// Up to which line of its own each process was heard.
    heard: HashMap<(String, u32, i64), u64>,
}

fn key(note: &Note) -> (String, u32, i64) {
    (note.kind.clone(), note.pid, note.started_ms)
}

impl Lines {
    fn add(&mut self, mut fresh: Vec<Value>) {
        fresh.sort_by_key(|line| line["at_ms"].as_i64());
        for mut line in fresh {
            self.last += 1;
            if let Value::Object(members) = &mut line {
                members.insert("seq".into(), json!(self.last));
            }
            if self.lines.len() >= MOST {
                self.lines.pop_front();
            }
            self.lines.push_back((self.last, line));
        }
    }

    fn after(&self, after: u64, limit: usize) -> Value {
        // Whoever has seen more asked a server that ran before this one.
        let after = if after > self.last { 0 } else { after };
        let all: Vec<&Value> = self
            .lines
            .iter()
            .filter(|(seq, _)| *seq > after)
            .map(|(_, line)| line)
            .collect();
        let newest = all.len().saturating_sub(limit);
        json!({ "next": self.last, "lines": all.get(newest..).unwrap_or_default() })
    }
}

/// Says whose lines these are.
fn of(found: &mut Value, kind: &str, pid: u32) -> (u64, Vec<Value>) {
    let next = found["next"].as_u64().unwrap_or_default();
    let mut lines = match found["lines"].take() {
        Value::Array(lines) => lines,
        _ => Vec::new(),
    };
    lines.retain(Value::is_object);
    for line in &mut lines {
        line["process"] = json!({ "kind": kind, "pid": pid });
    }
    (next, lines)
}

pub(super) fn log(context: &Context<'_>, seen: &Seen, after: u64, limit: usize) -> Value {
    let mut merged = seen.log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = &merged.heard;
    let processes = asked::log(context, |note| heard.get(&key(note)).copied().unwrap_or(0), AT_ONCE);
    let own = ("serve".to_string(), std::process::id(), 0);
    let mut found = logged::after(heard.get(&own).copied().unwrap_or(0), AT_ONCE);
    let (next, mut fresh) = of(&mut found, "serve", own.1);
    let mut heard = HashMap::from([(own, next)]);
    for process in processes {
        let key = key(&process.note);
        match process.found {
            Ok(mut found) => {
                let (next, lines) = of(&mut found, &process.note.kind, process.note.pid);
                fresh.extend(lines);
                heard.insert(key, next);
            }
            // It may answer again.
            Err(_) => heard.extend(merged.heard.remove_entry(&key)),
        }
    }
    merged.heard = heard;
    merged.add(fresh);
    merged.after(after, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of several processes are one list by their times, numbered anew; old ones go; who comes from another server begins anew.
    #[test]
    fn logs_of_processes_are_one() {
        let line = |at: i64| json!({ "seq": 7, "at_ms": at, "message": format!("m{at}") });
        let mut lines = Lines::default();
        lines.add(vec![line(3), line(1), line(2)]);
        let seen = |found: &Value| -> Vec<(u64, i64)> {
            let all = found["lines"].as_array().unwrap();
            all.iter()
                .map(|l| (l["seq"].as_u64().unwrap(), l["at_ms"].as_i64().unwrap()))
                .collect()
        };
        assert_eq!(seen(&lines.after(0, 9)), [(1, 1), (2, 2), (3, 3)]);
        assert_eq!(seen(&lines.after(1, 1)), [(3, 3)]);
        assert_eq!(seen(&lines.after(99, 9)).len(), 3);
        lines.add((0..2 * MOST as i64).map(|n| line(10 + n)).collect());
        assert_eq!((lines.lines.len(), lines.last), (MOST, 2 * MOST as u64 + 3));
        assert_eq!(lines.after(lines.last, 9), json!({ "next": lines.last, "lines": [] }));
    }

    /// Of a source with many samples no more are shown than leave room for those of the others.
    #[test]
    fn no_source_hides_another() {
        let note = Note {
            kind: "stream".into(),
            pid: 7,
            started_ms: 5,
            socket: "s".into(),
        };
        let sample = |(source, offset): (&str, u64)| json!({ "source": source, "offset": offset });
        let told = |all: &[(&str, u64)]| Process {
            note: note.clone(),
            found: Ok(json!({ "samples": all.iter().copied().map(sample).collect::<Vec<_>>() })),
        };
        let all = [
            told(&[("a", 9), ("a", 8), ("a", 7), ("b", 5)]),
            told(&[("a", 3)]),
            Process {
                note: note.clone(),
                found: Err("gone".into()),
            },
        ];
        let seen: Vec<Value> = in_turn(&all, 4).into_iter().cloned().collect();
        assert_eq!(seen, [("a", 9), ("b", 5), ("a", 3), ("a", 8)].map(sample));
    }

    /// A process that does not answer is shown, with why, and with nothing that it did not say; what it says of who it is does not count.
    #[test]
    fn a_silent_process_is_shown() {
        let note = Note {
            kind: "stream".into(),
            pid: 7,
            started_ms: 5,
            socket: "s".into(),
        };
        let told = |found| {
            object(Process {
                note: note.clone(),
                found,
            })
        };
        let silent = told(Err("it did not answer within 750 ms".into()));
        assert_eq!(
            (&silent["reachable"], &silent["healthy"], &silent["pid"]),
            (&json!(false), &json!(false), &json!(7))
        );
        assert_eq!(
            (&silent["why"], &silent["commits"]),
            (&json!("it did not answer within 750 ms"), &Value::Null)
        );
        let liar = told(Ok(json!({ "pid": 1, "kind": "king", "healthy": true })));
        assert_eq!(
            (&liar["pid"], &liar["kind"], &liar["healthy"]),
            (&json!(7), &json!("stream"), &json!(true))
        );
    }
}
