//! The thread that sorts, encodes and commits while the engine reads on: two maps swap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use rufous_core::panics::{Panicked, catch};
use rufous_core::rules::{Rule, kept};
use rufous_core::{Deltas, Error, Identified, Result};
use rufous_store_api::points::reach;
use rufous_store_api::{Advance, Commit, Committed, RealtimeStore};

use crate::metrics::Metrics;
use crate::sinks::{BEAT, OpenSinks};

/// A chunk on its way to the store.
pub(crate) struct Chunk {
    pub(crate) advances: Vec<Advance>,
    /// One a store, in the plan's order.
    pub(crate) deltas: Vec<Box<dyn Deltas>>,
    /// One a sink, in the plan's order.
    pub(crate) written: Vec<Identified>,
}

/// What became of it; the maps come back emptied.
pub(crate) struct Flushed {
    /// Panics are those of the job's codecs and sums.
    pub(crate) outcome: Result<Result<Committed>, Panicked>,
    pub(crate) advances: Vec<Advance>,
    /// How long the store took, and how many cells it was given.
    pub(crate) took: Duration,
    pub(crate) cells: usize,
    /// Records and bytes that sinks were given.
    pub(crate) written: (usize, usize),
    pub(crate) spare: Vec<Box<dyn Deltas>>,
}

/// The engine's end: at most one chunk is on its way.
pub(crate) struct Flusher {
    chunks: SyncSender<Chunk>,
    results: Receiver<Flushed>,
    pub(crate) busy: bool,
    /// Whether it waits for the place of a sink.
    writes: Option<Arc<AtomicBool>>,
    metrics: Arc<Metrics>,
}

impl Flusher {
    pub(crate) fn start<'s>(
        scope: &'s std::thread::Scope<'s, '_>,
        store: Arc<dyn RealtimeStore>,
        sources: Vec<String>,
        stores: Vec<String>,
        sinks: Option<OpenSinks>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let writes = sinks.as_ref().map(|sinks| sinks.busy.clone());
        let (chunks, inbox) = sync_channel::<Chunk>(1);
        let (outbox, results) = sync_channel::<Flushed>(1);
        scope.spawn(move || {
            let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
            while let Ok(Chunk {
                advances,
                mut deltas,
                written,
            }) = inbox.recv()
            {
                let (started, cells) = (Instant::now(), deltas.iter().map(|d| d.len()).sum());
                let mut took = Duration::ZERO;
                let mut for_sinks = (written.iter().map(|w| w.ids.len()).sum(), 0);
                let outcome = catch(|| {
                    let by_store: Vec<(&str, &dyn Deltas)> = stores
                        .iter()
                        .map(String::as_str)
                        .zip(deltas.iter().map(|d| &**d))
                        .collect();
                    let commit = Commit {
                        advances: &advances,
                        sources: &sources,
                        deltas: &by_store,
                    };
                    let mut write = || {
                        let all = |s: &OpenSinks| s.write(&advances, &sources, &written);
                        for_sinks.1 = sinks.as_ref().map_or(Ok(0), all)?;
                        Ok(())
                    };
                    // O10: a state that is ahead of a sink would never emit again what the sink does not have.
                    let outcome = if kept(Rule::SinkFirst) { write() } else { Ok(()) };
                    if sinks.is_some() && outcome.is_ok() {
                        reach("sinks.written");
                    }
                    let mut outcome = outcome.and_then(|()| store.commit(&commit));
                    if outcome.is_err() && !kept(Rule::AcquireAfterFailure) {
                        outcome = store.commit(&commit);
                    }
                    if !kept(Rule::SinkFirst) && matches!(outcome, Ok(Committed::Done)) {
                        outcome = write().map(|()| Committed::Done);
                    }
                    took = started.elapsed();
                    drop(by_store);
                    deltas.iter_mut().for_each(|d| d.clear());
                    outcome
                });
                if outcome.is_err() {
                    // Foreign values, in a state that nobody knows.
                    drop(catch(|| deltas.clear()));
                }
                if outbox
                    .send(Flushed {
                        outcome,
                        advances,
                        took,
                        cells,
                        written: for_sinks,
                        spare: deltas,
                    })
                    .is_err()
                {
                    break;
                }
            }
        });
        Self {
            chunks,
            results,
            busy: false,
            writes,
            metrics,
        }
    }
    pub(crate) fn send(&mut self, chunk: Chunk) -> Result<()> {
        self.busy = true;
        self.chunks.send(chunk).map_err(|_| gone())
    }
    /// The result of the chunk on its way, if it has one yet.
    pub(crate) fn try_take(&mut self) -> Result<Option<Flushed>> {
        if !self.busy {
            return Ok(None);
        }
        match self.results.try_recv() {
            Ok(done) => {
                self.busy = false;
                Ok(Some(done))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
    /// Waits for the chunk on its way.
    pub(crate) fn take(&mut self) -> Result<Option<Flushed>> {
        if !self.busy {
            return Ok(None);
        }
        let done = loop {
            match self.results.recv_timeout(BEAT) {
                Ok(done) => break done,
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                // Brokers that do not answer are no stuck loop; a store that does not come back is one.
                Err(RecvTimeoutError::Timeout) if self.writes.as_ref().is_some_and(|w| w.load(Relaxed)) => {
                    self.metrics.heartbeat.mark();
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        self.busy = false;
        Ok(Some(done))
    }
}

fn gone() -> Error {
    Error::bug("the flush thread ended before the engine")
}
