//! What an answer was made of.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::ask::{Asked, Names, Reading, key_bytes};
use crate::problem::Problem;
use crate::reply::{Rests, put};
use crate::state::State;

/// The answer for one key, with each value that was merged
///
/// In the order of merging, with layer, partition, batch and bytes; and the cells that were left out because the generation has their records.
#[utoipa::path(
    get, path = "/v1/stores/{store}/explain/{key}", tag = "reads",
    params(
        ("store" = String, Path, description = "name of the store"),
        ("key" = String, Path, description = "the key as text, percent-encoded; parts with commas between"),
        Reading
    ),
    responses(
        (status = 200, description = "`key`, `value`, `parts`, `left_out`, `runs_without`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn explain(
    Of(state): Of<Arc<State>>,
    Names((store, key)): Names<(String, String)>,
    Asked(reading): Asked<Reading>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if reading.partial {
        return Err(Problem::invalid(
            "a partial answer is not explained",
            "ask without `partial`: the error says what is missing",
        ));
    }
    let store = state.store(&store)?;
    let key = key_bytes(&store.face, &key, false, &state.options)?;
    let how = state.how(reading.accept_holes, reading.at_least.as_deref())?;
    let raw = store.raw(&how);
    let read = move || {
        let explained = raw.explain_answer(&key)?;
        let mut body = Vec::new();
        put(&mut body, &explained.to_json(raw.face(), &key)?)?;
        Ok(Rests::of(&explained.answer)?.bytes(body))
    };
    Ok(state
        .long
        .run(how.deadline, &how.cancel, read)
        .await?
        .response(&headers))
}
