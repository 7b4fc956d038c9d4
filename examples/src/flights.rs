//! Flights by airport and day: a struct of monoids is a monoid.

use rufous::prelude::*;

/// A flight, from JSON lines or Parquet rows.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Flight {
    /// Departure.
    pub date: Timestamp,
    /// Minutes; negative: early.
    pub delay: i64,
    /// Miles.
    pub distance: i64,
    /// Where from.
    pub origin: Text,
    /// Where to.
    pub destination: Text,
}

/// What is kept for an airport and a day.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct FlightStats {
    /// How many.
    pub flights: u64,
    /// Sum of miles.
    pub distance: i64,
    /// Sum of delays in minutes.
    pub delay: i64,
    /// The least delay.
    pub delay_min: Min<i64>,
    /// The greatest delay.
    pub delay_max: Max<i64>,
    /// How many different destinations.
    pub destinations: Hll<12>,
    /// Quantiles of delays.
    pub delays: Quantiles,
}

impl Absorb<Flight> for FlightStats {
    fn absorb(&mut self, f: &Flight) {
        self.flights += 1;
        self.distance = self.distance.wrapping_add(f.distance);
        self.delay = self.delay.wrapping_add(f.delay);
        self.delay_min.absorb(&f.delay);
        self.delay_max.absorb(&f.delay);
        self.destinations.insert(&f.destination);
        self.delays.insert(f.delay);
    }
}

/// All flights; a batch is a day of departures.
pub const FLIGHTS: Source<Flight> = Source::new("flights")
    .batches(Batcher::of_days(1))
    .batch_clock(Clock::Event)
    .time_field("date")
    .timed_by(|f| f.date);
/// Per airport and day.
pub const BY_ORIGIN_DAY: Store<(String, TimeBucket), FlightStats> = Store::new("by-origin-day");

/// Flights, distances, delays and destinations by airport and day.
pub fn flights() -> Job {
    let by_origin_day = FLIGHTS
        .read()
        .key_by(|f| (f.origin.clone(), TimeBucket::day(f.date)))
        .aggregate_by_key(BY_ORIGIN_DAY);
    Job::new("flights", by_origin_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(day: i64, origin: &str, destination: &str, delay: i64) -> Flight {
        Flight {
            date: Timestamp(day * 86_400_000 + 5),
            delay,
            distance: 100,
            origin: origin.into(),
            destination: destination.into(),
        }
    }

    #[test]
    fn by_airport_and_day() -> rufous::Result<()> {
        let all = [
            flight(0, "ATL", "LAX", -1_116),
            flight(0, "ATL", "SFO", 30),
            flight(1, "ATL", "LAX", 0),
            flight(0, "LAX", "ATL", 7),
        ];
        let run = flights().test().given(FLIGHTS, all).run()?;
        let stats = run
            .get(BY_ORIGIN_DAY, ("ATL", TimeBucket::day(Timestamp(0))))
            .expect("flown");
        assert_eq!((stats.flights, stats.distance, stats.delay), (2, 200, -1_086));
        assert_eq!(
            (stats.delay_min.get(), stats.delay_max.get()),
            (Some(&-1_116), Some(&30))
        );
        assert_eq!(stats.destinations.estimate().value.round(), 2.0);
        assert_eq!(run.all(BY_ORIGIN_DAY).len(), 3);
        Ok(())
    }

    #[test]
    fn laws() {
        let all = [
            flight(0, "ATL", "LAX", -3),
            flight(0, "ATL", "SFO", 30),
            flight(1, "ATL", "LAX", 0),
        ];
        laws::check_absorb::<Flight, FlightStats>(&all);
        laws::check(all.iter().map(|f| {
            let mut s = FlightStats::zero();
            s.absorb(f);
            s
        }));
    }
}
