//! The reader's side.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::{BatchId, Error, ErrorKind, Frontier, Result};

use super::frame::*;
use super::line::{Line, Stream};
use crate::realtime::{Cell, First, KeyRange, ProgressRows, RealtimeReader, Snapshot, by_scans, within};
use crate::until::Until;

/// Connections that are kept while no snapshot needs them.
const IDLE: usize = 4;
/// Keys of one question for cells: not so many that one waits for their first value for longer than an owner may be silent, for it sends
/// when it has read all of a question.
const KEYS_A_QUESTION: usize = 256;
/// Ranges of one question, for the same reason: in each the owner looks at every batch.
const RANGES_A_QUESTION: usize = 32;
/// A question that is sent before the owner has answered the one before it is no longer than what a connection surely takes meanwhile: else
/// both ends might write, and nobody read.
const MAX_FIRST: usize = 32 << 10;

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
        self.resume_first(None, until)
    }

    /// The same, and sends a question along.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn resume_first(&self, first: Option<&First<'_>>, until: &Until) -> Result<Option<Box<dyn Snapshot>>> {
        let Some(mut line) = self.0.idle().pop() else {
            return Ok(None);
        };
        line.set_until(until);
        // What is sent along is answered whatever became of the snapshot.
        let mut along = None;
        let said = Out::new(NEXT).send(&mut line, MAX_REQUEST).and_then(|()| {
            if let Some(first) = first {
                along = ask_first(first, &mut line)?.then_some(first);
            }
            receive(&mut line)
        });
        let answered = said.map_err(Failed::Broke).and_then(Said::done).and_then(|()| {
            let known = along.map(|first| Known::receive(first, &mut line)).transpose();
            known.map_err(Failed::Broke)
        });
        match answered {
            Ok(known) => Ok(Some(self.0.snapshot(line, known.flatten()))),
            Err(Failed::Said(e)) => {
                // Behind it come answers to what was sent along.
                if along.is_none() {
                    self.0.keep(line);
                }
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
        Ok(self.0.snapshot(line, None))
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
    fn snapshot_first(&self, first: &First<'_>, until: &Until) -> Result<Box<dyn Snapshot>> {
        match self.resume_first(Some(first), until)? {
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
        let mut version = self.version.load(Relaxed);
        loop {
            match self.hello(version, until) {
                Err(Failed::Said(e)) if version > OLDEST && e.kind() == ErrorKind::InvalidRequest => version -= 1,
                Ok(line) => {
                    self.version.store(version, Relaxed);
                    return Ok(line);
                }
                failed => return failed,
            }
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

    fn snapshot(self: &Arc<Self>, line: Line, known: Option<Known>) -> Box<dyn Snapshot> {
        Box::new(RemoteSnapshot {
            remote: self.clone(),
            stream: Mutex::new(Some(line)),
            known: Mutex::new(known),
        })
    }

    /// Keeps a connection that holds no snapshot.
    fn keep(&self, line: Line) {
        let mut idle = self.idle();
        if line.version >= KEPT && idle.len() < IDLE {
            idle.push(line);
        }
    }
}

/// What came with a snapshot.
struct Known {
    store: String,
    rows: ProgressRows,
    keys: Vec<Vec<u8>>,
    from: Frontier,
    /// Until they are asked for.
    cells: Option<Vec<Vec<Cell>>>,
}

impl Known {
    /// The answers to what was sent along; `None`: an error was, which is told when it is asked again.
    fn receive(first: &First<'_>, line: &mut Line) -> Result<Option<Self>> {
        let rows = receive_rows(first.store, line)?;
        let mut cells = vec![Vec::new(); first.keys.len()];
        let answered = receive_cells(line, &mut cells)?;
        let (Ok(rows), Ok(())) = (rows, answered) else {
            return Ok(None);
        };
        Ok(Some(Self {
            store: first.store.into(),
            rows,
            keys: first.keys.to_vec(),
            from: first.from.clone(),
            cells: Some(cells),
        }))
    }
}

/// A session with an owner: it holds the snapshot there.
struct RemoteSnapshot {
    remote: Arc<Remote>,
    /// `None` once an answer was not read to its end: what comes next on the stream is no answer to the next question.
    stream: Mutex<Option<Line>>,
    known: Mutex<Option<Known>>,
}

impl Drop for RemoteSnapshot {
    fn drop(&mut self) {
        let line = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // What is not kept is closed, which ends the snapshot as well.
        if let Some(mut line) = line.filter(|line| line.version >= KEPT) {
            line.set_until(&Until::default());
            let ended = Out::new(END)
                .send(&mut line, MAX_REQUEST)
                .and_then(|()| flush(&mut line));
            if ended.is_ok() {
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

/// A question about a store: what follows is the caller's.
fn question(kind: u8, store: &str) -> Result<Out> {
    let mut question = Out::new(kind);
    question.bytes(store.as_bytes())?;
    Ok(question)
}

/// The frontier of a question: one that was sent last is not sent again.
fn put_frontier(question: &mut Out, from: &Frontier, line: &Line) -> Result<()> {
    if line.version >= REMEMBERS && line.from.as_ref() == Some(from) {
        question.bytes(&[])
    } else {
        question.json(from)
    }
}

/// Sends a question with this frontier.
fn send_from(mut question: Out, from: &Frontier, line: &mut Line) -> Result<()> {
    question.send(line, MAX_REQUEST)?;
    if line.from.as_ref() != Some(from) {
        line.from = Some(from.clone());
    }
    Ok(())
}

fn ask_rows(store: &str, line: &mut Line) -> Result<()> {
    question(PARTITIONS, store)?.send(line, MAX_REQUEST)
}

fn cells_question(store: &str, keys: &[Vec<u8>], from: &Frontier, line: &Line) -> Result<Out> {
    let mut question = question(CELLS, store)?;
    put_frontier(&mut question, from, line)?;
    for key in keys {
        question.bytes(key)?;
    }
    Ok(question)
}

/// What a read asks at first, sent along with the question for a snapshot, unless it is too long for that.
fn ask_first(first: &First<'_>, line: &mut Line) -> Result<bool> {
    let bytes: usize = first.keys.iter().map(Vec::len).sum();
    if first.keys.len() > KEYS_A_QUESTION || bytes > MAX_FIRST {
        return Ok(false);
    }
    let cells = cells_question(first.store, first.keys, first.from, line)?;
    if cells.len() > MAX_FIRST {
        return Ok(false);
    }
    ask_rows(first.store, line)?;
    send_from(cells, first.from, line)?;
    Ok(true)
}

fn receive_rows(store: &str, line: &mut Line) -> Result<Result<ProgressRows>> {
    let mut frame = match receive(line)? {
        Said::Error(e) => return Ok(Err(e)),
        Said::Frame(frame) => frame,
    };
    match frame.kind {
        ROWS => {
            let rows: Vec<_> = frame.json()?;
            let rows = ProgressRows::from(rows);
            line.rows.insert(store.into(), rows.clone());
            frame.end()?;
            Ok(Ok(rows))
        }
        SAME if line.version >= REMEMBERS => {
            frame.end()?;
            let before = line.rows.get(store).cloned();
            Ok(Ok(before.ok_or_else(|| {
                Error::corrupt("the rows before, and there were none")
            })?))
        }
        other => Err(unexpected(other)),
    }
}

/// Shows the parts of an answer to `part`.
fn receive_values(line: &mut Line, part: &mut dyn FnMut(In) -> Result<(), Part>) -> Result<Result<()>, Part> {
    loop {
        match receive(line)? {
            Said::Error(e) => return Ok(Err(e)),
            Said::Frame(frame) => match frame.kind {
                DONE => return Ok(Ok(frame.end()?)),
                VALUES => part(frame)?,
                other => return Err(unexpected(other).into()),
            },
        }
    }
}

/// Why an answer was not read to its end.
enum Part {
    Broke(Error),
    /// Who was shown it wants no more.
    Caller(Error),
}

impl From<Error> for Part {
    fn from(e: Error) -> Self {
        Self::Broke(e)
    }
}

fn receive_cells(line: &mut Line, cells: &mut [Vec<Cell>]) -> Result<Result<()>> {
    let received = receive_values(line, &mut |mut frame| {
        while !frame.at_end() {
            let of_key = cells.get_mut(frame.u32()? as usize);
            of_key
                .ok_or_else(|| Error::corrupt("an answer to a key that was not asked"))?
                .push(cell(&mut frame)?);
        }
        Ok(())
    });
    received.map_err(|(Part::Broke(e) | Part::Caller(e))| e)
}

/// How many of these fit into a question: not more than so many, nor more than half of a message, for the frontier needs room, too.
fn some_of(most: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fit = sizes.take(most).take_while(|size| {
        bytes += size + 8;
        bytes <= MAX_REQUEST / 2
    });
    fit.count().max(1)
}

impl RemoteSnapshot {
    /// Sends a question and reads its answer.
    fn ask<T>(
        &self,
        send: impl FnOnce(&mut Line) -> Result<()>,
        read: impl FnOnce(&mut Line) -> Result<Result<T>, Part>,
    ) -> Result<T> {
        let at = |e: Error| e.at(&self.remote.owner);
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: any error on the way loses the connection, so that a late answer is never taken for another one.
        let mut line = held
            .take()
            .ok_or_else(|| at(Error::try_again("the connection broke before: take a new snapshot")))?;
        send(&mut line).map_err(at)?;
        let answer = read(&mut line).map_err(|e| match e {
            Part::Broke(e) => at(e),
            Part::Caller(e) => e,
        })?;
        *held = Some(line);
        answer.map_err(at)
    }

    fn known<T>(&self, f: impl FnOnce(&mut Known) -> Option<T>) -> Option<T> {
        f(self.known.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?)
    }

    /// Whether the owner speaks this version; one that is lost is asked nothing.
    fn speaks(&self, version: u8) -> bool {
        let held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_none_or(|line| line.version >= version)
    }
}

impl Snapshot for RemoteSnapshot {
    fn namespace(&self) -> &str {
        &self.remote.namespace
    }

    fn set_until(&mut self, until: &Until) {
        let line = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line {
            line.set_until(until);
        }
    }

    fn partitions(&self, store: &str) -> Result<ProgressRows> {
        if let Some(rows) = self.known(|known| (known.store == store).then(|| known.rows.clone())) {
            return Ok(rows);
        }
        self.ask(|line| ask_rows(store, line), |line| Ok(receive_rows(store, line)?))
    }

    fn cells(&self, store: &str, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>> {
        let came = self.known(|known| {
            let asked = known.store == store && known.keys == keys && known.from == *from;
            known.cells.take_if(|_| asked)
        });
        if let Some(cells) = came {
            return Ok(cells);
        }
        let mut cells = vec![Vec::new(); keys.len()];
        let mut first = 0;
        // Once for no keys, too: a store that is not there is an error all the same.
        loop {
            let n = some_of(KEYS_A_QUESTION, keys[first..].iter().map(Vec::len)).min(keys.len() - first);
            let some = first..first + n;
            self.ask(
                |line| send_from(cells_question(store, &keys[some.clone()], from, line)?, from, line),
                |line| Ok(receive_cells(line, &mut cells[some.clone()])?),
            )?;
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
        let send = |line: &mut Line| {
            let mut question = question(SCAN, store)?;
            question.bytes(prefix)?;
            put_frontier(&mut question, from, line)?;
            send_from(question, from, line)
        };
        self.ask(send, |line| {
            receive_values(line, &mut |mut frame| {
                while !frame.at_end() {
                    let key = frame.bytes()?;
                    f(&key, cell(&mut frame)?).map_err(Part::Caller)?;
                }
                Ok(())
            })
        })
    }

    fn ranges(
        &self,
        store: &str,
        ranges: &[KeyRange],
        from: &Frontier,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        if !self.speaks(REMEMBERS) {
            return by_scans(ranges, f, &mut |prefix, f| self.scan(store, prefix, from, f));
        }
        let mut first = 0;
        while first < ranges.len() {
            let rest = &ranges[first..];
            let n = some_of(
                RANGES_A_QUESTION,
                rest.iter().map(|range| range.start.len() + range.end.len()),
            )
            .min(rest.len());
            let send = |line: &mut Line| {
                let mut question = question(RANGES, store)?;
                put_frontier(&mut question, from, line)?;
                for range in &rest[..n] {
                    question.bytes(&range.start)?;
                    question.bytes(&range.end)?;
                }
                send_from(question, from, line)
            };
            self.ask(send, |line| {
                receive_values(line, &mut |mut frame| {
                    while !frame.at_end() {
                        let place = frame.u32()? as usize;
                        let key = frame.bytes()?;
                        if !rest[..n].get(place).is_some_and(|range| within(range, &key)) {
                            return Err(Error::corrupt("an answer to a range that was not asked").into());
                        }
                        f(first + place, &key, cell(&mut frame)?).map_err(Part::Caller)?;
                    }
                    Ok(())
                })
            })?;
            first += n;
        }
        Ok(())
    }
}
