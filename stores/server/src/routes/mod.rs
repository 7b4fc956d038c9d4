//! What can be asked, a file a kind of question.

mod batch;
mod explain;
mod key;
mod list;
mod ops;
mod several;
mod stores;
mod sum;
pub(crate) mod windows;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::console;
use crate::guard::guard;
use crate::page;
use crate::problem::Problem;
use crate::reply::JSON;
use crate::state::State;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rufous",
        description = "Merged reads of one job: the offline part and the realtime part as one exact answer. Every answer says what \
                       it covers (`covered_until`, `coverage`), how fresh it is (`freshness`), and by which `token` it can be computed \
                       again; the same is in the headers `rufous-covered-until`, `rufous-freshness` and `rufous-token`. A partial sum \
                       never passes for a whole one: what is not whole is an error (`application/problem+json`) with its kind and its \
                       repair, or, when asked for by `partial=true`, `so_far` with what is `missing`."
    ),
    components(schemas(Problem)),
    tags(
        (name = "reads", description = "Answers of one snapshot and one manifest each"),
        (name = "operation", description = "How the server is"),
        (name = "console", description = "What the job shows of itself beyond its answers, and what can be done about it")
    )
)]
struct Document;

/// All routes, and the document that is generated from them.
pub(crate) fn router(state: &Arc<State>, more: Router) -> Router {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(stores::stores))
        .routes(routes!(stores::store))
        .routes(routes!(list::list))
        .routes(routes!(key::key))
        .routes(routes!(batch::batch))
        .routes(routes!(several::several))
        .routes(routes!(explain::explain))
        .routes(routes!(sum::sum))
        .routes(routes!(sum::top))
        .routes(routes!(windows::windows))
        .routes(routes!(windows::batch))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
        .merge(console::routes())
        .split_for_parts();
    if state.options.tokens.is_some() {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", bearer);
        document.security = Some(vec![utoipa::openapi::SecurityRequirement::new(
            "token",
            [] as [&str; 0],
        )]);
    }
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let openapi = move || std::future::ready(([(header::CONTENT_TYPE, JSON)], document.clone()));
    router
        .route("/openapi.json", axum::routing::get(openapi))
        .merge(page::router())
        .merge(more.with_state(()))
        .fallback(nothing)
        .method_not_allowed_fallback(another_method)
        .layer(middleware::from_fn_with_state(state.clone(), guard))
        .with_state(state.clone())
}

fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

async fn nothing(request: Request) -> Response {
    let detail = format!("there is nothing at `{}`", shown(request.uri().path()));
    Problem::not_found(
        "no-route",
        detail,
        "/openapi.json lists what there is; `/` in a key is written %2F",
    )
    .into_response()
}

async fn another_method(method: Method, request: Request) -> Response {
    Problem::method(method.as_str(), &shown(request.uri().path())).into_response()
}
