//! A job with arguments, two stores, a windowed store and a sink.

use rufous::prelude::*;
use rufous::sink::files;

pub(crate) const LINES: Source<str> = Source::new("lines").batches(Batcher::of_offsets(150));
pub(crate) const COUNTS: Store<String, u64> = Store::new("counts");
pub(crate) const BY_LENGTH: Store<u32, u64> = Store::new("by-length");
pub(crate) const HOURLY: WindowedStore<String, u64> = WindowedStore::new("hourly", &[HopSize::hours(1)]);
pub(crate) const LONG: Sink<String> = Sink::new("long-words");

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Shortest word that counts
    #[arg(long, default_value_t = 1)]
    pub(crate) min_len: usize,
}

pub(crate) fn words(args: &Args) -> Job {
    let min_len = args.min_len;
    let words = LINES
        .read()
        .flat_map(move |line: &str, out| {
            for word in line.split_whitespace().filter(|w| w.len() >= min_len) {
                out.emit(word.to_string());
            }
        })
        .named("split");
    let counts = words
        .clone()
        .keyed(|word, out| out.emit(word.as_str(), 1))
        .sum_by_key(COUNTS);
    let by_length = words
        .clone()
        .keyed(|word, out| out.emit(word.len() as u32, 1))
        .sum_by_key(BY_LENGTH);
    let hourly = words
        .clone()
        .keyed(|word, out| out.emit((word.as_str(), Timestamp(0)), 1))
        .windowed_sum_by_key(HOURLY);
    let long = words.filter(|word| word.len() > 6).write(LONG);
    Job::new("words", (counts, by_length, hourly, long))
}

#[allow(dead_code, reason = "the program alone runs it")]
pub(crate) fn app() -> App<Args> {
    App::new(words)
        .source(LINES, "file:lines.txt")
        .sink(LONG, files("long"))
}
