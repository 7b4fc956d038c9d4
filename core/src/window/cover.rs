//! Which hops make a window: the fewest that cover it.

use std::ops::Range;

use super::hop::{Hop, HopSize, show};
use super::windows::{Grid, Size};
use crate::error::Result;
use crate::time::Timestamp;

/// More hops than any answer needs.
const MOST_HOPS: usize = 1 << 20;

/// Neighbouring hops of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopRun {
    /// Their size.
    pub size: HopSize,
    /// Their numbers.
    pub numbers: Range<i64>,
}

impl HopRun {
    /// The hops in order of time.
    pub fn hops(&self) -> impl Iterator<Item = Hop> + use<> {
        let code = self.size.code();
        self.numbers.clone().map(move |number| Hop::new(code, number))
    }
}

/// The hops that make a window, in order of time, and what they truly cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// The hops.
    pub runs: Vec<HopRun>,
    /// What they cover: at least what was asked, at each end less than a hop more.
    pub covered: Range<Timestamp>,
    /// The size of the hops that the first and the last instant were rounded to.
    pub resolution: (HopSize, HopSize),
}

impl Cover {
    /// All hops in order of time.
    pub fn hops(&self) -> impl Iterator<Item = Hop> {
        self.runs.iter().flat_map(HopRun::hops)
    }
    /// How many hops there are.
    pub fn len(&self) -> usize {
        let len = |r: &HopRun| usize::try_from(r.numbers.end - r.numbers.start).unwrap_or(0);
        self.runs.iter().map(len).sum()
    }
    /// Whether there is no hop: never, for a window that was not refused.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
    fn push(&mut self, size: HopSize, number: i64) {
        match self.runs.last_mut() {
            Some(run) if run.size.code() == size.code() && run.numbers.end == number => run.numbers.end += 1,
            _ => self.runs.push(HopRun {
                size,
                numbers: number..number + 1,
            }),
        }
    }
}

/// What may be read of each size: hops that end above this.
struct Usable(Vec<Timestamp>);

impl Usable {
    fn is(&self, i: usize, end: Timestamp) -> bool {
        end > self.0[i]
    }
}

impl Grid {
    /// The fewest hops that cover `[want.start, want.end)`. Hops of a size that is kept for `k` serve what is less than `k` before the
    /// window's end; of hops in `dropped`, which says per size up to where they are gone, none is used.
    ///
    /// # Errors
    /// `InvalidRequest`: the window ends at or before its start, begins before anything that is kept, or needs more than a
    /// million hops.
    pub fn cover(&self, want: Range<Timestamp>, dropped: &[(HopSize, Timestamp)]) -> Result<Cover> {
        if want.end <= want.start {
            return self.refuse(format!(
                "the window ends at {}, which is not after its start, {}",
                show(want.end),
                show(want.start)
            ));
        }
        let usable = self.usable(&want, dropped);
        let last = Timestamp(want.end.0 - 1);
        // Where the window may begin and end: with a hop of any size that may be read there.
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for (i, s) in self.sizes.iter().enumerate() {
            let first = self.span(s, self.number(s, want.start));
            let end = self.span(s, self.number(s, last)).end;
            if usable.is(i, first.end) {
                starts.push((first.start, s.size));
            }
            if usable.is(i, end) {
                ends.push((end, s.size));
            }
        }
        let pairs = starts.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b)));
        let mut pairs: Vec<_> = pairs.collect();
        // The narrowest first; of equally narrow ones that of the smaller hops. Sizes that do not divide each other may leave a gap
        // between the two; hops of one size never do.
        let more = |(start, end): &((Timestamp, HopSize), (Timestamp, HopSize))| {
            want.start
                .0
                .saturating_sub(start.0.0)
                .saturating_add(end.0.0.saturating_sub(want.end.0))
        };
        pairs.sort_by_key(more);
        pairs.dedup_by(|a, b| a.0.0 == b.0.0 && a.1.0 == b.1.0);
        if pairs.is_empty() {
            let oldest = usable.0.iter().copied().min().unwrap_or(want.start);
            return self.refuse(format!(
                "the window begins at {}, but no hop before {} is kept for it: ask for a later start, or keep hops longer",
                show(want.start),
                show(oldest)
            ));
        }
        for (start, end) in pairs {
            let mut cover = Cover {
                runs: Vec::new(),
                covered: start.0..end.0,
                resolution: (start.1, end.1),
            };
            if self.nests(&cover.covered) && self.largest_first(&usable, &mut cover)? {
                return Ok(cover);
            }
            cover.runs.clear();
            if self.shortest(&usable, &mut cover)? {
                return Ok(cover);
            }
        }
        self.refuse(format!(
            "the hops that are kept do not cover {} to {} without a gap: ask for a start and an end at hops of the largest size",
            show(want.start),
            show(want.end)
        ))
    }

    fn usable(&self, want: &Range<Timestamp>, dropped: &[(HopSize, Timestamp)]) -> Usable {
        let below = |s: &Size| {
            let kept = s.size.keep_ms().map_or(i64::MIN, |keep| {
                want.end.0.saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX))
            });
            let gone = dropped.iter().filter(|(size, _)| size.code() == s.size.code());
            gone.fold(Timestamp(kept), |below, (_, t)| below.max(*t))
        };
        Usable(self.sizes.iter().map(below).collect())
    }

    /// Whether each hop within the span is made of whole hops of every smaller size.
    fn nests(&self, span: &Range<Timestamp>) -> bool {
        self.sizes.windows(2).all(|pair| {
            let [fine, coarse] = pair else { return true };
            match (fine.unit, coarse.unit) {
                (None, None) => coarse.size.length_ms().is_multiple_of(fine.size.length_ms()),
                (Some(_), None) => false,
                (Some(a), Some(b)) => {
                    use super::calendar::Unit::{Day, Week};
                    a == Day || (a != Week && b != Week)
                }
                // A zone may be half an hour off.
                (None, Some(_)) => {
                    let length = fine.size.length_ms() as i64;
                    let last = self.number(coarse, span.end);
                    let mut n = self.number(coarse, span.start);
                    while n <= last {
                        if self.start(coarse, n).0.rem_euclid(length) != 0 {
                            return false;
                        }
                        n += 1;
                    }
                    true
                }
            }
        })
    }

    /// At each place the largest hop that begins there and fits: the fewest where hops nest. `false`: a place had none.
    fn largest_first(&self, usable: &Usable, cover: &mut Cover) -> Result<bool> {
        let (mut at, mut n) = (cover.covered.start, 0);
        'place: while at < cover.covered.end {
            for (i, s) in self.sizes.iter().enumerate().rev() {
                let number = self.number(s, at);
                if s.unit.is_none() && self.start(s, number) != at {
                    continue;
                }
                let span = self.span(s, number);
                if span.start == at && span.end <= cover.covered.end && usable.is(i, span.end) && span.end > at {
                    cover.push(s.size, number);
                    at = span.end;
                    n += 1;
                    if n > MOST_HOPS {
                        return self.too_many(cover);
                    }
                    continue 'place;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// The shortest way over all starts and ends: for hops that do not nest, such as weeks and months. `false`: there is none.
    fn shortest(&self, usable: &Usable, cover: &mut Cover) -> Result<bool> {
        let Range { start, end } = cover.covered;
        // Per place: how many hops lead there at least, and the last of them.
        let mut best: std::collections::BTreeMap<Timestamp, (usize, Option<(usize, i64)>)> = Default::default();
        best.insert(start, (0, None));
        let mut at = start;
        loop {
            let steps = best.get(&at).map_or(0, |(steps, _)| *steps);
            if at == end {
                break;
            }
            for (i, s) in self.sizes.iter().enumerate().rev() {
                let number = self.number(s, at);
                let span = self.span(s, number);
                if span.start != at || span.end > end || span.end <= at || !usable.is(i, span.end) {
                    continue;
                }
                let there = best.entry(span.end).or_insert((usize::MAX, None));
                if steps + 1 < there.0 {
                    *there = (steps + 1, Some((i, number)));
                }
            }
            if best.len() > MOST_HOPS {
                return self.too_many(cover);
            }
            let next = best
                .range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded))
                .next();
            let Some((next, _)) = next else {
                return Ok(false);
            };
            at = *next;
        }
        let mut way = Vec::new();
        let mut at = end;
        while let Some((_, Some((i, number)))) = best.get(&at) {
            way.push((*i, *number));
            at = self.start(&self.sizes[*i], *number);
        }
        for (i, number) in way.into_iter().rev() {
            cover.push(self.sizes[i].size, number);
        }
        Ok(true)
    }

    fn too_many<T>(&self, cover: &Cover) -> Result<T> {
        self.refuse(format!(
            "{} to {} are more than a million hops: ask for less, or keep larger hops",
            show(cover.covered.start),
            show(cover.covered.end)
        ))
    }
}
