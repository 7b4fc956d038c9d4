//! A connection to an owner, with the time that each wait on it may take.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

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
    stream: Box<dyn Stream>,
    pub(super) version: u8,
    /// Nothing waits beyond it.
    pub(super) until: Option<Instant>,
    /// What was set.
    limit: Option<Duration>,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>, version: u8, until: Option<Instant>) -> Self {
        Self {
            stream,
            version,
            until,
            limit: None,
        }
    }

    /// Bounds the next wait. A message may come in many pieces: each waits for what is left of the whole.
    fn bound(&mut self) -> io::Result<()> {
        let wait = match self.until {
            None => PATIENCE,
            Some(until) => until.saturating_duration_since(Instant::now()).min(PATIENCE),
        };
        if wait.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.limit != Some(wait) {
            self.stream.limit(wait)?;
            self.limit = Some(wait);
        }
        Ok(())
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.read(bytes)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
