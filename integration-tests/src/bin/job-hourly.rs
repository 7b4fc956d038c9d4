//! Hourly counters and visitors of many pages, as a program.

use std::process::ExitCode;

/// As README advises whoever serves many.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rufous::App::new(rufous_integration_tests::hourly::hourly).main()
}
