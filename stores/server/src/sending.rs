//! Answers on their way: what its client has not taken yet keeps its place among the requests, and its bytes are counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clients::Place;
use crate::problem::Problem;
use crate::state::State;

/// KiB that may be in memory at a time: of answers that wait for their clients, of bodies that come.
#[derive(Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    all: u32,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).max(1);
        let all = all.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }
    /// Room for so many bytes; `None`: others have it. What is larger than all of it has it alone.
    pub(crate) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.grow(0, bytes)
    }
    /// What so many bytes need besides the KiB that they have.
    pub(crate) fn grow(&self, had: usize, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes / 1024).map_or(self.all, |kib| kib.saturating_add(1).min(self.all));
        let more = wanted.saturating_sub(u32::try_from(had).unwrap_or(u32::MAX));
        self.free.clone().try_acquire_many_owned(more).ok()
    }
}

/// Bytes that keep something until the last of them is written: connections take them before they can send them.
pub(crate) fn keeping<K: Send + Sync + 'static>(bytes: Bytes, kept: K) -> Bytes {
    struct Keeping<K>(Bytes, #[allow(dead_code)] K);
    impl<K> AsRef<[u8]> for Keeping<K> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Keeping(bytes, kept))
}

/// What an answer keeps until it is written.
type Kept = Arc<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>, Option<Place>)>;

/// A body that keeps its place, or one whose bytes are counted as they come.
enum Sending {
    Answer(Body, Kept),
    Events(Body, Budget),
}

impl Sending {
    fn inner(&self) -> &Body {
        let (Self::Answer(inner, _) | Self::Events(inner, ..)) = self;
        inner
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let (Self::Answer(inner, _) | Self::Events(inner, ..)) = this;
        let frame = match ready!(Pin::new(inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        let kept = match this {
            Self::Answer(_, kept) => Ok(frame.map_data(|bytes| keeping(bytes, kept.clone()))),
            Self::Events(_, budget) => {
                let room = budget.take(frame.data_ref().map_or(0, Bytes::len));
                let room =
                    room.ok_or_else(|| axum::Error::new("the bytes of other answers still wait for their clients"));
                room.map(|room| frame.map_data(|bytes| keeping(bytes, room)))
            }
        };
        Poll::Ready(Some(kept))
    }
    fn is_end_stream(&self) -> bool {
        self.inner().is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner().size_hint()
    }
}

/// Lets an answer keep its place among the requests, and among those of its client, until it is taken. Streams of events have places of
/// their own; what is sent while it is read (lists as Arrow) is counted where it is read.
pub(crate) fn keep(
    state: &State,
    response: Response,
    place: OwnedSemaphorePermit,
    own: Option<Place>,
) -> Result<Response, Problem> {
    let (head, body) = response.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes());
    let body = if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
        Sending::Events(body, state.answers.clone())
    } else {
        let room = match body.size_hint().exact() {
            None => None,
            Some(bytes) => {
                let room = state.answers.take(usize::try_from(bytes).unwrap_or(usize::MAX));
                Some(room.ok_or_else(|| Problem::busy("the answers of others still wait for their clients"))?)
            }
        };
        Sending::Answer(body, Arc::new((place, room, own)))
    };
    Ok(Response::from_parts(head, Body::new(body)))
}
