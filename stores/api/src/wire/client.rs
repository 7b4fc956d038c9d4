//! The reader's side.

use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

use rufous_core::{BatchId, Error, Frontier, Result, SourcePartition};

use super::frame::*;
use crate::progress::Progress;
use crate::realtime::{Cell, RealtimeReader, Snapshot};

/// A connection to an owner. Time limits are the connection's own: set them before.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

type Dial = Box<dyn Fn() -> Result<Box<dyn Stream>> + Send + Sync>;

/// Reads a namespace through its owner.
pub struct RemoteReader {
    namespace: String,
    owner: String,
    dial: Dial,
}

impl RemoteReader {
    /// Reads `namespace` through connections that `dial` opens; checks at once that the owner answers. `owner` says in
    /// errors who that is: "process 17, the owner of ./data".
    ///
    /// # Errors
    /// `TryAgain` when nobody answers; `InvalidRequest` when it holds another namespace.
    pub fn connect(
        namespace: &str,
        owner: impl Into<String>,
        dial: impl Fn() -> Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let reader = Self {
            namespace: namespace.into(),
            owner: owner.into(),
            dial: Box::new(dial),
        };
        reader.session()?;
        Ok(reader)
    }

    /// Opens one connection and takes one snapshot there.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn open(
        namespace: &str,
        owner: impl Into<String>,
        dial: impl Fn() -> Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Result<Box<dyn Snapshot>> {
        let reader = Self {
            namespace: namespace.into(),
            owner: owner.into(),
            dial: Box::new(dial),
        };
        Ok(Box::new(reader.session()?))
    }

    fn session(&self) -> Result<RemoteSnapshot> {
        let open = || {
            let mut stream = (self.dial)()?;
            let mut hello = Out::new(HELLO);
            MAGIC.into_iter().for_each(|b| hello.u8(b));
            hello.u8(VERSION);
            hello.bytes(self.namespace.as_bytes())?;
            hello.send(&mut stream, MAX_REQUEST)?;
            let answer = receive(&mut stream)?;
            match answer.kind {
                DONE => answer.end().map(|()| stream),
                other => Err(unexpected(other)),
            }
        };
        let stream = open().map_err(|e| e.at(&self.owner))?;
        Ok(RemoteSnapshot {
            namespace: self.namespace.clone(),
            owner: self.owner.clone(),
            stream: Mutex::new(Some(stream)),
        })
    }
}

impl RealtimeReader for RemoteReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(self.session()?))
    }
}

/// A session with an owner: it holds the snapshot there.
struct RemoteSnapshot {
    namespace: String,
    owner: String,
    /// `None` once an answer was not read to its end: what comes next on the stream is no answer to the next question.
    stream: Mutex<Option<Box<dyn Stream>>>,
}

fn unexpected(kind: u8) -> Error {
    Error::corrupt(format!("an answer of unknown type {}", kind.escape_ascii()))
}

/// The next frame of an answer; errors that were sent are returned.
fn receive(stream: &mut Box<dyn Stream>) -> Result<In> {
    let mut frame =
        In::receive(stream, MAX_ANSWER)?.ok_or_else(|| Error::try_again("the owner closed the connection"))?;
    if frame.kind == ERROR {
        Err(error_in(&mut frame)?)
    } else {
        Ok(frame)
    }
}

fn cell(frame: &mut In) -> Result<Cell> {
    Ok(Cell {
        partition: frame.u32()?,
        batch: BatchId(frame.i64()?),
        value: frame.bytes()?,
    })
}

impl RemoteSnapshot {
    /// Sends a question and gives the parts of its answer to `part` until one says that it was the last.
    fn ask(&self, question: &mut Out, part: &mut dyn FnMut(In) -> Result<bool>) -> Result<()> {
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: any error on the way loses the connection, so that a late answer is never taken for another one.
        let mut stream = held
            .take()
            .ok_or_else(|| Error::closed("the connection broke before: take a new snapshot").at(&self.owner))?;
        question.send(&mut stream, MAX_REQUEST).map_err(|e| e.at(&self.owner))?;
        loop {
            let frame = In::receive(&mut stream, MAX_ANSWER)
                .and_then(|f| f.ok_or_else(|| Error::try_again("the owner closed the connection")))
                .map_err(|e| e.at(&self.owner))?;
            if frame.kind == ERROR {
                let mut frame = frame;
                let e = error_in(&mut frame).map_err(|e| e.at(&self.owner))?;
                *held = Some(stream);
                return Err(e.at(&self.owner));
            }
            if part(frame)? {
                *held = Some(stream);
                return Ok(());
            }
        }
    }

    fn cells_of(
        &self,
        store: &str,
        keys: &[Vec<u8>],
        from: &Frontier,
        first: usize,
        cells: &mut [Vec<Cell>],
    ) -> Result<()> {
        let mut question = Out::new(CELLS);
        question.bytes(store.as_bytes())?;
        question.json(from)?;
        for key in keys {
            question.bytes(key)?;
        }
        self.ask(&mut question, &mut |mut frame| {
            match frame.kind {
                DONE => return frame.end().map(|()| true),
                VALUES => {}
                other => return Err(unexpected(other)),
            }
            while !frame.at_end() {
                let i = frame.u32()? as usize;
                let cells = cells.get_mut(first + i).filter(|_| i < keys.len());
                cells
                    .ok_or_else(|| Error::corrupt("an answer to a key that was not asked"))?
                    .push(cell(&mut frame)?);
            }
            Ok(false)
        })
    }
}

impl Snapshot for RemoteSnapshot {
    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn partitions(&self, store: &str) -> Result<Vec<(SourcePartition, Progress)>> {
        let mut question = Out::new(PARTITIONS);
        question.bytes(store.as_bytes())?;
        let mut rows = Vec::new();
        self.ask(&mut question, &mut |mut frame| {
            if frame.kind != ROWS {
                return Err(unexpected(frame.kind));
            }
            rows = frame.json()?;
            frame.end().map(|()| true)
        })?;
        Ok(rows)
    }

    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let mut cells = vec![Vec::new(); keys.len()];
        let mut first = 0;
        // Once for no keys, too: a store that is not there is an error all the same.
        loop {
            // As many as fit into half of a message: the frontier needs room, too.
            let mut bytes = 0;
            let fit = keys[first..].iter().take_while(|k| {
                bytes += k.len() + 4;
                bytes <= MAX_REQUEST / 2
            });
            let n = fit.count().max(1).min(keys.len() - first);
            self.cells_of(store, &keys[first..first + n], from, first, &mut cells)?;
            first += n;
            if first == keys.len() {
                return Ok(cells);
            }
        }
    }

    fn scan(
        &self,
        store: &str,
        prefix: &[u8],
        from: &Frontier,
        f: &mut dyn FnMut(&[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let mut question = Out::new(SCAN);
        question.bytes(store.as_bytes())?;
        question.bytes(prefix)?;
        question.json(from)?;
        self.ask(&mut question, &mut |mut frame| {
            match frame.kind {
                DONE => return frame.end().map(|()| true),
                VALUES => {}
                other => return Err(unexpected(other)),
            }
            while !frame.at_end() {
                let key = frame.bytes()?;
                f(&key, cell(&mut frame)?)?;
            }
            Ok(false)
        })
    }
}
