//! `window`: sums over event time.

use serde_json::Value;
use std::time::Duration;

use super::cli::WindowArgs;
use super::open::Context;
use super::read::{fresh, show_value};
use crate::client::{End, RawWindowAnswer, RawWindowClient, Window};
use crate::core::window::HOP_BYTES;
use crate::core::{Error, ErrorKind, HopSize, Result, StoreFace, Timestamp};

/// What `--end` says.
fn end(text: &str) -> Result<End> {
    match text {
        "now" => Ok(End::Now),
        "sealed" => Ok(End::Sealed),
        text => Timestamp::parse(text).map(End::At).map_err(|_| {
            Error::invalid(format!(
                "`--end {text}`: write now, sealed (where the newest sealed batch ends) or a time such as 2001-01-31T07:00:00Z"
            ))
        }),
    }
}

fn asked(args: &WindowArgs) -> Result<Window> {
    let end = end(&args.end)?;
    let window = match (&args.last, &args.last_hops, args.since) {
        (Some(length), ..) => {
            let size = HopSize::parse(length).ok().and_then(|size| size.fixed_ms());
            let ms = size.ok_or_else(|| {
                Error::invalid(format!(
                    "`--last {length}`: write a length such as 30s, 5m, 24h or 7d; for months and the like `--last-hops 3:month`"
                ))
            })?;
            Window::last(Duration::from_millis(ms), end)
        }
        (_, Some(hops), _) => {
            let wrong = || {
                Error::invalid(format!(
                    "`--last-hops {hops}`: write NUMBER:SIZE, for instance 3:month, 7:calendar-day or 24:1h"
                ))
            };
            let (n, size) = hops.split_once(':').ok_or_else(wrong)?;
            let n = n.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
            Window::last_hops(n, HopSize::parse(size).map_err(|_| wrong())?, end)
        }
        (_, _, Some(since)) => Window::since(since, end),
        _ => {
            return Err(Error::invalid(
                "which window? add `--last 7d`, `--last-hops 3:month` or `--since TIME`",
            ));
        }
    };
    Ok(if args.aligned { window.aligned() } else { window })
}

/// The windowed store that is meant.
fn store(context: &Context<'_>, args: &WindowArgs) -> Result<RawWindowClient> {
    super::read::has_stores(context)?;
    let windowed: Vec<StoreFace> = context
        .plan
        .stores()
        .iter()
        .filter(|s| s.windows.is_some())
        .copied()
        .collect();
    let face = match (&args.reads.store, &windowed[..]) {
        (Some(name), _) => *context
            .plan
            .store(name)
            .ok_or_else(|| Error::invalid(format!("job `{}` has no store `{name}`", context.plan.job())))?,
        (None, [one]) => *one,
        (None, []) => {
            return Err(Error::invalid(format!(
                "job `{}` has no windowed store: `get` reads the others",
                context.plan.job()
            )));
        }
        (None, many) => {
            let names: Vec<_> = many.iter().map(|s| s.name).collect();
            return Err(Error::invalid(format!(
                "which store? add `--store NAME` (one of: {})",
                names.join(", ")
            )));
        }
    };
    let client = context.client().raw_windows(face)?;
    Ok(if args.reads.accept_holes {
        client.accept_holes()
    } else {
        client
    })
}

/// The bytes of a key as typed, without a hop; and as JSON.
fn key(face: &StoreFace, text: &str) -> Result<(Vec<u8>, Value)> {
    const ANY_HOP: &str = "1970-01-01";
    let wrong = |e: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "store `{}`: key `{text}`: {e} (keys are {}; the hop is not typed)",
            face.name,
            face.key.schema()
        ))
    };
    // A key of one part takes commas as they are, as `get` does.
    let one_part = face.key.schema().starts_with('(') && !face.key.schema().starts_with("((");
    let typed = if one_part {
        text.replace('\\', "\\\\").replace(',', "\\,")
    } else {
        text.to_string()
    };
    let mut bytes = face
        .key
        .parse(&format!("{typed},{ANY_HOP}"), false)
        .map_err(|e| wrong(&e))?;
    let shown = match face.key.json(&bytes).map_err(|e| wrong(&e))? {
        Value::Array(mut parts) => {
            parts.pop();
            if parts.len() == 1 {
                parts.remove(0)
            } else {
                Value::Array(parts)
            }
        }
        other => other,
    };
    bytes.truncate(bytes.len().saturating_sub(HOP_BYTES));
    Ok((bytes, shown))
}

pub(super) fn window(context: &Context<'_>, args: &WindowArgs) -> Result<()> {
    let window = asked(args)?;
    let every = args.every.as_deref().map(HopSize::parse).transpose()?;
    let client = store(context, args)?;
    let face = *client.raw().face();
    let mut failed: Option<ErrorKind> = None;
    let keys = args
        .keys
        .iter()
        .map(|text| key(&face, text))
        .collect::<Result<Vec<_>>>()?;
    let bytes: Vec<Vec<u8>> = keys.iter().map(|(bytes, _)| bytes.clone()).collect();
    let answers = match every {
        Some(every) => client.tumbling(&bytes, &window, every)?,
        None => client.read(&bytes, &[window])?,
    };
    for ((text, (_, shown)), answers) in args.keys.iter().zip(keys).zip(answers) {
        for answer in answers {
            match answer {
                Ok(answer) if super::out::is_json() => {
                    print(&answer.to_json(&face, shown.clone())?.to_string());
                }
                Ok(answer) => print(&line(&face, text, &answer)?),
                Err(e) => {
                    eprintln!("error: {e}");
                    failed = Some(e.kind());
                }
            }
        }
    }
    match failed {
        // It was printed with its key's turn; the exit code is its kind's.
        Some(kind) => std::process::exit(i32::from(kind.exit_code())),
        None => Ok(()),
    }
}

fn line(face: &StoreFace, key: &str, answer: &RawWindowAnswer) -> Result<String> {
    let value = show_value(face, answer.answer.value.as_deref())?;
    Ok(format!(
        "{key}  {value}  {answer}  offline until {}, fresh until {}",
        answer.answer.coverage,
        fresh(&answer.answer)
    ))
}

fn print(line: &str) {
    use std::io::Write;
    // A reader that closed its end (`| head`) is no error.
    let _ = writeln!(std::io::stdout(), "{line}");
}
