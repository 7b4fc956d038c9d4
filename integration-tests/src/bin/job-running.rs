//! A job of operators with memory, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_integration_tests::running::running).main()
}
