//! Keys under a prefix, page by page.

use std::sync::Arc;

use axum::extract::State as Of;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rufous_client::RawStoreClient;
use rufous_core::{KeyColumn, StoreFace};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::arrow;
use crate::ask::{Asked, Names, key_bytes};
use crate::options::ServerOptions;
use crate::problem::Problem;
use crate::reply::{Reply, Rests, put, put_pair};
use crate::state::State;

/// Rows of a page when nobody says how many.
const USUAL: usize = 100;

/// Which keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listing {
    /// Only keys whose first parts are these.
    under: Option<String>,
    /// Of these, only keys whose next part, a text, begins with this: what somebody types who does not know the key yet.
    begins: Option<String>,
    /// So many rows at most (100).
    limit: Option<usize>,
    /// `next` of the page before: go on behind it. Each page is an answer of its own, with its own token.
    cursor: Option<String>,
    /// Answer without ranges that were lost, and list them.
    accept_holes: bool,
    /// The least that must be applied.
    at_least: Option<String>,
}

/// The keys under a prefix with their values, ascending
///
/// `next` is where the next page begins, `null` on the last one. A page is of one snapshot; several pages are of several.
#[utoipa::path(
    get, path = "/v1/stores/{store}/keys", tag = "reads",
    params(("store" = String, Path, description = "name of the store"), Listing),
    responses(
        (status = 200, description = "`rows`, each with `key` and `value`; `next`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn list(
    Of(state): Of<Arc<State>>,
    Names(store): Names<String>,
    Asked(asked): Asked<Listing>,
    version: Version,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let store = state.store(&store)?;
    let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
    let prefix = match (&asked.under, &asked.begins) {
        (under, Some(begins)) => beginning(&store.face, under.as_deref(), begins, &state.options)?,
        (Some(under), None) => key_bytes(&store.face, under, true, &state.options)?,
        (None, None) => Vec::new(),
    };
    if arrow::wanted(&headers) {
        if asked.limit.is_some() || asked.cursor.is_some() {
            return Err(Problem::invalid(
                "a list as Arrow has no pages",
                "leave `limit` and `cursor` out",
            ));
        }
        if version < Version::HTTP_11 {
            return Err(Problem::invalid(
                format!("a list as Arrow is asked for by {version:?}, where a body that was cut ends like a whole one"),
                "ask by HTTP/1.1; where nginx stands in between, let it say `proxy_http_version 1.1`",
            ));
        }
        return arrow::list(&state, store.face, prefix, how).await;
    }
    let limit = rows(asked.limit, USUAL, state.options.rows)?;
    let after = asked.cursor.as_deref().map(|c| cursor(c, &prefix)).transpose()?;
    let raw = store.raw(&how);
    let read = move || page(&raw, &prefix, after.as_deref(), limit);
    let reply = state.long.run(how.deadline, &how.cancel, read).await?;
    Ok(reply.response(&headers))
}

/// How many rows: what is asked for, if that many are given.
pub(crate) fn rows(asked: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    let n = asked.unwrap_or(usual.min(most));
    if n > most {
        let detail = format!("{n} rows are asked for; at most {most} are given at a time");
        return Err(Problem::beyond(StatusCode::PAYLOAD_TOO_LARGE, "rows", detail));
    }
    if n == 0 {
        return Err(Problem::invalid("no rows are asked for", "ask for one at least"));
    }
    Ok(n)
}

/// The bytes with which keys begin whose first parts are `under` and whose next part begins so.
fn beginning(face: &StoreFace, under: Option<&str>, begins: &str, options: &ServerOptions) -> Result<Vec<u8>, Problem> {
    let several = face.key.schema().starts_with('(');
    let parts = under.map_or(0, |text| if several { parts_in(text) } else { 1 });
    if !matches!(face.key.columns().get(parts), Some(KeyColumn::Text)) {
        return Err(Problem::invalid(
            format!(
                "store `{}`: part {} of a key is no text, and only a text has a beginning",
                face.name,
                parts + 1
            ),
            format!("leave `begins` out: keys are {}", face.key.schema()),
        ));
    }
    let begins = if several {
        begins.replace('\\', "\\\\").replace(',', "\\,")
    } else {
        begins.to_string()
    };
    let text = under.map_or_else(|| begins.clone(), |under| format!("{under},{begins}"));
    let mut bytes = key_bytes(face, &text, true, options)?;
    // The mark that ends a text: without it the bytes begin all longer texts as well.
    bytes.pop();
    Ok(bytes)
}

/// How many parts are typed: a comma behind a backslash is one of the text.
fn parts_in(text: &str) -> usize {
    let mut quoted = false;
    1 + text.chars().fold(0, |count, c| {
        let parts = count + usize::from(c == ',' && !quoted);
        quoted = c == '\\' && !quoted;
        parts
    })
}

fn cursor(text: &str, prefix: &[u8]) -> Result<Vec<u8>, Problem> {
    let key = URL_SAFE_NO_PAD.decode(text).ok().filter(|key| key.starts_with(prefix));
    key.ok_or_else(|| {
        Problem::invalid(
            "the cursor is not one of this list",
            "give `next` of the page before as it is, and ask under the same prefix",
        )
    })
}

fn page(raw: &RawStoreClient, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Reply, Problem> {
    let face = *raw.face();
    let mut members = b"\"rows\":[".to_vec();
    let (mut shown, mut last, mut more) = (0, Vec::new(), false);
    let basis = raw.scan_while(prefix, after, &mut |_, key, value| {
        if shown == limit {
            more = true;
            return Ok(false);
        }
        members.extend_from_slice(if shown == 0 { b"{" } else { b",{" });
        put_pair(&mut members, &face, key, Some(value))?;
        members.push(b'}');
        shown += 1;
        last.clear();
        last.extend_from_slice(key);
        Ok(true)
    })?;
    members.extend_from_slice(b"],\"next\":");
    put(&mut members, &more.then(|| URL_SAFE_NO_PAD.encode(&last)))?;
    Ok(Rests::basis(&basis)?.reply(&members))
}
