//! What campaigns cost and bring: `ads-report`, beside `ad-engagement`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use rufous::App;
use rufous_examples::ad_engagement::{ad_engagement, report::report};

/// A table of campaigns, the dearest first
#[derive(Parser)]
struct Args {
    /// The data directory of `ad-engagement` [default: as its commands find it]
    #[arg(long)]
    data: Option<PathBuf>,
    /// The hours of this campaign
    #[arg(long)]
    campaign: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let client = App::new(ad_engagement).client(args.data.as_deref());
    match client.and_then(|client| report(&client, args.campaign.as_deref())) {
        Ok(text) => {
            // A reader that closed its end (`| head`) is no error.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.kind().exit_code())
        }
    }
}
