//! Records that cannot be read, or that make the job's functions panic: what becomes of them, by policy. Never silent.
//!
//! A dead letter is acknowledged before the commit that passes its offset: none is lost. After a crash between the two, or a
//! commit that failed, the record is read again and its letter may be sent a second time: source, partition and offset tell
//! that it is the same one. Within one process a record is counted and sent once, however often it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_algebra::codec::take_varint;
use rufous_core::{BadRecord, Error, ErrorKind, RecordBatch, Result, Timestamp};

use crate::bind::Bound;
use crate::engine::Engine;
use crate::metrics::Moment;
use crate::options::OnBadRecord;

/// A record that the job cannot use, as the log holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter<'a> {
    /// The source port's name.
    pub source: &'a str,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// The log's timestamp, if the log has any.
    pub time: Option<Timestamp>,
    /// Why it cannot be used, in lower case.
    pub reason: &'a str,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The headers as [`RecordBatch::push_headers`] writes them.
    pub headers: Option<&'a [u8]>,
    /// The payload's bytes; `None` of a null value.
    pub payload: Option<&'a [u8]>,
}

/// Where dead letters go. The engine calls it from one thread.
pub trait DeadLetters: Send {
    /// For messages: "kafka://h:9092/topic", "file:letters.jsonl".
    fn location(&self) -> String;
    /// Takes a letter on its way; it need not be stored when this returns.
    ///
    /// # Errors
    /// `TryAgain` when there is no space for it now: the engine flushes, waits and calls again with the same letter. Other
    /// kinds stop the stream, and nothing is committed that passes the letter.
    fn send(&mut self, letter: &Letter<'_>) -> Result<()>;
    /// Returns when every letter sent before is stored as durably as the place promises. Blocks a few seconds at most.
    ///
    /// # Errors
    /// `TryAgain` when some are still on their way: the engine calls again, and reads nothing on meanwhile. Other kinds stop
    /// the stream.
    fn flush(&mut self) -> Result<()>;
}

/// Headers of a record in their stored form ([`RecordBatch::push_headers`]), one by one.
///
/// # Errors
/// `CorruptData` when the bytes are no headers.
pub fn headers(stored: Option<&[u8]>) -> Result<Vec<(&str, Option<&[u8]>)>> {
    let Some(mut rest) = stored else { return Ok(Vec::new()) };
    let wrong = |what: &str| Error::corrupt(format!("a record's headers cannot be read: {what}"));
    let number = |rest: &mut &[u8]| take_varint(rest).map_err(|e| wrong(&e.to_string()));
    let n = number(&mut rest)?;
    let mut found = Vec::new();
    for _ in 0..n {
        let bytes = |rest: &mut &'_ [u8]| -> Result<(usize, usize)> {
            let len = usize::try_from(number(rest)?).map_err(|e| wrong(&e.to_string()))?;
            Ok((len, rest.len()))
        };
        let (len, left) = bytes(&mut rest)?;
        let (name, after) = rest
            .split_at_checked(len)
            .ok_or_else(|| wrong(&format!("{len} bytes of {left}")))?;
        let (flag, after) = after.split_first().ok_or_else(|| wrong("a name without a value"))?;
        rest = after;
        let (len, left) = bytes(&mut rest)?;
        let (value, after) = rest
            .split_at_checked(len)
            .ok_or_else(|| wrong(&format!("{len} bytes of {left}")))?;
        rest = after;
        let name = std::str::from_utf8(name).map_err(|e| wrong(&e.to_string()))?;
        found.push((name, (*flag != 0).then_some(value)));
    }
    Ok(found)
}

/// Bad records since the last commit that may be remembered: with more of them the engine commits early.
const MOST_REMEMBERED: usize = 1 << 16;
/// A source warns about bad records this often at most.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);
/// Between two attempts to deliver.
const PAUSE: Duration = Duration::from_millis(200);

/// What is known of a source's bad records.
#[derive(Default)]
pub(crate) struct BadState {
    /// Those behind the last commit, by partition: counted and sent already when they are read again.
    known: BTreeMap<u32, BTreeSet<u64>>,
    /// Letters were sent that no flush confirmed.
    unconfirmed: bool,
    warned: Option<Instant>,
    unwarned: u64,
}

impl BadState {
    /// Whether a commit should come early.
    pub(crate) fn is_full(&self) -> bool {
        self.known.values().map(BTreeSet::len).sum::<usize>() >= MOST_REMEMBERED
    }
    /// What lies below `to` is committed.
    pub(crate) fn committed(&mut self, partition: u32, to: u64) {
        if let Some(known) = self.known.get_mut(&partition) {
            *known = known.split_off(&to);
        }
    }
}

impl Engine<'_> {
    /// Applies the policy of source `i` to `self.bad`, which are entries of `self.records`.
    #[cold]
    pub(crate) fn refuse(&mut self, i: usize) -> Result<()> {
        let Self {
            bound,
            records,
            bad,
            metrics,
            options,
            ..
        } = self;
        let b = &mut bound[i];
        let policy = options.of(&b.name);
        let mut fresh = 0;
        for BadRecord { entry, reason } in bad.iter() {
            let Some(e) = records.entries.get(*entry) else { continue };
            let known = b.bad.known.entry(records.partition).or_default();
            if known.contains(&e.offset) {
                continue;
            }
            b.meter.bad_samples.take(records, e, e.time(), &|| reason.to_string());
            match policy {
                OnBadRecord::Fail => {
                    return Err(Error::invalid(format!(
                        "{}: {reason}; mend the record or the function, or run with `--on-bad-record skip` (or dead-letter) to \
                         count it and go on",
                        place(b, records, e.offset)
                    )));
                }
                OnBadRecord::Skip => {}
                OnBadRecord::DeadLetter => {
                    let letter = Letter {
                        source: &b.name,
                        partition: records.partition,
                        offset: e.offset,
                        time: e.time(),
                        reason,
                        key: records.key(e),
                        headers: records.headers(e),
                        payload: records.value(e),
                    };
                    let Some(to) = b.dead_letters.as_mut() else {
                        return Err(Error::bug(format!("source `{}` has no place for dead letters", b.name)));
                    };
                    b.bad.unconfirmed = true;
                    patiently(&options.stop, &metrics.heartbeat, || {
                        // What fills the place goes out first.
                        match to.send(&letter) {
                            Err(e) if e.kind() == ErrorKind::TryAgain => to.flush().and_then(|()| to.send(&letter)),
                            done => done,
                        }
                        .map_err(|e| e.at(format_args!("dead letters of source `{}` to {}", b.name, to.location())))
                    })?;
                    metrics.dead_letters.fetch_add(1, Relaxed);
                    b.meter.dead_letters.fetch_add(1, Relaxed);
                }
            }
            known.insert(e.offset);
            fresh += 1;
            b.bad.unwarned += 1;
            if b.bad.warned.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
                let more = std::mem::take(&mut b.bad.unwarned) - 1;
                b.bad.warned = Some(Instant::now());
                let what = match policy {
                    OnBadRecord::DeadLetter => "sent to the dead letters",
                    _ => "skipped",
                };
                let before = match more {
                    0 => String::new(),
                    n => format!("; {n} more before it"),
                };
                tracing::warn!("{}: {reason} ({what}{before})", place(b, records, e.offset));
            }
        }
        metrics.bad.fetch_add(fresh, Relaxed);
        b.meter.bad.fetch_add(fresh, Relaxed);
        b.meter.partition(records.partition).bad.fetch_add(fresh, Relaxed);
        Ok(())
    }

    /// Waits until all dead letters are stored: before the commit that passes their offsets.
    pub(crate) fn deliver(&mut self) -> Result<()> {
        for b in self.bound.iter_mut().filter(|b| b.bad.unconfirmed) {
            let Some(to) = b.dead_letters.as_mut() else { continue };
            patiently(&self.options.stop, &self.metrics.heartbeat, || {
                to.flush()
                    .map_err(|e| e.at(format_args!("dead letters of source `{}` to {}", b.name, to.location())))
            })?;
            b.bad.unconfirmed = false;
        }
        Ok(())
    }
}

fn place(b: &Bound, records: &RecordBatch, offset: u64) -> String {
    format!(
        "source `{}` ({}), partition {}, offset {offset}",
        b.name,
        b.log.location(),
        records.partition
    )
}

/// Tries until it is done or the stream is told to stop. Reading waits meanwhile: nothing is skipped.
fn patiently(stop: &AtomicBool, loops: &Moment, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let mut warned: Option<Instant> = None;
    loop {
        // Before the attempt: what is told to stop still tries once.
        let last = stop.load(Relaxed);
        loops.mark();
        match attempt() {
            Err(e) if e.kind() == ErrorKind::TryAgain && last => {
                return Err(e.at("stopped before all dead letters were stored; what was not committed is read again"));
            }
            Err(e) if e.kind() == ErrorKind::TryAgain => {
                if warned.is_none_or(|at| at.elapsed() >= Duration::from_secs(10)) {
                    warned = Some(Instant::now());
                    tracing::warn!(error = %e, "reading waits until the dead letters are stored");
                }
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers come back as they were pushed; torn ones are an error.
    #[test]
    fn headers_are_read_as_they_were_written() {
        let mut records = RecordBatch::default();
        let given: [(&str, Option<&[u8]>); 4] = [
            ("a", Some(b"1")),
            ("", None),
            ("b", Some(b"")),
            ("a", Some(&[0xff; 200])),
        ];
        let (span, _) = records.push_headers(given.into_iter());
        let entry = rufous_core::Entry {
            headers: span,
            ..rufous_core::Entry::plain(0, rufous_core::Span::NONE)
        };
        let stored = records.headers(&entry).unwrap();
        assert_eq!(headers(Some(stored)).unwrap(), given);
        assert_eq!(headers(None).unwrap(), []);
        for cut in 0..stored.len() {
            assert!(headers(Some(&stored[..cut])).is_err(), "{cut}");
        }
    }
}
