//! Which hops a store keeps, and where an instant falls among them.

use std::ops::Range;

use super::calendar::{Unit, Zone};
use super::hop::{Hop, HopSize};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::port::Store;
use crate::time::Timestamp;

/// Sizes that a store may keep at once: each record is added to one hop of every size.
const MOST_SIZES: usize = 8;

/// The hops of a windowed store: their sizes, how long each size is kept, and the time zone of calendar units.
///
/// Any window is the sum of the fewest hops that cover it. Small sizes make windows exact to the minute, large ones make long
/// windows cheap. A size that is kept for some days serves what lies less than these before a window's end; a window that begins
/// earlier is rounded to larger hops there, or refused.
///
/// **What is kept is counted from the newest sealed batch.** Hops that no window reads that ends there or later are dropped: from
/// the next publish of the batch layer on nobody reads them, and they are deleted when runs are merged. A window that ends long
/// before the newest sealed batch is therefore read from larger hops, or refused. A record that comes so late that its hop of a
/// size is dropped counts in larger hops only. Where batches are cut by the time of the log and an old stream is read again
/// today, all of it is old: declare sizes without `keep_*`. Stores that `changes`, `totals` or a scan read keep all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    sizes: &'static [HopSize],
    zone: &'static str,
}

impl Windows {
    /// Hops of these sizes.
    ///
    /// # Panics
    /// At compile time for constants: without a size, with more than eight, with one size twice, or when a size is kept for less
    /// than its own length or for less than a smaller one.
    pub const fn new(sizes: &'static [HopSize]) -> Self {
        assert!(!sizes.is_empty(), "a windowed store needs a size of hops");
        assert!(
            sizes.len() <= MOST_SIZES,
            "a windowed store has at most eight sizes of hops"
        );
        let mut i = 0;
        while i < sizes.len() {
            if let Some(keep) = sizes[i].keep_ms() {
                assert!(
                    keep >= sizes[i].length_ms(),
                    "a hop is kept for its own length at least"
                );
            }
            let mut j = 0;
            while j < sizes.len() {
                assert!(
                    i == j || sizes[i].code() != sizes[j].code(),
                    "one size of hops stands twice"
                );
                if sizes[i].length_ms() > sizes[j].length_ms() {
                    let shorter = match (sizes[i].keep_ms(), sizes[j].keep_ms()) {
                        (Some(large), Some(small)) => large < small,
                        (Some(_), None) => true,
                        (None, _) => false,
                    };
                    assert!(!shorter, "large hops are kept at least as long as small ones");
                }
                j += 1;
            }
            i += 1;
        }
        Self { sizes, zone: "UTC" }
    }
    /// The zone of calendar units, a name of the IANA database such as `Europe/Paris`; checked when a job is planned.
    #[must_use]
    pub const fn zone(mut self, name: &'static str) -> Self {
        self.zone = name;
        self
    }
    /// The sizes, as declared.
    pub const fn sizes(&self) -> &'static [HopSize] {
        self.sizes
    }
    /// Ready for use.
    ///
    /// # Errors
    /// `InvalidRequest` when there is no such time zone.
    pub fn grid(&self) -> Result<Grid> {
        let mut sizes: Vec<Size> = self
            .sizes
            .iter()
            .map(|&size| Size {
                size,
                unit: size.calendar(),
                code: size.code(),
            })
            .collect();
        sizes.sort_by_key(|s| (s.size.length_ms(), s.code));
        Ok(Grid {
            sizes,
            zone: Zone::find(self.zone)?,
        })
    }
    /// What the hops in the keys mean, for schemas: sizes, and the zone with a digest of its rules where it matters. How long they
    /// are kept is no part of it.
    pub fn text(&self) -> String {
        let Ok(grid) = self.grid() else {
            return format!("hops in {}", self.zone);
        };
        let sizes: Vec<String> = grid.sizes.iter().map(|s| s.size.to_string()).collect();
        let zone = if grid.sizes.iter().any(|s| s.unit.is_some()) {
            format!(" {}", grid.zone.text())
        } else {
            String::new()
        };
        format!("hops {}{zone}", sizes.join(","))
    }
}

/// Totals per key and hop: any window is a sum of a few of them.
///
/// ```
/// use rufous_core::{HopSize, Source, WindowedStore};
///
/// const LINES: Source<str> = Source::new("lines");
/// const VIEWS: WindowedStore<String, u64> =
///     WindowedStore::new("views", &[HopSize::minutes(5).keep_days(2), HopSize::hours(1), HopSize::days(1)]);
/// ```
pub struct WindowedStore<K, V> {
    store: Store<(K, Hop), V>,
    windows: Windows,
}

impl<K, V> Clone for WindowedStore<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for WindowedStore<K, V> {}

impl<K: Key, V: rufous_algebra::Codec> WindowedStore<K, V> {
    /// A store of this name with hops of these sizes.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`, and as [`Windows::new`].
    pub const fn new(name: &'static str, sizes: &'static [HopSize]) -> Self {
        Self {
            store: Store::new(name),
            windows: Windows::new(sizes),
        }
    }
    /// The zone of calendar units: [`Windows::zone`].
    #[must_use]
    pub const fn zone(mut self, name: &'static str) -> Self {
        self.windows = self.windows.zone(name);
        self
    }
}

impl<K, V> WindowedStore<K, V> {
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.store.name()
    }
    /// The store as it is, a value per key and hop, for tests over lists; a client asks for single hops by
    /// `client.windows(PORT)?.hops()`.
    pub const fn hops(&self) -> Store<(K, Hop), V> {
        self.store
    }
    /// Its hops.
    pub const fn windows(&self) -> Windows {
        self.windows
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) size: HopSize,
    pub(super) unit: Option<Unit>,
    code: u64,
}

/// [`Windows`] ready for use: sizes from the smallest on, and the rules of the zone.
#[derive(Clone, Debug)]
pub struct Grid {
    pub(super) sizes: Vec<Size>,
    zone: Zone,
}

impl Grid {
    /// The sizes, smallest first.
    pub fn sizes(&self) -> impl ExactSizeIterator<Item = HopSize> {
        self.sizes.iter().map(|s| s.size)
    }
    /// The name of the time zone.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }
    pub(super) fn number(&self, s: &Size, at: Timestamp) -> i64 {
        match s.unit {
            None => at.0.div_euclid(s.code as i64),
            Some(unit) => self.zone.number(unit, at),
        }
    }
    pub(super) fn start(&self, s: &Size, number: i64) -> Timestamp {
        match s.unit {
            None => Timestamp(number.saturating_mul(s.code as i64)),
            Some(unit) => self.zone.start(unit, number),
        }
    }
    pub(super) fn span(&self, s: &Size, number: i64) -> Range<Timestamp> {
        self.start(s, number)..self.start(s, number.saturating_add(1))
    }
    /// The hop of this size that holds `at`, whether or not the store keeps that size.
    pub fn hop(&self, size: HopSize, at: Timestamp) -> Hop {
        let s = Size {
            size,
            unit: size.calendar(),
            code: size.code(),
        };
        Hop::new(s.code, self.number(&s, at))
    }
    /// From when until when a hop is.
    pub fn span_of(&self, hop: Hop) -> Range<Timestamp> {
        let s = Size {
            size: hop.size(),
            unit: hop.size().calendar(),
            code: hop.size().code(),
        };
        self.span(&s, hop.number())
    }
    /// The hops that hold `at`, one of each size, smallest first.
    pub fn hops(&self, at: Timestamp) -> impl Iterator<Item = Hop> {
        self.sizes.iter().map(move |s| Hop::new(s.code, self.number(s, at)))
    }
    /// The span around `at` in which no hop of any size begins or ends: all its instants are in the same hops. It begins with
    /// the last of their starts.
    pub fn atom(&self, at: Timestamp) -> Range<Timestamp> {
        let mut atom = Timestamp(i64::MIN)..Timestamp(i64::MAX);
        for s in &self.sizes {
            let span = self.span(s, self.number(s, at));
            atom = atom.start.max(span.start)..atom.end.min(span.end);
        }
        atom
    }
    /// # Errors
    /// `InvalidRequest`, which names the store.
    pub(super) fn refuse<T>(&self, why: String) -> Result<T> {
        Err(Error::invalid(why))
    }
}
