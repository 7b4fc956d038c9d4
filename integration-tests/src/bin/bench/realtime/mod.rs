//! `./x bench realtime`: the table of issue "Realtime on Kafka". One broker and one set of topics for all subjects; each
//! subject is a process of its own; every line says whether its totals were exact.

mod follow;
pub(crate) mod generate;
mod process;
mod rows;
mod rufous;
mod topic;

use anyhow::{Result, bail};
use clap::Parser;

/// What of the table is made, and how large.
#[derive(Parser, Debug)]
#[command(name = "bench realtime")]
pub(crate) struct Options {
    /// Records of the word count; the other inputs have a fifth of it
    #[arg(long, default_value_t = 50_000_000)]
    records: u64,
    /// Runs of a row, of which the median counts; a row of 20 million records or more has one less, but at least one
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// A minute or two: 5,000,000 records, one run
    #[arg(long)]
    quick: bool,
    /// Only these parts: words, commits, partitions, json, uniform, streams, latency, restart
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Records a second of the latency row [default: half of what the machine sustains, producer included]
    #[arg(long)]
    rate: Option<f64>,
}

pub(crate) use rows::head;

/// Prints the table.
pub(crate) fn table(args: &[String]) -> Result<()> {
    let mut options = Options::parse_from(std::iter::once("bench realtime".to_string()).chain(args.iter().cloned()));
    if options.quick {
        (options.records, options.runs) = (5_000_000, 1);
    }
    rows::table(&options)
}

/// One subject, in a process of its own.
pub(crate) fn subject(args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((name, rest)) => match name.as_str() {
            "rufous" => rufous::counted(rest),
            "follow" => follow::restarted(rest),
            "latency" => follow::latency(rest),
            other => bail!("no subject `{other}`"),
        },
        None => bail!("subject rufous|follow|latency ..."),
    }
}
