//! What a server may take: every limit with its default, and who may ask.

use std::path::PathBuf;
use std::time::Duration;

use crate::auth::Tokens;

/// How a server answers, and what it refuses. Every limit is a bound on memory or time: what goes beyond it gets a clear 4xx or 503.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Who may ask; none: everybody who reaches the address.
    pub tokens: Option<Tokens>,
    /// Who may change something by the console; none: nobody. Who may, may read as well.
    pub admin: Option<Tokens>,
    /// Who is shown the beginnings of records and the log; none: as soon as somebody may change something, those who may alone, else all.
    pub records: Option<Records>,
    /// That the address is reached by others than this machine, and nobody is asked for a token, by whatever name he asks.
    pub insecure: bool,
    /// Certificate and key, as PEM files; none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// That all that is read lies on this machine, files and an owner at its socket: then threads that speak HTTP read single keys as well while
    /// that is quick.
    pub local: bool,
    /// Threads that speak HTTP (2).
    pub workers: usize,
    /// Threads that read single keys and small batches (2).
    pub readers: usize,
    /// Threads that read lists, sums and large batches (2).
    pub long_readers: usize,
    /// Threads that read lists as Arrow, which last as long as their clients take (2).
    pub bulk_readers: usize,
    /// Reads of single keys and small batches that may wait (4096).
    pub queue: usize,
    /// Long reads that may wait (64), of which one client has half.
    pub long_queue: usize,
    /// Lists as Arrow that may wait (16), of which one client has half.
    pub bulk_queue: usize,
    /// Bytes of a request's body (1 MiB).
    pub body_bytes: usize,
    /// Bytes of a request's head: line and headers (16 KiB).
    pub head_bytes: usize,
    /// Bytes of a path with its question (8 KiB).
    pub uri_bytes: usize,
    /// Keys of one request (10,000).
    pub keys: usize,
    /// Bytes of a key as text (4 KiB).
    pub key_bytes: usize,
    /// Rows of one answer (10,000); a list as Arrow has no such limit.
    pub rows: usize,
    /// Connections at a time (1024), of which one address has half.
    pub connections: usize,
    /// Bytes of answers that may wait for their clients (256 MiB).
    pub answer_bytes: usize,
    /// Requests at a time, until their answers are taken; streams of events are not among them (512).
    pub requests: usize,
    /// Requests at a time of one client, which is a token or else an address (128); a quarter as many of `/readyz` and `/metrics` besides. Streams of
    /// events are not among them. Where another server asks for everybody, all are one client unless it sends tokens of theirs.
    pub requests_per_client: usize,
    /// Streams of events at a time (256), of which one client has half.
    pub streams: usize,
    /// Different questions about windows that are watched at a time (64), of which one client begins half.
    pub watched_windows: usize,
    /// Bytes of realtime state that one read of a list, a sum or windows may hold (256 MiB): lists and sums of more are read in slices.
    pub live_bytes: usize,
    /// How long a head may take to come, and how long a connection may be idle (10 s).
    pub head_time: Duration,
    /// How long a body may take to come (10 s).
    pub body_time: Duration,
    /// How long a request may take from its head to its answer (30 s).
    pub request_time: Duration,
    /// How long a list as Arrow may take (10 min).
    pub bulk_time: Duration,
    /// How long a client may keep an answer waiting (30 s), besides what it needs for the bytes it takes at `write_rate`.
    pub write_time: Duration,
    /// Bytes of an answer that a client takes a second at least, once `write_time` is over (16 KiB).
    pub write_rate: usize,
    /// How often a watched question is read (250 ms).
    pub watch_every: Duration,
    /// How often a stream of events without news says that it lives (15 s).
    pub heartbeat: Duration,
    /// How long the end waits for answers on their way (5 s).
    pub last_answers: Duration,
}

/// Who is shown the beginnings of bad and late records, and the log, by the console: whatever stands in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Whoever may read.
    All,
    /// Who may change something.
    Admin,
    /// Nobody.
    None,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain as PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The key as PEM.
    pub key: PathBuf,
}

impl ServerOptions {
    /// Who is shown records and the log, as it was said or as it follows from the rest.
    pub fn shows_records(&self) -> Records {
        self.records.unwrap_or(match self.admin {
            Some(_) => Records::Admin,
            None => Records::All,
        })
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tokens: None,
            admin: None,
            records: None,
            insecure: false,
            tls: None,
            local: false,
            workers: 2,
            readers: 2,
            long_readers: 2,
            bulk_readers: 2,
            queue: 4096,
            long_queue: 64,
            bulk_queue: 16,
            body_bytes: 1 << 20,
            head_bytes: 16 << 10,
            uri_bytes: 8 << 10,
            keys: 10_000,
            key_bytes: 4 << 10,
            rows: 10_000,
            connections: 1024,
            answer_bytes: 256 << 20,
            requests: 512,
            requests_per_client: 128,
            streams: 256,
            watched_windows: 64,
            live_bytes: 256 << 20,
            head_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
            bulk_time: Duration::from_secs(600),
            write_time: Duration::from_secs(30),
            write_rate: 16 << 10,
            watch_every: Duration::from_millis(250),
            heartbeat: Duration::from_secs(15),
            last_answers: Duration::from_secs(5),
        }
    }
}
