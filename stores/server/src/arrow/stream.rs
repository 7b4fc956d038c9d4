//! A list as Arrow, sent while it is read: a few record batches are in memory at a time, however long it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use rufous_core::{Error, Result, StoreFace};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::columns::Columns;
use super::{ARROW, Writer, metadata};
use crate::pool::{CancelOnDrop, answered};
use crate::problem::Problem;
use crate::reply::Rests;
use crate::sending::{Budget, keeping};
use crate::state::{How, State};

/// Record batches that wait for the client.
const WAITING: usize = 4;
/// How soon a reader looks again for a client that takes nothing.
const LOOK: Duration = Duration::from_millis(2);

type Chunks = mpsc::Sender<Result<Bytes, Error>>;

/// Sends the rows under a prefix, all of one moment. When it fails on the way the body is cut: it lacks the last chunk of HTTP/1.1,
/// so nobody takes a part for the whole. Arrow's mark of the end is missing too, but its readers do without.
pub(crate) async fn list(
    state: &Arc<State>,
    face: StoreFace,
    prefix: Vec<u8>,
    mut how: How,
) -> Result<Response, Problem> {
    let (begin, begun) = oneshot::channel();
    let (chunks, waiting) = mpsc::channel(WAITING);
    let (soon, cancel) = (how.deadline, how.cancel.clone());
    how.deadline = Instant::now() + state.options.bulk_time;
    // Not the state: it waits for this thread when it is dropped.
    let (client, budget) = (state.client.clone(), state.answers.clone());
    let read = move || {
        let began = (|| {
            let raw = how.of(client.snapshot_until(how.until())?.raw(face));
            // What everything rests on is known before the first row, for it stands in front.
            let basis = raw.get(&[])?;
            let writer = Writer::new(Columns::new(&face, false), metadata(face.name, &basis)?)?;
            Ok::<_, Error>((raw, writer, Rests::of(&basis)?))
        })();
        let (raw, mut writer) = match began {
            Ok((raw, writer, rests)) => {
                if begin.send(Ok(rests)).is_err() {
                    return;
                }
                (raw, writer)
            }
            Err(e) => {
                let _ = begin.send(Err(Problem::from(e)));
                return;
            }
        };
        let done = raw.scan(&prefix, &mut |key, value| {
            writer.columns.put(&face, key, Some(value))?;
            if writer.is_full() {
                writer.batch()?;
                give(&chunks, &budget, writer.written(), how.deadline)?;
            }
            Ok(())
        });
        let done = done.and_then(|_| writer.end()).and_then(|last| {
            give(&chunks, &budget, last, how.deadline)?;
            // Nothing is missing: only then the body has an end.
            give(&chunks, &budget, Vec::new(), how.deadline)
        });
        if let Err(e) = done {
            tracing::warn!(store = face.name, error = %e, "a list was cut");
            // The client may be gone, or takes nothing: then the end of the channel cuts it as well.
            let _ = chunks.try_send(Err(e));
        }
    };
    state.bulk.start(cancel.clone(), read)?;
    let dropped = CancelOnDrop::new(cancel);
    let rests = answered(soon, begun).await?;
    let body = unfold((waiting, dropped, false), |(mut waiting, dropped, ended)| async move {
        match waiting.recv().await {
            // Empty: the end.
            Some(Ok(chunk)) if chunk.is_empty() => None,
            Some(chunk) => Some((chunk, (waiting, dropped, ended))),
            None if ended => None,
            None => {
                let cut = Err(Error::try_again("the list was cut"));
                Some((cut, (waiting, dropped, true)))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers: &mut HeaderMap = response.headers_mut();
    headers.extend(rests.headers().clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ARROW));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Hands a chunk over when there is room for it: for its bytes among all that wait, and in the queue of its client.
fn give(chunks: &Chunks, budget: &Budget, bytes: Vec<u8>, until: Instant) -> Result<()> {
    let (length, mut bytes) = (bytes.len(), Bytes::from(bytes));
    let mut room = None;
    loop {
        room = room.or_else(|| budget.take(length));
        match chunks.try_reserve() {
            Err(TrySendError::Closed(())) => return Err(Error::try_again("the client went away")),
            Ok(place) => {
                if let Some(room) = room.take() {
                    if length > 0 {
                        bytes = keeping(bytes, room);
                    }
                    place.send(Ok(bytes));
                    return Ok(());
                }
            }
            Err(TrySendError::Full(())) => {}
        }
        if Instant::now() >= until {
            return Err(Error::try_again("the client took too long to take the list"));
        }
        std::thread::sleep(LOOK);
    }
}
