//! A job that writes to sinks, as a program: `ALERTS_TO` says where.

use std::process::ExitCode;

use rufous::sink::{files, topic};
use rufous_integration_tests::alerts::{COPIES, OVERDRAWN, alerts};

fn main() -> ExitCode {
    let app = rufous::App::new(alerts);
    let to = std::env::var("ALERTS_TO").unwrap_or_default();
    let at = |sink: &str| {
        to.split_once(' ')
            .map(|(_, at)| format!("{at}{sink}"))
            .unwrap_or_default()
    };
    match to.split(' ').next().unwrap_or_default() {
        "files" => app
            .sink(OVERDRAWN, files(at("overdrawn")))
            .sink(COPIES, files(at("copies"))),
        "topic" => app
            .sink(OVERDRAWN, topic(at("overdrawn")))
            .sink(COPIES, topic(at("copies")).text()),
        "again" => {
            let topics = |sink| topic(at(sink)).at_least_once();
            app.sink(OVERDRAWN, topics("overdrawn"))
                .sink(COPIES, topics("copies").text())
        }
        _ => app,
    }
    .main()
}
