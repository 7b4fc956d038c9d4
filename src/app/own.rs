//! Arguments of the job's own: none may be called like one of the commands', which would take its value, or lose their own to it.

use std::collections::BTreeMap;

use clap::{Arg, Command};

use super::cli;
use super::settings::NAMES;
use crate::core::{Error, Result};

/// Names of an argument: its id, and what follows `--` and `-`.
fn names(arg: &Arg) -> Vec<String> {
    let long = arg.get_long_and_visible_aliases().unwrap_or_default();
    let hidden = arg.get_all_aliases().unwrap_or_default();
    let short = arg.get_short_and_visible_aliases().unwrap_or_default();
    let long = long.into_iter().chain(hidden).map(|name| format!("--{name}"));
    let mut all: Vec<String> = long.chain(short.into_iter().map(|name| format!("-{name}"))).collect();
    all.push(arg.get_id().to_string());
    all
}

/// Names of every argument of a command and those below, and whose they are.
fn taken(command: &Command, of: &str, all: &mut BTreeMap<String, String>) {
    for arg in command.get_arguments() {
        for name in names(arg) {
            all.entry(name).or_insert_with(|| format!("`{of}`"));
        }
    }
    for below in command.get_subcommands() {
        let of = format!("{of} {}", below.get_name());
        taken(below, of.trim(), all);
    }
}

/// Whether commands and job can be told apart.
///
/// # Errors
/// `InvalidRequest` with the argument, and whose name it has.
pub(super) fn check<A: clap::Args>() -> Result<()> {
    let mut all = BTreeMap::new();
    for name in ["help", "--help", "-h", "version", "--version", "-V"] {
        all.insert(name.to_string(), "every command".to_string());
    }
    taken(&cli::command::<()>(), "", &mut all);
    for name in NAMES {
        if let Some(flag) = name.flag {
            let of = || format!("the setting `{}`", name.show());
            all.entry(format!("--{flag}")).or_insert_with(of);
        }
    }
    let own = A::augment_args(Command::new("args"));
    for arg in own.get_arguments() {
        let Some((name, of)) = names(arg).into_iter().find_map(|name| all.get_key_value(&name)) else {
            continue;
        };
        return Err(Error::invalid(format!(
            "argument `{}` of the job: {of} has one of the name `{name}`",
            arg.get_id()
        ))
        .repaired_by("call it otherwise: the field, or `#[arg(id = \"..\", long = \"..\")]`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! args {
        ($name:ident { $($field:tt)* }) => {
            #[derive(clap::Args)]
            #[allow(dead_code, reason = "only its names are asked for")]
            struct $name { $($field)* }
        };
    }

    args!(Fine {
        #[arg(long, short, default_value_t = 1)]
        min_len: usize,
        #[arg(long, id = "base", long = "table-base")]
        database: Option<String>,
    });
    args!(Setting { #[arg(long)] database: Option<String> });
    args!(Common { #[arg(long)] memory: Option<String> });
    args!(Spelled { #[arg(long)] min_free: Option<String> });
    args!(Renamed { #[arg(long = "listen")] port: Option<String> });
    args!(Aliased {
        #[arg(long, alias = "json")]
        as_objects: bool
    });
    args!(Short {
        #[arg(short = 'n', long)]
        most: usize
    });
    args!(Place { #[arg(long = "my-keys")] keys: Option<String> });
    args!(Help { #[arg(long, short = 'h')] host: Option<String> });

    /// Whichever command has the name, and whichever of its names it is.
    #[test]
    fn an_argument_with_the_name_of_a_flag_is_refused() {
        check::<()>().unwrap();
        check::<Fine>().unwrap();
        let refused = |found: Result<()>, words: [&str; 2]| {
            let e = found.unwrap_err().to_string();
            assert!(words.iter().all(|word| e.contains(word)), "{e}");
        };
        refused(
            check::<Setting>(),
            ["argument `database`", "`views` has one of the name `--database`"],
        );
        refused(check::<Common>(), ["argument `memory`", "`--memory`"]);
        refused(
            check::<Spelled>(),
            ["argument `min_free`", "`doctor` has one of the name `--min-free`"],
        );
        refused(
            check::<Renamed>(),
            ["argument `port`", "`serve` has one of the name `--listen`"],
        );
        refused(check::<Aliased>(), ["argument `as_objects`", "`--json`"]);
        refused(check::<Short>(), ["argument `most`", "`top` has one of the name `-n`"]);
        refused(check::<Place>(), ["argument `keys`", "`keys`"]);
        refused(
            check::<Help>(),
            ["argument `host`", "every command has one of the name `-h`"],
        );
    }
}
