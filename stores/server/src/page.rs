//! The console's page: files that are part of the binary, at `/` and `/console/*`.
//!
//! They hold nothing of a job, so they need no token: the page asks for one and sends it with its questions. What it may do
//! is said in its headers. It loads nothing from elsewhere, runs no script and no style but these files, sends no form, is shown in no
//! frame, and no text can become markup (`require-trusted-types-for`): a key named `<script>` is a text.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use crate::problem::Problem;
use crate::reply::knows;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

macro_rules! files {
    ($($kind:ident: $($name:literal),+;)+) => {
        /// Name, content type, content.
        const FILES: &[(&str, &str, &[u8])] = &[$($(($name, $kind, include_bytes!(concat!("../console/", $name)))),+),+];
    };
}

files! {
    HTML: "index.html";
    CSS: "theme.css", "layout.css", "views.css";
    SVG: "icon.svg";
    JS: "answers.js", "api.js", "app.js", "chart.js", "complete.js", "dialogs.js", "dom.js", "early.js", "format.js", "graph.js", "handover.js", "health.js", "job.js", "layers.js", "parts.js", "rates.js", "records.js", "result.js", "schema.js", "states.js", "timeline.js", "values.js", "where.js";
}

/// Entity tags, in the order of the files: a page that is loaded again costs its headers.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(_, _, content)| format!("\"{:032x}\"", xxh3_128(content)))
        .collect()
});

/// Whether a path is one of the page: answered without a token.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/console/")
}

/// The page and its files.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(file)).route("/console/{file}", get(file))
}

async fn file(uri: Uri, asked: HeaderMap) -> Result<Response, Problem> {
    let name = match uri.path() {
        "/" => "index.html",
        path => path.strip_prefix("/console/").unwrap_or(path),
    };
    let found = FILES.iter().zip(TAGS.iter()).find(|((of, _, _), _)| *of == name);
    let Some(((_, kind, content), tag)) = found else {
        let shown: String = name.chars().take(100).collect();
        return Err(Problem::not_found(
            "no-file",
            format!("the console has no file `{shown}`"),
            "the console is at `/`",
        ));
    };
    let mut response = if knows(&asked, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(Bytes::from_static(content)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is not in the table is not in the binary.
    #[test]
    fn every_file_of_the_console_is_served() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
        let mut there: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<String> = FILES.iter().map(|(name, _, _)| (*name).to_string()).collect();
        there.sort();
        served.sort();
        assert_eq!(served, there);
    }

    /// The whole page weighs less than a picture, and names no other host.
    #[test]
    fn the_page_is_light_and_asks_nobody_else() {
        let weight: usize = FILES.iter().map(|(_, _, content)| content.len()).sum();
        assert!(weight < 300_000, "{weight} bytes");
        for (name, _, content) in FILES {
            let text = std::str::from_utf8(content)
                .unwrap()
                .replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(word), "{name} has `{word}`");
            }
        }
    }

    /// A file that a page names is there: a misspelt one would be a blank page.
    #[test]
    fn every_file_that_is_named_is_there() {
        let is_file = |name: &str| FILES.iter().any(|(of, _, _)| *of == name);
        let mut named = 0;
        for (name, kind, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            let begins: &[&str] = if *kind == HTML {
                &["\"/console/"]
            } else {
                &["from \"./", "import(\"./"]
            };
            for begin in begins {
                for rest in text.split(begin).skip(1) {
                    let other = rest.split('"').next().unwrap();
                    assert!(is_file(other), "{name} names `{other}`");
                    named += 1;
                }
            }
        }
        assert!(named > 20, "{named}");
    }
}
