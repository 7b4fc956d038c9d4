//! A connection to an owner, with the time that each wait on it may take.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rufous_core::Frontier;

use super::buffered::Buffered;
use crate::realtime::ProgressRows;
use crate::until::Until;

/// How long an owner may be silent where nobody says less.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A pair of byte streams whose waits can be bounded.
pub trait Stream: Read + Write + Send {
    /// From now on a read or a write waits so long at most, and then fails with [`TimedOut`](io::ErrorKind::TimedOut) or
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    /// When that cannot be set.
    fn limit(&self, wait: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn limit(&self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait))?;
        self.set_write_timeout(Some(wait))
    }
}

/// A connection, and the version that both ends speak.
pub(super) struct Line {
    stream: Buffered<Patient>,
    pub(super) version: u8,
    /// The progress rows that came last, by store.
    pub(super) rows: HashMap<String, ProgressRows>,
    /// The frontier that was sent last.
    pub(super) from: Option<Frontier>,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>, version: u8, until: &Until) -> Self {
        Self {
            stream: Buffered::new(Patient {
                stream,
                until: until.clone(),
                limit: None,
            }),
            version,
            rows: HashMap::new(),
            from: None,
        }
    }

    /// Nothing waits beyond it from now on.
    pub(super) fn set_until(&mut self, until: &Until) {
        self.stream.get_mut().until = until.clone();
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A stream that is waited for as long as somebody waits.
struct Patient {
    stream: Box<dyn Stream>,
    /// Nothing waits beyond it.
    until: Until,
    /// What was set.
    limit: Option<Duration>,
}

impl Patient {
    /// Reads or writes once, as long as somebody waits for it. A message may come in many pieces: each waits for what is left of the
    /// whole, and where who asked may go away, a little at a time.
    fn patiently(&mut self, mut once: impl FnMut(&mut dyn Stream) -> io::Result<usize>) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            let left = self.until.left(PATIENCE.saturating_sub(began.elapsed()));
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let wait = self.until.slice(left);
            if self.limit != Some(wait) {
                self.stream.limit(wait)?;
                self.limit = Some(wait);
            }
            match once(&mut *self.stream) {
                Err(e) if wait < left && matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl Read for Patient {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(bytes))
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
