//! A job whose operator reads all partitions of two sources in one order, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_integration_tests::two_sources::one_order).main()
}
