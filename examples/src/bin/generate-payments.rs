//! Writes a made-up ledger, the same for the same seed: `generate-payments --seed 7 --events 50000 > ledger.jsonl`.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use rufous_examples::payments::generate::{json_line, ledger};

/// Made-up payments and rates as lines of JSON, in the order in which they are logged
#[derive(Parser)]
struct Args {
    /// Another seed, another ledger
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many, spread over three days; what is sent again comes on top
    #[arg(long, default_value_t = 50_000)]
    events: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = ledger(args.seed, args.events)
        .iter()
        .try_for_each(|entry| writeln!(out, "{}", json_line(entry)))
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
