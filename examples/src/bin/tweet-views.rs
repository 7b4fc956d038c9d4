//! Writes the log of `tweet-embeds` to standard output: 100,000 views over 48 hours, a JSON line each, in the order in which
//! they are logged.

use std::io::{self, BufWriter, Write};

use rufous_examples::tweet_embeds::generate_views;

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (_, view) in generate_views(7, 100_000, 48) {
        writeln!(out, "{{\"tweet\":{},\"at\":\"{}\"}}", view.tweet, view.at)?;
    }
    out.flush()
}
