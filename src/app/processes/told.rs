//! The thread that answers who looks.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::VERSION;
use super::note::Held;
use super::status::Status;
use crate::app::logged;
use crate::app::open::Context;
use crate::core::{Error, Result};

/// Bytes of a question.
const MOST_ASKED: u64 = 4 << 10;
/// How long a question may take to come, and its answer to be taken: one is answered after the other.
const PATIENCE: Duration = Duration::from_millis(250);
/// Who waits for a connection looks up so often whether the process ends.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Lines of the log, and samples, of one answer.
const MOST_LINES: usize = 1_000;

/// A question.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
enum Asked {
    Status,
    Samples { late: bool, limit: usize },
    Log { after: u64, limit: usize },
}

#[derive(Deserialize)]
struct Question {
    version: u64,
    #[serde(flatten)]
    asked: Asked,
}

/// Answers until it is dropped.
pub(in crate::app) struct Told {
    held: Held,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Begins to tell. The process goes on without, and says so, when it cannot.
pub(in crate::app) fn tell(context: &Context<'_>, status: Status) -> Option<Told> {
    let begun = Told::begin(&context.layout.processes(context.plan.job()), status);
    begun
        .inspect_err(|e| tracing::warn!(error = %e, "the console of `serve` cannot see this process; it goes on"))
        .ok()
}

impl Told {
    pub(super) fn begin(dir: &std::path::Path, status: Status) -> Result<Self> {
        let held = Held::take(dir, status.kind)?;
        let socket = &held.note.socket;
        let listener = UnixListener::bind(socket).map_err(|e| Error::io("cannot bind", socket, e))?;
        // Who may connect is not left to the umask.
        fs::set_permissions(socket, Permissions::from_mode(0o600))
            .map_err(|e| Error::io("cannot keep others from", socket, e))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, started_ms) = (stop.clone(), held.note.started_ms);
        let thread = std::thread::Builder::new().name("rufous-told".into()).spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(SeqCst) {
                    return;
                }
                match stream {
                    Ok(stream) => serve(&stream, &stopped, &status, started_ms),
                    // Out of file handles, for instance: it passes.
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        let thread = thread.map_err(|e| Error::try_again("cannot start a thread for the console").caused_by(e))?;
        Ok(Self {
            held,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        // It waits for connections: this one is the last. Without it the thread ends with the process.
        if UnixStream::connect(&self.held.note.socket).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // It only shows: a panic in it is nothing to fail a job for.
            let _ = thread.join();
        }
    }
}

/// A connection until its time is over, however it is used, or the process ends.
struct Patient<'a> {
    stream: &'a UnixStream,
    stopped: &'a AtomicBool,
    end: Instant,
}

impl<'a> Patient<'a> {
    fn new(stream: &'a UnixStream, stopped: &'a AtomicBool) -> Self {
        let end = Instant::now() + PATIENCE;
        Self { stream, stopped, end }
    }

    fn each(&self, mut of: impl FnMut(&UnixStream, Duration) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stopped.load(SeqCst) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match of(self.stream, left.min(LOOK_UP)) {
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                done => return done,
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.each(|mut stream, time| {
            stream.set_read_timeout(Some(time))?;
            stream.read(room)
        })
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.each(|mut stream, time| {
            stream.set_write_timeout(Some(time))?;
            stream.write(bytes)
        })
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn serve(stream: &UnixStream, stopped: &AtomicBool, status: &Status, started_ms: i64) {
    let mut line = Vec::new();
    // Who says nothing, or too much, is told so; who is gone is gone.
    let read = BufReader::new(Patient::new(stream, stopped).take(MOST_ASKED)).read_until(b'\n', &mut line);
    let said = match read {
        Ok(_) if line.ends_with(b"\n") => answer(&line, status, started_ms),
        Ok(_) => wrong(&format!("a question ends with a line break within {MOST_ASKED} bytes")),
        Err(e) => wrong(&format!("no question came: {e}")),
    };
    let _ = Patient::new(stream, stopped).write_all(said.to_string().as_bytes());
}

fn wrong(why: &str) -> Value {
    json!({ "version": VERSION, "error": why })
}

fn answer(line: &[u8], status: &Status, started_ms: i64) -> Value {
    let question: Question = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(e) => return wrong(&format!("the question cannot be read: {e}")),
    };
    if question.version != VERSION {
        let version = question.version;
        return wrong(&format!(
            "who asks speaks version {version}, this process version {VERSION}: use the same build for both"
        ));
    }
    let found = match question.asked {
        Asked::Status => status.now(started_ms),
        Asked::Samples { late, limit } => status.samples(late, limit.min(MOST_LINES)),
        Asked::Log { after, limit } => logged::after(after, limit.min(MOST_LINES)),
    };
    json!({ "version": VERSION, "found": found })
}
