//! What a store may forget: rows that have no meaning any more once the offline layer reaches far enough. They are left out
//! where data is rewritten anyway, when runs are merged.
//!
//! Two kinds, which a store may have both of: hops of sizes that are kept for a time, where the manifest says up to which instant
//! they are gone and readers refuse them; and rows that say themselves in which batch they were last of use
//! ([`Forgets`]), such as an id that was seen, where nobody reads what is forgotten.
//!
//! A merge takes some of a generation's runs, so of a key that is forgotten parts may be left in the others. The law for
//! [`Forgets`] is therefore: a sum that is of use has the same value without parts that were not. It holds where the batch is
//! part of the value and values are added by the greatest.

use std::fmt;

use rufous_algebra::DecodeError;

use crate::batch::BatchId;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::time::Timestamp;
use crate::window::{Grid, Hop, HopSize};

/// Rows that lose their meaning a number of batches behind the frontier.
#[derive(Clone, Copy)]
pub struct Forgets {
    horizon: u64,
    last_used: fn(&[u8], &[u8]) -> Result<BatchId, DecodeError>,
}

impl Forgets {
    /// A row (key, value) whose last batch of use lies more than `horizon` batches before the first batch that may still come.
    pub const fn behind(horizon: u64, last_used: fn(&[u8], &[u8]) -> Result<BatchId, DecodeError>) -> Self {
        Self { horizon, last_used }
    }
}

impl fmt::Debug for Forgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forgets")
            .field("horizon", &self.horizon)
            .finish_non_exhaustive()
    }
}

/// How far things are, for what may be forgotten. It only grows as the frontier does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// No record of an earlier batch comes any more, in any partition; `None`: that is not known.
    pub batch: Option<BatchId>,
    /// Per size of hops the instant up to which they are gone, as the manifest says.
    pub dropped: Vec<(HopSize, Timestamp)>,
}

impl Reach {
    /// Whether all that has no meaning there has none here.
    pub fn covers(&self, other: &Self) -> bool {
        let until = |(size, until): &(HopSize, Timestamp)| {
            let mut ours = self.dropped.iter().filter(|(of, _)| of.code() == size.code());
            ours.any(|(_, ours)| ours >= until)
        };
        self.batch >= other.batch && other.dropped.iter().all(until)
    }
}

/// Says of the rows of one store which are forgotten.
#[derive(Clone, Debug)]
pub struct Forgetter {
    store: &'static str,
    /// Sizes, and the number of the first hop of each that is not gone.
    hops: Vec<(HopSize, i64)>,
    rows: Option<(Forgets, BatchId)>,
}

impl StoreFace {
    /// What the store may forget at this reach; `None`: nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when the time zone of its hops is not known.
    pub fn forgetter(&self, reach: &Reach) -> Result<Option<Forgetter>> {
        let hops = match self.windows {
            Some(windows) if !reach.dropped.is_empty() => {
                let grid = windows
                    .grid()
                    .map_err(|e| e.at(format_args!("store `{}`", self.name)))?;
                first_kept(&grid, &reach.dropped)
            }
            _ => Vec::new(),
        };
        let rows = self.forgets.zip(reach.batch).and_then(|(forgets, batch)| {
            let horizon = i64::try_from(forgets.horizon).ok()?;
            Some((forgets, BatchId(batch.0.checked_sub(horizon)?)))
        });
        if hops.is_empty() && rows.is_none() {
            return Ok(None);
        }
        Ok(Some(Forgetter {
            store: self.name,
            hops,
            rows,
        }))
    }
}

/// A hop ends at or before an instant when its number is below that of the hop that holds the instant.
fn first_kept(grid: &Grid, dropped: &[(HopSize, Timestamp)]) -> Vec<(HopSize, i64)> {
    let of = |(size, until): &(HopSize, Timestamp)| (*size, grid.hop(*size, *until).number());
    dropped.iter().map(of).collect()
}

impl Forgetter {
    /// The hop of a key, if it is one that is gone.
    pub fn dropped(&self, key: &[u8]) -> Option<Hop> {
        if self.hops.is_empty() {
            return None;
        }
        let hop = Hop::of_key(key)?;
        let gone = |(size, first): &(HopSize, i64)| size.code() == hop.size().code() && hop.number() < *first;
        self.hops.iter().any(gone).then_some(hop)
    }

    /// Whether a row has no meaning any more.
    ///
    /// # Errors
    /// `CorruptData` when its bytes are not what the store holds.
    pub fn forgets(&self, key: &[u8], value: &[u8]) -> Result<bool> {
        if self.dropped(key).is_some() {
            return Ok(true);
        }
        let Some((forgets, first)) = &self.rows else {
            return Ok(false);
        };
        let last = (forgets.last_used)(key, value).map_err(|e| {
            Error::corrupt(format!(
                "store `{}`: a row does not say when it was last of use: {e}",
                self.store
            ))
            .caused_by(e)
        })?;
        Ok(last < *first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::AsKey;
    use crate::port::Store;
    use crate::window::WindowedStore;

    const VIEWS: WindowedStore<String, u64> = WindowedStore::new(
        "views",
        &[HopSize::minutes(5).keep_hours(1), HopSize::hours(1), HopSize::month()],
    )
    .zone("Europe/Paris");

    fn batch_of(_: &[u8], value: &[u8]) -> Result<BatchId, DecodeError> {
        let bytes = value.try_into().map_err(|_| DecodeError::new("no batch"))?;
        Ok(BatchId(i64::from_le_bytes(bytes)))
    }

    /// A hop is gone from the instant on at which it ends; hops of other sizes stay.
    #[test]
    fn hops_are_gone_when_they_end_there() {
        let face = StoreFace::windowed(VIEWS);
        assert!(face.forgetter(&Reach::default()).unwrap().is_none());
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let grid = VIEWS.windows().grid().unwrap();
        for (size, until) in [
            (HopSize::minutes(5), "2001-01-02T00:10:00Z"),
            (HopSize::minutes(5), "2001-01-02T00:12:00Z"),
            (HopSize::minutes(5), "1969-12-31T23:58:00Z"),
            (HopSize::month(), "2001-01-31T23:00:00Z"),
            (HopSize::month(), "2001-01-31T22:59:59Z"),
        ] {
            let reach = Reach {
                batch: Some(BatchId(7)),
                dropped: vec![(size, at(until))],
            };
            let forgetter = face.forgetter(&reach).unwrap().unwrap();
            for of in [HopSize::minutes(5), HopSize::hours(1), HopSize::month()] {
                for away in -3..4 {
                    let hop = grid.hop(of, Timestamp(at(until).0 + away * of.length_ms() as i64));
                    let mut key = Vec::new();
                    "k".encode_key(&mut key);
                    hop.encode_key(&mut key);
                    let gone = of.code() == size.code() && grid.span_of(hop).end <= at(until);
                    assert_eq!(forgetter.forgets(&key, b"").unwrap(), gone, "{until} {hop}");
                    assert_eq!(forgetter.dropped(&key), gone.then_some(hop));
                }
            }
            assert_eq!(forgetter.dropped(b"short"), None);
        }
    }

    /// A row is of use up to `horizon` batches behind the first that may come.
    #[test]
    fn rows_say_when_they_were_of_use() {
        let face = StoreFace {
            forgets: Some(Forgets::behind(3, batch_of)),
            ..StoreFace::of(Store::<String, u64>::new("seen"))
        };
        let at = |batch: i64| {
            let reach = Reach {
                batch: Some(BatchId(batch)),
                dropped: Vec::new(),
            };
            face.forgetter(&reach).unwrap()
        };
        let forgetter = at(10).unwrap();
        let gone: Vec<_> = (0..12)
            .filter(|b: &i64| forgetter.forgets(b"k\0", &b.to_le_bytes()).unwrap())
            .collect();
        assert_eq!(gone, (0..7).collect::<Vec<_>>());
        assert!(
            forgetter
                .forgets(b"k\0", b"no")
                .unwrap_err()
                .to_string()
                .contains("`seen`")
        );
        assert!(at(i64::MIN + 1).is_none(), "nothing lies before the beginning");
        assert!(face.forgetter(&Reach::default()).unwrap().is_none());
    }
}
