//! Who asks the processes of a job: all of them at once, with a short limit, for one that hangs must not hold up the others.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::VERSION;
pub(in crate::app) use super::note::Note;
use super::note::{living, trusted};
use crate::app::open::Context;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_millis(750);
/// Bytes of an answer.
const MOST: usize = 16 << 20;

/// A process, and what it answered.
pub(in crate::app) struct Process {
    pub(in crate::app) note: Note,
    /// Or why it did not.
    pub(in crate::app) found: Result<Value, String>,
}

impl Process {
    /// The members of a list in what it found; of none nothing.
    pub(in crate::app) fn members(&self, list: &str) -> &[Value] {
        let found = self.found.as_ref().ok();
        found
            .and_then(|found| found.get(list)?.as_array())
            .map_or(&[], Vec::as_slice)
    }
}

/// How each process is.
pub(in crate::app) fn status(context: &Context<'_>) -> Vec<Process> {
    all(context, |_| json!({ "ask": "status" }))
}

/// Some of the records that something was wrong with.
pub(in crate::app) fn samples(context: &Context<'_>, late: bool, limit: usize) -> Vec<Process> {
    all(context, |_| json!({ "ask": "samples", "late": late, "limit": limit }))
}

/// What each logged behind a line of its own.
pub(in crate::app) fn log(context: &Context<'_>, after: impl Fn(&Note) -> u64, limit: usize) -> Vec<Process> {
    all(
        context,
        |note| json!({ "ask": "log", "after": after(note), "limit": limit }),
    )
}

fn all(context: &Context<'_>, question: impl Fn(&Note) -> Value) -> Vec<Process> {
    ask_in(&context.layout.processes(context.plan.job()), LIMIT, question)
}

/// Those that live, by their notes in `dir`. One whose socket may be somebody else's is told of, and not asked.
pub(super) fn ask_in(dir: &Path, limit: Duration, question: impl Fn(&Note) -> Value) -> Vec<Process> {
    let (mut asked, mut refused) = (Vec::new(), Vec::new());
    for note in living(dir) {
        match trusted(dir, &note) {
            Ok(()) => asked.push(note),
            Err(e) => refused.push(Process {
                note,
                found: Err(format!("it is not asked: {e}")),
            }),
        }
    }
    let mut all = ask_all(asked, limit, question);
    all.extend(refused);
    all
}

/// Each has so long for its answer.
fn ask_all(notes: Vec<Note>, limit: Duration, question: impl Fn(&Note) -> Value) -> Vec<Process> {
    if notes.is_empty() {
        return Vec::new();
    }
    let lines: Vec<Vec<u8>> = notes.iter().map(|note| line(question(note))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found: Vec<Result<Value, String>> = match runtime {
        Err(e) => notes.iter().map(|_| Err(format!("it cannot be asked: {e}"))).collect(),
        Ok(runtime) => runtime.block_on(async {
            let mut asked = Vec::new();
            for (note, line) in notes.iter().zip(lines) {
                let socket = note.socket.clone();
                asked.push(tokio::spawn(async move {
                    tokio::time::timeout(limit, ask(&socket, &line)).await
                }));
            }
            let mut found = Vec::new();
            for answer in asked {
                found.push(match answer.await {
                    Ok(Ok(Ok(bytes))) => understood(&bytes),
                    Ok(Ok(Err(e))) => Err(format!("it cannot be asked: {e}")),
                    Ok(Err(_)) => Err(format!("it did not answer within {} ms", limit.as_millis())),
                    Err(e) => Err(format!("it cannot be asked: {e}")),
                });
            }
            found
        }),
    };
    let processes = notes.into_iter().zip(found);
    processes.map(|(note, found)| Process { note, found }).collect()
}

fn line(mut question: Value) -> Vec<u8> {
    if let Value::Object(members) = &mut question {
        members.insert("version".into(), json!(VERSION));
    }
    format!("{question}\n").into_bytes()
}

/// One question: what it says is read to its end.
async fn ask(socket: &Path, line: &[u8]) -> std::io::Result<Vec<u8>> {
    let passes = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
    let stream = UnixStream::connect(socket).await?;
    let mut rest = line;
    while !rest.is_empty() {
        stream.writable().await?;
        match stream.try_write(rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(e) if passes(&e) => {}
            Err(e) => return Err(e),
        }
    }
    let (mut all, mut room) = (Vec::new(), vec![0_u8; 64 << 10]);
    loop {
        stream.readable().await?;
        match stream.try_read(&mut room) {
            Ok(0) => return Ok(all),
            Ok(n) if all.len() + n > MOST => {
                return Err(std::io::Error::other(format!("it says more than {MOST} bytes")));
            }
            Ok(n) => all.extend_from_slice(room.get(..n).unwrap_or_default()),
            Err(e) if passes(&e) => {}
            Err(e) => return Err(e),
        }
    }
}

fn understood(bytes: &[u8]) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_slice(bytes).map_err(|e| format!("what it says cannot be read: {e}"))?;
    if let Some(why) = answer.get("error").and_then(Value::as_str) {
        return Err(why.chars().take(400).collect());
    }
    match answer.get_mut("found").map(Value::take) {
        Some(found) if found.is_object() => Ok(found),
        _ => Err("what it says is no answer".into()),
    }
}
