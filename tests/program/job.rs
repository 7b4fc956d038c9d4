//! The program that the tests of the command line run.

#[path = "words.rs"]
mod words;

use rufous::App;

/// An argument of the job that is called like a flag of every command.
#[derive(clap::Args)]
struct Clashing {
    #[arg(long)]
    data: Option<String>,
}

/// The job as it is tested, or as `JOB_OF_TESTS` asks for it.
fn main() -> std::process::ExitCode {
    match std::env::var("JOB_OF_TESTS").as_deref() {
        Ok("clashing") => {
            let clashing = |args: &Clashing| {
                let min_len = args.data.as_ref().map_or(1, String::len);
                words::words(&words::Args { min_len })
            };
            App::new(clashing).main()
        }
        // The program itself says nothing of sources and sinks.
        Ok("unbound") => App::new(words::words).main(),
        _ => words::app().main(),
    }
}
