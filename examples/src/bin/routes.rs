//! Flights and delays by route as a program: see `routes --help`. `month-over-month` joins two of its data directories.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::month_over_month::routes;

fn main() -> ExitCode {
    App::new(routes).main()
}
