//! `sink list`, `sink read`, `sink release`, `sink resume`.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::read::{Read, read};
use super::{marks, promised, turns};
use crate::app::cli::stopped;
use crate::app::generations::now;
use crate::app::open::Context;
use crate::app::out;
use crate::app::settings::no_port;
use crate::app::state::Alone;
use crate::core::sink::{Layer, SinkBinding};
use crate::core::{Error, Result};
use crate::store_api::WrittenId;

/// The command; `sub` makes one with what every command takes.
pub(in crate::app) fn command(sub: &dyn Fn(&'static str, &'static str) -> Command) -> Command {
    let named = |c: Command| {
        c.arg(
            Arg::new("name")
                .value_name("NAME")
                .required(true)
                .help("Which sink of the job"),
        )
    };
    let turns = |c: Command| c.arg(stopped("Where the state is in a server: no process of the job runs"));
    Command::new("sink")
        .about("What the job has written: how far, and the records; sinks that are given up")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(sub(
            "list",
            "Every sink: its place, what it promises, how far each partition is, what was lost to it",
        ))
        .subcommand(
            named(sub(
                "read",
                "The records of a table, of files up to their mark, or of a generation, as JSON lines",
            ))
            .arg(
                Arg::new("generation")
                    .long("generation")
                    .value_name("N")
                    .value_parser(value_parser!(u64))
                    .help("Of which generation, where batch runs write the sink [default: the newest]"),
            )
            .arg(
                Arg::new("from")
                    .long("from")
                    .value_name("ID")
                    .help("From this record on, as the lines name it: SINK/SOURCE/PARTITION/OFFSET/NUMBER, or less of it from the left"),
            )
            .arg(
                Arg::new("limit")
                    .long("limit")
                    .value_name("N")
                    .value_parser(value_parser!(u64))
                    .help("So many at most [default: all]"),
            ),
        )
        .subcommand(turns(named(sub(
            "release",
            "Give a sink up: it is not written any more, and holds nothing. Stop the job first",
        ))))
        .subcommand(turns(named(sub(
            "resume",
            "Take a sink up again that was given up; what cannot be made any more is recorded in it as lost. Stop the job first",
        ))))
}

/// What is asked for.
pub(in crate::app) struct Asked<'a>(pub(in crate::app) &'a str, pub(in crate::app) &'a ArgMatches);

impl Asked<'_> {
    pub(in crate::app) fn run(&self, context: &Context<'_>) -> Result<()> {
        let Self(word, m) = self;
        if *word == "list" {
            return list(context);
        }
        let name: &String = m.get_one("name").ok_or_else(|| Error::bug("a sink without a name"))?;
        let known: Vec<_> = context.plan.sinks().iter().map(|(name, _)| *name).collect();
        if !known.contains(&name.as_str()) {
            return Err(no_port(context.plan.job(), "sink", name, &known));
        }
        match *word {
            "read" => {
                context.sinks.of(context.plan)?;
                let binding = bound(context, name)?;
                let from: Option<&String> = m.get_one("from");
                let asked = Read {
                    generation: m.get_one("generation").copied(),
                    from: from.map(|id| WrittenId::parse(name, id)).transpose()?,
                    limit: m.get_one("limit").copied().unwrap_or(u64::MAX),
                };
                read(context, binding, &asked)
            }
            "release" | "resume" if bound(context, name).is_ok_and(|b| b.layer() == Layer::Batch) => {
                Err(Error::invalid(format!(
                    "sink `{name}` is written by batch runs, with each generation: it holds nothing, so there is nothing to release or to \
                 resume; bind it elsewhere to have later generations go without it"
                )))
            }
            "release" => turn(context, name, true, m.get_flag("stopped")),
            "resume" => turn(context, name, false, m.get_flag("stopped")),
            other => Err(Error::bug(format!("command `sink {other}` has no implementation"))),
        }
    }
}

fn bound<'a>(context: &'a Context<'_>, name: &str) -> Result<&'a SinkBinding> {
    context
        .sinks
        .get(name)
        .ok_or_else(|| Error::invalid(format!("sink `{name}` is not bound")))
}

fn list(context: &Context<'_>) -> Result<()> {
    let mut failed = None;
    for (name, _) in context.plan.sinks() {
        let Some(binding) = context.sinks.get(name) else {
            out::say(
                || format!("{name}: not bound"),
                || json!({ "sink": name, "place": null }),
            );
            continue;
        };
        let turn = turns::newest(&context.offline, name)?;
        let found = marks::of(context, binding);
        let wanted = out::say(
            || {
                let turned = turn.as_ref().map_or_else(String::new, |turn| format!("; {turn}"));
                let mut text = format!("{name}: {}, {}{turned}", binding.place, promised(binding));
                match &found {
                    Ok(marks) if marks.is_empty() => text += "\n  not begun",
                    Ok(marks) => marks.iter().for_each(|mark| text += &format!("\n  {mark}")),
                    Err(e) => text += &format!("\n  how far it is cannot be said: {e}"),
                }
                text
            },
            || {
                let marks = found.as_ref().map(|marks| marks.iter().map(mark).collect::<Vec<_>>());
                json!({
                    "sink": name, "place": binding.place.to_string(), "promise": promised(binding),
                    "released": turn.as_ref().is_some_and(|turn| turn.released), "turn": turn.as_ref().map(ToString::to_string),
                    "marks": marks.as_ref().ok(), "unknown": marks.as_ref().err().map(ToString::to_string),
                })
            },
        );
        failed = failed.or(found.err());
        if !wanted {
            break;
        }
    }
    if context.plan.sinks().is_empty() {
        out::people(|| format!("job `{}` has no sinks", context.plan.job()));
    }
    match failed {
        None => Ok(()),
        Some(e) => Err(Error::new(e.kind(), format!("not all sinks can be looked at: {e}"))),
    }
}

/// How far a partition is, for programs.
fn mark(mark: &marks::Mark) -> Value {
    let holes = { mark.holes.iter() }.map(|hole| json!({ "from": hole.from, "to": hole.to, "reason": hole.reason }));
    json!({
        "source": mark.partition.source, "partition": mark.partition.partition, "written_to": mark.at, "start": mark.start,
        "lost": holes.collect::<Vec<_>>(),
    })
}

impl std::fmt::Display for marks::Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.partition)?;
        match self.at {
            Some(at) => write!(f, "written up to offset {at}")?,
            None => f.write_str("begun, and its mark is gone")?,
        }
        if let Some(start) = self.start {
            write!(f, ", from offset {start} on")?;
        }
        for hole in &self.holes {
            write!(f, "; lost: offsets {} to {} ({})", hole.from, hole.to, hole.reason)?;
        }
        Ok(())
    }
}

/// Gives a sink up, or takes it up again, while no live part runs that would go on otherwise.
fn turn(context: &Context<'_>, name: &str, released: bool, stopped: bool) -> Result<()> {
    // Before as well: of a live part that is about to stop, where it stands now is not where it will have stood.
    drop(alone(context, stopped)?);
    let stood = match super::permission::stands(context) {
        Ok(stands) => stands.unwrap_or_default(),
        // A state that is damaged or gone is made anew.
        Err(e) if e.kind() == crate::core::ErrorKind::CorruptData => Default::default(),
        Err(e) => return Err(e),
    };
    let _alone = alone(context, stopped)?;
    let turn = turns::take(&context.offline, name, released, now(), stood)?;
    out::say(
        || {
            let then = if released {
                format!(
                    "the next `stream` does not write it, and it holds nothing; `sink resume {name}` takes it up again"
                )
            } else {
                "the next `stream` writes it from its mark on; what cannot be made any more is recorded in it as lost"
                    .into()
            };
            format!("sink `{name}` is {turn}: {then}")
        },
        || json!({ "event": "turn", "sink": name, "released": released, "turn": turn.to_string() }),
    );
    Ok(())
}

/// Nobody writes the state as long as this is kept. `stopped`: of a server, which does not know who would write, the user says so.
fn alone(context: &Context<'_>, stopped: bool) -> Result<Option<Alone>> {
    context.check_stopped(stopped)?;
    let namespace = context.namespace(&*context.manifests)?;
    context.state.alone(&namespace).map_err(|e| match e.kind() {
        crate::core::ErrorKind::Closed => Error::closed(format!(
            "the live part runs, and would go on as it began ({e}): stop it, say this again, then start it"
        )),
        _ => e,
    })
}
