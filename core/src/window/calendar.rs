//! Days, weeks, months, quarters and years of a time zone, numbered.
//!
//! A unit is the half-open span from its own start to the start of the next one. Starts are midnights as the zone has them: where
//! a clock change skips midnight, the first instant of the day; where it repeats midnight, the earlier one. So the units of a
//! zone follow each other without a gap and without an overlap, also on days of 23 or 25 hours.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Unit {
    Day,
    /// From Monday on (ISO 8601).
    Week,
    Month,
    Quarter,
    Year,
}

/// Days from 1970-01-01 (a Thursday) back to the Monday before.
const TO_MONDAY: i64 = 3;

impl Unit {
    pub(crate) const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// Its number that holds a date; 0 holds 1970-01-01.
    fn number(self, date: Date) -> i64 {
        let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1 - 1970 * 12;
        match self {
            Self::Day => days(date),
            Self::Week => (days(date) + TO_MONDAY).div_euclid(7),
            Self::Month => month,
            Self::Quarter => month.div_euclid(3),
            Self::Year => month.div_euclid(12),
        }
    }
    /// The first date of a number, if a calendar holds it.
    pub(crate) fn first(self, number: i64) -> Option<Date> {
        let month = |number: i64| {
            let month = number.checked_add(1970 * 12)?;
            let year = i16::try_from(month.div_euclid(12)).ok()?;
            Date::new(year, month.rem_euclid(12) as i8 + 1, 1).ok()
        };
        match self {
            Self::Day => date(number),
            Self::Week => date(number.checked_mul(7)?.checked_sub(TO_MONDAY)?),
            Self::Month => month(number),
            Self::Quarter => month(number.checked_mul(3)?),
            Self::Year => month(number.checked_mul(12)?),
        }
    }
}

/// Days since 1970-01-01.
pub(crate) fn days(date: Date) -> i64 {
    // The zone of the civil calendar itself.
    let start = TimeZone::UTC.to_timestamp(DateTime::from_parts(date, Time::midnight()));
    start.map_or(if date.year() < 1970 { i64::MIN / 8 } else { i64::MAX / 8 }, |t| {
        t.as_second().div_euclid(86_400)
    })
}

fn date(days: i64) -> Option<Date> {
    let start = jiff::Timestamp::from_second(days.checked_mul(86_400)?).ok()?;
    Some(TimeZone::UTC.to_datetime(start).date())
}

/// A time zone as of the rules that are compiled in: every process of a job has the same, whatever its machine has.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: &'static str,
    zone: TimeZone,
}

impl Zone {
    /// # Errors
    /// `InvalidRequest` when there is no such zone.
    pub(crate) fn find(name: &'static str) -> Result<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| {
            Error::invalid(format!(
                "`{name}` is no time zone: write a name of the IANA database, such as `Europe/Paris` or `UTC`"
            ))
        })?;
        Ok(Self { name, zone })
    }

    /// Name and a digest of the zone's rules from 1970 to 2100: other rules are another zone, and stored hops are not added to
    /// those of other rules.
    pub(crate) fn text(&self) -> String {
        let mut rules = Vec::new();
        let (mut at, end) = (jiff::Timestamp::UNIX_EPOCH, Timestamp(4_102_444_800_000));
        rules.extend_from_slice(&self.zone.to_offset(at).seconds().to_le_bytes());
        while let Some(next) = self.zone.following(at).next().map(|t| (t.timestamp(), t.offset())) {
            let (then, offset) = next;
            if then.as_millisecond() > end.0 {
                break;
            }
            rules.extend_from_slice(&then.as_second().to_le_bytes());
            rules.extend_from_slice(&offset.seconds().to_le_bytes());
            at = then;
        }
        format!("{}#{:08x}", self.name, xxh3_64(&rules) as u32)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The first instant of a unit; that of the calendar's first or last day beyond its ends.
    pub(crate) fn start(&self, unit: Unit, number: i64) -> Timestamp {
        let edge = if number < 0 { i64::MIN } else { i64::MAX };
        let Some(date) = unit.first(number) else {
            return Timestamp(edge);
        };
        let midnight = DateTime::from_parts(date, Time::midnight());
        let start = self.zone.to_ambiguous_timestamp(midnight).compatible();
        Timestamp(start.map_or(edge, |t| t.as_millisecond()))
    }

    /// The number of the unit that holds `at`.
    pub(crate) fn number(&self, unit: Unit, at: Timestamp) -> i64 {
        let clamped = at.0.clamp(
            jiff::Timestamp::MIN.as_millisecond(),
            jiff::Timestamp::MAX.as_millisecond(),
        );
        let instant = jiff::Timestamp::from_millisecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let number = unit.number(self.zone.to_datetime(instant).date());
        // Where a clock goes back over midnight, a date comes twice: its unit begins with the first time.
        if at < self.start(unit, number) {
            number - 1
        } else if at >= self.start(unit, number + 1) {
            number + 1
        } else {
            number
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn units_of_paris() {
        let paris = Zone::find("Europe/Paris").unwrap();
        let t = at("2001-03-25T12:00:00+02:00");
        let span = |unit| {
            let n = paris.number(unit, t);
            (paris.start(unit, n), paris.start(unit, n + 1))
        };
        // The clock went forward: a day of 23 hours.
        assert_eq!(
            span(Unit::Day),
            (at("2001-03-25T00:00:00+01:00"), at("2001-03-26T00:00:00+02:00"))
        );
        assert_eq!(span(Unit::Day).1.0 - span(Unit::Day).0.0, 23 * HOUR);
        assert_eq!(
            span(Unit::Week),
            (at("2001-03-19T00:00:00+01:00"), at("2001-03-26T00:00:00+02:00"))
        );
        assert_eq!(
            span(Unit::Month),
            (at("2001-03-01T00:00:00+01:00"), at("2001-04-01T00:00:00+02:00"))
        );
        assert_eq!(
            span(Unit::Quarter),
            (at("2001-01-01T00:00:00+01:00"), at("2001-04-01T00:00:00+02:00"))
        );
        assert_eq!(
            span(Unit::Year),
            (at("2001-01-01T00:00:00+01:00"), at("2002-01-01T00:00:00+01:00"))
        );
    }

    /// Units follow each other without a gap or an overlap, in every zone, across every clock change.
    #[test]
    fn units_follow_each_other() {
        for name in [
            "UTC",
            "Europe/Paris",
            "America/St_Johns",
            "America/Sao_Paulo",
            "America/Havana",
            "Asia/Kathmandu",
            "Pacific/Apia",
            "Africa/Cairo",
        ] {
            let zone = Zone::find(name).unwrap();
            for unit in Unit::ALL {
                let first = zone.number(unit, at("1986-12-20"));
                let mut n = first;
                while zone.start(unit, n) < at("2013-01-01") {
                    let (start, end) = (zone.start(unit, n), zone.start(unit, n + 1));
                    assert!(start <= end, "{name} {unit:?} {n}");
                    for t in [start.0, start.0 + 1, (start.0 + end.0) / 2, end.0 - 1] {
                        if start < end {
                            assert_eq!(zone.number(unit, Timestamp(t)), n, "{name} {unit:?} {}", Timestamp(t));
                        }
                    }
                    n += 1;
                }
                assert!(n > first);
            }
        }
    }

    /// Newfoundland's clock went from 00:01 back to 23:01 of the day before: that date came twice.
    #[test]
    fn a_date_that_comes_twice() {
        let zone = Zone::find("America/St_Johns").unwrap();
        let midnight = at("2006-10-29T00:00:00-02:30");
        let n = zone.number(Unit::Day, midnight);
        assert_eq!(zone.start(Unit::Day, n), midnight);
        // 23:30 for the second time.
        assert_eq!(zone.number(Unit::Day, at("2006-10-28T23:30:00-03:30")), n);
        assert_eq!(zone.number(Unit::Day, at("2006-10-28T23:30:00-02:30")), n - 1);
    }

    #[test]
    fn no_time_panics() {
        let zone = Zone::find("America/New_York").unwrap();
        for t in [i64::MIN, -400_000_000_000_000, 400_000_000_000_000, i64::MAX] {
            for unit in Unit::ALL {
                let n = zone.number(unit, Timestamp(t));
                assert!(
                    zone.start(unit, n) <= zone.start(unit, n.saturating_add(1)),
                    "{unit:?} {t}"
                );
                zone.start(unit, i64::MAX);
                zone.start(unit, i64::MIN);
            }
        }
        assert!(
            Zone::find("Mars/Olympus")
                .unwrap_err()
                .to_string()
                .contains("`Mars/Olympus`")
        );
    }

    /// Persisted: a digest of the rules.
    #[test]
    fn the_text_is_fixed() {
        assert_eq!(
            Zone::find("UTC").unwrap().text(),
            "UTC#".to_string() + &Zone::find("Etc/UTC").unwrap().text()[8..]
        );
        assert_ne!(
            Zone::find("Europe/Paris").unwrap().text()[13..],
            Zone::find("Europe/London").unwrap().text()[14..]
        );
    }
}
