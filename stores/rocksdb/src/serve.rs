//! The owner's threads that answer readers: one that accepts, and one a connection.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rufous_core::{Error, Result};
use rufous_store_api::RealtimeReader;
use rufous_store_api::wire::{refuse_connection, serve_sessions};

/// Each connection has a thread, and mostly holds a snapshot.
const MOST_CONNECTIONS: usize = 256;
/// A reader that does not take its answer for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Connections {
    stop: AtomicBool,
    open: Mutex<HashMap<u64, Connection>>,
}

struct Connection {
    stream: UnixStream,
    /// It holds no snapshot: its reader keeps it for a next one.
    rests: bool,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more: one that rests makes way, and its reader dials again when it needs to.
    fn has_room(&self) -> bool {
        let mut open = self.lock();
        if open.len() < MOST_CONNECTIONS {
            return true;
        }
        let resting = open.iter().find(|(_, c)| c.rests).map(|(number, _)| *number);
        let closed = resting.and_then(|number| open.remove(&number));
        closed.is_some_and(|c| c.stream.shutdown(Shutdown::Both).is_ok())
    }
}

/// Answers readers until it is dropped.
pub struct Server {
    socket: PathBuf,
    connections: Arc<Connections>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to answer at `socket`.
    ///
    /// # Errors
    /// When the socket cannot be bound or no thread started.
    pub fn start(socket: &Path, reader: Arc<dyn RealtimeReader>) -> Result<Self> {
        let listener = UnixListener::bind(socket).map_err(|e| Error::io("cannot bind", socket, e))?;
        let connections = Arc::new(Connections::default());
        let shared = connections.clone();
        let thread = std::thread::Builder::new()
            .name("rufous-serve".into())
            .spawn(move || accept(&listener, &shared, &*reader));
        let thread = thread.map_err(|e| Error::try_again("cannot start a thread for readers").caused_by(e))?;
        Ok(Self {
            socket: socket.into(),
            connections,
            thread: Some(thread),
        })
    }
}

fn accept(listener: &UnixListener, connections: &Connections, reader: &dyn RealtimeReader) {
    // The scope's end waits for the threads of all connections.
    std::thread::scope(|scope| {
        for number in 0.. {
            let stream = listener.accept();
            if connections.stop.load(Ordering::SeqCst) {
                return;
            }
            let Ok((stream, _)) = stream else {
                // Out of file handles, for instance: it passes.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            if !connections.has_room() {
                let _ = refuse_connection(
                    stream,
                    &Error::try_again(format!("the owner serves {MOST_CONNECTIONS} readers already")),
                );
                continue;
            }
            let Ok(()) = stream.set_write_timeout(Some(PATIENCE)) else {
                continue;
            };
            let Ok(handle) = stream.try_clone() else { continue };
            let connection = Connection {
                stream: handle,
                rests: false,
            };
            connections.lock().insert(number, connection);
            // Whoever stops after the insertion shuts it down; whoever stopped before is seen here.
            if connections.stop.load(Ordering::SeqCst) {
                return;
            }
            let serve = move || {
                let rests = |rests| {
                    if let Some(connection) = connections.lock().get_mut(&number) {
                        connection.rests = rests;
                    }
                };
                if let Err(e) = serve_sessions(&mut { stream }, reader, &rests) {
                    tracing::debug!(error = %e, "a reader's connection ended");
                }
                connections.lock().remove(&number);
            };
            if std::thread::Builder::new()
                .name("rufous-reader".into())
                .spawn_scoped(scope, serve)
                .is_err()
            {
                connections.lock().remove(&number);
            }
        }
    });
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connections.stop.store(true, Ordering::SeqCst);
        let woken = UnixStream::connect(&self.socket);
        for connection in self.connections.lock().values() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        match (woken, self.thread.take()) {
            (Ok(_), Some(thread)) => {
                let _ = thread.join();
            }
            // Somebody deleted the socket: the thread cannot be woken, and waiting for it would never end.
            (Err(e), _) => {
                tracing::warn!(socket = %self.socket.display(), error = %e, "the socket for readers is gone")
            }
            (Ok(_), None) => {}
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}
