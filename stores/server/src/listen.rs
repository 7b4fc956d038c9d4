//! Connections: how many, how slow, and how they end.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::clients::{Addressed, Share};
use crate::patience::Patience;
use crate::problem::Problem;
use crate::state::State;
#[cfg(feature = "tls")]
pub(crate) use crate::tls::{Tls, tls};

/// Without TLS there is none to be had.
#[cfg(not(feature = "tls"))]
pub(crate) enum Tls {}

#[cfg(not(feature = "tls"))]
pub(crate) fn tls(_: &crate::options::TlsFiles) -> rufous_core::Result<Tls> {
    Err(rufous_core::Error::invalid(
        "this binary was built without the feature `tls`: build it with it, or let another server speak TLS",
    ))
}

/// What a connection gets that is one too many. It is written without waiting, and closed.
fn refusal(problem: &Problem) -> Vec<u8> {
    let body = serde_json::to_string(problem).unwrap_or_default();
    let status = problem.status();
    let head = "\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\nconnection: close";
    format!(
        "HTTP/1.1 {status}{head}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers until `shutdown` is done, and a little longer.
pub(crate) async fn listen(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    state: Arc<State>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(state.options.connections));
    let graceful = GracefulShutdown::new();
    let too_many = refusal(&Problem::busy("there are as many connections as may be"));
    let tls = tls.map(Arc::new);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, address) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(found) => found,
                Err(e) => {
                    // Of a connection that is gone already, or of files that are all open: others may come.
                    tracing::debug!(error = %e, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let client = state.clients.of_address(address.ip());
        // One address leaves room for others.
        let own = match client.place(Share::Connections) {
            Ok(own) => own,
            Err(problem) => {
                state.metrics.refused_connections.inc();
                let _ = stream.try_write(&refusal(&problem));
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            state.metrics.refused_connections.inc();
            let _ = stream.try_write(&too_many);
            continue;
        };
        // Answers are small: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let routes = Addressed::new(router.clone(), client);
        let (watcher, state, tls) = (graceful.watcher(), state.clone(), tls.clone());
        tokio::spawn(async move {
            let _places = (place, own);
            state.metrics.connections.inc();
            let _ = connection(stream, tls.as_deref(), routes, watcher, &state).await;
            state.metrics.connections.dec();
        });
    }
    drop(listener);
    state.ending.send_replace(true);
    let end = tokio::time::timeout(state.options.last_answers, graceful.shutdown());
    if end.await.is_err() {
        tracing::warn!("answers on their way were cut: they took longer than the end may");
    }
    Ok(())
}

type Watcher = hyper_util::server::graceful::Watcher;

async fn connection(
    stream: TcpStream,
    tls: Option<&Tls>,
    routes: Addressed,
    watcher: Watcher,
    state: &State,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = Patience::new(stream, state.options.write_time, state.options.write_rate);
    match tls {
        None => speak(stream, routes, watcher, state).await,
        #[cfg(feature = "tls")]
        Some(tls) => {
            let greeted = tokio::time::timeout(state.options.head_time, tls.accept(stream)).await??;
            speak(greeted, routes, watcher, state).await
        }
        #[cfg(not(feature = "tls"))]
        Some(tls) => match *tls {},
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    routes: Addressed,
    watcher: Watcher,
    state: &State,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.options.head_time)
        .max_buf_size(state.options.head_bytes.max(8192))
        .serve_connection(TokioIo::new(stream), routes);
    watcher.watch(connection).await?;
    Ok(())
}
