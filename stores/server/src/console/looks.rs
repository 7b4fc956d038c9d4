//! The questions of the console.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{View, Wrong};
use crate::ask::Asked;
use crate::options::Records;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::State;

/// Samples, and lines of the log, that are given at most.
const MOST_LINES: usize = 1_000;

/// Records and lines of a log may hold anything: not all who may ask for sums may see them.
fn may_see_records(state: &State, headers: &HeaderMap) -> Result<(), Problem> {
    match state.options.shows_records() {
        _ if state.observed.is_none() => Ok(()),
        Records::All => Ok(()),
        Records::Admin => match state.options.admin.as_ref().and_then(|tokens| tokens.open(headers)) {
            Some(_) => Ok(()),
            None => Err(Problem::forbidden(
                "records and the log are shown to those alone who may change something",
                "send `Authorization: Bearer TOKEN` with a token of `--admin-token-file`, or of RUFOUS_SERVE_ADMIN_TOKENS; \
                 `serve.records = \"all\"` shows them to all who may read",
            )),
        },
        Records::None => Err(Problem::forbidden(
            "this server shows no records and no log",
            "look at the log of the process itself, or start `serve` with another `serve.records` (`admin`, `all`)",
        )),
    }
}

/// Has it looked at by a reader that may block.
async fn look(state: &Arc<State>, view: View, headers: &HeaderMap) -> Result<Response, Problem> {
    let how = state.how(false, None)?;
    let seen = state.clone();
    let read = move || {
        let observed = seen.observed.as_deref().ok_or_else(Problem::unobserved)?;
        Ok(Reply::plain(seen.shared.look(observed, &view)?))
    };
    let reply = state.long.run(how.deadline, &how.cancel, read).await?;
    Ok(reply.response(headers))
}

/// Nothing is asked beyond the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The job: its graph, sources and stores
///
/// `job`, `instance`, `fingerprint`, `version`, `actions` (whether something can be done here); `graph` with `nodes` and `edges`,
/// `sources`, `stores`.
#[utoipa::path(
    get, path = "/v1/console/job", tag = "console",
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn job(
    Of(state): Of<Arc<State>>,
    Asked(_): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    look(&state, View::Job, &headers).await
}

/// The processes of the job that run on this machine, and what they count
///
/// Counts go up as long as a process lives; those of a bulk run go down where it reads again what it has read. A `batch` or `backfill` reads records
/// that a `stream` has counted, too: sums over processes of several kinds are no number of records. `now_ms`, `processes`, `note`.
#[utoipa::path(
    get, path = "/v1/console/live", tag = "console",
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn live(
    Of(state): Of<Arc<State>>,
    Asked(_): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    look(&state, View::Live, &headers).await
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindOfSample {
    /// It cannot be read.
    #[default]
    Bad,
    /// It is behind the running batch.
    Late,
}

/// Which samples.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichSamples {
    /// `bad` or `late`.
    #[param(inline)]
    pub(crate) kind: KindOfSample,
    /// So many at most (20).
    pub(crate) limit: Option<usize>,
}

/// Some of the records that something was wrong with, newest first; not all who may read may see them
///
/// `samples`, each with `source`, `partition`, `offset`, `time_ms`, `why` and the beginning of its `text`.
#[utoipa::path(
    get, path = "/v1/console/samples", tag = "console", params(WhichSamples),
    responses((status = 200, body = Value), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn samples(
    Of(state): Of<Arc<State>>,
    Asked(which): Asked<WhichSamples>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kind = match which.kind {
        KindOfSample::Bad => Wrong::Bad,
        KindOfSample::Late => Wrong::Late,
    };
    let limit = which.limit.unwrap_or(20).min(MOST_LINES);
    may_see_records(&state, &headers)?;
    look(&state, View::Samples { kind, limit }, &headers).await
}

/// Which batches.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichBatches {
    /// From this batch on.
    pub(crate) from: Option<i64>,
    /// Batches before this one.
    pub(crate) to: Option<i64>,
}

/// How far each batch of each partition is: open, sealed, archived, published, dropped
///
/// Batches of one state in a row are one run, so that many batches of many partitions are a short answer. `silent` is the live part when it
/// does not answer; `unreached` are the archives and the generations that do not, each with `part` (`archive`, `generations`), `source`,
/// `why`, `as_of_ms` (since when what is told of it is known; null: it is not known) and what is therefore `unknown`. A batch that may be
/// further than is known then has the state `unknown`, and a null of such a part is no zero.
#[utoipa::path(
    get, path = "/v1/console/handover", tag = "console", params(WhichBatches),
    responses((status = 200, body = Value), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn handover(
    Of(state): Of<Arc<State>>,
    Asked(which): Asked<WhichBatches>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let WhichBatches { from, to } = which;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(Problem::invalid(
            format!("`from` is batch {from} and `to` is batch {to}: there is no batch between them"),
            "`to` is the first batch that is not asked for: give one above `from`",
        ));
    }
    look(&state, View::Handover { from, to }, &headers).await
}

/// What was published, newest last, and which of it can be gone back to
#[utoipa::path(
    get, path = "/v1/console/generations", tag = "console",
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn generations(
    Of(state): Of<Arc<State>>,
    Asked(_): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    look(&state, View::Generations, &headers).await
}

/// What comparing the layers found, newest first
#[utoipa::path(
    get, path = "/v1/console/drift", tag = "console",
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn drift(
    Of(state): Of<Arc<State>>,
    Asked(_): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    look(&state, View::Drift, &headers).await
}

/// Whether all can be reached and fits together: the checks of `doctor`, and the numbers that matter with their limits
#[utoipa::path(
    get, path = "/v1/console/health", tag = "console",
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn health(
    Of(state): Of<Arc<State>>,
    Asked(_): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    look(&state, View::Health, &headers).await
}

/// Which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhichLines {
    /// Only lines behind this one: `next` of the answer before.
    pub(crate) after: u64,
    /// So many at most (200), the newest.
    pub(crate) limit: Option<usize>,
}

/// What the processes of the job logged lately; not all who may read may see it
///
/// `next` is what to ask `after` the next time; `lines`, oldest first.
#[utoipa::path(
    get, path = "/v1/console/log", tag = "console", params(WhichLines),
    responses((status = 200, body = Value), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn log(
    Of(state): Of<Arc<State>>,
    Asked(which): Asked<WhichLines>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = which.limit.unwrap_or(200).min(MOST_LINES);
    may_see_records(&state, &headers)?;
    let after = which.after;
    look(&state, View::Log { after, limit }, &headers).await
}
