//! The profile as a program of its own, for tests that start it.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::profile::profile;

fn main() -> ExitCode {
    App::new(profile).main()
}
