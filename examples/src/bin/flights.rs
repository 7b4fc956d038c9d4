//! Flights by airport and day as a program: see `flights --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::flights::flights;

fn main() -> ExitCode {
    App::new(flights).main()
}
