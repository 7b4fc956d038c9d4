//! Jobs, each with its test, and binaries that choose where they run: `word-count`, `flights` and `profile`.

pub mod flights;
pub mod profile;
pub mod word_count;
