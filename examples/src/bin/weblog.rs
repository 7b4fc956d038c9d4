//! Traffic of web servers by host and hour as a program: see `weblog --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::weblog::weblog;

fn main() -> ExitCode {
    App::new(weblog).main()
}
