//! The owner's side.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rufous_core::{Error, Frontier, Result};

use super::frame::*;
use crate::realtime::{Cell, RealtimeReader, Snapshot};

/// How long a client waits for a frame at most while a scan finds something: parts are sent when they are this old.
const PART_AGE: Duration = Duration::from_millis(250);

/// Serves one session: takes a snapshot at the hello and answers until the client leaves.
///
/// # Errors
/// When the connection breaks or the client does not speak the protocol; the caller may log it and close.
pub fn serve_connection(mut stream: impl Read + Write, reader: &dyn RealtimeReader) -> Result<()> {
    let Some(hello) = In::receive(&mut stream, MAX_REQUEST)? else {
        return Ok(());
    };
    let snapshot = match greet(hello, reader) {
        Ok(snapshot) => snapshot,
        Err(e) => {
            error_out(&e).send(&mut stream, MAX_ANSWER)?;
            return Err(e);
        }
    };
    Out::new(DONE).send(&mut stream, MAX_ANSWER)?;
    while let Some(request) = In::receive(&mut stream, MAX_REQUEST)? {
        match answer(request, &*snapshot, &mut stream) {
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
    error_out(e).send(&mut stream, MAX_ANSWER)
}

fn greet(mut hello: In, reader: &dyn RealtimeReader) -> Result<Box<dyn Snapshot>> {
    if hello.kind != HELLO || hello.magic()? != MAGIC {
        return Err(Error::invalid(
            "this socket speaks another protocol: it serves readers of realtime state",
        ));
    }
    let version = hello.u8()?;
    if version != VERSION {
        return Err(Error::invalid(format!(
            "the reader speaks version {version} of the protocol, the owner version {VERSION}: use the same build for both"
        )));
    }
    let wanted = hello.text()?;
    hello.end()?;
    let snapshot = reader.snapshot()?;
    if snapshot.namespace() != wanted {
        return Err(Error::invalid(format!(
            "the owner holds namespace {}, not {wanted}",
            snapshot.namespace()
        )));
    }
    Ok(snapshot)
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
            self.flush()
        } else {
            Ok(())
        }
    }
}

fn answer(mut request: In, snapshot: &dyn Snapshot, stream: &mut impl Write) -> Result<(), Failed> {
    match request.kind {
        PARTITIONS => {
            let store = request.text()?;
            request.end()?;
            let mut rows = Out::new(ROWS);
            rows.json(&snapshot.partitions(&store)?)?;
            rows.send(stream, MAX_ANSWER).map_err(Failed::Connection)
        }
        CELLS => {
            let store = request.text()?;
            let from: Frontier = request.json()?;
            let mut keys = Vec::new();
            while !request.at_end() {
                keys.push(request.bytes()?);
            }
            let cells = snapshot.cells(&store, &keys, &from)?;
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
            parts.flush().map_err(Failed::Connection)?;
            Out::new(DONE).send(stream, MAX_ANSWER).map_err(Failed::Connection)
        }
        SCAN => {
            let store = request.text()?;
            let prefix = request.bytes()?;
            let from: Frontier = request.json()?;
            request.end()?;
            let mut parts = Parts::new(stream);
            let mut lost = false;
            let outcome = snapshot.scan(&store, &prefix, &from, &mut |key, cell| {
                parts.out.bytes(key)?;
                parts.cell(&cell)?;
                parts.flush_when_due().inspect_err(|_| lost = true)
            });
            match outcome {
                Err(e) if lost => return Err(Failed::Connection(e)),
                Err(e) => return Err(Failed::Request(e)),
                Ok(()) => parts.flush().map_err(Failed::Connection)?,
            }
            Out::new(DONE).send(stream, MAX_ANSWER).map_err(Failed::Connection)
        }
        other => Err(Failed::Request(Error::invalid(format!(
            "a message of unknown type {}",
            other.escape_ascii()
        )))),
    }
}
