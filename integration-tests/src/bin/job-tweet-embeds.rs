//! `tweet-embeds` where the tests of this package find it.

use std::process::ExitCode;

use rufous_examples::tweet_embeds::{EMBEDDED_ON, pages, tweet_embeds};

fn main() -> ExitCode {
    rufous::App::new(tweet_embeds).service(EMBEDDED_ON, pages(7, 48)).main()
}
