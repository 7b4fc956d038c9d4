//! Which routes changed from one data directory of `routes` to another.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rufous::App;
use rufous_examples::month_over_month::{
    join::{Way, join},
    routes,
};

/// Routes whose mean delay changed most from one month to another
#[derive(Parser)]
struct Args {
    /// The data directory of `routes` with the first month
    #[arg(long)]
    before: PathBuf,
    /// The one with the second
    #[arg(long)]
    after: PathBuf,
    /// How the two are joined
    #[arg(long, value_enum, default_value = "hash")]
    join: Way,
    /// Only routes of at least so many flights in each
    #[arg(long, default_value_t = 1)]
    flights: u64,
    /// How many lines
    #[arg(short, default_value_t = 20)]
    n: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let open = |dir| App::new(routes).client(Some(dir));
    let found = open(&args.before).and_then(|before| {
        let after = open(&args.after)?;
        join(&before, &after, args.join, args.n, args.flights)
    });
    match found {
        Ok(found) => {
            // A reader that closed its end (`| head`) is no error.
            let _ = std::io::stdout().write_all(found.table().as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.kind().exit_code())
        }
    }
}
