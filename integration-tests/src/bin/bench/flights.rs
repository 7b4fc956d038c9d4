//! Flights in bulk over Parquet.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rufous_examples::flights::{BY_ORIGIN_DAY, flights};
use rufous_integration_tests::data;
use rufous_integration_tests::run::State;
use rufous_platform_parquet::BulkInput;

use crate::clock::{Clock, print};

pub(crate) fn flights_parquet(times: usize) -> Result<()> {
    let files: Vec<PathBuf> = match data::large() {
        Some(large) => (1..=2)
            .map(|n| large.join(format!("flights/flights-2001-0{n}.parquet")))
            .collect(),
        None => (1..=2)
            .map(|n| data::sample(&format!("flights-sample-{n}.parquet")))
            .collect(),
    };
    let plan = flights().plan()?;
    let once = State::memory(&plan);
    let rows = once.bulk(&plan, BulkInput::parquet(files.clone()), None)?.records;
    let dir = tempfile::tempdir()?;
    let many = State::disk_every_second(&plan, dir.path())?;
    let inputs: Vec<PathBuf> = (0..times).flat_map(|_| files.clone()).collect();
    let clock = Clock::start();
    let report = many.bulk(&plan, BulkInput::parquet(inputs), None)?;
    let time = clock.stop();
    let client = (
        once.client(&plan).store(BY_ORIGIN_DAY)?,
        many.client(&plan).store(BY_ORIGIN_DAY)?,
    );
    let sum = |c: &rufous::client::StoreClient<_, _>| -> Result<rufous_examples::flights::FlightStats> {
        c.sum_under(())?.value.context("flights")
    };
    let (a, b) = (sum(&client.0)?, sum(&client.1)?);
    let n = times as i64;
    let exact = b.flights == a.flights * times as u64
        && b.distance == a.distance * n
        && b.delay == a.delay * n
        && (b.delay_min, b.delay_max) == (a.delay_min, a.delay_max)
        && b.destinations == a.destinations
        && report.records == rows * times as u64;
    print(
        "flights, in bulk over Parquet (generation written and published)",
        "rows",
        report.records,
        time,
        exact,
    );
    Ok(())
}
