//! GitHub's events by repository and type as a program: see `github --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::github::github;

fn main() -> ExitCode {
    App::new(github).main()
}
