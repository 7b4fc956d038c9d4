//! Makes a page of a profile: `profile top -n 100 --json | profile-page > profile.html`.

use std::io::Read as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut lines = String::new();
    let page = match std::io::stdin().read_to_string(&mut lines) {
        Ok(_) => rufous_examples::profile::page::page(&lines),
        Err(e) => Err(format!("standard input cannot be read: {e}")),
    };
    match page {
        Ok(page) => {
            print!("{page}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
