//! `completions`: what makes a shell complete the commands of this program.

use std::io::Write;

use clap::Command;
use clap::builder::PossibleValuesParser;
use clap_complete::{Shell, generate};
use serde_json::json;

use super::{cli, out};
use crate::core::{Error, Result};

/// The shells that are known.
pub(super) const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

/// Prints it, for the name that the program was called by.
///
/// # Errors
/// `InvalidRequest` when the shell is not known.
pub(super) fn completions<A: clap::Args>(shell: &str, stores: &[&'static str]) -> Result<()> {
    let shell: Shell = shell
        .parse()
        .map_err(|_| Error::invalid(format!("shell `{shell}` is not known: one of {}", SHELLS.join(", "))))?;
    let called = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = called
        .as_ref()
        .and_then(|path| path.file_name())
        .and_then(|name| name.to_str());
    let mut command = cli::command::<A>();
    if !stores.is_empty() {
        command = with_stores(command, stores);
    }
    // Written as a whole: a reader that closed its end is no error.
    let mut text = Vec::new();
    generate(shell, &mut command, name.unwrap_or("job"), &mut text);
    if out::is_json() {
        let script = String::from_utf8_lossy(&text);
        out::line(json!({ "shell": shell.to_string(), "script": script }));
        return Ok(());
    }
    let _ = std::io::stdout().lock().write_all(&text);
    Ok(())
}

/// The same with the names that `--store` takes.
fn with_stores(command: Command, stores: &[&'static str]) -> Command {
    let named: Vec<String> = command
        .get_subcommands()
        .filter(|sub| sub.get_arguments().any(|arg| arg.get_id() == "store"))
        .map(|sub| sub.get_name().to_string())
        .collect();
    named.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| {
            sub.mut_arg("store", |arg| {
                arg.value_parser(PossibleValuesParser::new(stores.to_vec()))
            })
        })
    })
}
