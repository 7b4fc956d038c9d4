//! `./x bench servers`: commits into stores that processes share, reads of many keys, and a job as one and as two processes.

mod commits;
mod limit;
mod processes;

pub(crate) use processes::subject;

use anyhow::Result;
use clap::Parser;

/// What is measured, and how large.
#[derive(Parser, Debug)]
#[command(name = "bench servers")]
pub(crate) struct Options {
    /// Distinct cells of a commit
    #[arg(long, default_value_t = 20_000)]
    cells: u32,
    /// Commits of new cells, and as many again of the same ones
    #[arg(long, default_value_t = 25)]
    commits: u32,
    /// Lines that one and two processes read
    #[arg(long, default_value_t = 3_000_000)]
    lines: u64,
    /// Runs, of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Only these parts: commits, processes
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

pub(crate) fn table(args: &[String]) -> Result<()> {
    let options = Options::parse_from(std::iter::once("bench servers".to_string()).chain(args.iter().cloned()));
    let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|o| o == part);
    if wanted("commits") {
        commits::table(&options)?;
    }
    if wanted("processes") {
        processes::table(&options)?;
    }
    Ok(())
}

/// The middle one.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
