//! The reader's side.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::{BatchId, Error, ErrorKind, Frontier, Result, SourcePartition};

use super::frame::*;
use super::line::{Line, Stream};
use crate::progress::Progress;
use crate::realtime::{Cell, RealtimeReader, Snapshot};
use crate::until::Until;

/// Connections that are kept while no snapshot needs them.
const IDLE: usize = 4;
/// Keys of one question for cells.
const KEYS_A_QUESTION: usize = 256;

/// Opens a connection while somebody waits for it.
type Dial = Box<dyn Fn(&Until) -> Result<Box<dyn Stream>> + Send + Sync>;

/// Reads a namespace through its owner. A connection whose snapshot was dropped is kept for the next one; one that died
/// meanwhile is dialled again, once.
pub struct RemoteReader(Arc<Remote>);

struct Remote {
    namespace: String,
    owner: String,
    dial: Dial,
    /// The version that the owner speaks, as far as it is known.
    version: AtomicU8,
    idle: Mutex<Vec<Line>>,
}

impl RemoteReader {
    /// Reads `namespace` through connections that `dial` opens while somebody waits for them. `owner` says in errors who that is:
    /// "process 17, the owner of ./data". Nobody is asked yet.
    pub fn new(
        namespace: &str,
        owner: impl Into<String>,
        dial: impl Fn(&Until) -> Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Remote {
            namespace: namespace.into(),
            owner: owner.into(),
            dial: Box::new(dial),
            version: AtomicU8::new(VERSION),
            idle: Mutex::default(),
        }))
    }

    /// The same, and checks at once that the owner answers.
    ///
    /// # Errors
    /// `TryAgain` when nobody answers; `InvalidRequest` when it holds another namespace.
    pub fn connect(
        namespace: &str,
        owner: impl Into<String>,
        dial: impl Fn(&Until) -> Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let reader = Self::new(namespace, owner, dial);
        reader.snapshot()?;
        Ok(reader)
    }

    /// A snapshot over a connection that was kept; `None`: there is none, or it died. Who answers on it is the owner still, so
    /// nobody needs to look who that is.
    ///
    /// # Errors
    /// `TryAgain` when the owner does not answer in time; what it says.
    pub fn resume(&self, until: &Until) -> Result<Option<Box<dyn Snapshot>>> {
        let Some(mut line) = self.0.idle().pop() else {
            return Ok(None);
        };
        line.until = until.clone();
        let said = Out::new(NEXT)
            .send(&mut line, MAX_REQUEST)
            .and_then(|()| receive(&mut line));
        match said.map_err(Failed::Broke).and_then(Said::done) {
            Ok(()) => Ok(Some(self.0.snapshot(line))),
            Err(Failed::Said(e)) => {
                self.0.keep(line);
                Err(e.at(&self.0.owner))
            }
            Err(Failed::Broke(e)) if is_late(&e) => Err(e.at(&self.0.owner)),
            Err(Failed::Broke(_)) => {
                // The others are no younger.
                self.0.idle().clear();
                Ok(None)
            }
        }
    }

    /// A snapshot over a new connection.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn fresh(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        let line = self.0.open(until).map_err(|e| e.into_error().at(&self.0.owner))?;
        Ok(self.0.snapshot(line))
    }
}

impl RealtimeReader for RemoteReader {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.snapshot_until(&Until::default())
    }
    fn snapshot_until(&self, until: &Until) -> Result<Box<dyn Snapshot>> {
        match self.resume(until)? {
            Some(snapshot) => Ok(snapshot),
            None => self.fresh(until),
        }
    }
}

impl Remote {
    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection, on which a snapshot was taken. An owner of an older build refuses the version, and is asked in its own.
    fn open(&self, until: &Until) -> Result<Line, Failed> {
        let version = self.version.load(Relaxed);
        match self.hello(version, until) {
            Err(Failed::Said(e)) if version != OLDEST && e.kind() == ErrorKind::InvalidRequest => {
                let line = self.hello(OLDEST, until)?;
                self.version.store(OLDEST, Relaxed);
                Ok(line)
            }
            opened => opened,
        }
    }

    fn hello(&self, version: u8, until: &Until) -> Result<Line, Failed> {
        let mut line = Line::new((self.dial)(until)?, version, until);
        let mut hello = Out::new(HELLO);
        MAGIC.into_iter().for_each(|b| hello.u8(b));
        hello.u8(version);
        hello.bytes(self.namespace.as_bytes())?;
        hello.send(&mut line, MAX_REQUEST)?;
        receive(&mut line)?.done()?;
        Ok(line)
    }

    fn snapshot(self: &Arc<Self>, line: Line) -> Box<dyn Snapshot> {
        Box::new(RemoteSnapshot {
            remote: self.clone(),
            stream: Mutex::new(Some(line)),
        })
    }

    /// Keeps a connection that holds no snapshot.
    fn keep(&self, line: Line) {
        let mut idle = self.idle();
        if line.version > OLDEST && idle.len() < IDLE {
            idle.push(line);
        }
    }
}

/// A session with an owner: it holds the snapshot there.
struct RemoteSnapshot {
    remote: Arc<Remote>,
    /// `None` once an answer was not read to its end: what comes next on the stream is no answer to the next question.
    stream: Mutex<Option<Line>>,
}

impl Drop for RemoteSnapshot {
    fn drop(&mut self) {
        let line = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // What is not kept is closed, which ends the snapshot as well.
        if let Some(mut line) = line.filter(|line| line.version > OLDEST) {
            line.until = Until::default();
            if Out::new(END).send(&mut line, MAX_REQUEST).is_ok() {
                self.remote.keep(line);
            }
        }
    }
}

fn unexpected(kind: u8) -> Error {
    Error::corrupt(format!("an answer of unknown type {}", kind.escape_ascii()))
}

/// Why there is no answer.
enum Failed {
    /// The owner said so; the connection is as it was.
    Said(Error),
    /// The connection is of no use any more.
    Broke(Error),
}

impl Failed {
    fn into_error(self) -> Error {
        match self {
            Self::Said(e) | Self::Broke(e) => e,
        }
    }
}

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        Self::Broke(e)
    }
}

/// An answer of one frame.
enum Said {
    Frame(In),
    Error(Error),
}

impl Said {
    /// Nothing but that it is done.
    fn done(self) -> Result<(), Failed> {
        match self {
            Self::Error(e) => Err(Failed::Said(e)),
            Self::Frame(frame) if frame.kind == DONE => Ok(frame.end()?),
            Self::Frame(frame) => Err(unexpected(frame.kind).into()),
        }
    }
}

/// The next frame of an answer.
fn receive(line: &mut Line) -> Result<Said> {
    let mut frame =
        In::receive(line, MAX_ANSWER)?.ok_or_else(|| Error::try_again("the owner closed the connection"))?;
    if frame.kind == ERROR {
        Ok(Said::Error(error_in(&mut frame)?))
    } else {
        Ok(Said::Frame(frame))
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
        let at = |e: Error| e.at(&self.remote.owner);
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: any error on the way loses the connection, so that a late answer is never taken for another one.
        let mut line = held
            .take()
            .ok_or_else(|| at(Error::try_again("the connection broke before: take a new snapshot")))?;
        question.send(&mut line, MAX_REQUEST).map_err(at)?;
        loop {
            match receive(&mut line).map_err(at)? {
                Said::Error(e) => {
                    *held = Some(line);
                    return Err(at(e));
                }
                Said::Frame(frame) => {
                    if part(frame)? {
                        *held = Some(line);
                        return Ok(());
                    }
                }
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
        &self.remote.namespace
    }

    fn set_until(&mut self, until: &Until) {
        let line = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line {
            line.until = until.clone();
        }
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
            // As many as fit into half of a message: the frontier needs room, too. And not so many that one waits for their first value
            // for longer than an owner may be silent: it sends when it has read all of a question.
            let mut bytes = 0;
            let fit = keys[first..].iter().take(KEYS_A_QUESTION).take_while(|k| {
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
