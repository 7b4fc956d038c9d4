//! A job that writes to sinks, as a program: `ALERTS_TO` says where, `ALERTS_ONLY=copies` leaves all but the copies out.

use std::process::ExitCode;

use rufous::sink::{each_generation, files, table, topic};
use rufous_integration_tests::alerts::{COPIES, OVERDRAWN, alerts, only_copies};

fn main() -> ExitCode {
    let to = std::env::var("ALERTS_TO").unwrap_or_default();
    let at = |sink: &str| {
        to.split_once(' ')
            .map(|(_, at)| format!("{at}{sink}"))
            .unwrap_or_default()
    };
    let place = to.split(' ').next().unwrap_or_default();
    if std::env::var("ALERTS_ONLY").is_ok_and(|only| only == "copies") {
        let app = rufous::App::new(only_copies);
        return match place {
            "files" => app.sink(COPIES, files(at("copies"))),
            _ => app.sink(COPIES, table()),
        }
        .main();
    }
    let app = rufous::App::new(alerts);
    match place {
        "files" => app
            .sink(OVERDRAWN, files(at("overdrawn")))
            .sink(COPIES, files(at("copies"))),
        "same-files" => app.sink(OVERDRAWN, files(at(""))).sink(COPIES, files(at("./"))),
        "table" => app.sink(OVERDRAWN, table()).sink(COPIES, table()),
        "topic" => app
            .sink(OVERDRAWN, topic(at("overdrawn")))
            .sink(COPIES, topic(at("copies")).text()),
        "again" => {
            let topics = |sink| topic(at(sink)).at_least_once();
            app.sink(OVERDRAWN, topics("overdrawn"))
                .sink(COPIES, topics("copies").text())
        }
        "generations" => app.sink(OVERDRAWN, each_generation()).sink(COPIES, each_generation()),
        "mixed" => app.sink(OVERDRAWN, each_generation()).sink(COPIES, files(at("copies"))),
        "both" => app
            .sink(OVERDRAWN, files(at("overdrawn")))
            .sink(OVERDRAWN, each_generation())
            .sink(COPIES, each_generation()),
        _ => app,
    }
    .main()
}
