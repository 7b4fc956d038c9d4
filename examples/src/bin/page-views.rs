//! Page views in windows as a program: see `page-views --help`.

use std::process::ExitCode;

use rufous::App;
use rufous_examples::page_views::page_views;

fn main() -> ExitCode {
    App::new(page_views).main()
}
