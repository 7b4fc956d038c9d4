//! What a running job answers over HTTP: `/metrics`, `/healthz`, `/readyz`.
//!
//! The server has a thread and a runtime of its own, so that it answers while the engine is busy, stuck, or waits.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::metrics::{OPEN_METRICS, View};
use super::out;
use super::settings::MonitorSettings;
use crate::core::{Error, Result};
use crate::realtime::{Limits, Reason};

/// How long the end waits for answers on their way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// An address that is taken, and not served yet: before anything else of the job starts.
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the address that was said; `None` when there is none.
    ///
    /// # Errors
    /// `InvalidRequest` when it is none or is taken.
    pub(super) fn take(address: Option<&str>) -> Result<Option<Self>> {
        let Some(text) = address else {
            return Ok(None);
        };
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format!(
                "monitor address `{text}`: {why}; name a free one: HOST:PORT, or PORT on the loopback device, or port 0"
            ))
        };
        let address = if text.bytes().all(|b| b.is_ascii_digit()) {
            format!("127.0.0.1:{text}")
        } else {
            text.to_string()
        };
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
        let listener = TcpListener::bind(addresses.as_slice()).map_err(|e| wrong(&e))?;
        let address = listener.local_addr().map_err(|e| wrong(&e))?;
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "whoever reaches this address can read the job's metrics: there is no password");
        }
        Ok(Some(Self { listener, address }))
    }
    /// Begins to answer, and prints where.
    ///
    /// # Errors
    /// `TryAgain` when the system gives no thread or no socket.
    pub(super) fn serve(self, view: Arc<View>) -> Result<Monitor> {
        let failed = |e: std::io::Error| Error::try_again(format!("the monitor cannot start: {e}")).caused_by(e);
        self.listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = self.listener;
        let thread = std::thread::Builder::new()
            .name("rufous-monitor".into())
            .spawn(move || {
                if let Err(e) = runtime.block_on(answer(listener, view, stopped)) {
                    tracing::warn!(error = %e, "the monitor ended; the job goes on");
                }
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        // On standard output and at once: whoever asked for port 0 reads it here.
        out::say(
            || format!("monitor: http://{}", self.address),
            || json!({ "event": "monitor", "url": format!("http://{}", self.address) }),
        );
        let _ = std::io::stdout().flush();
        Ok(Monitor {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// What counts as too long.
pub(super) fn limits(settings: &MonitorSettings) -> Limits {
    let usual = Limits::default();
    let or = |ms: Option<u64>, usual| ms.map_or(usual, Duration::from_millis);
    Limits {
        stalled: or(settings.stalled_after_ms, usual.stalled),
        silent: or(settings.silent_after_ms, usual.silent),
        ..usual
    }
}

/// The server while it runs. It stops when this is dropped.
pub(super) struct Monitor {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // Dropping the sender is the signal. The thread ends within `LAST_ANSWERS`.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only shows: a panic in it is nothing to fail a job for.
            let _ = thread.join();
        }
    }
}

async fn answer(listener: TcpListener, view: Arc<View>, stopped: oneshot::Receiver<()>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(view);
    let (ending, ended) = oneshot::channel::<()>();
    let stop = async move {
        // An error means that the sender was dropped, which is the signal as well.
        let _ = stopped.await;
        drop(ending);
    };
    let serve = axum::serve(listener, router).with_graceful_shutdown(stop);
    tokio::select! {
        done = async { serve.await } => done,
        // A client that holds its connection open must not hold up the end.
        () = async { let _ = ended.await; tokio::time::sleep(LAST_ANSWERS).await } => Ok(()),
    }
}

async fn metrics(State(view): State<Arc<View>>) -> Response {
    match view.scrape() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

async fn healthz(State(view): State<Arc<View>>) -> Response {
    verdict("healthy", &view.stalled())
}

async fn readyz(State(view): State<Arc<View>>) -> Response {
    verdict("ready", &view.unready())
}

fn verdict(name: &str, reasons: &[Reason]) -> Response {
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let reasons: Vec<Value> = reasons.iter().map(reason).collect();
    (
        status,
        axum::Json(json!({ name: reasons.is_empty(), "reasons": reasons })),
    )
        .into_response()
}

pub(super) fn reason(r: &Reason) -> Value {
    let mut value = serde_json::Map::new();
    if let Some(source) = &r.source {
        value.insert("source".into(), json!(source));
    }
    if let Some(partition) = r.partition {
        value.insert("partition".into(), json!(partition));
    }
    if let Some(lag) = r.lag {
        value.insert("lag".into(), json!(lag));
    }
    value.insert("awaits".into(), json!(r.awaits));
    Value::Object(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(address: &str) -> Result<Option<Bound>> {
        Bound::take(Some(address))
    }

    fn ask(address: SocketAddr, path: &str) -> (u16, Value) {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// A stuck loop is unhealthy and unready, a replay only unready; each with its reasons. The end does not wait for a client
    /// that holds its connection open.
    #[test]
    fn verdicts_have_reasons() {
        let stream = Arc::new(crate::realtime::Metrics::default());
        let view = Arc::new(View {
            job: "j".into(),
            instance: "main".into(),
            fingerprint: "f".into(),
            stream: Some(stream.clone()),
            archive: None,
            limits: Limits::default(),
            reconciled: Arc::default(),
            store: std::sync::OnceLock::new(),
        });
        let bound = take("0").unwrap().unwrap();
        let address = bound.address;
        let monitor = bound.serve(view).unwrap();
        stream.opened.store(true, std::sync::atomic::Ordering::Relaxed);
        stream.heartbeat.mark_ago(Duration::from_secs(3600));
        let (status, body) = ask(address, "/healthz");
        assert_eq!((status, &body["healthy"]), (503, &json!(false)));
        assert!(
            body["reasons"][0]["awaits"].as_str().unwrap().contains("3600 s"),
            "{body}"
        );
        assert_eq!(ask(address, "/readyz").0, 503);
        stream.heartbeat.mark();
        let fine = json!({"healthy": true, "reasons": []});
        assert_eq!(ask(address, "/healthz"), (200, fine.clone()));
        assert_eq!(ask(address, "/readyz"), (200, json!({"ready": true, "reasons": []})));
        let source = stream.source("lines");
        source.partition(2).acquired(0, 8);
        source.owns([2].into_iter());
        source.partition(2).at(6, 8);
        let reason = json!({"source": "lines", "partition": 2, "lag": 8, "awaits": "replay: at offset 6 of 8 (75 %)"});
        assert_eq!(
            ask(address, "/readyz"),
            (503, json!({"ready": false, "reasons": [reason]}))
        );
        assert_eq!(ask(address, "/healthz"), (200, fine));
        let mut open = std::net::TcpStream::connect(address).unwrap();
        open.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
        drop(monitor);
        assert!(
            std::net::TcpStream::connect(address).is_err(),
            "nobody listens any more"
        );
    }

    /// A port alone is on the loopback device; an address that is taken, or none, is the user's to change.
    #[test]
    fn addresses() {
        let first = take("0").unwrap().unwrap();
        assert!(first.address.ip().is_loopback());
        let port = first.address.port().to_string();
        for bad in [port.as_str(), "nowhere", "127.0.0.1:99999"] {
            let e = take(bad).err().unwrap();
            assert_eq!(e.kind(), crate::core::ErrorKind::InvalidRequest);
            assert!(e.to_string().contains(&format!("monitor address `{bad}`")), "{e}");
        }
        assert!(Bound::take(None).unwrap().is_none());
    }
}
