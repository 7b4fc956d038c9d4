//! Windows of one store as bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rufous_core::{Cover, Error, Grid, Hop, HopSize, Result, SourcePartition, StoreFace, Timestamp};

use super::table::Table;
use super::{RawWindowAnswer, Window, WindowAnswer};
use crate::raw::RawStoreClient;
use crate::view::{Fail, Sum, View};

/// Windows of one read at most, keys times windows: what one answer may hold.
const MOST_WINDOWS: usize = 100_000;
/// Hops of one read at most, over all keys.
const MOST_HOPS: usize = 1 << 22;
/// Values that are held at a time.
const AT_ONCE: usize = 8192;

/// Asks a windowed store as bytes; keys are those of the job, without the hop. Errors are those of [`RawStoreClient`], and
/// `InvalidRequest` for a window that cannot be covered.
#[derive(Clone)]
pub struct RawWindowClient {
    raw: RawStoreClient,
    grid: Arc<Grid>,
    check: Option<Arc<Check>>,
}

type Check = dyn Fn(WindowCount) -> Result<()> + Send + Sync;

/// How much one read asks for, over all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowCount {
    /// Windows, each of which is an answer.
    pub windows: usize,
    /// Hops that are added up.
    pub hops: usize,
}

/// Which windows, once the end is known.
pub(super) enum Asked<'a> {
    These(&'a [Window]),
    Tumbling(&'a Window, HopSize),
    Sliding(&'a Window, i64, i64),
}

/// A window with its hops.
pub(super) struct Planned {
    asked: Range<Timestamp>,
    pub(super) cover: Cover,
}

impl Planned {
    /// The answer whose sum this is.
    pub(super) fn answer(&self, sum: Option<Vec<u8>>, view: &View) -> RawWindowAnswer {
        WindowAnswer {
            answer: view.basis.answer(sum),
            asked: self.asked.clone(),
            covered: self.cover.covered.clone(),
            resolution: self.cover.resolution,
            hops: self.cover.len(),
        }
    }
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
            check: None,
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
    /// As [`RawStoreClient::at_least`].
    #[must_use]
    pub fn at_least(self, offsets: &BTreeMap<SourcePartition, u64>) -> Self {
        Self {
            raw: self.raw.at_least(offsets),
            ..self
        }
    }
    /// As [`RawStoreClient::until`].
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            raw: self.raw.until(deadline),
            ..self
        }
    }

    /// As [`RawStoreClient::unless`].
    #[must_use]
    pub fn unless(self, given_up: Arc<AtomicBool>) -> Self {
        Self {
            raw: self.raw.unless(given_up),
            ..self
        }
    }
    /// Shows what is asked for once it is known, before any value of it is read; what `check` returns ends the read.
    #[must_use]
    pub fn planned(self, check: impl Fn(WindowCount) -> Result<()> + Send + Sync + 'static) -> Self {
        Self {
            check: Some(Arc::new(check)),
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
    /// For each key one window after the other, without gap or overlap: the hops of size `every` (kept by the store or not) that have a part in
    /// `within`; the first and the last are cut to it.
    ///
    /// # Errors
    /// As said at [`RawWindowClient`].
    pub fn tumbling(
        &self,
        keys: &[Vec<u8>],
        within: &Window,
        every: HopSize,
    ) -> Result<Vec<Vec<Result<RawWindowAnswer>>>> {
        self.answers(keys, &Asked::Tumbling(within, every))
    }
    /// For each key windows of `length_ms`, of which one ends at every `every_ms` within `within`, counted from its start; the last ends where
    /// `within` does or before.
    ///
    /// # Errors
    /// As said at [`RawWindowClient`].
    pub fn sliding(
        &self,
        keys: &[Vec<u8>],
        within: &Window,
        length_ms: u64,
        every_ms: u64,
    ) -> Result<Vec<Vec<Result<RawWindowAnswer>>>> {
        let ms = |n: u64, what: &str| {
            i64::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                Error::invalid(format!(
                    "store `{}`: sliding windows with {what} of {n} ms",
                    self.face().name
                ))
            })
        };
        let asked = Asked::Sliding(within, ms(length_ms, "a length")?, ms(every_ms, "a step")?);
        self.answers(keys, &asked)
    }

    fn answers(&self, keys: &[Vec<u8>], asked: &Asked<'_>) -> Result<Vec<Vec<Result<RawWindowAnswer>>>> {
        let (found, view) = self.raw.read(false, &mut |view| {
            let planned = self.plan(asked, keys.len(), view).map_err(Fail::Final)?;
            let sums = self.sums(keys, &planned, view)?;
            Ok((planned, sums))
        })?;
        let (planned, sums) = found;
        let answer = |(sum, planned): (Sum, &Planned)| Ok(planned.answer(sum?, &view));
        let of_key = |sums: Vec<Sum>| sums.into_iter().zip(&planned).map(answer).collect();
        Ok(sums.into_iter().map(of_key).collect())
    }

    pub(super) fn plan(&self, asked: &Asked<'_>, keys: usize, view: &View) -> Result<Vec<Planned>> {
        let refuse = |why: String| Err(Error::invalid(why));
        let spans = self.spans(asked, view)?;
        let dropped = view.dropped();
        if spans.len().saturating_mul(keys) > MOST_WINDOWS {
            return refuse(format!(
                "{} windows of {keys} keys are asked for; ask for at most {MOST_WINDOWS} at once",
                spans.len()
            ));
        }
        let (mut planned, mut hops) = (Vec::with_capacity(spans.len()), 0);
        for (asked, aligned) in spans {
            let cover = self.grid.cover(asked.clone(), &dropped)?;
            if aligned && cover.covered != asked {
                return refuse(format!(
                    "the window {} to {} does not begin and end with hops: the nearest around it is {} to {}",
                    asked.start, asked.end, cover.covered.start, cover.covered.end
                ));
            }
            hops += cover.len();
            // At once: each cover may be long.
            if hops.saturating_mul(keys) > MOST_HOPS {
                return refuse(format!(
                    "more than {hops} hops of {keys} keys are asked for; ask for at most {MOST_HOPS} at once"
                ));
            }
            planned.push(Planned { asked, cover });
        }
        if let Some(check) = &self.check {
            check(WindowCount {
                windows: planned.len().saturating_mul(keys),
                hops: hops.saturating_mul(keys),
            })?;
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

    /// Per key and window the sum of its hops, in order of time.
    pub(super) fn sums(&self, keys: &[Vec<u8>], planned: &[Planned], view: &View) -> Result<Vec<Vec<Sum>>, Fail> {
        let mut all = Vec::with_capacity(keys.len());
        if let [one] = planned {
            // The values of many keys, or of a long window, are added up piece by piece: sketches are large.
            let hops: Vec<Hop> = one.cover.hops().collect();
            for some in keys.chunks((AT_ONCE / hops.len().max(1)).max(1)) {
                all.extend(self.one_window(some, &hops, view)?.into_iter().map(|sum| vec![sum]));
            }
            return Ok(all);
        }
        let mut hops: Vec<Hop> = planned.iter().flat_map(|p| p.cover.hops()).collect();
        hops.sort_unstable();
        hops.dedup();
        // Hops that several windows share are read once.
        for some in keys.chunks((AT_ONCE / hops.len().max(1)).max(1)) {
            let table = Table::read(view, some, &hops)?;
            for key in some {
                view.on_time("a sum of windows")?;
                let sum = |p: &Planned| -> Sum {
                    let mut parts = Vec::with_capacity(p.cover.len());
                    for hop in p.cover.hops() {
                        parts.extend(table.get(key, hop)?);
                    }
                    self.raw.add_parts(&parts)
                };
                all.push(planned.iter().map(sum).collect());
            }
        }
        Ok(all)
    }

    /// The sum of one window, for each key.
    fn one_window(&self, keys: &[Vec<u8>], hops: &[Hop], view: &View) -> Result<Vec<Sum>, Fail> {
        let mut sums: Vec<Sum> = keys.iter().map(|_| Ok(None)).collect();
        for some in hops.chunks(AT_ONCE) {
            let mut sorted = some.to_vec();
            sorted.sort_unstable();
            let table = Table::read_sums(view, keys, &sorted, &|parts| self.raw.add_parts(parts))?;
            for (sum, key) in sums.iter_mut().zip(keys) {
                view.on_time("a sum of a window")?;
                let Ok(before) = &*sum else { continue };
                let mut parts: Vec<&[u8]> = Vec::with_capacity(some.len() + 1);
                parts.extend(before.as_deref());
                *sum = table
                    .parts(key, some, &mut parts)
                    .and_then(|()| self.raw.add_parts(&parts));
            }
        }
        Ok(sums)
    }
}
