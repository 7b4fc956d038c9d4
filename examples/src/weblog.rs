//! Web logs: two formats in one job, lines of bytes, and an account of every line that is not counted.

pub mod line;

use rufous::prelude::*;

use line::{Hit, epa_line, nasa_line};

/// Traffic of a host in an hour.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Traffic {
    /// Requests.
    pub hits: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Requests of which the log does not say how many bytes were sent.
    pub without_bytes: u64,
    /// Requests that are no method and path.
    pub malformed_requests: u64,
}

impl Absorb<Hit> for Traffic {
    fn absorb(&mut self, hit: &Hit) {
        self.hits += 1;
        self.bytes = self.bytes.wrapping_add(hit.bytes.unwrap_or(0));
        self.without_bytes += u64::from(hit.bytes.is_none());
        self.malformed_requests += u64::from(!hit.well_formed);
    }
}

/// A line that cannot be read has no time, so what cuts batches is where a line stands: every 256 KiB of a file.
const BATCHES: Batcher = Batcher::of_offsets(256 << 10);
/// Lines as the EPA's server wrote them; they have bytes that are no UTF-8.
pub const EPA: Source<[u8]> = Source::new("epa").batches(BATCHES);
/// Lines of a table with tabs between its columns, behind a header.
pub const NASA: Source<[u8]> = Source::new("nasa").batches(BATCHES);
/// Per host and hour (UTC).
pub const TRAFFIC: Store<(String, TimeBucket), Traffic> = Store::new("traffic");

/// The header of a table: no hit, and not malformed.
pub const HEADERS: Counter = Counter::new("headers");
/// Lines that do not have the parts of their format.
pub const BAD_SHAPE: Counter = Counter::new("malformed-shape");
/// Lines whose host is no UTF-8.
pub const BAD_HOST: Counter = Counter::new("malformed-host");
/// Lines with a time that no clock shows.
pub const BAD_TIME: Counter = Counter::new("malformed-time");
/// Lines with a number of bytes beyond 64 bits.
pub const BAD_BYTES: Counter = Counter::new("malformed-bytes");
/// Hits whose request is no method and path. They are counted as hits, too.
pub const BAD_REQUESTS: Counter = Counter::new("malformed-requests");
/// Why a line is no hit.
pub const NO_HIT: [Counter; 5] = [HEADERS, BAD_SHAPE, BAD_HOST, BAD_TIME, BAD_BYTES];

/// Hits and bytes by host and hour.
pub fn weblog() -> Job {
    let epa = EPA
        .read()
        .flat_map(|line, out| hit(epa_line(line), out))
        .counting(NO_HIT);
    let nasa = NASA
        .read()
        .flat_map(|line, out| hit(nasa_line(line), out))
        .counting(NO_HIT);
    let traffic = epa
        .merge(nasa)
        .counted_by(BAD_REQUESTS, |hit| u64::from(!hit.well_formed))
        .key_by(|hit| (hit.host.clone(), TimeBucket::hour(hit.at)))
        .aggregate_by_key(TRAFFIC);
    Job::new("weblog", traffic)
}

/// A line is a hit, or it is counted under the reason why not: none is lost, and none stops the job.
fn hit(line: Result<Hit, Counter>, out: &mut Out<'_, Hit>) {
    match line {
        Ok(hit) => out.emit(hit),
        Err(reason) => out.count(reason, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_and_every_line() -> rufous::Result<()> {
        let epa: [&[u8]; 7] = [
            b"a.gov [30:00:00:01] \"GET / HTTP/1.0\" 200 10",
            b"a.gov [30:00:59:59] \"\xffBAD\" 404 -",
            b"a.gov [30:24:00:00] \"GET / HTTP/1.0\" 200 10",
            b"a.gov [30:00:00:01] \"GET / HTTP/1.0\" 200 99999999999999999999",
            b"\xff [30:00:00:01] \"GET / HTTP/1.0\" 200 10",
            b"",
            b"a.gov 200 10",
        ];
        let nasa: [&[u8]; 3] = [
            b"host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent",
            b"a.gov\t-\t809755200\tGET\t/\t200\t5\t\t",
            b"a.gov\t-\t809755200",
        ];
        let run = weblog().test().given(EPA, epa).given(NASA, nasa).every_split()?;
        let hour = TimeBucket::hour(Timestamp::parse("1995-08-30T04:00:00Z")?);
        let traffic = run.get(TRAFFIC, ("a.gov", hour)).expect("a hit");
        let counts = (
            traffic.hits,
            traffic.bytes,
            traffic.without_bytes,
            traffic.malformed_requests,
        );
        assert_eq!(counts, (3, 15, 1, 1));
        assert_eq!(run.all(TRAFFIC).len(), 1);
        assert_eq!(NO_HIT.map(|reason| run.counter(reason)), [1, 3, 1, 1, 1]);
        assert_eq!(run.counter(BAD_REQUESTS), 1);
        // Every line is a hit or counted: 10 in all.
        assert_eq!(
            traffic.hits + NO_HIT.map(|reason| run.counter(reason)).iter().sum::<u64>(),
            10
        );
        Ok(())
    }

    #[test]
    fn laws() {
        let hits = [
            epa_line(b"a [30:00:00:01] \"GET / HTTP/1.0\" 200 10"),
            epa_line(b"a [30:00:00:01] \"?\" 200 -"),
        ]
        .map(|hit| hit.expect("well-formed"));
        laws::check_absorb::<Hit, Traffic>(&hits);
        laws::check(hits.iter().map(|hit| {
            let mut traffic = Traffic::zero();
            traffic.absorb(hit);
            traffic
        }));
    }
}
