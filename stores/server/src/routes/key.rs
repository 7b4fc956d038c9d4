//! One key.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use rufous_client::RawStoreClient;
use tokio::sync::oneshot;

use crate::ask::{Asked, Names, Reading, key_bytes};
use crate::gets::Question;
use crate::pool::{Get, answered};
use crate::problem::Problem;
use crate::reply::{MISSING, Reply, Rests, key_json, put, put_pair, value_json};
use crate::state::State;
use crate::watch::{self, Watched};

/// The answer for one key
///
/// `value` is `null` when the key is surely absent. With `partial=true` the member is `so_far` in place of `value`, and `missing` lists what it lacks.
#[utoipa::path(
    get, path = "/v1/stores/{store}/keys/{key}", tag = "reads",
    params(
        ("store" = String, Path, description = "name of the store"),
        ("key" = String, Path, description = "the key as text, percent-encoded; parts with commas between"),
        Reading
    ),
    responses(
        (status = 200, description = "`key`, `value`, `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 304, description = "the answer is the one that `If-None-Match` names"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem, description = "a range was lost"),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn key(
    Of(state): Of<Arc<State>>,
    Names((store, key)): Names<(String, String)>,
    Asked(reading): Asked<Reading>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = state.store(&store)?;
    let key = key_bytes(&store.face, &key, false, &state.options)?;
    if watch::wanted(&headers) {
        if reading.partial || reading.at_least.is_some() {
            return Err(Problem::invalid(
                "events are whole answers of now",
                "leave `partial` and `at_least` out: what is not whole is an event `problem`",
            ));
        }
        let lane = store.lane + usize::from(reading.accept_holes);
        return watch::watch(&state, Watched::Key { lane, key }, &headers);
    }
    let how = state.how(reading.accept_holes, reading.at_least.as_deref())?;
    let deadline = how.deadline;
    if reading.partial || !how.at_least.0.is_empty() {
        // These have terms of their own: nobody shares their read.
        let raw = store.raw(&how);
        let read = if reading.partial { partial } else { whole };
        let reply = state.gets.run(deadline, &how.cancel, move || read(&raw, &key));
        return Ok(reply.await?.response(&headers));
    }
    let (reply, answer) = oneshot::channel();
    let question = Question { key, reply };
    let lane = store.lane + usize::from(reading.accept_holes);
    state.gets.ask(lane, Get { question, deadline })?;
    Ok(answered(deadline, answer).await?.response(&headers))
}

fn whole(raw: &RawStoreClient, key: &[u8]) -> Result<Reply, Problem> {
    let answer = raw.get(key)?;
    let mut members = Vec::new();
    put_pair(&mut members, raw.face(), key, answer.value.as_deref())?;
    Ok(Rests::of(&answer)?.reply(&members))
}

fn partial(raw: &RawStoreClient, key: &[u8]) -> Result<Reply, Problem> {
    let face = raw.face();
    let found = raw.get_partial(key)?;
    let so_far = value_json(face, key, found.so_far.as_deref())?;
    let mut members = b"\"key\":".to_vec();
    put(&mut members, &key_json(face, key)?)?;
    members.extend_from_slice(b",\"so_far\":");
    put(&mut members, &so_far)?;
    members.extend_from_slice(b",\"missing\":");
    put(&mut members, &found.missing)?;
    let mut reply = Rests::new(&found.coverage, None, None)?.reply(&members);
    // What is missing may come back under the same offsets: it has no tag.
    reply.tag = None;
    reply.say(MISSING, found.missing.len().into());
    Ok(reply)
}
