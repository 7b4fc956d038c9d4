//! Instants and time buckets. There is no clock here: time comes in with the records.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fmt;

use crate::error::{Error, Result};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads `2001-01-01T00:05:00Z`, an offset in place of `Z`, or no zone at all (then UTC); `T` may be a space and the
    /// time may be left out.
    ///
    /// # Errors
    /// When the text is no such time.
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(t) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(t.as_millisecond()));
        }
        let civil = text.parse::<DateTime>().or_else(|_| {
            text.parse::<jiff::civil::Date>()
                .map(|d| d.to_datetime(jiff::civil::Time::midnight()))
        });
        let civil = civil.map_err(|e| Error::invalid(format!("`{text}` is no time: {e}")))?;
        let zoned = TimeZone::UTC
            .to_timestamp(civil)
            .map_err(|e| Error::invalid(format!("`{text}` is no time: {e}")))?;
        Ok(Self(zoned.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; instants that no calendar holds print as milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// [`Timestamp::parse`] with a shortcut for `YYYY-MM-DDTHH:MM:SS`, optionally with fractions of a second and `Z`: the form
/// that logs are written in, read without the general parser.
pub(crate) fn parse_fast(text: &str) -> Option<Timestamp> {
    plain_civil(text.as_bytes()).or_else(|| Timestamp::parse(text).ok())
}

fn plain_civil(b: &[u8]) -> Option<Timestamp> {
    let b = b.strip_suffix(b"Z").unwrap_or(b);
    let (b, ms) = match b.split_at_checked(19)? {
        (b, []) => (b, 0),
        (b, [b'.', x, y, z]) => (b, number(&[*x, *y, *z])?),
        _ => return None,
    };
    if [b[4], b[7], b[13], b[16]] != *b"--::" || !matches!(b[10], b'T' | b' ') {
        return None;
    }
    let (year, month, day) = (number(&b[..4])?, number(&b[5..7])?, number(&b[8..10])?);
    let (h, m, s) = (number(&b[11..13])?, number(&b[14..16])?, number(&b[17..19])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=12).contains(&month) || day < 1 || day > days[month as usize - 1] || h > 23 || m > 59 || s > 59 {
        return None;
    }
    Some(Timestamp(
        (((day_number(year, month, day) * 24 + h) * 60 + m) * 60 + s) * 1000 + ms,
    ))
}

/// Days from 1970-01-01 to a civil date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"; years begin in March.
pub(crate) fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
}

/// Milliseconds of a minute.
pub const MINUTE_MS: u64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;

/// A span of event time as part of a key: `[index * size, (index + 1) * size)`, in UTC. It is what a user sees (his hour, his
/// day) and has nothing to do with the batch that owns a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeBucket {
    size_ms: u64,
    index: i64,
}

impl TimeBucket {
    /// The bucket of `size_ms` milliseconds that holds `at`. A size of 0 counts as 1.
    pub fn of(size_ms: u64, at: Timestamp) -> Self {
        let size_ms = size_ms.clamp(1, i64::MAX as u64);
        Self {
            size_ms,
            index: at.0.div_euclid(size_ms as i64),
        }
    }
    /// The minute of `at`.
    pub fn minute(at: Timestamp) -> Self {
        Self::of(MINUTE_MS, at)
    }
    /// The hour of `at`.
    pub fn hour(at: Timestamp) -> Self {
        Self::of(HOUR_MS, at)
    }
    /// The day of `at`.
    pub fn day(at: Timestamp) -> Self {
        Self::of(DAY_MS, at)
    }
    /// From the parts of a stored key.
    pub(crate) fn from_parts(size_ms: u64, index: i64) -> Option<Self> {
        (size_ms > 0 && size_ms <= i64::MAX as u64).then_some(Self { size_ms, index })
    }
    /// Its length in milliseconds.
    pub fn size_ms(&self) -> u64 {
        self.size_ms
    }
    /// Its number counted from 1970.
    pub fn index(&self) -> i64 {
        self.index
    }
    /// Its first instant.
    pub fn start(&self) -> Timestamp {
        Timestamp(self.index.saturating_mul(self.size_ms as i64))
    }
    /// The first instant after it.
    pub fn end(&self) -> Timestamp {
        Timestamp(self.index.saturating_add(1).saturating_mul(self.size_ms as i64))
    }
    /// The bucket that follows.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            size_ms: self.size_ms,
            index: self.index.saturating_add(1),
        }
    }
    /// Reads what `Display` prints: `2001-01-02` (a day), `2001-01-02T05` (an hour), `2001-01-02T05:30` (a minute), or
    /// `START/MILLISECONDS`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some((start, size)) = text.rsplit_once('/') {
            let size: u64 = size
                .parse()
                .ok()
                .filter(|s| *s > 0)
                .ok_or_else(|| Error::invalid(format!("`{size}` is no number of milliseconds")))?;
            return Ok(Self::of(size, Timestamp::parse(start)?));
        }
        match text.len() {
            10 => Ok(Self::day(Timestamp::parse(text)?)),
            13 => Ok(Self::hour(Timestamp::parse(&format!("{text}:00"))?)),
            16 => Ok(Self::minute(Timestamp::parse(text)?)),
            _ => Err(Error::invalid(format!(
                "`{text}` is no time bucket: write 2001-01-02, 2001-01-02T05 or 2001-01-02T05:30"
            ))),
        }
    }
}

impl fmt::Display for TimeBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_string();
        let short = |n: usize| start.get(..n).filter(|_| start.len() == 20);
        let text = match self.size_ms {
            DAY_MS => short(10),
            HOUR_MS => short(13),
            MINUTE_MS => short(16),
            _ => None,
        };
        match text {
            Some(text) => f.write_str(text),
            None => write!(f, "{start}/{}", self.size_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortcut against the general parser.
    #[test]
    fn the_shortcut_agrees() {
        for day in (-800_000i64..800_000).step_by(997) {
            let t = Timestamp(day * DAY_MS as i64 + (day.rem_euclid(86_400)) * 1000);
            let text = t.to_string();
            if !text.starts_with('-') {
                assert_eq!(plain_civil(text.as_bytes()), Some(t), "{text}");
            }
        }
        assert_eq!(
            plain_civil(b"2001-01-02T05:30:00.250"),
            Timestamp::parse("2001-01-02T05:30:00.250").ok()
        );
        for bad in [
            "2001-02-29T00:00:00",
            "2001-13-01T00:00:00",
            "2001-01-01T24:00:00",
            "2001-01-01T00:00",
            "x",
        ] {
            assert_eq!(plain_civil(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times_print_and_parse() {
        let t = Timestamp::parse("2001-01-02T05:30:00").unwrap();
        assert_eq!(t.to_string(), "2001-01-02T05:30:00Z");
        assert_eq!(Timestamp::parse("2001-01-02T06:30:00+01:00").unwrap(), t);
        assert_eq!(Timestamp::parse("2001-01-02 05:30:00").unwrap(), t);
        assert_eq!(Timestamp::parse("2001-01-02").unwrap(), TimeBucket::day(t).start());
        assert!(Timestamp::parse("yesterday").is_err());
        for b in [
            TimeBucket::day(t),
            TimeBucket::hour(t),
            TimeBucket::minute(t),
            TimeBucket::of(900_000, t),
        ] {
            assert_eq!(TimeBucket::parse(&b.to_string()).unwrap(), b, "{b}");
            assert!(b.start() <= t && t < b.end() && b.next().start() == b.end());
        }
        assert_eq!(TimeBucket::hour(t).to_string(), "2001-01-02T05");
        assert_eq!(TimeBucket::day(Timestamp(-1)).to_string(), "1969-12-31");
    }
}
