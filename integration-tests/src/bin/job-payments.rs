//! `payments` where the tests of this package find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_examples::payments::payments).main()
}
