//! What changes something: planned first, and done only when who may do it confirms that plan.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State as Of;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Planned, Undone};
use crate::ask::body as read_body;
use crate::problem::Problem;
use crate::state::State;

/// What is asked to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Asked {
    /// Makes the staged line of this code the current one.
    Switch {
        /// Though it has not read as far as the code before it.
        #[serde(default)]
        behind: bool,
    },
    /// Makes a generation before the current one the current one again.
    Rollback {
        /// Its number; none: the one before the current one.
        #[serde(default)]
        to: Option<u64>,
    },
    /// Deletes what nobody can read any more.
    Gc {},
}

/// What would be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// What was asked for.
    action: &'static str,
    /// What will happen, a sentence a line.
    says: Vec<String>,
    /// Confirms this plan.
    confirm: String,
}

/// A plan that is confirmed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    /// As the plan said it.
    confirm: String,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// In a sentence.
    done: String,
}

/// Says what an action would do, and does nothing; it needs a token of those who may
///
/// Actions: `switch` (`behind`), `rollback` (`to`), `gc`.
#[utoipa::path(
    post, path = "/v1/console/plan", tag = "console", request_body = Asked,
    responses(
        (status = 200, body = Plan), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)
    )
)]
pub(crate) async fn plan(Of(state): Of<Arc<State>>, headers: HeaderMap, body: Body) -> Result<Json<Plan>, Problem> {
    let whose = may_act(&state, &headers)?;
    let asked: Asked = read_body(&headers, body, &state).await?;
    let (word, action) = match asked {
        Asked::Switch { behind } => ("switch", Action::Switch { behind }),
        Asked::Rollback { to } => ("rollback", Action::Rollback { to }),
        Asked::Gc {} => ("gc", Action::Gc),
    };
    let how = state.how(false, None)?;
    let seen = state.clone();
    let read = move || {
        let observed = seen.observed.as_deref().ok_or_else(Problem::unobserved)?;
        Ok(observed.plan(&action, whose)?)
    };
    let Planned { says, confirm } = state.long.run(how.deadline, &how.cancel, read).await?;
    Ok(Json(Plan {
        action: word,
        says,
        confirm,
    }))
}

/// Does what was planned, if nothing has moved since; it needs a token of those who may
#[utoipa::path(
    post, path = "/v1/console/act", tag = "console", request_body = Confirmed,
    responses(
        (status = 200, body = Done), (status = 400, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn act(Of(state): Of<Arc<State>>, headers: HeaderMap, body: Body) -> Result<Json<Done>, Problem> {
    may_act(&state, &headers)?;
    let Confirmed { confirm } = read_body(&headers, body, &state).await?;
    let how = state.how(false, None)?;
    let seen = state.clone();
    let work = move || {
        let observed = seen.observed.as_deref().ok_or_else(Problem::unobserved)?;
        let done = observed.act(&confirm);
        // Also after a failure: a part may have been done.
        seen.shared.forget();
        match done {
            Ok(done) => Ok(Done { done }),
            Err(Undone::Moved(why)) => Err(Problem::moved(why)),
            Err(Undone::Failed(e)) => Err(e.into()),
        }
    };
    // Who goes away does not stop what was begun.
    Ok(Json(state.long.run(how.deadline, &how.cancel, work).await?))
}

/// Who asks to change something: the number of his token. What would change is told to nobody else, either: it takes as long as the
/// action, and it is remembered.
fn may_act(state: &State, headers: &HeaderMap) -> Result<usize, Problem> {
    if state.observed.is_none() {
        return Err(Problem::unobserved());
    }
    let Some(admin) = &state.options.admin else {
        return Err(Problem::forbidden(
            "nobody may change anything here: this server has no tokens of those who may",
            "start `serve` with `--admin-token-file FILE`, a token a line, or with RUFOUS_SERVE_ADMIN_TOKENS",
        ));
    };
    admin.open(headers).ok_or_else(|| {
        Problem::forbidden(
            "the request has no token of those who may change something",
            "send `Authorization: Bearer TOKEN` with a token of `--admin-token-file`, or of RUFOUS_SERVE_ADMIN_TOKENS",
        )
    })
}
