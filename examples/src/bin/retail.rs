//! Retail totals by country and day as a program: see `retail --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::retail::retail;

fn main() -> ExitCode {
    App::new(retail).main()
}
