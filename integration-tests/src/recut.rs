//! A job that may be cut in other ways.

use rufous::prelude::*;
use rufous_examples::word_count::{COUNTS, LINES, words};

/// Arguments of the job.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Hours of a batch
    #[arg(long, default_value_t = 1)]
    pub hours: u32,
}

/// Counts words as they are.
pub fn counted(args: &Args) -> Job {
    let lines = LINES.batches(Batcher::of_hours(args.hours));
    let counts = lines.read().keyed(|line, out| {
        for word in words(line) {
            out.emit(word, 1);
        }
    });
    Job::new("word-count", counts.sum_by_key(COUNTS))
}
