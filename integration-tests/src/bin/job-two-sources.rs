//! A job whose operator reads two sources, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_integration_tests::two_sources::two_sources).main()
}
