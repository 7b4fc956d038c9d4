//! `./x bench bulk`: jobs over Parquet beside analytical engines on the same files. Every subject is a process of its own, and
//! says its answers, which are compared with the generator's.

mod incremental;
mod input;
mod rows;
mod subject;

use anyhow::Result;
use clap::Parser;

/// What of the table is made, and how large.
#[derive(Parser, Debug)]
#[command(name = "bench bulk")]
pub(crate) struct Options {
    /// Words, one a row
    #[arg(long, default_value_t = 50_000_000)]
    words: u64,
    /// Rows of ads; keys of the backfill are a fifth of it
    #[arg(long, default_value_t = 100_000_000)]
    ads: u64,
    /// Runs of each subject by turns, of which the fastest counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A twentieth of the rows, one run
    #[arg(long)]
    quick: bool,
    /// Only these parts: words, sums, uniques, windows, as-of, backfill, incremental
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The Python that has the rivals of integration-tests/bench/rivals/requirements.txt; without it there are none
    #[arg(long)]
    python: Option<std::path::PathBuf>,
}

/// Prints the table.
pub(crate) fn table(args: &[String]) -> Result<()> {
    let mut options = Options::parse_from(std::iter::once("bench bulk".to_string()).chain(args.iter().cloned()));
    if options.quick {
        (options.words, options.ads, options.runs) = (options.words / 20, options.ads / 20, 1);
    }
    rows::table(&options)
}

pub(crate) use incremental::subject as days;
pub(crate) use subject::subject;
