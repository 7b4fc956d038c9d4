//! Which stores there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Of;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ask::Names;
use crate::problem::Problem;
use crate::state::{ServedStore, State};

/// A store of the job.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoreInfo {
    /// Its name.
    name: &'static str,
    /// What its keys are; parts are written with commas between.
    key: String,
    /// What its values are.
    value: String,
    /// Sizes of its hops, if it is windowed.
    windows: Option<String>,
}

/// The stores of the job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stores {
    job: String,
    instance: String,
    stores: Vec<StoreInfo>,
}

fn info(store: &ServedStore) -> StoreInfo {
    let face = &store.face;
    StoreInfo {
        name: face.name,
        key: face.key.schema(),
        value: face.value.schema(),
        windows: face.windows.map(|w| w.text()),
    }
}

/// The stores, with the schemas of their keys and values
#[utoipa::path(
    get, path = "/v1/stores", tag = "reads",
    responses((status = 200, body = Stores), (status = 429, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn stores(Of(state): Of<Arc<State>>) -> Json<Stores> {
    Json(Stores {
        job: state.job.clone(),
        instance: state.instance.clone(),
        stores: state.stores.iter().map(info).collect(),
    })
}

/// One store
#[utoipa::path(
    get, path = "/v1/stores/{store}", tag = "reads",
    params(("store" = String, Path, description = "its name")),
    responses(
        (status = 200, body = StoreInfo), (status = 404, body = Problem), (status = 429, body = Problem),
        (status = 503, body = Problem)
    )
)]
pub(crate) async fn store(Of(state): Of<Arc<State>>, Names(name): Names<String>) -> Result<Json<StoreInfo>, Problem> {
    Ok(Json(info(state.store(&name)?)))
}
