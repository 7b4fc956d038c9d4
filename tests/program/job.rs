//! The program that the tests of the command line run.

#[path = "words.rs"]
mod words;

fn main() -> std::process::ExitCode {
    words::app().main()
}
