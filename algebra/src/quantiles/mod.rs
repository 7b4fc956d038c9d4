//! Quantiles from a signed log-histogram.
//!
//! **State.** A count per bucket. The bucket of a value is its `f64` rounded to six bits after the leading one: sign, exponent
//! (11 bits) and mantissa (6). That is integer arithmetic on the bits; a logarithm would differ between maths libraries.
//! Negative values mirror positive ones, and 0 has a bucket of its own.
//!
//! **Laws, exact.** Equal multisets have equal bytes under any merge tree. Commutative. A
//! [`Group`](crate::Group): counts are signed, so
//! what was added can be taken away, and a bucket with a count of zero is no longer there. Not idempotent.
//!
//! **Guarantee.** [`Quantiles::quantile`] finds the bucket that holds the exact nearest-rank quantile of the values (order
//! between buckets is kept, so ranks are exact). The answer is the centre of the bucket, which is within 1/129 (0.775 %)
//! of each value in it, and the bucket's bounds. *Proof:* around a centre `c = 2^e (1 + k/64)` a bucket reaches
//! `2^e / 128` to each side (half of that below `2^e` itself); relative to the value this is greatest at the lower end
//! of `k = 1`: `(1/128) / (1 + 1/64 - 1/128) = 1/129`. Integers up to 128 in magnitude are centres, and exact.
//!
//! **Cost.** In memory 8 bytes for each bucket in use. A histogram that takes hundreds of inserts gets pages of 512 bytes for
//! the 64 buckets between two powers of two where it is dense or hot: the integers from 1 to 1,000 then take 7.2 KiB, those
//! from -1,000 to 1,000 19 KiB, and any values at all at most 4.5 MB. Written: nothing counted 1 byte, one value 5, ten
//! values 23. An insert into a page is two look-ups and an addition (1.2 ns), another a binary search.
//!
//! **Not for** quantiles of ranks closer than the values allow (two values of one bucket are one value here), or for values
//! whose distance from zero means nothing, as times: 0.775 % of a time in milliseconds is months.
//!
//! ```
//! use rufous_algebra::{Group, Quantiles, Semigroup};
//! let mut delays = Quantiles::default();
//! (1..=1000).for_each(|minutes| delays.insert(minutes));
//! let p95 = delays.quantile(0.95).unwrap();
//! assert!(p95.low <= 950.0 && 950.0 <= p95.high && (p95.value - 950.0).abs() <= 950.0 / 129.0);
//!
//! let mut undo = delays.clone();
//! undo.negate();
//! delays.combine(&undo);
//! assert_eq!(delays, Quantiles::default());
//! ```

mod answer;
mod bucket;
mod bytes;
mod entry;
mod merge;
mod pages;

use std::num::NonZeroU64;

use crate::semigroup::Absorb;
use bucket::Bucket;
use entry::{Entry, find};
use pages::{PAGE, Pages, page_of};

/// Counts of values by relative size. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    /// Ascending, outside of all pages.
    list: Vec<Entry>,
    dense: Option<Box<Dense>>,
    /// Inserts that found no page since pages were last made.
    misses: u32,
    /// So many doublings of [`PATIENCE`].
    patience: u8,
}

/// What the list does not hold. How counts are spread over the three is no part of the value.
#[derive(Clone, Debug, Default)]
struct Dense {
    pages: Pages,
    /// Counts too large for an [`Entry`], ascending, outside of all pages; never zero.
    large: Vec<(Bucket, i64)>,
}

/// After so many inserts without a page, pages are made: a histogram of few values never has one. Each time it takes twice as
/// many, up to a limit, since the rest is rarer each time.
const PATIENCE: u32 = 256;
const MOST_DOUBLINGS: u8 = 6;
/// A page is made for at least so many entries: then it takes at most 8 times their memory.
const DENSE: usize = PAGE / 8;
/// And for entries that have at least this part of the counts in the list: there are not many such pages.
const HOT: u64 = 16;
/// And this part of all counts.
const RARE: u64 = 256;

/// Equality of the counts, which is that of the bytes.
impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.buckets().eq(other.buckets())
    }
}
impl Eq for Quantiles {}

impl Quantiles {
    /// Counts a value. Beyond 2^53 it is the nearest `f64` that is counted.
    #[inline]
    pub fn insert(&mut self, value: i64) {
        self.add_value(value as f64, 1);
    }

    /// Counts a value `n` times (modulo 2^64: counts wrap).
    #[inline]
    pub fn insert_times(&mut self, value: i64, n: NonZeroU64) {
        self.add_value(value as f64, n.get() as i64);
    }

    /// Counts a value. Not-a-number is no value: it is ignored. Infinities have buckets of their own; subnormal numbers
    /// (below 2.3e-308 in magnitude) count as 0.
    #[inline]
    pub fn insert_f64(&mut self, value: f64) {
        self.add_value(value, 1);
    }

    /// Not-a-number has no page, and is passed over off the path of the others.
    #[inline]
    fn add_value(&mut self, value: f64, count: i64) {
        if let Some(dense) = &mut self.dense
            && let Some(n) = dense.pages.of_value(value)
        {
            *n = n.wrapping_add(count);
        } else if let Some(bucket) = Bucket::of(value) {
            self.misses += 1;
            // Not where its raw key leads, but its bucket may have a page.
            self.add(bucket, count);
            if self.misses >= PATIENCE << self.patience {
                self.make_pages();
            }
        }
    }

    fn add(&mut self, bucket: Bucket, count: i64) {
        if let Some(dense) = &mut self.dense
            && let Some(n) = dense.pages.slot(bucket)
        {
            *n = n.wrapping_add(count);
        } else {
            self.add_elsewhere(bucket, count);
        }
    }

    /// Adds to a bucket without a page.
    fn add_elsewhere(&mut self, bucket: Bucket, count: i64) {
        if self.dense.as_ref().is_some_and(|d| !d.large.is_empty()) {
            return self.add_beside_large(bucket, count);
        }
        match find(&self.list, bucket) {
            Ok(at) => {
                let sum = self.list[at].count().wrapping_add(count);
                match Entry::new(bucket, sum) {
                    Some(_) if sum == 0 => drop(self.list.remove(at)),
                    Some(entry) => self.list[at] = entry,
                    None => {
                        self.list.remove(at);
                        self.add_large(bucket, sum);
                    }
                }
            }
            Err(_) if count == 0 => {}
            Err(at) => match Entry::new(bucket, count) {
                Some(entry) => self.list.insert(at, entry),
                None => self.add_large(bucket, count),
            },
        }
    }

    /// As [`add_elsewhere`](Self::add_elsewhere), when there are large counts: this may be one.
    #[cold]
    fn add_beside_large(&mut self, bucket: Bucket, count: i64) {
        let mut large = self
            .dense
            .as_mut()
            .map(|d| std::mem::take(&mut d.large))
            .unwrap_or_default();
        match large.binary_search_by_key(&bucket, |(b, _)| *b) {
            Ok(at) => {
                let sum = large[at].1.wrapping_add(count);
                // Back to the list, if it fits again.
                if sum == 0 || Entry::new(bucket, sum).is_some() {
                    large.remove(at);
                    self.add_elsewhere(bucket, sum);
                } else {
                    large[at].1 = sum;
                }
            }
            Err(_) => self.add_elsewhere(bucket, count),
        }
        for (bucket, count) in large {
            self.add_large(bucket, count);
        }
    }

    /// Keeps a count that no entry can.
    #[cold]
    fn add_large(&mut self, bucket: Bucket, count: i64) {
        let dense = self.dense.get_or_insert_default();
        if let Some(n) = dense.pages.slot(bucket) {
            *n = n.wrapping_add(count);
            return;
        }
        match dense.large.binary_search_by_key(&bucket, |(b, _)| *b) {
            Ok(at) => dense.large[at].1 = dense.large[at].1.wrapping_add(count),
            Err(at) => dense.large.insert(at, (bucket, count)),
        }
    }

    /// Makes pages where the list is dense, and where it is hot.
    #[cold]
    fn make_pages(&mut self) {
        self.misses = 0;
        self.patience = (self.patience + 1).min(MOST_DOUBLINGS);
        let size = |entries: &[Entry]| -> u64 { entries.iter().map(|e| e.count().unsigned_abs()).sum() };
        let in_list = size(&self.list);
        let in_pages = self.dense.as_ref().map_or(0, |d| d.pages.size());
        // At most 16 pages at a time are hot, each with 1/256 of all counts at the least: what is rarer can wait.
        let hot = (in_list / HOT).max(in_list.saturating_add(in_pages) / RARE);
        let groups = self.list.chunk_by(|a, b| page_of(a.bucket()) == page_of(b.bucket()));
        let chosen = groups.filter(|group| group.len() >= DENSE || size(group) >= hot);
        let chosen: Vec<i32> = chosen.map(|group| page_of(group[0].bucket())).collect();
        if !chosen.is_empty() {
            self.dense.get_or_insert_default().pages.make(&chosen);
            self.fill_pages();
        }
    }

    /// Moves all that belongs into pages there.
    fn fill_pages(&mut self) {
        let Some(dense) = &mut self.dense else { return };
        let Dense { pages, large, .. } = &mut **dense;
        let mut moved = |bucket, count| match pages.slot(bucket) {
            Some(n) => {
                *n = n.wrapping_add(count);
                true
            }
            None => false,
        };
        self.list.retain(|e| !moved(e.bucket(), e.count()));
        large.retain(|(bucket, count)| !moved(*bucket, *count));
    }

    /// Buckets with their counts, ascending, without zeros.
    fn buckets(&self) -> impl Iterator<Item = (Bucket, i64)> {
        let dense = self.dense.as_ref();
        let in_pages = dense.into_iter().flat_map(|d| d.pages.buckets());
        let large = dense.into_iter().flat_map(|d| d.large.iter().copied());
        let mut sources = (
            self.list.iter().map(|e| e.both()).peekable(),
            in_pages.peekable(),
            large.peekable(),
        );
        // Three ascending sequences without a bucket in common.
        std::iter::from_fn(move || {
            let key = |next: Option<&(Bucket, i64)>| next.map_or(i32::MAX, |(b, _)| b.key());
            let (a, b, c) = (key(sources.0.peek()), key(sources.1.peek()), key(sources.2.peek()));
            if a <= b && a <= c {
                sources.0.next()
            } else if b <= c {
                sources.1.next()
            } else {
                sources.2.next()
            }
        })
    }
}

macro_rules! absorbs {
    ($($t:ty: $insert:ident;)*) => {$(
        impl Absorb<$t> for Quantiles {
            #[inline]
            fn absorb(&mut self, item: &$t) {
                self.$insert((*item).into());
            }
            #[inline]
            fn absorb_times(&mut self, item: &$t, n: NonZeroU64) {
                let value: f64 = absorbs!(@f64 $insert *item);
                self.add_value(value, n.get() as i64);
            }
        }
    )*};
    (@f64 insert $item:expr) => { i64::from($item) as f64 };
    (@f64 insert_f64 $item:expr) => { f64::from($item) };
}
absorbs! {
    i64: insert;
    i32: insert;
    u32: insert;
    f64: insert_f64;
}
