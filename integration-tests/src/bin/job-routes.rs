//! `routes` where the tests of this package find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_examples::month_over_month::routes).main()
}
