//! Windows of one store as bytes.

use std::ops::Range;
use std::sync::Arc;

use rufous_core::{AsKey, Cover, Error, Grid, Hop, HopSize, Result, StoreFace, Timestamp};

use super::{RawWindowAnswer, Window, WindowAnswer};
use crate::raw::RawStoreClient;
use crate::view::{Fail, Sum, View};

/// Windows of one read at most, keys times windows: what one answer may hold.
const MOST_WINDOWS: usize = 100_000;
/// Hops of one read at most, over all keys.
const MOST_HOPS: usize = 1 << 22;

/// Asks a windowed store as bytes; keys are those of the job, without the hop. Errors are those of [`RawStoreClient`], and
/// `InvalidRequest` for a window that cannot be covered.
#[derive(Clone)]
pub struct RawWindowClient {
    raw: RawStoreClient,
    grid: Arc<Grid>,
}

/// Which windows, once the end is known.
enum Asked<'a> {
    These(&'a [Window]),
    Tumbling(&'a Window, HopSize),
    Sliding(&'a Window, i64, i64),
}

/// A window with its hops.
struct Planned {
    asked: Range<Timestamp>,
    cover: Cover,
}

impl RawWindowClient {
    /// # Errors
    /// `InvalidRequest` when the store has no hops.
    pub(crate) fn new(raw: RawStoreClient) -> Result<Self> {
        let name = raw.face().name;
        let Some(windows) = raw.face().windows else {
            return Err(Error::invalid(format!(
                "store `{name}` has no windows: it is filled by `sum_by_key`, not by `windowed_sum_by_key`"
            )));
        };
        let grid = windows.grid().map_err(|e| e.at(format_args!("store `{name}`")))?;
        Ok(Self {
            raw,
            grid: Arc::new(grid),
        })
    }
    /// The store as it is, a value per key and hop.
    pub fn raw(&self) -> &RawStoreClient {
        &self.raw
    }
    /// Its hops.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
    fn face(&self) -> &StoreFace {
        self.raw.face()
    }
    /// Answers without ranges that were lost (P31); [`Coverage::holes`](crate::Coverage::holes) lists them.
    #[must_use]
    pub fn accept_holes(self) -> Self {
        Self {
            raw: self.raw.accept_holes(),
            ..self
        }
    }

    /// For each key, in order, the answers for each window; all of one snapshot and one manifest. A key whose bytes are damaged
    /// is an error of its own.
    ///
    /// # Errors
    /// As said at [`RawWindowClient`].
    pub fn read(&self, keys: &[Vec<u8>], windows: &[Window]) -> Result<Vec<Vec<Result<RawWindowAnswer>>>> {
        self.answers(keys, &Asked::These(windows))
    }
    /// One window after the other, without gap or overlap: the hops of size `every` (kept by the store or not) that have a part in
    /// `within`; the first and the last are cut to it.
    ///
    /// # Errors
    /// As said at [`RawWindowClient`].
    pub fn tumbling(&self, key: &[u8], within: &Window, every: HopSize) -> Result<Vec<Result<RawWindowAnswer>>> {
        self.one(key, &Asked::Tumbling(within, every))
    }
    /// Windows of `length_ms`, of which one ends at every `every_ms` within `within`, counted from its start; the last ends where
    /// `within` does or before.
    ///
    /// # Errors
    /// As said at [`RawWindowClient`].
    pub fn sliding(
        &self,
        key: &[u8],
        within: &Window,
        length_ms: u64,
        every_ms: u64,
    ) -> Result<Vec<Result<RawWindowAnswer>>> {
        let ms = |n: u64, what: &str| {
            i64::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                Error::invalid(format!(
                    "store `{}`: sliding windows with {what} of {n} ms",
                    self.face().name
                ))
            })
        };
        let asked = Asked::Sliding(within, ms(length_ms, "a length")?, ms(every_ms, "a step")?);
        self.one(key, &asked)
    }

    fn one(&self, key: &[u8], asked: &Asked<'_>) -> Result<Vec<Result<RawWindowAnswer>>> {
        let mut found = self.answers(&[key.to_vec()], asked)?;
        found
            .pop()
            .ok_or_else(|| Error::bug("one key was asked, none was answered"))
    }

    fn answers(&self, keys: &[Vec<u8>], asked: &Asked<'_>) -> Result<Vec<Vec<Result<RawWindowAnswer>>>> {
        let (found, view) = self.raw.read(false, &mut |view| {
            let planned = self.plan(asked, keys.len(), view).map_err(Fail::Final)?;
            let sums = self.sums(keys, &planned, view)?;
            Ok((planned, sums))
        })?;
        let (planned, sums) = found;
        let answer = |(sum, planned): (Sum, &Planned)| {
            Ok(WindowAnswer {
                answer: view.basis.answer(sum?),
                asked: planned.asked.clone(),
                covered: planned.cover.covered.clone(),
                resolution: planned.cover.resolution,
                hops: planned.cover.len(),
            })
        };
        let of_key = |sums: Vec<Sum>| sums.into_iter().zip(&planned).map(answer).collect();
        Ok(sums.into_iter().map(of_key).collect())
    }

    fn plan(&self, asked: &Asked<'_>, keys: usize, view: &View) -> Result<Vec<Planned>> {
        let refuse = |why: String| Err(Error::invalid(why));
        let spans = self.spans(asked, view)?;
        if spans.len().saturating_mul(keys) > MOST_WINDOWS {
            return refuse(format!(
                "{} windows of {keys} keys are asked for; ask for at most {MOST_WINDOWS} at once",
                spans.len()
            ));
        }
        let (mut planned, mut hops) = (Vec::with_capacity(spans.len()), 0);
        for (asked, aligned) in spans {
            let cover = self.grid.cover(asked.clone(), &[])?;
            if aligned && cover.covered != asked {
                return refuse(format!(
                    "the window {} to {} does not begin and end with hops: the nearest around it is {} to {}",
                    asked.start, asked.end, cover.covered.start, cover.covered.end
                ));
            }
            hops += cover.len();
            planned.push(Planned { asked, cover });
        }
        if hops.saturating_mul(keys) > MOST_HOPS {
            return refuse(format!(
                "{hops} hops of {keys} keys are asked for; ask for at most {MOST_HOPS} at once"
            ));
        }
        Ok(planned)
    }

    fn spans(&self, asked: &Asked<'_>, view: &View) -> Result<Vec<(Range<Timestamp>, bool)>> {
        let resolve = |w: &Window| w.resolve(&self.grid, &view.manifest);
        let mut spans = Vec::new();
        let (within, aligned) = match asked {
            Asked::These(windows) => {
                return windows.iter().map(|w| Ok((resolve(w)?, w.aligned))).collect();
            }
            Asked::Tumbling(within, _) | Asked::Sliding(within, ..) => (resolve(within)?, within.aligned),
        };
        if within.end <= within.start {
            return Err(Error::invalid(format!(
                "the windows end at {}, which is not after their start, {}",
                within.end, within.start
            )));
        }
        let mut at = within.start;
        match asked {
            Asked::Tumbling(_, every) => {
                while at < within.end && spans.len() <= MOST_WINDOWS {
                    let end = self.grid.span_of(self.grid.hop(*every, at)).end.min(within.end);
                    spans.push((at..end, aligned));
                    at = end;
                }
            }
            Asked::Sliding(_, length, every) => {
                at = Timestamp(at.0.saturating_add(*every));
                while at <= within.end && spans.len() <= MOST_WINDOWS {
                    spans.push((Timestamp(at.0.saturating_sub(*length))..at, aligned));
                    at = Timestamp(at.0.saturating_add(*every));
                }
            }
            Asked::These(_) => {}
        }
        Ok(spans)
    }

    /// Per key and window the sum of its hops, in order of time. Hops that several windows share are read once.
    fn sums(&self, keys: &[Vec<u8>], planned: &[Planned], view: &View) -> Result<Vec<Vec<Sum>>, Fail> {
        let mut hops: Vec<Hop> = planned.iter().flat_map(|p| p.cover.hops()).collect();
        hops.sort_unstable();
        hops.dedup();
        let mut wanted = Vec::with_capacity(keys.len() * hops.len());
        for key in keys {
            for hop in &hops {
                let mut bytes = Vec::with_capacity(key.len() + 16);
                bytes.extend_from_slice(key);
                hop.encode_key(&mut bytes);
                wanted.push(bytes);
            }
        }
        let values = view.values(&wanted)?;
        let place = |hop: Hop| hops.binary_search(&hop).map_err(|_| Error::bug("a hop was not read"));
        let mut all = Vec::with_capacity(keys.len());
        for values in values.chunks(hops.len().max(1)) {
            let sum = |p: &Planned| -> Sum {
                let mut parts = Vec::with_capacity(p.cover.len());
                for hop in p.cover.hops() {
                    match &values[place(hop)?] {
                        Ok(Some(value)) => parts.push(value.as_slice()),
                        Ok(None) => {}
                        Err(e) => return Err(Error::new(e.kind(), e.to_string())),
                    }
                }
                self.raw.add_parts(&parts)
            };
            all.push(planned.iter().map(sum).collect());
        }
        // Nobody asked for a hop: there is no window.
        all.resize_with(keys.len(), Vec::new);
        Ok(all)
    }
}
