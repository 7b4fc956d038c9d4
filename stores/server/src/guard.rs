//! What stands before every handler: who asks, limits, panics, counting.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Of};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::auth::{Tokens, foreign_host};
use crate::clients::{Client, Share, asking};
use crate::page::is_page;
use crate::pool::panic_text;
use crate::problem::Problem;
use crate::sending::keep;
use crate::state::State;

/// Answered whoever asks, and however busy the server is: it says only that the process lives.
pub(crate) const ALIVE: &str = "/healthz";

/// Asked by who watches over the server: counted by itself, so a client that asks too much still sees that it does.
const OPERATION: [&str; 2] = ["/readyz", "/metrics"];

pub(crate) async fn guard(Of(state): Of<Arc<State>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    state.metrics.requests.fetch_add(1, Ordering::Relaxed);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let answer = AssertUnwindSafe(admit(&state, request, next)).catch_unwind().await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(panic) => {
            let text = panic_text(&*panic);
            state.metrics.panics.inc();
            tracing::error!(panic = text, "a handler panicked");
            Problem::bug(format!("the handler panicked: {text}")).into_response()
        }
    };
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    state
        .metrics
        .answered(route, response.status().as_u16(), began.elapsed());
    response
}

/// The number of a token that opens the door: who may change something may read as well.
fn token_of(tokens: &Tokens, state: &State, headers: &HeaderMap) -> Option<usize> {
    let admin = || Some(tokens.count() + state.options.admin.as_ref()?.open(headers)?);
    tokens.open(headers).or_else(admin)
}

async fn admit(state: &State, request: Request, next: Next) -> Result<Response, Problem> {
    if request.uri().path() == ALIVE {
        return Ok(next.run(request).await);
    }
    let client = match &state.options.tokens {
        // The page says nothing of the job: it asks for the token.
        Some(_) if is_page(request.uri().path()) => request.extensions().get::<Client>(),
        Some(tokens) => {
            let token = token_of(tokens, state, request.headers()).ok_or_else(Problem::unauthorized)?;
            state.clients.of_token(token)
        }
        None => {
            let foreign = foreign_host(request.uri(), request.headers());
            if let Some(host) = foreign.filter(|_| !state.options.insecure) {
                return Err(Problem::misdirected(&host));
            }
            // Who listens himself tells no addresses.
            request.extensions().get::<Client>()
        }
    };
    let client = client.cloned();
    let share = if OPERATION.contains(&request.uri().path()) {
        Share::Operation
    } else {
        Share::Requests
    };
    let own = client.as_ref().map(|client| client.place(share)).transpose()?;
    let length = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    if length > state.options.uri_bytes {
        let detail = format!(
            "the URL has {length} bytes; at most {} are taken",
            state.options.uri_bytes
        );
        return Err(Problem::beyond(StatusCode::URI_TOO_LONG, "uri_bytes", detail));
    }
    if *state.ending.borrow() {
        return Err(Problem::ending());
    }
    let Ok(place) = state.requests.clone().try_acquire_owned() else {
        let detail = format!("{} requests are under way already", state.options.requests);
        return Err(Problem::busy(detail));
    };
    keep(state, asking(client, next.run(request)).await, place, own)
}
