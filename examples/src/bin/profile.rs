//! The profile of a table as a program: see `profile --help`. `profile-page` makes a page of its answers.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::profile::profile;

fn main() -> ExitCode {
    App::new(profile).main()
}
