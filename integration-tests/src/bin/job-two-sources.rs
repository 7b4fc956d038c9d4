//! A job whose operator reads two sources, as a program; with `TWO_SOURCES_WRITE` it also writes what it emits.

use std::process::ExitCode;

use rufous_integration_tests::two_sources::{EMITTED, two_sources, two_sources_written};

fn main() -> ExitCode {
    if std::env::var_os("TWO_SOURCES_WRITE").is_some() {
        return rufous::App::new(two_sources_written)
            .sink(EMITTED, rufous::sink::table())
            .main();
    }
    rufous::App::new(two_sources).main()
}
