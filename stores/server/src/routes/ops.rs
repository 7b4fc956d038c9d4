//! How the server is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Of;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::metrics::OPEN_METRICS;
use crate::problem::Problem;
use crate::state::State;

/// That the process lives; it needs no token
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200)))]
pub(crate) async fn healthz() -> Json<serde_json::Value> {
    Json(serde_json::json!({"healthy": true}))
}

/// Whether every store can be answered whole.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// Per store that cannot: why.
    reasons: Vec<Reason>,
}

/// Why a store cannot be answered whole.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reason {
    store: &'static str,
    problem: Problem,
}

/// Whether every store can be answered whole: a read of each is made
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, body = Ready), (status = 429, body = Problem), (status = 503, body = Ready))
)]
pub(crate) async fn readyz(Of(state): Of<Arc<State>>) -> Result<Response, Problem> {
    let how = state.how(false, None)?;
    let all: Vec<_> = state.stores.iter().map(|s| s.raw(&how)).collect();
    let read = move || {
        let mut reasons = Vec::new();
        for raw in all {
            // No key is empty that has parts; of a text it is one like others.
            if let Err(e) = raw.get(&[]) {
                reasons.push(Reason {
                    store: raw.face().name,
                    problem: Problem::from(e),
                });
            }
        }
        Ok(reasons)
    };
    let reasons = state.gets.run(how.deadline, &how.cancel, read).await?;
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, Json(Ready { ready, reasons })).into_response())
}

/// What the server shows to Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses(
        (status = 200, content_type = "application/openmetrics-text"),
        (status = 429, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn metrics(Of(state): Of<Arc<State>>) -> Result<Response, Problem> {
    let text = state.metrics.scrape(&state)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
