//! Row 26 of the fault table, short: 60 seconds of `./x soak`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use rufous_integration_tests::torture::{Soak, soak};

/// Kills, a hanging and a dying broker, a second member, malformed records, bulk runs, a reader: at the end it is exact.
#[test]
fn row_26_a_minute() -> Result<()> {
    let how = Soak {
        time: Duration::from_secs(60),
        rate: 2_000,
        calm: Duration::from_secs(3),
        line: Duration::from_secs(15),
        seed: 3,
    };
    let mut lines = Vec::new();
    soak(Path::new(env!("CARGO_BIN_EXE_job-word-count")), &how, &mut |line| {
        println!("{line}");
        lines.push(line);
    })?;
    ensure!(lines.iter().any(|l| l.contains("exact: yes")), "{lines:?}");
    Ok(())
}
