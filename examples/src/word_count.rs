//! Word count: the smallest job.

use rufous::AsKey;
use rufous::prelude::*;

/// Lines of text.
pub const LINES: Source<str> = Source::new("lines").batches(Batcher::of_hours(1));
/// How often each word occurs.
pub const COUNTS: Store<String, u64> = Store::new("counts");

/// Arguments of the job.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Shortest word that counts, in characters
    #[arg(long, default_value_t = 1)]
    pub min_len: usize,
}

/// Counts words: maximal runs of alphabetic characters, in lower case.
pub fn word_count(args: &Args) -> Job {
    let min_len = args.min_len;
    let counts = LINES
        .read()
        .keyed(move |line, out| {
            for word in words(line) {
                if min_len <= 1 || word.chars().count() >= min_len {
                    out.emit(Lower(word), 1);
                }
            }
        })
        .sum_by_key(COUNTS);
    Job::new("word-count", counts)
}

/// Maximal runs of characters with the Unicode property Alphabetic.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| {
        if c.is_ascii() {
            !c.is_ascii_alphabetic()
        } else {
            !c.is_alphabetic()
        }
    })
    .filter(|w| !w.is_empty())
}

/// A word that spells its lower case straight into the key: nothing is allocated.
struct Lower<'a>(&'a str);

impl AsKey for Lower<'_> {
    type Key = String;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        if self.0.is_ascii() {
            let start = out.len();
            self.0.encode_key(out);
            out[start..].make_ascii_lowercase();
        } else {
            self.0.to_lowercase().encode_key(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words() -> rufous::Result<()> {
        let job = word_count(&Args { min_len: 2 });
        let run = job
            .test()
            .given(LINES, ["To be, or", "not to be: a_b", "ÉTÉ été"])
            .every_split()?;
        assert_eq!(run.get(COUNTS, "to"), Some(2));
        assert_eq!(run.get(COUNTS, "été"), Some(2));
        assert_eq!(run.get(COUNTS, "a"), None);
        assert_eq!(run.all(COUNTS).len(), 5);
        Ok(())
    }
}
