//! Word count whose batches are as long as an argument says: a job that is cut anew.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_integration_tests::recut::counted).main()
}
