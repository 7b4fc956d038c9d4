//! The owner's side.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rufous_core::{Error, Frontier, Result};

use super::buffered::Buffered;
use super::frame::*;
use crate::realtime::{Cell, KeyRange, ProgressRows, RealtimeReader, Snapshot};

/// How long a client waits for a frame at most while a scan finds something: parts are sent when they are this old.
const PART_AGE: Duration = Duration::from_millis(250);

/// Serves one connection: takes a snapshot at the hello and answers until the client leaves.
///
/// # Errors
/// When the connection breaks or the client does not speak the protocol; the caller may log it and close.
pub fn serve_connection(stream: impl Read + Write, reader: &dyn RealtimeReader) -> Result<()> {
    serve_sessions(stream, reader, &|_| {})
}

/// The same, and says when the connection begins to rest, and when it ends to: meanwhile it holds no snapshot, and closing it hurts
/// nobody.
///
/// # Errors
/// As [`serve_connection`].
pub fn serve_sessions(stream: impl Read + Write, reader: &dyn RealtimeReader, rests: &dyn Fn(bool)) -> Result<()> {
    let mut stream = Buffered::new(stream);
    let Some(hello) = In::receive(&mut stream, MAX_REQUEST)? else {
        return Ok(());
    };
    let (mut snapshot, version, namespace) = match greet(hello, reader) {
        Ok((snapshot, version, namespace)) => (Some(snapshot), version, namespace),
        Err(e) => {
            error_out(&e).send(&mut stream, MAX_ANSWER)?;
            flush(&mut stream)?;
            return Err(e);
        }
    };
    Out::new(DONE).send(&mut stream, MAX_ANSWER)?;
    let mut said = Said {
        version,
        rows: HashMap::new(),
        from: None,
    };
    while let Some(request) = In::receive(&mut stream, MAX_REQUEST)? {
        let answered = match (request.kind, &snapshot) {
            (END, _) if version >= KEPT => {
                request.end()?;
                snapshot = None;
                rests(true);
                continue;
            }
            (NEXT, _) if version >= KEPT => {
                request.end()?;
                rests(false);
                // The old one first: what it keeps may be needed.
                snapshot = None;
                match take(reader, &namespace) {
                    Ok(taken) => {
                        snapshot = Some(taken);
                        Out::new(DONE).send(&mut stream, MAX_ANSWER).map_err(Failed::Connection)
                    }
                    Err(e) => Err(Failed::Request(e)),
                }
            }
            (_, Some(snapshot)) => answer(request, &**snapshot, &mut said, &mut stream),
            (_, None) => {
                // It may have had a frontier.
                said.from = None;
                Err(Failed::Request(Error::invalid("no snapshot is held: begin with one")))
            }
        };
        match answered {
            Ok(()) => {}
            Err(Failed::Request(e)) => error_out(&e).send(&mut stream, MAX_ANSWER)?,
            Err(Failed::Connection(e)) => return Err(e),
        }
    }
    Ok(())
}

/// Answers a connection that cannot be served with an error, whatever it asked.
///
/// # Errors
/// When the connection breaks.
pub fn refuse_connection(mut stream: impl Write, e: &Error) -> Result<()> {
    error_out(e).send(&mut stream, MAX_ANSWER)?;
    flush(&mut stream)
}

/// The first snapshot, the version that the reader speaks, and the namespace that it asks for.
fn greet(mut hello: In, reader: &dyn RealtimeReader) -> Result<(Box<dyn Snapshot>, u8, String)> {
    if hello.kind != HELLO || hello.magic()? != MAGIC {
        return Err(Error::invalid(
            "this socket speaks another protocol: it serves readers of realtime state",
        ));
    }
    let version = hello.u8()?;
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(Error::invalid(format!(
            "the reader speaks version {version} of the protocol, the owner versions {OLDEST} to {VERSION}: use the same build for both"
        )));
    }
    let wanted = hello.text()?;
    hello.end()?;
    Ok((take(reader, &wanted)?, version, wanted))
}

fn take(reader: &dyn RealtimeReader, wanted: &str) -> Result<Box<dyn Snapshot>> {
    let snapshot = reader.snapshot()?;
    if snapshot.namespace() != wanted {
        return Err(Error::invalid(format!(
            "the owner holds namespace {}, not {wanted}",
            snapshot.namespace()
        )));
    }
    Ok(snapshot)
}

/// What was said on a connection, so that it need not be said again.
struct Said {
    version: u8,
    /// By store.
    rows: HashMap<String, ProgressRows>,
    from: Option<Frontier>,
}

impl Said {
    /// The frontier of a question: an empty one is the one before.
    fn frontier(&mut self, request: &mut In) -> Result<&Frontier> {
        if self.version >= REMEMBERS && request.skips_empty()? {
            return (self.from.as_ref())
                .ok_or_else(|| Error::corrupt("a question begins at the frontier before, and there was none"));
        }
        // What cannot be read was sent all the same: it is not the one before that is meant next.
        self.from = None;
        Ok(self.from.insert(request.json()?))
    }

    /// The rows of a store, unless they are those that were sent before.
    fn rows(&mut self, store: String, rows: ProgressRows) -> Result<Out> {
        let before = self.rows.get(&store).filter(|_| self.version >= REMEMBERS);
        if before.is_some_and(|before| Arc::ptr_eq(before, &rows) || *before == rows) {
            return Ok(Out::new(SAME));
        }
        let mut out = Out::new(ROWS);
        out.json(&*rows)?;
        self.rows.insert(store, rows);
        Ok(out)
    }
}

enum Failed {
    Request(Error),
    Connection(Error),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        Self::Request(e)
    }
}

/// Sends values in parts.
struct Parts<'a, W> {
    stream: &'a mut W,
    out: Out,
    since: Instant,
}

impl<'a, W: Write> Parts<'a, W> {
    fn new(stream: &'a mut W) -> Self {
        Self {
            stream,
            out: Out::new(VALUES),
            since: Instant::now(),
        }
    }
    fn cell(&mut self, cell: &Cell) -> Result<()> {
        self.out.u32(cell.partition);
        self.out.i64(cell.batch.0);
        self.out.bytes(&cell.value)
    }
    fn flush(&mut self) -> Result<(), Error> {
        if !self.out.is_empty() {
            self.out.send(self.stream, MAX_ANSWER)?;
            self.out.clear();
        }
        self.since = Instant::now();
        Ok(())
    }
    fn flush_when_due(&mut self) -> Result<(), Error> {
        if self.out.len() >= PART || self.since.elapsed() >= PART_AGE {
            self.flush()?;
            flush(self.stream)
        } else {
            Ok(())
        }
    }
    /// The last of the answer.
    fn done(mut self) -> Result<(), Failed> {
        self.flush()
            .and_then(|()| Out::new(DONE).send(self.stream, MAX_ANSWER))
            .map_err(Failed::Connection)
    }
}

fn answer(mut request: In, snapshot: &dyn Snapshot, said: &mut Said, stream: &mut impl Write) -> Result<(), Failed> {
    match request.kind {
        PARTITIONS => {
            let store = request.text()?;
            request.end()?;
            let rows = snapshot.partitions(&store)?;
            said.rows(store, rows)?
                .send(stream, MAX_ANSWER)
                .map_err(Failed::Connection)
        }
        CELLS => {
            let store = request.text()?;
            let from = said.frontier(&mut request)?;
            let mut keys = Vec::new();
            while !request.at_end() {
                keys.push(request.bytes()?);
            }
            let cells = snapshot.cells(&store, &keys, from)?;
            let mut parts = Parts::new(stream);
            for (i, cell) in cells
                .iter()
                .enumerate()
                .flat_map(|(i, cells)| cells.iter().map(move |c| (i, c)))
            {
                parts.out.u32(i as u32);
                parts.cell(cell)?;
                parts.flush_when_due().map_err(Failed::Connection)?;
            }
            parts.done()
        }
        SCAN => {
            let store = request.text()?;
            let prefix = request.bytes()?;
            let from = said.frontier(&mut request)?;
            request.end()?;
            walk(Parts::new(stream), |parts, lost| {
                snapshot.scan(&store, &prefix, from, &mut |key, cell| {
                    parts.out.bytes(key)?;
                    parts.cell(&cell)?;
                    parts.flush_when_due().inspect_err(|_| *lost = true)
                })
            })
        }
        RANGES if said.version >= REMEMBERS => {
            let store = request.text()?;
            let from = said.frontier(&mut request)?;
            let mut ranges: Vec<KeyRange> = Vec::new();
            while !request.at_end() {
                ranges.push(request.bytes()?..request.bytes()?);
            }
            // What reads them relies on it.
            if ranges.iter().any(|r| r.start > r.end) || ranges.windows(2).any(|w| w[0].end > w[1].start) {
                return Err(Error::invalid("ranges of keys that do not ascend").into());
            }
            walk(Parts::new(stream), |parts, lost| {
                snapshot.ranges(&store, &ranges, from, &mut |place, key, cell| {
                    parts.out.u32(place as u32);
                    parts.out.bytes(key)?;
                    parts.cell(&cell)?;
                    parts.flush_when_due().inspect_err(|_| *lost = true)
                })
            })
        }
        other => Err(Failed::Request(Error::invalid(format!(
            "a message of unknown type {}",
            other.escape_ascii()
        )))),
    }
}

/// Sends what a walk over cells finds; it says when the connection was lost under it.
fn walk<'a, W: Write>(
    mut parts: Parts<'a, W>,
    read: impl FnOnce(&mut Parts<'a, W>, &mut bool) -> Result<()>,
) -> Result<(), Failed> {
    let mut lost = false;
    match read(&mut parts, &mut lost) {
        Err(e) if lost => Err(Failed::Connection(e)),
        Err(e) => Err(Failed::Request(e)),
        Ok(()) => parts.done(),
    }
}
