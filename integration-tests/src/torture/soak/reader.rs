//! Somebody who asks every 100 ms, from outside: an answer never goes back, and a refusal is not an answer.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rufous::client::Client;
use rufous::core::StoreFace;

use crate::run::Bytes;
use crate::torture::total;

/// The pace of the questions.
const PACE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Seen {
    /// Since the last line.
    times: Vec<Duration>,
    refused: u64,
    all_refused: u64,
    answers: u64,
    sum: u64,
    /// What was wrong, once.
    wrong: Option<String>,
}

/// What was seen since the last time somebody asked.
pub(super) struct Read {
    pub(super) p99: Duration,
    /// The sum of the last answer.
    pub(super) sum: u64,
    pub(super) answers: u64,
    pub(super) refused: u64,
}

pub(super) struct Reader {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(client: Client, store: StoreFace) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (theirs, stopped) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                let start = Instant::now();
                let answer = client.raw(store).under(&[]);
                let took = start.elapsed();
                let mut seen = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                match answer {
                    Ok((rows, _)) => seen.answer(took, &rows.into_iter().collect()),
                    // While no process owns a partition, or one starts: it says so.
                    Err(_) => {
                        seen.refused += 1;
                        seen.all_refused += 1;
                    }
                }
                drop(seen);
                std::thread::sleep(PACE);
            }
        });
        Self {
            seen,
            stop,
            thread: Some(thread),
        }
    }
    /// # Errors
    /// When an answer was smaller than the one before it.
    pub(super) fn since_last(&self) -> Result<Read> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = &seen.wrong {
            bail!("{wrong}");
        }
        let mut times = std::mem::take(&mut seen.times);
        times.sort_unstable();
        Ok(Read {
            p99: times.get(times.len() * 99 / 100).copied().unwrap_or_default(),
            sum: seen.sum,
            answers: times.len() as u64,
            refused: std::mem::take(&mut seen.refused),
        })
    }
    /// Ends it; all that was seen.
    pub(super) fn finish(self) -> Result<Read> {
        let last = self.since_last()?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.answers > 0, "no question was answered");
        Ok(Read {
            answers: seen.answers,
            refused: seen.all_refused,
            ..last
        })
    }
}

impl Seen {
    fn answer(&mut self, took: Duration, answer: &Bytes) {
        self.times.push(took);
        self.answers += 1;
        let sum = total(answer);
        if sum < self.sum {
            let wrong = format!("an answer of {sum} words came after one of {}", self.sum);
            self.wrong.get_or_insert(wrong);
        }
        self.sum = sum;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // It panics by nothing that was not told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
