//! Ads by campaign and hour as a program: see `ad-engagement --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::ad_engagement::ad_engagement;

fn main() -> ExitCode {
    App::new(ad_engagement).main()
}
