//! `views`: the current generation as tables and views of a PostgreSQL database, for people who ask by SQL. `batch`, `rollback` and
//! `switch` do the same behind their publish where the settings name a database.

use serde_json::json;

use super::open::Context;
use super::out;
use crate::core::{Error, Result};

/// What a batch run, a rollback or a switch published is shown as well. What does not work is said: the next publish, or `views`, does it.
pub(super) fn follow(context: &Context<'_>) {
    let settings = &context.settings.views;
    let Some(url) = &settings.location else {
        return;
    };
    let shown = url
        .as_ref()
        .map_err(|why| Error::invalid(why.clone()))
        .and_then(|url| show(context, url.text()));
    match shown {
        Ok(None) => {}
        Ok(Some(number)) => say_shown(number),
        Err(e) => tracing::warn!(error = %e, "the views show the generation before: `views` says it again"),
    }
}

fn say_shown(number: u64) {
    out::say(
        || format!("views show generation {number}"),
        || json!({ "event": "views", "generation": number }),
    );
}

/// By hand: every store, with the names to ask for.
pub(super) fn views(context: &Context<'_>) -> Result<()> {
    let url = match &context.settings.views.location {
        Some(Ok(url)) => url.text(),
        Some(Err(why)) => return Err(Error::invalid(why.clone())),
        None => {
            return Err(Error::invalid("which database?").repaired_by(
                "add --database postgres://USER@HOST:PORT/DATABASE, or [views] with `location` to the settings",
            ));
        }
    };
    match show(context, url)? {
        Some(number) => {
            say_shown(number);
            Ok(())
        }
        None => Err(Error::invalid(format!(
            "job `{}` has no generation yet: run `batch`",
            context.plan.job()
        ))),
    }
}

/// Shows the current generation, if there is one.
#[cfg(feature = "postgres")]
fn show(context: &Context<'_>, url: &str) -> Result<Option<u64>> {
    use super::settings::no_port;
    use crate::core::StoreFace;
    use crate::store_api::ManifestLog;
    use crate::store_postgres::{PostgresOptions, PostgresViews};
    let settings = &context.settings.views;
    let default = PostgresOptions::default();
    let options = PostgresOptions {
        schema: { settings.schema.clone() }
            .or(context.settings.realtime.schema.clone())
            .unwrap_or(default.schema.clone()),
        ..default
    };
    let all = context.plan.stores();
    let faces: Vec<StoreFace> = match &settings.stores {
        None => all.to_vec(),
        Some(names) => {
            let face = |name: &String| {
                context.plan.store(name).copied().ok_or_else(|| {
                    let known: Vec<_> = all.iter().map(|s| s.name).collect();
                    no_port(context.plan.job(), "store", name, &known).at("settings [views]")
                })
            };
            names.iter().map(face).collect::<Result<_>>()?
        }
    };
    let Some(manifest) = context.manifests.newest(0)?.filter(|m| m.number > 0) else {
        return Ok(None);
    };
    let mut views = PostgresViews::open(url, &options, context.plan.job(), context.layout.instance())?;
    if let Some(keep) = settings.keep {
        views = views.keep(u32::try_from(keep).unwrap_or(u32::MAX));
    }
    for shown in views.publish(&manifest, &faces, &*context.generations)? {
        let answer = match &shown.answer {
            Ok(view) => format!("the whole answer is {view}"),
            Err(why) => format!("no view of the whole answer: {why}"),
        };
        out::say(
            || format!("{}: {} keys in {}; {answer}", shown.store, shown.keys, shown.offline),
            || {
                let (view, why) = (shown.answer.as_ref().ok(), shown.answer.as_ref().err());
                let why = why.map(ToString::to_string);
                json!({ "event": "view", "store": shown.store, "keys": shown.keys, "offline": shown.offline, "answer": view.map(ToString::to_string), "no_answer": why })
            },
        );
    }
    Ok(Some(manifest.number))
}

#[cfg(not(feature = "postgres"))]
fn show(_: &Context<'_>, _: &str) -> Result<Option<u64>> {
    Err(Error::invalid(
        "views are in PostgreSQL, and this binary was built without the feature `postgres`",
    ))
}
