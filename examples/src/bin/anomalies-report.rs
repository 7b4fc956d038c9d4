//! Which airports and hours stand out: `anomalies-report`, beside `anomalies`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rufous::App;
use rufous_examples::anomalies::{
    anomalies,
    report::{Rule, find, table},
};

/// Airports and hours whose mean delay lies far above what is usual there
#[derive(Parser)]
struct Args {
    /// The data directory of `anomalies` [default: as its commands find it]
    #[arg(long)]
    data: Option<PathBuf>,
    /// So many deviations above the baseline
    #[arg(long, default_value_t = 3.0)]
    deviations: f64,
    /// Only hours of at least so many flights
    #[arg(long, default_value_t = 5)]
    flights: i64,
    /// How many lines
    #[arg(short, default_value_t = 20)]
    n: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let rule = Rule {
        deviations: args.deviations,
        flights: args.flights,
    };
    let client = App::new(anomalies).client(args.data.as_deref());
    match client.and_then(|client| find(&client, rule)) {
        Ok(found) => {
            // A reader that closed its end (`| head`) is no error.
            let _ = std::io::stdout().write_all(table(&found, args.n).as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.kind().exit_code())
        }
    }
}
