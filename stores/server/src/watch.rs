//! Streams of events: an answer each time it changes, to everybody who watches the question, from one read.
//!
//! A question that somebody watches has one task, which reads it every [`watch_every`](crate::ServerOptions::watch_every) and keeps the
//! newest answer. A watcher takes the newest when it can: one that is slow misses what came between, never the last, and keeps
//! nobody waiting. Questions about windows take turns, and rest as long as they took. Questions about single keys go through the queue of those readers, so one read answers many watched keys.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::ask::accepts;
use crate::clients::{Place, Share, own_place};
use crate::gets::Question;
use crate::options::ServerOptions;
use crate::pool::{Get, answered};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::windows::{self, Windowing};
use crate::state::State;

/// A question that can be watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Watched {
    Key {
        lane: usize,
        key: Vec<u8>,
    },
    Windows {
        store: String,
        key: String,
        asked: Windowing,
    },
}

impl Watched {
    /// Whether the answer may change while nothing is applied.
    fn moves(&self) -> bool {
        match self {
            Self::Key { .. } => false,
            Self::Windows { asked, .. } => asked.moves(),
        }
    }

    async fn read(&self, state: &State) -> Result<Reply, Problem> {
        match self {
            Self::Key { lane, key } => {
                let deadline = Instant::now() + state.options.request_time;
                let (reply, answer) = oneshot::channel();
                let question = Question {
                    key: key.clone(),
                    reply,
                };
                state.gets.ask(*lane, Get { question, deadline })?;
                answered(deadline, answer).await
            }
            Self::Windows { store, key, asked } => {
                // Those that are watched take turns: one of them at a time is among the reads that wait.
                let Ok(_turn) = state.watches.turn.acquire().await else {
                    return Err(Problem::ending());
                };
                let question = windows::Question::new(state, store, std::slice::from_ref(key), asked)?;
                windows::answer(state, question).await
            }
        }
    }
}

/// The newest of a watched question; `None` before the first read.
type Newest = Option<Result<Arc<Reply>, Arc<Problem>>>;

/// Everything that is watched.
pub(crate) struct Watches {
    places: Arc<Semaphore>,
    /// Questions about windows that are watched at most.
    windows: usize,
    turn: Semaphore,
    newest: Mutex<HashMap<Watched, watch::Sender<Newest>>>,
}

impl Watches {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        Self {
            places: Arc::new(Semaphore::new(options.streams)),
            windows: options.watched_windows,
            turn: Semaphore::new(1),
            newest: Mutex::default(),
        }
    }
    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, watch::Sender<Newest>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver of what the question's task finds; the first one begins the task.
    fn subscribe(&self, state: &Arc<State>, watched: &Watched) -> Result<watch::Receiver<Newest>, Problem> {
        let mut all = self.lock();
        if let Some(known) = all.get(watched) {
            return Ok(known.subscribe());
        }
        let is_windows = |of: &Watched| matches!(of, Watched::Windows { .. });
        if is_windows(watched) && all.keys().filter(|of| is_windows(of)).count() >= self.windows {
            let detail = format!("{} questions about windows are watched already", self.windows);
            return Err(Problem::busy(detail));
        }
        let own = if is_windows(watched) {
            own_place(Share::Windows)?
        } else {
            None
        };
        let (sender, receiver) = watch::channel(None);
        all.insert(watched.clone(), sender.clone());
        tokio::spawn(follow(state.clone(), watched.clone(), sender, own));
        Ok(receiver)
    }
    /// Whether nobody watches it any more; then it is forgotten.
    fn forget(&self, watched: &Watched, sender: &watch::Sender<Newest>) -> bool {
        // Nobody can come in between: who subscribes takes the same lock.
        let mut all = self.lock();
        if sender.receiver_count() > 0 {
            return false;
        }
        all.remove(watched);
        true
    }
}

/// Reads a question until nobody watches it; until then it keeps a place of who began.
async fn follow(state: Arc<State>, watched: Watched, sender: watch::Sender<Newest>, _own: Option<Place>) {
    state.metrics.watched.inc();
    let mut ending = state.ending.subscribe();
    while !*ending.borrow_and_update() && !state.watches.forget(&watched, &sender) {
        let began = Instant::now();
        let found = tokio::select! {
            found = watched.read(&state) => found.map(Arc::new).map_err(Arc::new),
            // Nobody waits for it any more: what was asked is given up.
            () = sender.closed() => continue,
        };
        sender.send_if_modified(|newest| {
            let changed = match (&*newest, &found) {
                (Some(Ok(old)), Ok(new)) => old.tag != new.tag,
                (Some(Err(old)), Err(new)) => old != new,
                _ => true,
            };
            if changed {
                *newest = Some(found);
            }
            changed
        });
        tokio::select! {
            // What takes long is read half of the time at most.
            () = tokio::time::sleep(state.options.watch_every.max(began.elapsed())) => {}
            // The sender lives as long as the state.
            _ = ending.changed() => {}
        }
    }
    state.metrics.watched.dec();
}

/// Whether the client asks for events.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

/// One who watches.
struct Watcher {
    state: Arc<State>,
    newest: watch::Receiver<Newest>,
    ending: watch::Receiver<bool>,
    /// The token that he has seen already.
    seen: Option<String>,
    _place: OwnedSemaphorePermit,
    _own: Option<Place>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.state.metrics.streams.dec();
    }
}

/// Answers with a stream of events.
pub(crate) fn watch(state: &Arc<State>, watched: Watched, headers: &HeaderMap) -> Result<Response, Problem> {
    let own = own_place(Share::Streams)?;
    let Ok(place) = state.watches.places.clone().try_acquire_owned() else {
        let detail = format!("{} streams of events are open already", state.options.streams);
        return Err(Problem::busy(detail));
    };
    // Under one token a question has one answer, unless its window moves with the clock.
    let seen = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok())
        .map(str::to_string);
    let mut newest = state.watches.subscribe(state, &watched)?;
    newest.mark_changed();
    let watcher = Watcher {
        state: state.clone(),
        newest,
        ending: state.ending.subscribe(),
        seen: seen.filter(|_| !watched.moves()),
        _place: place,
        _own: own,
    };
    state.metrics.streams.inc();
    let alive = KeepAlive::new().interval(state.options.heartbeat);
    let mut response = Sse::new(events(watcher)).keep_alive(alive).into_response();
    let no_store = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

fn events(watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(watcher, |mut watcher| async move {
        loop {
            if *watcher.ending.borrow_and_update() {
                return None;
            }
            tokio::select! {
                changed = watcher.newest.changed() => changed.ok()?,
                _ = watcher.ending.changed() => continue,
            }
            let newest = watcher.newest.borrow_and_update().clone();
            let seen = watcher.seen.take();
            let event = match newest {
                None => {
                    watcher.seen = seen;
                    continue;
                }
                Some(Ok(reply)) if !reply.token.is_empty() && seen.as_deref() == Some(&*reply.token) => continue,
                Some(Ok(reply)) => answer(&reply),
                // What he saw is not the newest any more: he is told it again, here and when he comes back without an id.
                Some(Err(problem)) => {
                    let text = serde_json::to_string(&*problem).unwrap_or_default();
                    Event::default().event("problem").id("").data(text)
                }
            };
            watcher.state.metrics.events.inc();
            return Some((Ok(event), watcher));
        }
    })
}

fn answer(reply: &Reply) -> Event {
    // JSON has no line breaks of its own.
    let event = Event::default()
        .event("answer")
        .data(String::from_utf8_lossy(&reply.body));
    // A token is made of what a manifest says: whatever that is, it makes no event of two.
    if reply.token.is_empty() || reply.token.chars().any(char::is_control) {
        return event;
    }
    event.id(&*reply.token)
}
