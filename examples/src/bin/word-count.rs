//! Word count as a program: see `word-count --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::word_count::word_count;

fn main() -> ExitCode {
    App::new(word_count).main()
}
