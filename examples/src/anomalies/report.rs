//! Which hours stand out, from the answers of the job.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rufous::algebra::Moments;
use rufous::client::Client;
use rufous::prelude::*;

use super::{BASELINE, BY_ORIGIN_HOUR, Baseline};

/// Which hours are told.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// So many deviations above the baseline.
    pub deviations: f64,
    /// Of so many flights at the least: a mean of few says little.
    pub flights: i64,
}

/// An hour of an airport whose mean delay stands out.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// Where.
    pub origin: String,
    /// When.
    pub hour: TimeBucket,
    /// How many flights left.
    pub flights: i64,
    /// Their mean delay in minutes.
    pub mean: f64,
    /// What is usual there.
    pub baseline: f64,
    /// How much delays usually differ from that.
    pub deviation: f64,
}

impl Anomaly {
    /// Deviations above the baseline.
    pub fn above(&self) -> f64 {
        (self.mean - self.baseline) / self.deviation
    }
}

/// The hours that stand out, the farthest first.
pub fn stand_out(
    baselines: &BTreeMap<String, Baseline>,
    hours: impl IntoIterator<Item = ((String, TimeBucket), Moments)>,
    rule: Rule,
) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for ((origin, hour), moments) in hours {
        let Some(baseline) = baselines.get(&origin) else {
            continue;
        };
        let (Some(usual), Some(variance), Some(mean)) = (baseline.mean(), baseline.variance(), moments.mean()) else {
            continue;
        };
        let anomaly = Anomaly {
            origin,
            hour,
            flights: moments.count(),
            mean,
            baseline: usual.value,
            deviation: variance.value.sqrt(),
        };
        // Where delays never differ, nothing is far away by that measure: no number is above infinity.
        let is_told = anomaly.flights >= rule.flights && anomaly.deviation > 0.0 && anomaly.above() > rule.deviations;
        if is_told {
            found.push(anomaly);
        }
    }
    found.sort_by(|a, b| b.above().total_cmp(&a.above()));
    found
}

/// The same from a client. The two stores are read one after the other, so that a live job may have gone on in between.
///
/// # Errors
/// When the answers cannot be had whole.
pub fn find(client: &Client, rule: Rule) -> rufous::Result<Vec<Anomaly>> {
    let baselines = client.store(BASELINE)?.under(())?.into_iter();
    let baselines = baselines.filter_map(|(origin, answer)| Some((origin, answer.value?)));
    let hours = client.store(BY_ORIGIN_HOUR)?.under(())?.into_iter();
    let hours = hours.filter_map(|(key, answer)| Some((key, answer.value?)));
    Ok(stand_out(&baselines.collect(), hours, rule))
}

/// A table of the first `n`.
pub fn table(found: &[Anomaly], n: usize) -> String {
    let mut out = format!(
        "{:<8}{:<16}{:>8}{:>12}{:>12}{:>12}{:>8}\n",
        "origin", "hour", "flights", "mean delay", "usual", "deviation", "above"
    );
    for a in found.iter().take(n) {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{:<8}{:<16}{:>8}{:>12.1}{:>12.1}{:>12.1}{:>8.2}",
            a.origin,
            a.hour.to_string(),
            a.flights,
            a.mean,
            a.baseline,
            a.deviation,
            a.above()
        );
    }
    if found.len() > n {
        let _ = writeln!(out, "and {} more", found.len() - n);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(delays: &[i64]) -> Moments {
        let mut moments = Moments::zero();
        delays.iter().for_each(|delay| moments.absorb(delay));
        moments
    }

    #[test]
    fn what_is_told() {
        let mut usual = Baseline::zero();
        [(0, 0.0), (0, 20.0)].iter().for_each(|item| usual.absorb(item));
        let mut never = Baseline::zero();
        never.absorb(&(0, 5.0));
        let baselines = BTreeMap::from([("A".to_string(), usual), ("B".to_string(), never)]);
        let at = |n: i64| TimeBucket::hour(Timestamp(n * 3_600_000));
        let key = |origin: &str, n: i64| (origin.to_string(), at(n));
        let hours = [
            (key("A", 0), hour(&[41, 41])),
            (key("A", 1), hour(&[40, 40])),
            (key("A", 2), hour(&[60])),
            (key("A", 3), hour(&[50, 60])),
            (key("B", 0), hour(&[90, 90])),
            (key("C", 0), hour(&[90, 90])),
        ];
        let rule = Rule {
            deviations: 3.0,
            flights: 2,
        };
        let found = stand_out(&baselines, hours, rule);
        let told: Vec<_> = found.iter().map(|a| (a.origin.as_str(), a.hour)).collect();
        assert_eq!(told, [("A", at(3)), ("A", at(0))]);
        assert!((found[0].above() - 4.5).abs() < 1e-9);
        assert!(table(&found, 1).ends_with("and 1 more\n"));
    }
}
