//! Hops: the spans of event time whose sums are kept, as parts of keys.

use std::fmt;

use rufous_algebra::codec::take;
use serde_json::Value;

use super::calendar::{Unit, days};
use crate::error::{Error, Result};
use crate::key::{AsKey, Key, KeyError, KeyOf};
use crate::native::KeyColumn;
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeBucket, Timestamp};

/// Marks a unit of the calendar in a stored size; sizes in milliseconds are below.
const CALENDAR: u64 = 1 << 63;

/// How long hops are: a fixed time in UTC, or a unit of the calendar in the time zone of the store.
///
/// `keep_*` says how long before its end a window is read by hops of this size; without it, all the way. Older ones are deleted
/// as the batch layer goes on: see [`Windows`](super::Windows).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HopSize {
    code: u64,
    keep_ms: Option<u64>,
}

impl HopSize {
    /// Hops of `n` milliseconds, counted from 1970 in UTC.
    ///
    /// # Panics
    /// At compile time for constants: when `n` is 0 or above `i64::MAX`. So do all sizes of no length.
    pub const fn milliseconds(n: u64) -> Self {
        assert!(n > 0 && n < CALENDAR, "a hop has a length");
        Self { code: n, keep_ms: None }
    }
    /// Hops of `n` seconds.
    pub const fn seconds(n: u32) -> Self {
        Self::milliseconds(1000 * n as u64)
    }
    /// Hops of `n` minutes.
    pub const fn minutes(n: u32) -> Self {
        Self::milliseconds(MINUTE_MS * n as u64)
    }
    /// Hops of `n` hours.
    pub const fn hours(n: u32) -> Self {
        Self::milliseconds(HOUR_MS * n as u64)
    }
    /// Hops of `n` days of 24 hours in UTC; a day of a time zone is a [`calendar_day`](Self::calendar_day).
    pub const fn days(n: u32) -> Self {
        Self::milliseconds(DAY_MS * n as u64)
    }
    const fn unit(unit: Unit) -> Self {
        Self {
            code: CALENDAR | unit as u64,
            keep_ms: None,
        }
    }
    /// Days of the store's time zone, of 23 to 25 hours.
    pub const fn calendar_day() -> Self {
        Self::unit(Unit::Day)
    }
    /// Weeks of the store's time zone, from Monday on (ISO 8601).
    pub const fn week() -> Self {
        Self::unit(Unit::Week)
    }
    /// Months of the store's time zone.
    pub const fn month() -> Self {
        Self::unit(Unit::Month)
    }
    /// Quarters of a year of the store's time zone.
    pub const fn quarter() -> Self {
        Self::unit(Unit::Quarter)
    }
    /// Years of the store's time zone.
    pub const fn year() -> Self {
        Self::unit(Unit::Year)
    }
    /// Hops of this size serve reads for so many hours; see [`Windows`](super::Windows).
    #[must_use]
    pub const fn keep_hours(mut self, n: u32) -> Self {
        self.keep_ms = Some(HOUR_MS * n as u64);
        self
    }
    /// Hops of this size serve reads for so many days of 24 hours.
    #[must_use]
    pub const fn keep_days(mut self, n: u32) -> Self {
        self.keep_ms = Some(DAY_MS * n as u64);
        self
    }
    /// How long they are kept; `None`: for ever.
    pub const fn keep_ms(&self) -> Option<u64> {
        self.keep_ms
    }
    /// Its length in milliseconds; `None` for units of the calendar.
    pub const fn fixed_ms(&self) -> Option<u64> {
        if self.code < CALENDAR { Some(self.code) } else { None }
    }
    pub(crate) const fn code(&self) -> u64 {
        self.code
    }
    pub(crate) fn calendar(&self) -> Option<Unit> {
        unit_of(self.code)
    }
    /// Milliseconds, of units of the calendar on an average: for the order of sizes.
    pub(crate) const fn length_ms(&self) -> u64 {
        const YEAR_MS: u64 = 31_556_952_000;
        if self.code < CALENDAR {
            return self.code;
        }
        match self.code - CALENDAR {
            0 => DAY_MS,
            1 => 7 * DAY_MS,
            2 => YEAR_MS / 12,
            3 => YEAR_MS / 4,
            _ => YEAR_MS,
        }
    }
    /// Reads `5m`, `1h`, `7d`, `30s`, `250ms`, `calendar-day`, `week`, `month`, `quarter`, `year`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(unit) = Unit::ALL.into_iter().find(|u| unit_text(*u) == text) {
            return Ok(Self::unit(unit));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (n, unit) = text.split_at(digits);
        let ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => MINUTE_MS,
            "h" => HOUR_MS,
            "d" => DAY_MS,
            _ => 0,
        };
        let size = n.parse::<u64>().ok().and_then(|n| n.checked_mul(ms));
        match size.filter(|size| (1..CALENDAR).contains(size)) {
            Some(size) => Ok(Self::milliseconds(size)),
            None => Err(Error::invalid(format!(
                "`{text}` is no size of a hop: write 250ms, 30s, 5m, 1h, 1d, calendar-day, week, month, quarter or year"
            ))),
        }
    }
}

fn unit_of(code: u64) -> Option<Unit> {
    let unit = code.checked_sub(CALENDAR)?;
    Unit::ALL.get(usize::try_from(unit).ok()?).copied()
}

fn unit_text(unit: Unit) -> &'static str {
    match unit {
        Unit::Day => "calendar-day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Quarter => "quarter",
        Unit::Year => "year",
    }
}

impl fmt::Display for HopSize {
    /// What [`parse`](Self::parse) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unit) = self.calendar() {
            return f.write_str(unit_text(unit));
        }
        match self.code {
            ms if ms.is_multiple_of(DAY_MS) => write!(f, "{}d", ms / DAY_MS),
            ms if ms.is_multiple_of(HOUR_MS) => write!(f, "{}h", ms / HOUR_MS),
            ms if ms.is_multiple_of(MINUTE_MS) => write!(f, "{}m", ms / MINUTE_MS),
            ms if ms.is_multiple_of(1000) => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// One hop: a size and a number. The last part of the keys of a windowed store.
///
/// Bytes: the size as `u64` (milliseconds, or 2^63 plus the number of a unit: day 0, week 1, month 2, quarter 3, year 4), the
/// number as `i64`, both as other integers of keys; so hops of one size are neighbours, in order of time. A hop of a fixed size
/// has the bytes of its [`TimeBucket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    size: u64,
    number: i64,
}

/// Bytes of a hop in a key.
pub const HOP_BYTES: usize = 16;

impl Hop {
    pub(crate) const fn new(size: u64, number: i64) -> Self {
        Self { size, number }
    }
    /// The hop of a windowed store's key, which ends with it; `None`: it does not.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let (_, hop) = key.split_last_chunk::<HOP_BYTES>()?;
        Self::decode_key(&mut &hop[..]).ok()
    }
    /// How long it is.
    pub fn size(&self) -> HopSize {
        HopSize {
            code: self.size,
            keep_ms: None,
        }
    }
    /// Its number: of hops of this size counted from 1970, which 0 holds the beginning of (of weeks, the first Monday before).
    pub fn number(&self) -> i64 {
        self.number
    }
    /// The hop of the same size so many before it.
    #[must_use]
    pub fn before(&self, n: u32) -> Self {
        Self::new(self.size, self.number.saturating_sub(i64::from(n)))
    }
    /// The hop of the same size so many after it; `None`: there is none.
    pub fn following(&self, n: u64) -> Option<Self> {
        self.number
            .checked_add_unsigned(n)
            .map(|number| Self::new(self.size, number))
    }
    /// Reads what `Display` prints.
    ///
    /// # Errors
    /// When the text is no hop.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "`{text}` is no hop: write 2001-01-02, 2001-01-02T05, 2001-01-02T05:30, START/MILLISECONDS, or of the calendar \
                 2001-01-02/calendar-day, 2001-W05, 2001-01, 2001-Q1, 2001"
            ))
        };
        let date = |text: &str| text.parse::<jiff::civil::Date>().map_err(|_| wrong());
        let of = |unit: Unit, number: i64| Self::new(CALENDAR | unit as u64, number);
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        if let Some(day) = text.strip_suffix("/calendar-day") {
            return Ok(of(Unit::Day, days(date(day)?)));
        }
        if let Some((year, week)) = text.split_once("-W") {
            let (year, week) = (number(year)?, number(week)?);
            let (Ok(year), Ok(week)) = (i16::try_from(year), i8::try_from(week)) else {
                return Err(wrong());
            };
            let monday =
                jiff::civil::ISOWeekDate::new(year, week, jiff::civil::Weekday::Monday).map_err(|_| wrong())?;
            return Ok(of(Unit::Week, (days(monday.date()) + 3).div_euclid(7)));
        }
        if let Some((year, quarter)) = text.split_once("-Q") {
            let (year, quarter) = (number(year)?, number(quarter)?);
            if !(1..=4).contains(&quarter) || !(-9999..=9999).contains(&year) {
                return Err(wrong());
            }
            return Ok(of(Unit::Quarter, (year - 1970) * 4 + quarter - 1));
        }
        match text.trim_start_matches('-').len() {
            4 => {
                let first = date(&format!("{text}-01-01"))?;
                Ok(of(Unit::Year, i64::from(first.year()) - 1970))
            }
            7 => {
                let first = date(&format!("{text}-01"))?;
                let (year, month) = (i64::from(first.year()), i64::from(first.month()));
                Ok(of(Unit::Month, (year - 1970) * 12 + month - 1))
            }
            _ => Ok(TimeBucket::parse(text).map_err(|_| wrong())?.into()),
        }
    }
}

impl From<TimeBucket> for Hop {
    fn from(bucket: TimeBucket) -> Self {
        Self::new(bucket.size_ms(), bucket.index())
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(unit) = unit_of(self.size) else {
            return match TimeBucket::from_parts(self.size, self.number) {
                Some(bucket) => bucket.fmt(f),
                None => write!(f, "{}/{}", self.number, self.size),
            };
        };
        let Some(first) = unit.first(self.number) else {
            return write!(f, "{} {}", unit_text(unit), self.number);
        };
        match unit {
            Unit::Day => write!(f, "{first}/calendar-day"),
            Unit::Week => {
                let week = first.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Unit::Month => write!(f, "{:04}-{:02}", first.year(), first.month()),
            Unit::Quarter => write!(f, "{:04}-Q{}", first.year(), (first.month() - 1) / 3 + 1),
            Unit::Year => write!(f, "{:04}", first.year()),
        }
    }
}

impl AsKey for Hop {
    type Key = Hop;
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        self.size.encode_key(out);
        self.number.encode_key(out);
    }
}
impl KeyOf<Hop> for Hop {}
impl KeyOf<&Hop> for Hop {}
impl KeyOf<TimeBucket> for Hop {}
impl Key for Hop {
    fn decode_key(bytes: &mut &[u8]) -> Result<Self, KeyError> {
        let mut raw = take(bytes, HOP_BYTES)?;
        let (size, number) = (u64::decode_key(&mut raw)?, i64::decode_key(&mut raw)?);
        if size == 0 || (size >= CALENDAR && unit_of(size).is_none()) {
            return Err(KeyError::new(format!("{size} is no size of a hop")));
        }
        Ok(Self { size, number })
    }
    fn schema() -> String {
        "hop".into()
    }
    fn columns(out: &mut Vec<KeyColumn>) {
        out.push(KeyColumn::Hop);
    }
    fn parts(&self, out: &mut Vec<Value>) {
        out.push(Value::String(self.to_string()));
    }
    fn parse_parts(parts: &mut &[&str]) -> Result<Self, KeyError> {
        let text = crate::key::next_part(parts, "hop")?;
        Self::parse(text).map_err(|e| KeyError::new(e.to_string()))
    }
}

/// The beginning of a hop's time as people write it, for errors.
pub(crate) fn show(t: Timestamp) -> String {
    match t.0 {
        i64::MIN => "the beginning of time".into(),
        i64::MAX => "the end of time".into(),
        _ => t.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{decode_all, to_bytes};

    /// Laws of [`Key`]; text there and back.
    #[test]
    fn hops_are_keys() {
        let t = Timestamp::parse("2001-02-03T05:30:00").unwrap();
        let hops: Vec<(Hop, &str)> = vec![
            (TimeBucket::minute(t).into(), "2001-02-03T05:30"),
            (TimeBucket::of(900_000, t).into(), "2001-02-03T05:30:00Z/900000"),
            (TimeBucket::hour(t).into(), "2001-02-03T05"),
            (TimeBucket::day(t).into(), "2001-02-03"),
            (Hop::new(CALENDAR, 11_356), "2001-02-03/calendar-day"),
            (Hop::new(CALENDAR | 1, 1_622), "2001-W05"),
            (Hop::new(CALENDAR | 2, 373), "2001-02"),
            (Hop::new(CALENDAR | 3, 124), "2001-Q1"),
            (Hop::new(CALENDAR | 4, 31), "2001"),
        ];
        for (hop, text) in &hops {
            assert_eq!(hop.to_string(), *text);
            assert_eq!(Hop::parse(text).unwrap(), *hop, "{text}");
            assert_eq!(decode_all::<Hop>(&to_bytes(hop)).unwrap(), *hop);
        }
        for pair in hops.windows(2) {
            assert!(pair[0].0 < pair[1].0 && to_bytes(&pair[0].0) < to_bytes(&pair[1].0));
        }
        assert_eq!(
            to_bytes(&TimeBucket::hour(t)),
            to_bytes(&Hop::from(TimeBucket::hour(t)))
        );
        assert!(to_bytes(&Hop::new(CALENDAR | 2, -1)) < to_bytes(&Hop::new(CALENDAR | 2, 0)));
    }

    #[test]
    fn what_is_no_hop() {
        for text in [
            "",
            "x",
            "2001-13",
            "2001-Q5",
            "2001-W54",
            "20001-Q1x",
            "2001-02-30/calendar-day",
            "2001-02-03/0",
        ] {
            let e = Hop::parse(text).unwrap_err();
            assert!(e.to_string().contains(&format!("`{text}`")), "{e}");
        }
        let mut hostile = to_bytes(&Hop::new(CALENDAR | 5, 0));
        assert!(decode_all::<Hop>(&hostile).is_err());
        hostile[0] = 0;
        hostile[7] = 0;
        assert!(decode_all::<Hop>(&hostile).is_err(), "a size of 0");
        // Numbers that no calendar holds print and do not panic.
        for unit in 0..5 {
            for n in [i64::MIN, i64::MAX] {
                assert!(!Hop::new(CALENDAR | unit, n).to_string().is_empty());
            }
        }
        assert!(!Hop::new(DAY_MS, i64::MAX).to_string().is_empty());
    }

    #[test]
    fn sizes_as_text() {
        for text in [
            "250ms",
            "30s",
            "5m",
            "1h",
            "7d",
            "calendar-day",
            "week",
            "month",
            "quarter",
            "year",
        ] {
            assert_eq!(HopSize::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "0h",
            "h",
            "1w",
            "99999999999999999999d",
            "9223372036854775808ms",
            "months",
        ] {
            assert!(HopSize::parse(text).is_err(), "{text}");
        }
    }
}
