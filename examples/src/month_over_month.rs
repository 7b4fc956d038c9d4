//! Two months of flights, each in a data directory of its own, and a program that joins them.

pub mod join;

use rufous::prelude::*;

use crate::flights::{FLIGHTS, Flight};

/// What is kept for a route.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Route {
    /// How many flights.
    pub flights: u64,
    /// Sum of delays in minutes.
    pub delay: i64,
}

impl Absorb<Flight> for Route {
    fn absorb(&mut self, f: &Flight) {
        self.flights += 1;
        self.delay = self.delay.wrapping_add(f.delay);
    }
}

impl Route {
    /// The mean delay in minutes; `None` where nobody flew.
    pub fn mean(&self) -> Option<f64> {
        (self.flights > 0).then(|| self.delay as f64 / self.flights as f64)
    }
}

/// By origin and destination.
pub const ROUTES: Store<(String, String), Route> = Store::new("routes");
/// Flights by origin: which buckets of routes there are.
pub const ORIGINS: Store<String, u64> = Store::new("origins");

/// Flights and delays by route.
pub fn routes() -> Job {
    let flights = FLIGHTS.read();
    let routes = flights
        .clone()
        .key_by(|f| (f.origin.clone(), f.destination.clone()))
        .aggregate_by_key(ROUTES);
    let origins = flights
        .keyed(|f, out| out.emit(f.origin.as_str(), 1))
        .sum_by_key(ORIGINS);
    Job::new("routes", (routes, origins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_route() -> rufous::Result<()> {
        let flight = |origin: &str, destination: &str, delay| Flight {
            date: Timestamp(0),
            delay,
            distance: 100,
            origin: origin.into(),
            destination: destination.into(),
        };
        let all = [
            flight("ATL", "LAX", -3),
            flight("ATL", "LAX", 10),
            flight("ATL", "SFO", 1),
        ];
        let run = routes().test().given(FLIGHTS, all).every_split()?;
        let route = run.get(ROUTES, ("ATL", "LAX")).expect("flown");
        assert_eq!((route.flights, route.delay, route.mean()), (2, 7, Some(3.5)));
        assert_eq!(run.get(ORIGINS, "ATL"), Some(3));
        Ok(())
    }
}
