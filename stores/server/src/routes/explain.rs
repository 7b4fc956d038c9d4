//! What an answer was made of.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use rufous_client::key_of_windows;
use serde::Deserialize;
use utoipa::IntoParams;

use super::windows::Windowing;
use crate::ask::{Asked, Names, check_length, key_bytes};
use crate::problem::Problem;
use crate::reply::{Reply, Rests, put};
use crate::state::{How, State};

/// What is explained: the answer for a key, or for one window of a key of a windowed store.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Explaining {
    /// Of a window: so long before the end: 30s, 5m, 24h, 7d.
    last: Option<String>,
    /// Of a window: the last hops of a size up to the end: 3:month is this month so far and the two before.
    last_hops: Option<String>,
    /// Of a window: from there on.
    since: Option<String>,
    /// Where the window ends: now (when nothing is said), sealed (where the newest sealed batch ends), or a time.
    end: Option<String>,
    /// Refuse a window that would be rounded to hops.
    aligned: bool,
    /// Not of an explanation: it is of a whole answer.
    partial: bool,
    /// Answer without ranges that were lost, and list them.
    accept_holes: bool,
    /// The least that must be applied: the token of an answer, or `SOURCE/PARTITION=OFFSET,..`. Else 503.
    at_least: Option<String>,
}

impl Explaining {
    fn says_window(&self) -> bool {
        self.last.is_some() || self.last_hops.is_some() || self.since.is_some()
    }
    /// The window that is meant; `None`: a key is explained.
    fn window(self) -> Result<Option<Windowing>, Problem> {
        if !self.says_window() {
            if self.end.is_some() || self.aligned {
                return Err(Problem::invalid(
                    "`end` and `aligned` are of a window, and none is asked for",
                    "say how long it is (`last`, `last_hops` or `since`), or leave them out",
                ));
            }
            return Ok(None);
        }
        Ok(Some(Windowing {
            last: self.last,
            last_hops: self.last_hops,
            since: self.since,
            end: self.end,
            aligned: self.aligned,
            ..Windowing::default()
        }))
    }
}

/// The answer for one key, with each value that was merged
///
/// In the order of merging, with layer, partition, batch and bytes; and the cells that were left out because the generation has their records.
/// Of a window (`last`, `last_hops` or `since`) the same for each of the hops that were added.
#[utoipa::path(
    get, path = "/v1/stores/{store}/explain/{key}", tag = "reads",
    params(
        ("store" = String, Path, description = "name of the store"),
        ("key" = String, Path, description = "the key as text, percent-encoded; parts with commas between; of a window without its hop"),
        Explaining
    ),
    responses(
        (status = 200, description = "`key`, `value`, `parts`, `left_out`, `runs_without`, of a window `window` and `hops` with the same each; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn explain(
    Of(state): Of<Arc<State>>,
    Names((store, key)): Names<(String, String)>,
    Asked(asked): Asked<Explaining>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if asked.partial {
        return Err(Problem::invalid(
            "a partial answer is not explained",
            "ask without `partial`: the error says what is missing",
        ));
    }
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let read: Box<dyn FnOnce() -> Result<Reply, Problem> + Send> = match asked.window()? {
        Some(window) => Box::new(of_window(&state, &store, &key, &window, &how)?),
        None => Box::new(of_key(&state, &store, &key, &how)?),
    };
    let reply = state.long.run(how.deadline, &how.cancel, read).await?;
    Ok(reply.response(&headers))
}

fn of_key(
    state: &State,
    store: &str,
    key: &str,
    how: &How,
) -> Result<impl FnOnce() -> Result<Reply, Problem> + Send + use<>, Problem> {
    let store = state.store(store)?;
    let key = key_bytes(&store.face, key, false, &state.options)?;
    let raw = store.raw(how);
    Ok(move || {
        let explained = raw.explain_answer(&key)?;
        let mut body = Vec::new();
        put(&mut body, &explained.to_json(raw.face(), &key)?)?;
        Ok(Rests::of(&explained.answer)?.bytes(body))
    })
}

fn of_window(
    state: &State,
    store: &str,
    key: &str,
    asked: &Windowing,
    how: &How,
) -> Result<impl FnOnce() -> Result<Reply, Problem> + Send + use<>, Problem> {
    let client = state.windows(store, how)?;
    check_length("key", key, &state.options)?;
    let face = *client.raw().face();
    let (key, shown) = key_of_windows(&face, key)?;
    let window = asked.window()?;
    Ok(move || {
        let explained = client.explain_answer(&key, &window)?;
        let mut json = explained.to_json(&face, shown)?;
        let mut body = Vec::new();
        put(&mut body, &json)?;
        // What was asked for moves with the clock; what is covered moves with the hops.
        if let Some(window) = json["window"].as_object_mut() {
            window.remove("asked");
        }
        let mut tagged = Vec::new();
        put(&mut tagged, &json)?;
        let rests = Rests::of(&explained.answer.answer)?;
        let mut reply = rests.bytes(body);
        reply.tag = Some(rests.tag(&tagged));
        Ok(reply)
    })
}
