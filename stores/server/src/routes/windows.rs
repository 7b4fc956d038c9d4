//! Sums over windows of event time.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::extract::State as Of;
use axum::http::HeaderMap;
use axum::response::Response;
use rufous_client::{RawWindowClient, Window, WindowWords, key_of_windows};
use rufous_core::{Error, HopSize, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::ask::{Asked, Names, body, check_count, check_length};
use crate::pool::Cancel;
use crate::problem::Problem;
use crate::reply::{FAILED, Reply, Rests, put};
use crate::state::State;
use crate::watch::{self, Watched};

/// Hops of a window that is read where single keys are; longer ones would keep those waiting.
const SHORT: usize = 4096;

/// Which window: one of `last`, `last_hops` and `since`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Windowing {
    /// So long before the end: 30s, 5m, 24h, 7d.
    pub(crate) last: Option<String>,
    /// The last hops of a size up to the end: 3:month is this month so far and the two before.
    pub(crate) last_hops: Option<String>,
    /// From there on.
    pub(crate) since: Option<String>,
    /// Where the window ends: now (when nothing is said), sealed (where the newest sealed batch ends), or a time.
    pub(crate) end: Option<String>,
    /// One window after the other in place of one: 5m, 1h, 1d, calendar-day, week, month, quarter, year.
    pub(crate) every: Option<String>,
    /// Refuse a window that would be rounded to hops.
    pub(crate) aligned: bool,
    /// Answer without ranges that were lost, and list them.
    pub(crate) accept_holes: bool,
    /// The least that must be applied.
    pub(crate) at_least: Option<String>,
}

/// Windows of keys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowKeys {
    /// Keys as text, parts with commas between, without the hop.
    keys: Vec<String>,
    /// Which window.
    window: Windowing,
}

/// A question about windows, understood.
pub(crate) struct Question {
    client: RawWindowClient,
    keys: Vec<Vec<u8>>,
    shown: Vec<Value>,
    window: Window,
    every: Option<HopSize>,
    deadline: Instant,
    cancel: Cancel,
    rows: usize,
}

impl Windowing {
    /// The window itself.
    pub(crate) fn window(&self) -> Result<Window, Problem> {
        let wrong_time = |text: &str| {
            Problem::invalid(
                format!("`since={text}` is no time"),
                "write 2001-01-31 or 2001-01-31T07:00:00Z",
            )
        };
        let since = self.since.as_deref();
        let words = WindowWords {
            last: self.last.as_deref(),
            last_hops: self.last_hops.as_deref(),
            since: since
                .map(|t| Timestamp::parse(t).map_err(|_| wrong_time(t)))
                .transpose()?,
            end: self.end.as_deref().unwrap_or("now"),
            aligned: self.aligned,
            mark: "",
        };
        Ok(words.window()?)
    }
    /// Whether the windows move with the clock.
    pub(crate) fn moves(&self) -> bool {
        self.end.as_deref().is_none_or(|end| end == "now")
    }
}

impl Question {
    pub(crate) fn new(state: &State, store: &str, keys: &[String], asked: &Windowing) -> Result<Self, Problem> {
        let how = state.how(asked.accept_holes, asked.at_least.as_deref())?;
        let client = state.windows(store, &how)?;
        check_count(keys.len(), &state.options)?;
        let face = *client.raw().face();
        let (mut bytes, mut shown) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for text in keys {
            check_length("key", text, &state.options)?;
            let (key, json) = key_of_windows(&face, text)?;
            bytes.push(key);
            shown.push(json);
        }
        Ok(Self {
            window: asked.window()?,
            every: asked.every.as_deref().map(HopSize::parse).transpose()?,
            deadline: how.deadline,
            cancel: how.cancel,
            rows: state.options.rows,
            client,
            keys: bytes,
            shown,
        })
    }
    /// Whether it is one window of one key: how long it is is known when it is planned.
    pub(crate) fn may_be_short(&self) -> bool {
        self.every.is_none() && self.keys.len() <= 1
    }

    /// Reads it: one snapshot, one manifest. `None`: it has more than so many hops, and nothing was read.
    pub(crate) fn read(&self, hops: usize) -> Result<Option<Reply>, Problem> {
        if self.keys.is_empty() {
            return Err(Problem::invalid("no key is asked for", "give at least one in `keys`"));
        }
        let face = self.client.raw().face();
        // How much it is is known once hops are planned, and not before.
        let (rows, known) = (self.rows, Arc::new(OnceLock::new()));
        let too_much = known.clone();
        let client = self.client.clone().planned(move |count| {
            if count.windows <= rows && count.hops <= hops {
                return Ok(());
            }
            let _ = too_much.set(count);
            Err(Error::invalid("more is asked for than is read here"))
        });
        let found = match self.every {
            Some(every) => client.tumbling(&self.keys, &self.window, every),
            None => client.read(&self.keys, std::slice::from_ref(&self.window)),
        };
        let found = match (found, known.get()) {
            (Ok(found), _) => found,
            (Err(_), Some(count)) if count.windows > rows => {
                let detail = format!(
                    "{} windows are asked for; at most {rows} are given at a time",
                    count.windows
                );
                return Err(Problem::beyond(
                    axum::http::StatusCode::PAYLOAD_TOO_LARGE,
                    "rows",
                    detail,
                ));
            }
            (Err(_), Some(_)) => return Ok(None),
            (Err(e), None) => return Err(e.into()),
        };
        let Some(whole) = found.iter().flatten().find_map(|a| a.as_ref().ok()) else {
            let first = found.into_iter().flatten().find_map(Result::err);
            return Err(first.map_or_else(
                || Problem::invalid("there is no window in what is asked for", "let it begin before its end"),
                Problem::from,
            ));
        };
        let rests = Rests::of(&whole.answer)?;
        let (mut members, mut tagged) = (b"\"windows\":[".to_vec(), Vec::new());
        let (mut first, mut failed) = (true, 0u64);
        for (key, answers) in self.shown.iter().zip(&found) {
            for answer in answers {
                members.extend_from_slice(if first { b"{\"key\":" } else { b",{\"key\":" });
                first = false;
                put(&mut members, key)?;
                match answer
                    .as_ref()
                    .map_err(Problem::from)
                    .and_then(|a| Ok(a.to_json(face, key.clone())?))
                {
                    Ok(mut json) => {
                        members.extend_from_slice(b",\"value\":");
                        put(&mut members, &json["value"])?;
                        members.extend_from_slice(b",\"window\":");
                        put(&mut members, &json["window"])?;
                        // What was asked for moves with the clock; what is covered moves with the hops.
                        if let Some(window) = json["window"].as_object_mut() {
                            window.remove("asked");
                        }
                        put(&mut tagged, &(key, &json["value"], &json["window"]))?;
                    }
                    Err(problem) => {
                        failed += 1;
                        members.extend_from_slice(b",\"error\":");
                        put(&mut members, &problem)?;
                        put(&mut tagged, &problem)?;
                    }
                }
                members.push(b'}');
            }
        }
        members.push(b']');
        let mut reply = rests.reply(&members);
        reply.tag = Some(rests.tag(&tagged));
        if failed > 0 {
            reply.say(FAILED, failed.into());
        }
        Ok(Some(reply))
    }
}

/// What is short is read where single keys are.
pub(crate) async fn answer(state: &State, question: Question) -> Result<Reply, Problem> {
    let (deadline, cancel) = (question.deadline, question.cancel.clone());
    let question = Arc::new(question);
    if question.may_be_short() {
        let short = question.clone();
        if let Some(reply) = state.gets.run(deadline, &cancel, move || short.read(SHORT)).await? {
            return Ok(reply);
        }
    }
    let reply = state
        .long
        .run(deadline, &cancel, move || question.read(usize::MAX))
        .await?;
    reply.ok_or_else(|| Problem::bug("a window has more hops than there are numbers"))
}

/// Sums of a key over one window, or over one window after the other
///
/// Each says which interval it truly covers: windows are rounded outwards to hops.
#[utoipa::path(
    get, path = "/v1/stores/{store}/windows/{key}", tag = "reads",
    params(
        ("store" = String, Path, description = "name of a windowed store"),
        ("key" = String, Path, description = "the key as text without its hop, percent-encoded"),
        Windowing
    ),
    responses(
        (status = 200, description = "`windows`, each with `key`, `value` and `window`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 304, description = "the answer is the one that `If-None-Match` names"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn windows(
    Of(state): Of<Arc<State>>,
    Names((store, key)): Names<(String, String)>,
    Asked(asked): Asked<Windowing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if watch::wanted(&headers) && asked.at_least.is_some() {
        return Err(Problem::invalid("events are answers of now", "leave `at_least` out"));
    }
    let question = Question::new(&state, &store, std::slice::from_ref(&key), &asked)?;
    if watch::wanted(&headers) {
        let watched = Watched::Windows { store, key, asked };
        return watch::watch(&state, watched, &headers);
    }
    Ok(answer(&state, question).await?.response(&headers))
}

/// Sums of many keys over one window, or over one window after the other
#[utoipa::path(
    post, path = "/v1/stores/{store}/windows", tag = "reads",
    params(("store" = String, Path, description = "name of a windowed store")),
    request_body = WindowKeys,
    responses(
        (status = 200, description = "`windows`, key by key, each with `key`, `value` and `window`; `covered_until`, `freshness`, `coverage`, `token`", content_type = "application/json"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
        (status = 429, body = Problem), (status = 500, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn batch(
    Of(state): Of<Arc<State>>,
    Names(store): Names<String>,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    state.store(&store)?;
    let asked: WindowKeys = body(&headers, content, &state).await?;
    let question = Question::new(&state, &store, &asked.keys, &asked.window)?;
    Ok(answer(&state, question).await?.sent())
}
