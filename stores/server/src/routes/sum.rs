//! Sums over keys, and the largest values.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::ask::{Asked, Names, key_bytes};
use crate::problem::Problem;
use crate::reply::{Rests, put, put_pair, value_json};
use crate::routes::list::rows;
use crate::state::State;

/// Over which keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Summing {
    /// Keys whose first parts are these; of all keys when neither this nor a range is said.
    under: Option<String>,
    /// Keys from this one on: a whole key, or its first parts.
    from: Option<String>,
    /// And before this one.
    to: Option<String>,
    /// Answer without ranges that were lost, and list them.
    accept_holes: bool,
    /// The least that must be applied.
    at_least: Option<String>,
}

/// The sum of all values under a prefix, or of a range of keys
#[utoipa::path(
    get, path = "/v1/stores/{store}/sum", tag = "reads",
    params(("store" = String, Path, description = "name of the store"), Summing),
    responses(
        (status = 200, description = "`value`, `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn sum(
    Of(state): Of<Arc<State>>,
    Names(store): Names<String>,
    Asked(asked): Asked<Summing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = state.store(&store)?;
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let prefix = |text: &String| key_bytes(&store.face, text, true, &state.options);
    let under = asked.under.as_ref().map(prefix).transpose()?;
    let (from, to) = (
        asked.from.as_ref().map(prefix).transpose()?,
        asked.to.as_ref().map(prefix).transpose()?,
    );
    let range = match (under.is_some(), from, to) {
        (_, None, None) => None,
        (false, Some(from), Some(to)) => Some((from, to)),
        _ => {
            return Err(Problem::invalid(
                "which keys are added up is not clear",
                "give `under`, or both `from` and `to`",
            ));
        }
    };
    let raw = store.raw(&how);
    let read = move || {
        let answer = match range {
            Some((from, to)) => raw.sum_range(&from, &to)?,
            None => raw.sum_under(&under.unwrap_or_default())?,
        };
        let mut members = b"\"value\":".to_vec();
        put(&mut members, &value_json(raw.face(), &[], answer.value.as_deref())?)?;
        Ok(Rests::of(&answer)?.reply(&members))
    };
    Ok(state
        .long
        .run(how.deadline, &how.cancel, read)
        .await?
        .response(&headers))
}

/// How many, of which keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Topping {
    /// How many (10).
    n: Option<usize>,
    /// Of the keys whose first parts are these.
    under: Option<String>,
    /// Answer without ranges that were lost, and list them.
    accept_holes: bool,
    /// The least that must be applied.
    at_least: Option<String>,
}

/// The largest values, the largest first
#[utoipa::path(
    get, path = "/v1/stores/{store}/top", tag = "reads",
    params(("store" = String, Path, description = "name of the store"), Topping),
    responses(
        (status = 200, description = "`rows`, each with `key` and `value`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn top(
    Of(state): Of<Arc<State>>,
    Names(store): Names<String>,
    Asked(asked): Asked<Topping>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = state.store(&store)?;
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let n = rows(asked.n, 10, state.options.rows)?;
    let prefix = match &asked.under {
        Some(under) => key_bytes(&store.face, under, true, &state.options)?,
        None => Vec::new(),
    };
    let raw = store.raw(&how);
    let read = move || {
        let face = *raw.face();
        let (rows, basis) = raw.top_under(&prefix, n)?;
        let mut members = b"\"rows\":[".to_vec();
        for (i, (key, value)) in rows.iter().enumerate() {
            members.extend_from_slice(if i == 0 { b"{" } else { b",{" });
            put_pair(&mut members, &face, key, Some(value))?;
            members.push(b'}');
        }
        members.push(b']');
        Ok(Rests::basis(&basis)?.reply(&members))
    };
    Ok(state
        .long
        .run(how.deadline, &how.cancel, read)
        .await?
        .response(&headers))
}
