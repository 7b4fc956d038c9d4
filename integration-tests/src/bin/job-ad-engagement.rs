//! `ad-engagement` where the tests of this package find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    rufous::App::new(rufous_examples::ad_engagement::ad_engagement).main()
}
