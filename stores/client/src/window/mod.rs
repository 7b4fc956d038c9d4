//! Windows over event time: which interval is asked for, and answers that say which interval they truly cover.
//!
//! A window is read as the sum of the fewest hops that cover it ([`Grid::cover`](rufous_core::Grid::cover)), all of one snapshot
//! and one manifest. Hops are whole, so a window is rounded outwards to hops; the answer says to which.
//!
//! ```no_run
//! use rufous_client::{Client, End, Window};
//! use rufous_core::{HopSize, Result, WindowedStore};
//!
//! const VIEWS: WindowedStore<String, u64> =
//!     WindowedStore::new("views", &[HopSize::minutes(5).keep_days(2), HopSize::hours(1), HopSize::days(1)]);
//!
//! fn show(client: &Client) -> Result<()> {
//!     let views = client.windows(VIEWS)?;
//!     let week = views.get("index.html", Window::last_days(7, End::Now))?;
//!     println!("{:?} from {} until {}", week.answer.value, week.covered.start, week.covered.end);
//!     Ok(())
//! }
//! ```

mod explain;
mod raw;
mod table;
mod typed;
mod words;

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rufous_core::{Error, Grid, HopSize, Result, StoreFace, Timestamp};
use rufous_store_api::Manifest;
use serde_json::{Value, json};

use crate::answer::Answer;
pub use explain::{HopParts, RawWindowExplained};
pub use raw::{RawWindowClient, WindowCount};
pub use typed::WindowClient;
pub use words::{WindowWords, key_of_windows};

/// Where a window ends. There is no default: "now" moves with the clock, the others do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The clock of this process. The hop that is under way is part of the window: its events until now.
    Now,
    /// Where the newest sealed batch ends, in any partition: what lies before it came from offline, if it came in time.
    Sealed,
    /// An instant, which is not part of the window.
    At(Timestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    At(Timestamp),
    Before(Duration),
    /// At the start of the hop so many before the one that holds the last instant.
    Hops(u32, HopSize),
}

/// An interval of event time, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    start: Start,
    end: End,
    aligned: bool,
}

impl Window {
    /// So long before `end`.
    pub fn last(length: Duration, end: End) -> Self {
        Self {
            start: Start::Before(length),
            end,
            aligned: false,
        }
    }
    /// So many hours before `end`.
    pub fn last_hours(n: u32, end: End) -> Self {
        Self::last(Duration::from_secs(u64::from(n) * 3600), end)
    }
    /// So many times 24 hours before `end`.
    pub fn last_days(n: u32, end: End) -> Self {
        Self::last_hours(n.saturating_mul(24), end)
    }
    /// The hop of this size that holds the last instant before `end`, up to there, and the `n - 1` before it: this month so far and
    /// the two before it. Any size, also one that the store does not keep; 0 counts as 1.
    pub fn last_hops(n: u32, size: HopSize, end: End) -> Self {
        Self {
            start: Start::Hops(n.max(1), size),
            end,
            aligned: false,
        }
    }
    /// From `start` to `end`.
    pub fn between(start: Timestamp, end: Timestamp) -> Self {
        Self::since(start, End::At(end))
    }
    /// From `start` on.
    pub fn since(start: Timestamp, end: End) -> Self {
        Self {
            start: Start::At(start),
            end,
            aligned: false,
        }
    }
    /// Refused unless hops begin and end just there: nothing is rounded.
    #[must_use]
    pub fn aligned(mut self) -> Self {
        self.aligned = true;
        self
    }

    /// The interval in instants.
    fn resolve(&self, grid: &Grid, m: &Manifest) -> Result<Range<Timestamp>> {
        let end = match self.end {
            End::At(t) => t,
            End::Now => now(),
            End::Sealed => sealed(m)?,
        };
        let start = match self.start {
            Start::At(t) => t,
            Start::Before(length) => Timestamp(
                end.0
                    .saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)),
            ),
            Start::Hops(n, size) => {
                let last = grid.hop(size, Timestamp(end.0.saturating_sub(1)));
                grid.span_of(last.before(n - 1)).start
            }
        };
        Ok(start..end)
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Where the newest sealed batch ends.
fn sealed(m: &Manifest) -> Result<Timestamp> {
    m.sealed_until().ok_or_else(|| {
        Error::invalid(
            "a window that ends with the newest sealed batch: nothing is sealed yet, or its batches have no times; give an instant, \
             or let it end now",
        )
    })
}

/// The answer for one window: the sum, and what it is the sum of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowAnswer<V> {
    /// The sum with what it rests on; no value: surely no record of this key was in these hops.
    pub answer: Answer<V>,
    /// What was asked for.
    pub asked: Range<Timestamp>,
    /// What the sum covers: what was asked for, at each end rounded outwards to a hop.
    pub covered: Range<Timestamp>,
    /// The size of the hops to which start and end were rounded.
    pub resolution: (HopSize, HopSize),
    /// How many hops were read.
    pub hops: usize,
}

/// An answer in canonical bytes.
pub type RawWindowAnswer = WindowAnswer<Vec<u8>>;

impl<V> WindowAnswer<V> {
    fn try_map<W>(self, f: impl FnOnce(V) -> Result<W>) -> Result<WindowAnswer<W>> {
        let Self {
            answer,
            asked,
            covered,
            resolution,
            hops,
        } = self;
        Ok(WindowAnswer {
            answer: answer.try_map(f)?,
            asked,
            covered,
            resolution,
            hops,
        })
    }
}

impl RawWindowAnswer {
    /// One JSON object: that of [`RawAnswer::to_json`](crate::RawAnswer) with the key of the window, and `window`: `asked`, `covered`, `resolution`,
    /// `hops`.
    ///
    /// # Errors
    /// `CorruptData` when key or value are not what the store's schema says.
    pub fn to_json(&self, face: &StoreFace, key: Value) -> Result<Value> {
        let span = |r: &Range<Timestamp>| json!({"start": r.start.to_string(), "end": r.end.to_string()});
        let mut all = self.answer.to_json_of(face, key)?;
        all["window"] = json!({
            "asked": span(&self.asked),
            "covered": span(&self.covered),
            "resolution": [self.resolution.0.to_string(), self.resolution.1.to_string()],
            "hops": self.hops,
        });
        Ok(all)
    }
}

impl<V> fmt::Display for WindowAnswer<V> {
    /// What was covered, and how coarse its ends are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.covered.start, self.covered.end)?;
        let (start, end) = &self.resolution;
        let of = |size: &HopSize, exact: bool| {
            if exact {
                "exact".to_string()
            } else {
                format!("to {size}")
            }
        };
        let (a, b) = (
            of(start, self.asked.start == self.covered.start),
            of(end, self.asked.end == self.covered.end),
        );
        let hops = if self.hops == 1 { "hop" } else { "hops" };
        if a == b {
            write!(f, " ({a}; {} {hops})", self.hops)
        } else {
            write!(f, " (start {a}, end {b}; {} {hops})", self.hops)
        }
    }
}
