//! Writes made-up events of ads, the same for the same seed: `generate-ads --seed 7 --events 200000 > ads.jsonl`.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use rufous_examples::ad_engagement::generate::{events, json_line};

/// Made-up events of ads as lines of JSON, in the order in which they are logged
#[derive(Parser)]
struct Args {
    /// Another seed, other events
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many, spread over a day
    #[arg(long, default_value_t = 200_000)]
    events: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = events(args.seed, args.events)
        .try_for_each(|event| writeln!(out, "{}", json_line(&event)))
        .and_then(|()| out.flush());
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closed its end (`| head`) has all it wanted.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: standard output cannot be written: {e}");
            ExitCode::FAILURE
        }
    }
}
