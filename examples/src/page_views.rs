//! Page views in windows of event time: the last three hours, this day in the server's zone, hour by hour.

use rufous::prelude::*;

/// A request, from the columns of that name. All others are passed over.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Hit {
    /// Who asked: a name or an address.
    pub host: Text,
    /// When, in seconds since 1970.
    #[record(name = "time")]
    pub seconds: i64,
    /// What was asked for.
    pub url: Text,
    /// The status code.
    pub response: u16,
    /// Bytes sent.
    pub bytes: u64,
}

impl Hit {
    /// When.
    pub fn at(&self) -> Timestamp {
        Timestamp(self.seconds.saturating_mul(1000))
    }
}

/// What is kept for a page and a hop.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Visits {
    /// Requests.
    pub views: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Different hosts. They cannot be added up, sketches of them can: a visitor of two hops counts once in a window of both.
    pub visitors: Hll<12>,
}

impl Absorb<Hit> for Visits {
    fn absorb(&mut self, hit: &Hit) {
        self.views += 1;
        self.bytes = self.bytes.wrapping_add(hit.bytes);
        self.visitors.insert(hit.host.as_str());
    }
}

/// All requests; a batch is an hour of them.
pub const HITS: Source<Hit> = Source::new("hits")
    .batches(Batcher::of_hours(1))
    .batch_clock(Clock::Event)
    .timed_by(Hit::at);

/// How long before a window's end each size serves: minutes for two days, hours for two months, days for ever.
const HOPS: &[HopSize] = &[
    HopSize::minutes(5).keep_days(2),
    HopSize::hours(1).keep_days(60),
    HopSize::calendar_day(),
];
/// Where the server stands: its days begin at its midnight.
const ZONE: &str = "America/New_York";
/// Views, bytes and visitors by page.
pub const BY_PAGE: WindowedStore<String, Visits> = WindowedStore::new("by-page", HOPS).zone(ZONE);
/// Requests by status code.
pub const BY_STATUS: WindowedStore<u16, u64> = WindowedStore::new("by-status", HOPS).zone(ZONE);

/// Visits by page, requests by status code.
pub fn page_views() -> Job {
    let hits = HITS.read();
    let by_page = hits
        .clone()
        .key_by(|hit| (hit.url.clone(), hit.at()))
        .windowed_aggregate_by_key(BY_PAGE);
    let by_status = hits
        .keyed(|hit, out| out.emit((hit.response, hit.at()), 1))
        .windowed_sum_by_key(BY_STATUS);
    Job::new("page-views", (by_page, by_status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(host: &str, at: &str, url: &str, response: u16) -> Hit {
        Hit {
            host: host.into(),
            seconds: Timestamp::parse(at).expect("a time").0 / 1000,
            url: url.into(),
            response,
            bytes: 10,
        }
    }

    fn hits() -> [Hit; 5] {
        [
            hit("a", "1995-08-01T03:59:59Z", "/", 200),
            hit("a", "1995-08-01T04:00:00Z", "/", 200),
            hit("b", "1995-08-01T04:02:00Z", "/", 200),
            hit("a", "1995-08-01T05:30:00Z", "/", 304),
            hit("a", "1995-08-01T05:30:00Z", "/x", 404),
        ]
    }

    #[test]
    fn windows() -> rufous::Result<()> {
        let run = page_views()
            .test()
            .given(HITS, hits())
            // Logged hours later, counted in its own five minutes.
            .late(HITS, 3 * 3_600_000, [hit("c", "1995-08-01T04:04:59Z", "/", 200)])
            .every_split()?;
        let window = |from: &str, to: &str| -> rufous::Result<_> {
            let found = run.window(BY_PAGE, "/", Timestamp::parse(from)?..Timestamp::parse(to)?)?;
            Ok(found.map(|v| (v.views, v.bytes, v.visitors.estimate().value.round())))
        };
        // The day begins at midnight of the server's clock, UTC-4.
        assert_eq!(
            window("1995-08-01T00:00:00-04:00", "1995-08-02T00:00:00-04:00")?,
            Some((4, 40, 3.0))
        );
        assert_eq!(
            window("1995-08-01T04:00:00Z", "1995-08-01T04:05:00Z")?,
            Some((3, 30, 3.0))
        );
        // What is asked for is rounded to hops: the first and the last second are part of five minutes each.
        assert_eq!(
            window("1995-08-01T03:59:00Z", "1995-08-01T04:01:00Z")?,
            Some((4, 40, 3.0))
        );
        assert_eq!(window("1995-08-01T04:05:00Z", "1995-08-01T05:30:00Z")?, None);
        let day = Timestamp::parse("1995-08-01")?..Timestamp::parse("1995-08-03")?;
        assert_eq!(run.window(BY_STATUS, 200u16, day.clone())?, Some(4));
        assert_eq!(run.window(BY_STATUS, 404u16, day)?, Some(1));
        Ok(())
    }

    #[test]
    fn laws() {
        laws::check_absorb::<Hit, Visits>(&hits());
        laws::check(hits().iter().map(|hit| {
            let mut visits = Visits::zero();
            visits.absorb(hit);
            visits
        }));
    }
}
