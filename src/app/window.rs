//! `window`: sums over event time.

use super::cli::WindowArgs;
use super::open::Context;
use super::out;
use super::read::{fresh, named, show_value, which};
use crate::client::{RawWindowAnswer, RawWindowClient, Window, WindowWords, key_of_windows};
use crate::core::{Error, ErrorKind, HopSize, Result, StoreFace};

pub(super) fn asked(args: &WindowArgs) -> Result<Window> {
    let words = WindowWords {
        last: args.last.as_deref(),
        last_hops: args.last_hops.as_deref(),
        since: args.since,
        end: &args.end,
        aligned: args.aligned,
        mark: "--",
    };
    words.window()
}

/// The windowed store that is meant.
pub(super) fn store(context: &Context<'_>, args: &WindowArgs) -> Result<RawWindowClient> {
    super::read::has_stores(context)?;
    let windowed: Vec<StoreFace> = context
        .plan
        .stores()
        .iter()
        .filter(|s| s.windows.is_some())
        .copied()
        .collect();
    let face = match (&args.reads.store, &windowed[..]) {
        (Some(name), _) => *named(context, name)?,
        (None, [one]) => *one,
        (None, []) => {
            return Err(Error::invalid(format!(
                "job `{}` has no windowed store: `get` reads the others",
                context.plan.job()
            )));
        }
        (None, many) => return Err(which(many.iter().map(|s| s.name))),
    };
    context.check_data()?;
    let mut client = context.client().raw_windows(face)?;
    if args.reads.accept_holes {
        client = client.accept_holes();
    }
    if let Some(token) = &args.reads.at_least {
        client = client.at_least(token.offsets());
    }
    if let Some(deadline) = args.reads.deadline {
        client = client.until(deadline);
    }
    Ok(client)
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
        .map(|text| key_of_windows(&face, text))
        .collect::<Result<Vec<_>>>()?;
    let bytes: Vec<Vec<u8>> = keys.iter().map(|(bytes, _)| bytes.clone()).collect();
    let answers = match every {
        Some(every) => client.tumbling(&bytes, &window, every)?,
        None => client.read(&bytes, &[window])?,
    };
    for ((text, (_, shown)), answers) in args.keys.iter().zip(keys).zip(answers) {
        for answer in answers {
            match answer {
                Ok(answer) if out::is_json() => {
                    out::line(answer.to_json(&face, shown.clone())?);
                }
                Ok(answer) => drop(out::line(line(&face, text, &answer)?)),
                Err(e) => {
                    out::complain(&e);
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
