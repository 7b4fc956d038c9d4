//! Counts where they are dense: a page of 64 for a power of two, found by its number.

use super::bucket::{Bucket, FIRST, INFINITE};

/// Buckets in a page: as many as there are between two powers of two.
pub(super) const PAGE: usize = 64;
/// Of a page that is not there: added to any key, it leads beyond all counts.
const NONE: i32 = i32::MIN;

/// Whether a page is never made. Where values are found by their raw key alone, there is no place for those whose bucket is
/// another one: about the least normal number, which smaller ones round up to, and at the ends, where the greatest finite
/// ones round up to infinity. (Subnormal numbers share the page of zero, and all that is counted there is zero.)
fn is_odd(page: i32) -> bool {
    const ENDS: i32 = INFINITE >> PAGE.ilog2();
    page.abs() == FIRST >> PAGE.ilog2() || page.abs() >= ENDS
}

/// The pages of a histogram. A count of zero is a bucket that is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// For the pages from number `base` on, what to add to a key to find its count.
    shifts: Vec<i32>,
    base: i32,
    counts: Vec<i64>,
    /// The numbers of the pages, ascending.
    numbers: Vec<i32>,
}

/// The number of the page that has a bucket. Keys of negative values are negative: with an arithmetic shift pages are
/// ordered as the values are, and so are the buckets in them.
#[inline]
pub(super) fn page_of(bucket: Bucket) -> i32 {
    bucket.key() >> PAGE.ilog2()
}

impl Pages {
    /// Where the count of a key is, if it has a page; else beyond all counts.
    #[inline]
    fn at(&self, key: i32) -> Option<usize> {
        let page = key >> PAGE.ilog2();
        let shift = self.shifts.get(page.wrapping_sub(self.base) as u32 as usize)?;
        Some(key.wrapping_add(*shift) as u32 as usize)
    }

    /// The count of a value, if it has a page, by its [raw key](Bucket::raw_key): that is the key of its bucket there.
    #[inline]
    pub(super) fn of_value(&mut self, value: f64) -> Option<&mut i64> {
        let at = self.at(Bucket::raw_key(value))?;
        self.counts.get_mut(at)
    }

    /// The count of a bucket, if it has a page.
    #[inline]
    pub(super) fn slot(&mut self, bucket: Bucket) -> Option<&mut i64> {
        let at = self.at(bucket.key())?;
        self.counts.get_mut(at)
    }

    pub(super) fn get_mut(&mut self, page: i32) -> Option<&mut [i64; PAGE]> {
        let at = self.at(page << PAGE.ilog2())?;
        self.counts.get_mut(at..)?.first_chunk_mut()
    }

    /// Makes pages of zeros where there are none; the numbers ascend.
    pub(super) fn make(&mut self, pages: &[i32]) {
        let (Some(&first), Some(&last)) = (pages.first(), pages.last()) else {
            return;
        };
        let least = if self.shifts.is_empty() {
            first
        } else {
            first.min(self.base)
        };
        let end = (self.base + self.shifts.len() as i32).max(last + 1);
        if least < self.base || self.shifts.is_empty() {
            let mut shifts = Vec::with_capacity((end - least) as usize);
            shifts.resize((self.base.max(least) - least) as usize, NONE);
            shifts.append(&mut self.shifts);
            (self.shifts, self.base) = (shifts, least);
        }
        self.shifts.resize((end - least) as usize, NONE);
        self.counts.reserve(pages.len() * PAGE);
        self.numbers.reserve(pages.len());
        for &page in pages.iter().filter(|page| !is_odd(**page)) {
            let Err(place) = self.numbers.binary_search(&page) else {
                continue;
            };
            // There are fewer than 2^18 counts, and keys are smaller: no overflow.
            self.shifts[(page - least) as usize] = self.counts.len() as i32 - (page << PAGE.ilog2());
            self.counts.resize(self.counts.len() + PAGE, 0);
            self.numbers.insert(place, page);
        }
    }

    /// The sum of all counts, whatever their signs.
    pub(super) fn size(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, n| sum.saturating_add(n.unsigned_abs()))
    }

    /// Pages with their numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &[i64; PAGE])> {
        self.numbers.iter().filter_map(|&page| {
            let at = self.at(page << PAGE.ilog2())?;
            Some((page, self.counts.get(at..)?.first_chunk()?))
        })
    }

    /// Buckets with their counts, ascending, without zeros.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (Bucket, i64)> {
        self.iter().flat_map(|(page, counts)| {
            let first = page << PAGE.ilog2();
            let zeros = counts.iter().fold(0i64, |sum, n| sum.wrapping_add(*n));
            // On the page of zero there is one bucket.
            let (counts, zeros) = if page == 0 {
                (&counts[..0], Some((0, zeros)))
            } else {
                (&counts[..], None)
            };
            let buckets = zeros.into_iter().chain((first..).zip(counts.iter().copied()));
            buckets
                .filter(|(_, n)| *n != 0)
                .map(|(key, n)| (Bucket::with_key(key), n))
        })
    }

    pub(super) fn for_each_count(&mut self, f: impl FnMut(&mut i64)) {
        self.counts.iter_mut().for_each(f);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
            + (self.shifts.capacity() + self.numbers.capacity()) * size_of::<i32>()
    }
}
