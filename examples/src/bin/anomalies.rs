//! Baselines and hours of delays as a program: see `anomalies --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::anomalies::anomalies;

fn main() -> ExitCode {
    App::new(anomalies).main()
}
