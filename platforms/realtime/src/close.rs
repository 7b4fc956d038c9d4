//! The end of logs, in bounded time.

use std::sync::mpsc;
use std::time::Duration;

use crate::log::Log;

/// How long the end waits for logs to say goodbye to their servers.
const GOODBYE: Duration = Duration::from_secs(5);

/// Drops logs. A client that closes waits for answers on their way, with a server that hangs for minutes; all that matters is
/// in the store by now, so after a while it is left to end with the process.
pub(crate) fn close(logs: Vec<Box<dyn Log>>) {
    let (done, closed) = mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("rufous-close".into());
    // Without a thread they are dropped here, in their own time.
    let started = thread.spawn(move || {
        drop(logs);
        drop(done);
    });
    if started.is_ok() && closed.recv_timeout(GOODBYE) == Err(mpsc::RecvTimeoutError::Timeout) {
        tracing::warn!("a log does not close, its server may hang: it is left open until the process ends");
    }
}
