//! A span of event time that a generation of a bounded input is limited to.

use std::fmt;

use rufous_core::Timestamp;
use serde::{Deserialize, Serialize};

/// `[since, until)` of event time. A generation of a window holds the records inside and no others: it answers for the window,
/// never for the whole input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The first instant inside; `None`: from the beginning of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The first instant after it; `None`: to the end of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Window {
    /// Whether an instant is inside.
    #[inline]
    pub fn contains(&self, t: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= t) && self.until.is_none_or(|until| t < until)
    }
    /// Whether some instant of `[first, last]` is inside.
    pub fn meets(&self, first: Timestamp, last: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= last) && self.until.is_none_or(|until| first < until)
    }
    /// Whether no instant is inside.
    pub fn is_empty(&self) -> bool {
        matches!((self.since, self.until), (Some(since), Some(until)) if since >= until)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.since, self.until) {
            (Some(since), Some(until)) => write!(f, "event time from {since} to before {until}"),
            (Some(since), None) => write!(f, "event time from {since} on"),
            (None, Some(until)) => write!(f, "event time before {until}"),
            (None, None) => f.write_str("all event time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let t = Timestamp;
        let w = |since: Option<i64>, until: Option<i64>| Window {
            since: since.map(t),
            until: until.map(t),
        };
        let inside = |w: Window| (0..6).filter(|n| w.contains(t(*n))).collect::<Vec<_>>();
        assert_eq!(inside(w(Some(1), Some(3))), [1, 2]);
        assert_eq!(inside(w(Some(4), None)), [4, 5]);
        assert_eq!(inside(w(None, Some(1))), [0]);
        for w in [
            w(Some(1), Some(3)),
            w(Some(4), None),
            w(None, Some(1)),
            w(Some(3), Some(3)),
        ] {
            assert_eq!(w.is_empty(), inside(w).is_empty());
            for first in 0..6 {
                for last in first..6 {
                    let some = (first..=last).any(|n| w.contains(t(n)));
                    assert!(w.meets(t(first), t(last)) == some || w.is_empty(), "{w} {first} {last}");
                }
            }
        }
    }
}
