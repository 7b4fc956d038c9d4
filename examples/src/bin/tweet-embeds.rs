//! Views of tweets by page as a program: see `tweet-embeds --help`. The pages are those of the generator; `tweet-views` writes
//! the views.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::tweet_embeds::{EMBEDDED_ON, pages, tweet_embeds};

fn main() -> ExitCode {
    App::new(tweet_embeds).service(EMBEDDED_ON, pages(7, 48)).main()
}
