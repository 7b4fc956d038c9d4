//! `./x crash` and `./x soak`: faults in numbers, over a real Kafka, against `job-word-count`, which lies beside this program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use rufous_integration_tests::torture::{Reads, Soak, crash, reads, soak};

/// Faults in numbers, over a real Kafka: every answer is compared with what was produced.
#[derive(Parser)]
#[command(name = "torture")]
enum Args {
    /// kill -9 of stream, archive and batch at seeded instants, on one data directory
    Crash {
        /// How many seeds, a kill or two each
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The first seed
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
    /// Answers that are checked against the log, while a job streams, publishes, computes its history anew and is killed
    Reads {
        /// How many
        #[arg(long, default_value_t = 100_000)]
        answers: u64,
        /// Of the words that are produced and asked for
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A job for long, under kills, a broker that hangs or dies, members that come and go, malformed records
    Soak {
        /// How long
        #[arg(long, default_value_t = 30.0)]
        minutes: f64,
        /// Records a second
        #[arg(long, default_value_t = 5_000)]
        rate: u64,
        /// Of the order of the faults
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:#}\nexact: NO, or it was not shown");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let mut say = |line: String| println!("{line}");
    match *args {
        Args::Crash { seeds, first } => {
            let seen = crash(&program()?, first..first + seeds, &mut say)?;
            let (median, most) = seen.reopen();
            println!(
                "{} kills -9, {} comparisons, reopen median {median:.1?}, max {most:.1?}; exact: yes",
                seen.kills.iter().sum::<u64>(),
                seen.compared
            );
            Ok(())
        }
        Args::Reads { answers, seed } => {
            let how = Reads {
                answers,
                seed,
                limit: Duration::from_secs(1800),
            };
            reads(&program()?, &how, &mut say)?;
            println!("0 wrong, 0 without what they name; exact: yes");
            Ok(())
        }
        Args::Soak { minutes, rate, seed } => {
            let how = Soak {
                time: Duration::try_from_secs_f64(minutes * 60.0).context("--minutes")?,
                rate: rate.max(1),
                seed,
                ..Soak::default()
            };
            soak(&program()?, &how, &mut say)
        }
    }
}

fn program() -> Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("job-word-count");
    anyhow::ensure!(
        beside.exists(),
        "{} is missing: build it by `cargo build --release -p rufous-integration-tests --bins`",
        beside.display()
    );
    Ok(beside)
}
