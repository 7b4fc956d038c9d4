//! Delays that stand out: a baseline that forgets, and exact moments by hour to hold against it.

pub mod report;

use rufous::algebra::{DecayedMoments, Moments};
use rufous::prelude::*;

use crate::flights::FLIGHTS;

/// After so many milliseconds a flight weighs half in the baseline: seven days.
pub const HALF_LIFE_MS: u64 = 7 * 86_400_000;
/// Mean and deviation of delays in minutes, of which recent ones count more.
pub type Baseline = DecayedMoments<HALF_LIFE_MS>;

/// What is usual, by airport.
pub const BASELINE: Store<String, Baseline> = Store::new("baseline");
/// What happened, by airport and hour of departure.
pub const BY_ORIGIN_HOUR: Store<(String, TimeBucket), Moments> = Store::new("by-origin-hour");

/// Baselines of delays by airport, moments of delays by airport and hour.
pub fn anomalies() -> Job {
    let flights = FLIGHTS.read();
    let baseline = flights
        .clone()
        .keyed(|f, out| out.emit(f.origin.as_str(), (f.date.0, f.delay as f64)))
        .aggregate_by_key(BASELINE);
    let hours = flights
        .keyed(|f, out| out.emit((f.origin.as_str(), TimeBucket::hour(f.date)), f.delay))
        .aggregate_by_key(BY_ORIGIN_HOUR);
    Job::new("anomalies", (baseline, hours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flights::Flight;

    fn flight(day: i64, delay: i64) -> Flight {
        Flight {
            date: Timestamp(day * 86_400_000),
            delay,
            distance: 100,
            origin: "ATL".into(),
            destination: "LAX".into(),
        }
    }

    /// The mean of 10, a week old, and 40, which is new.
    #[test]
    fn recent_flights_count_more() -> rufous::Result<()> {
        let run = anomalies()
            .test()
            .given(FLIGHTS, [flight(0, 10), flight(7, 40)])
            .every_split()?;
        let baseline = run.get(BASELINE, "ATL").expect("flown");
        assert!(baseline.mean().expect("flown").contains((10.0 + 2.0 * 40.0) / 3.0));
        assert!(baseline.variance().expect("flown").contains(200.0));
        let hour = TimeBucket::hour(Timestamp(7 * 86_400_000));
        let hour = run.get(BY_ORIGIN_HOUR, ("ATL", hour)).expect("flown");
        assert_eq!((hour.count(), hour.mean()), (1, Some(40.0)));
        Ok(())
    }
}
