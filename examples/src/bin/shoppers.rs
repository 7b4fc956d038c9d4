//! Uniques by customer and day as a program: see `shoppers --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::shoppers::shoppers;

fn main() -> ExitCode {
    App::new(shoppers).main()
}
