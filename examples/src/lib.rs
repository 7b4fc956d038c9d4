//! Jobs, each with its test, and binaries that choose where they run: `word-count` and `flights`.

pub mod flights;
pub mod word_count;
