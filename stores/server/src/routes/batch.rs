//! Many keys of one store, of one snapshot.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use rufous_client::RawStoreClient;

use crate::arrow;
use crate::ask::{Keys, Names, body, check_count, key_bytes};
use crate::problem::Problem;
use crate::reply::{FAILED, Reply, Rests, key_json, put, put_pair};
use crate::state::State;

/// Batches of so many keys go to the readers of single keys; larger ones are long reads.
pub(crate) const SMALL: usize = 256;

/// The answers for many keys, in order
///
/// All are of one snapshot and one manifest. A key whose bytes are damaged has an `error` in place of its `value`, and the header `rufous-failed` counts them.
#[utoipa::path(
    post, path = "/v1/stores/{store}/get", tag = "reads",
    params(("store" = String, Path, description = "name of the store")),
    request_body = Keys,
    responses(
        (status = 200, description = "`answers`, each with `key` and `value`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn batch(
    Of(state): Of<Arc<State>>,
    Names(store): Names<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    let store = state.store(&store)?;
    let asked: Keys = body(&headers, content, &state).await?;
    check_count(asked.keys.len(), &state.options)?;
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let deadline = how.deadline;
    let one = |key: &String| key_bytes(&store.face, key, false, &state.options);
    let keys = asked.keys.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(Problem::invalid("no key is asked for", "give at least one in `keys`"));
    }
    let raw = store.raw(&how);
    let small = keys.len() <= SMALL;
    let form = if arrow::wanted(&headers) {
        arrow::answers
    } else {
        answers
    };
    let read = move || form(&raw, &keys);
    let reply = if small {
        state.gets.run(deadline, &how.cancel, read).await?
    } else {
        state.long.run(deadline, &how.cancel, read).await?
    };
    Ok(reply.sent())
}

pub(crate) fn answers(raw: &RawStoreClient, keys: &[Vec<u8>]) -> Result<Reply, Problem> {
    let face = raw.face();
    let found = raw.multi_get(keys);
    let Some(whole) = found.iter().find_map(|a| a.as_ref().ok()) else {
        // The read as a whole was refused, or every key is damaged.
        return Err(found
            .into_iter()
            .find_map(Result::err)
            .map_or_else(|| Problem::bug("keys were asked, none was answered"), Problem::from));
    };
    let rests = Rests::of(whole)?;
    let mut members = b"\"answers\":[".to_vec();
    let mut failed = 0u64;
    for (i, (key, answer)) in keys.iter().zip(&found).enumerate() {
        members.extend_from_slice(if i == 0 { b"{" } else { b",{" });
        let start = members.len();
        let put_one = match answer {
            Ok(answer) => put_pair(&mut members, face, key, answer.value.as_deref()).map_err(Problem::from),
            Err(e) => Err(Problem::from(e)),
        };
        if let Err(problem) = put_one {
            failed += 1;
            members.truncate(start);
            members.extend_from_slice(b"\"key\":");
            put(&mut members, &key_json(face, key)?)?;
            members.extend_from_slice(b",\"error\":");
            put(&mut members, &problem)?;
        }
        members.push(b'}');
    }
    members.push(b']');
    let mut reply = rests.reply(&members);
    if failed > 0 {
        reply.say(FAILED, failed.into());
    }
    Ok(reply)
}
