//! Keys of several stores, of one moment.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use rufous_core::StoreFace;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use crate::ask::{body, check_count, key_bytes};
use crate::problem::Problem;
use crate::reply::{Reply, put};
use crate::routes::batch::{SMALL, answers};
use crate::state::State;

/// Keys of several stores.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Several {
    /// Per store its keys as text.
    #[serde(deserialize_with = "in_order")]
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>)]
    stores: Vec<(String, Vec<String>)>,
    /// As in the question of a single key.
    #[serde(default)]
    accept_holes: bool,
    /// As in the question of a single key.
    #[serde(default)]
    at_least: Option<String>,
}

/// The stores as they are written: what comes back is in the same order.
fn in_order<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Vec<String>)>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = Vec<(String, Vec<String>)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of stores with their keys")
        }
        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut all: Self::Value = Vec::new();
            while let Some((store, keys)) = map.next_entry()? {
                if all.iter().any(|(other, _)| *other == store) {
                    return Err(serde::de::Error::custom(format!("store `{store}` is there twice")));
                }
                all.push((store, keys));
            }
            Ok(all)
        }
    }
    from.deserialize_map(InOrder)
}

/// The answers for keys of several stores
///
/// All are of one realtime snapshot and one manifest: `stores` has for each what a batch of it has. Where one cannot be answered the reply is its error.
#[utoipa::path(
    post, path = "/v1/get", tag = "reads",
    request_body = Several,
    responses(
        (status = 200, description = "`manifest`; `stores`, each with `answers`, `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn several(Of(state): Of<Arc<State>>, headers: HeaderMap, content: Body) -> Result<Response, Problem> {
    let asked: Several = body(&headers, content, &state).await?;
    let count = asked.stores.iter().map(|(_, keys)| keys.len()).sum();
    check_count(count, &state.options)?;
    if count == 0 {
        return Err(Problem::invalid(
            "no key is asked for",
            "give at least one store in `stores` with a key",
        ));
    }
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let (deadline, cancel) = (how.deadline, how.cancel.clone());
    let mut questions: Vec<(StoreFace, Vec<Vec<u8>>)> = Vec::with_capacity(asked.stores.len());
    for (store, keys) in asked.stores.iter().filter(|(_, keys)| !keys.is_empty()) {
        let face = state.store(store)?.face;
        let one = |key: &String| key_bytes(&face, key, false, &state.options);
        questions.push((face, keys.iter().map(one).collect::<Result<_, _>>()?));
    }
    let client = state.client.clone();
    let read = move || {
        let moment = client.snapshot_until(how.until())?;
        let mut members = format!("\"manifest\":{},\"stores\":{{", moment.manifest()).into_bytes();
        let mut first: Option<Reply> = None;
        for (face, keys) in &questions {
            let reply = answers(&how.of(moment.raw(*face)), keys)?;
            if first.is_some() {
                members.push(b',');
            }
            put(&mut members, face.name)?;
            members.push(b':');
            members.extend_from_slice(&reply.body);
            match &mut first {
                None => first = Some(reply),
                Some(first) => first.speak_for(&reply),
            }
        }
        members.push(b'}');
        let reply = first.ok_or_else(|| Problem::bug("stores were asked, none was answered"))?;
        Ok(reply.around(&members))
    };
    let reply = if count <= SMALL {
        state.gets.run(deadline, &cancel, read).await?
    } else {
        state.long.run(deadline, &cancel, read).await?
    };
    Ok(reply.sent())
}
