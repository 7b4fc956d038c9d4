//! What Theta and Tuple sketches share: the `k` smallest hashes of the items, each with a sum.
//!
//! The normal form, which is the state: all hashes below `theta`, ascending, at most `k`. As long as no more than `k` were
//! seen, `theta` is the greatest; then it is the `k + 1`-th smallest. Both are functions of the set of hashes, so any merge
//! tree has one result. A sketch that was read from elsewhere may have fewer than `k` hashes and a smaller `theta`: the
//! union takes the smallest `theta` and then does the same.

use std::borrow::Cow;

use crate::codec::{Codec, DecodeError};
use crate::murmur::{SEED, murmur3_x64_128};
use crate::semigroup::Semigroup;

/// One more than the greatest hash: hashes have 63 bits and are not zero.
pub(super) const MAX_THETA: u64 = i64::MAX as u64;
/// Fresh items are sorted in once there are as many as half of the sorted ones, at the least so many.
const FEW: usize = 32;

const COMPACT: u8 = 2 | 8;
const EMPTY: u8 = 4;
const ORDERED: u8 = 16;

/// Hashes with a value each.
#[derive(Clone, Debug)]
pub(super) struct Keys<S> {
    theta: u64,
    /// Ascending, below `theta`, at most `k`.
    sorted: Vec<(u64, S)>,
    /// Not yet sorted in; may repeat what is sorted.
    fresh: Vec<(u64, S)>,
}

impl<S> Default for Keys<S> {
    fn default() -> Self {
        Self {
            theta: MAX_THETA,
            sorted: Vec::new(),
            fresh: Vec::new(),
        }
    }
}

/// Two ascending lists as one; of equal hashes the values are summed.
fn merged<S: Semigroup>(
    a: impl IntoIterator<Item = (u64, S)>,
    b: impl IntoIterator<Item = (u64, S)>,
) -> impl Iterator<Item = (u64, S)> {
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some((x, _)), Some((y, _))) if x == y => {
            let (hash, mut sum) = a.next()?;
            sum.combine_owned(b.next()?.1);
            Some((hash, sum))
        }
        (Some((x, _)), Some((y, _))) if y < x => b.next(),
        (None, _) => b.next(),
        _ => a.next(),
    })
}

impl<S: Semigroup> Keys<S> {
    /// Sees an item; hashes are those of the family, halved to 63 bits.
    #[inline]
    pub(super) fn see(&mut self, hash: u64, value: impl FnOnce() -> S, k: usize) {
        let hash = hash >> 1;
        if hash < self.theta && hash > 0 {
            self.fresh.push((hash, value()));
            if self.fresh.len() >= FEW && self.fresh.len() * 2 > self.sorted.len() {
                self.settle(k);
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.fresh.is_empty() && self.sorted.last().is_none_or(|(hash, _)| *hash < self.theta)
    }

    /// Sorts in what is fresh.
    pub(super) fn settle(&mut self, k: usize) {
        if self.is_settled() {
            return;
        }
        // Equal hashes stay in the order they came in: sums of floats depend on it.
        self.fresh.sort_by_key(|(hash, _)| *hash);
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.combine(&later.1);
            }
            same
        });
        let sorted = std::mem::take(&mut self.sorted);
        let most = sorted.len() + fresh.len();
        self.keep(merged(sorted, fresh), most, k);
    }

    /// The `k` smallest hashes below `theta`, which becomes the next one.
    fn keep(&mut self, ascending: impl Iterator<Item = (u64, S)>, most: usize, k: usize) {
        let theta = self.theta;
        self.sorted.reserve_exact(most.min(k + 1));
        let below = ascending.take_while(|(hash, _)| *hash < theta);
        self.sorted.extend(below.take(k + 1));
        if self.sorted.len() > k
            && let Some((hash, _)) = self.sorted.pop()
        {
            self.theta = hash;
        }
    }

    /// This with nothing fresh.
    pub(super) fn settled(&self, k: usize) -> Cow<'_, Self> {
        if self.is_settled() {
            return Cow::Borrowed(self);
        }
        let mut settled = self.clone();
        settled.settle(k);
        Cow::Owned(settled)
    }

    pub(super) fn union(&mut self, other: &Self, k: usize) {
        self.settle(k);
        let other = other.settled(k);
        if other.is_zero() {
            return;
        }
        self.theta = self.theta.min(other.theta);
        let sorted = std::mem::take(&mut self.sorted);
        let most = sorted.len() + other.sorted.len();
        self.keep(merged(sorted, other.sorted.iter().cloned()), most, k);
    }

    /// Takes over another's items without sorting them: for many at a time, in their order.
    pub(super) fn gather(&mut self, other: &Self, k: usize) {
        self.theta = self.theta.min(other.theta);
        self.fresh.extend(other.sorted.iter().chain(&other.fresh).cloned());
        if self.fresh.len() > 4 * k {
            self.settle(k);
        }
    }

    /// Keeps what `both` decides for each hash of ours, with the other's value if it has one.
    pub(super) fn filtered(&self, other: &Self, k: usize, both: impl Fn(&S, Option<&S>) -> Option<S>) -> Self {
        let (a, b) = (self.settled(k), other.settled(k));
        let theta = a.theta.min(b.theta);
        let mut theirs = b.sorted.iter().peekable();
        let mut sorted = Vec::new();
        for (hash, mine) in a.sorted.iter().take_while(|(hash, _)| *hash < theta) {
            while theirs.next_if(|(other, _)| other < hash).is_some() {}
            let other = theirs.peek().filter(|(other, _)| other == hash).map(|(_, value)| value);
            sorted.extend(both(mine, other).map(|value| (*hash, value)));
        }
        Self {
            theta,
            sorted,
            fresh: Vec::new(),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.theta == MAX_THETA && self.sorted.is_empty() && self.fresh.is_empty()
    }

    /// Settled only: how many hashes.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Settled only: ascending.
    pub(super) fn entries(&self) -> &[(u64, S)] {
        &self.sorted
    }

    pub(super) fn map(&mut self, change: impl Fn(S) -> S) {
        for list in [&mut self.sorted, &mut self.fresh] {
            *list = std::mem::take(list)
                .into_iter()
                .map(|(hash, value)| (hash, change(value)))
                .collect();
        }
    }

    /// The probability with which an item is in the sample.
    pub(super) fn probability(&self) -> f64 {
        self.theta as f64 / MAX_THETA as f64
    }

    /// What an image holds, in any order and perhaps too much of it.
    pub(super) fn of(theta: u64, entries: Vec<(u64, S)>, k: usize) -> Self {
        let mut keys = Self {
            theta,
            sorted: Vec::new(),
            fresh: entries,
        };
        keys.settle(k);
        keys
    }

    /// Takes over what is in the normal form already.
    fn of_sorted(theta: u64, entries: Vec<(u64, S)>, k: usize) -> Option<Self> {
        let normal = entries.len() <= k && entries.is_sorted_by(|a, b| a.0 < b.0);
        normal.then_some(Self {
            theta,
            sorted: entries,
            fresh: Vec::new(),
        })
    }
}

/// Settled ones only.
impl<S: PartialEq> PartialEq for Keys<S> {
    fn eq(&self, other: &Self) -> bool {
        self.theta == other.theta && self.sorted == other.sorted
    }
}

/// The families by their number in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Theta,
    Tuple,
}

/// What tells sketches of different seeds apart.
pub(super) fn seed_hash() -> u16 {
    murmur3_x64_128(&SEED.to_le_bytes(), 0)[0] as u16
}

/// Appends the compact, ordered image (serial version 3) of settled keys; `value` appends a value.
pub(super) fn write<S: Semigroup>(keys: &Keys<S>, family: Family, value: impl Fn(&S, &mut Vec<u8>), out: &mut Vec<u8>) {
    let (number, kind) = match family {
        Family::Theta => (3, 0),
        Family::Tuple => (9, 1),
    };
    if keys.is_zero() {
        // The seed of an empty sketch does not matter: any may merge with it.
        out.extend_from_slice(&[1, 3, number, kind, 0, COMPACT | EMPTY | ORDERED, 0, 0]);
        return;
    }
    let longs = match keys.len() {
        _ if keys.theta < MAX_THETA => 3,
        1 => 1,
        _ => 2,
    };
    out.extend_from_slice(&[longs, 3, number, kind, 0, COMPACT | ORDERED]);
    out.extend_from_slice(&seed_hash().to_le_bytes());
    if longs > 1 {
        out.extend_from_slice(&(keys.len() as u64).to_le_bytes());
    }
    if longs > 2 {
        out.extend_from_slice(&keys.theta.to_le_bytes());
    }
    for (hash, summed) in keys.entries() {
        out.extend_from_slice(&hash.to_le_bytes());
        value(summed, out);
    }
}

/// Reads a compact image of serial version 3 whose values have `width` bytes; `strictly`: only what [`write`] writes of
/// keys that are not zero.
pub(super) fn read<S: Semigroup>(
    image: &[u8],
    family: Family,
    width: usize,
    value: impl Fn(&[u8]) -> Result<S, DecodeError>,
    k: usize,
    strictly: bool,
) -> Result<Keys<S>, DecodeError> {
    let wrong = |what: &str| DecodeError::new(format!("{family:?} image: {what}"));
    let (head, mut rest) = image.split_first_chunk::<8>().ok_or_else(|| wrong("cut short"))?;
    let [longs, version, number, kind, unused, flags, seed @ ..] = *head;
    let right = match family {
        Family::Theta => number == 3,
        // Java's older images have another number for the kind.
        Family::Tuple => number == 9 && matches!(kind, 1 | 5),
    };
    if !right || !(version == 3 || family == Family::Tuple && version == 1) {
        return Err(wrong("of another family or version"));
    }
    if strictly && (version, unused, flags) != (3, 0, COMPACT | ORDERED)
        || strictly && kind != u8::from(family == Family::Tuple)
    {
        return Err(wrong("its head is not the canonical one"));
    }
    if flags & EMPTY != 0 {
        return Ok(Keys::default());
    }
    if seed != seed_hash().to_le_bytes() {
        return Err(wrong("of another seed"));
    }
    let mut long = || -> Result<u64, DecodeError> { u64::decode(crate::codec::take(&mut rest, 8)?) };
    let (count, theta) = match longs {
        1 => (1, MAX_THETA),
        2 => (long()?, MAX_THETA),
        3 => (long()?, long()?),
        _ => return Err(wrong("of an unknown preamble")),
    };
    let longest = match count {
        _ if theta < MAX_THETA => 3,
        1 => 1,
        _ => 2,
    };
    if strictly && (longs != longest || count == 0 && longs == 2) {
        return Err(wrong("its preamble is not the canonical one"));
    }
    // The upper half is unused; the length below shows what is set there in a canonical image.
    let count = if strictly { count } else { count & u64::from(u32::MAX) };
    if theta == 0 || theta > MAX_THETA {
        return Err(wrong("theta is out of range"));
    }
    let whole = usize::try_from(count).ok().and_then(|n| n.checked_mul(8 + width));
    if whole != Some(rest.len()) {
        return Err(wrong("its length is not that of its entries"));
    }
    let entry = |bytes: &[u8]| -> Result<(u64, S), DecodeError> {
        let (hash, bytes) = bytes.split_at(8);
        let hash = u64::decode(hash)?;
        if hash == 0 || hash >= theta {
            return Err(wrong("a hash is out of range"));
        }
        Ok((hash, value(bytes)?))
    };
    let mut entries = Vec::with_capacity(rest.len() / (8 + width));
    for bytes in rest.chunks_exact(8 + width) {
        entries.push(entry(bytes)?);
    }
    if strictly {
        return Keys::of_sorted(theta, entries, k).ok_or_else(|| wrong("its hashes do not ascend or are too many"));
    }
    Ok(Keys::of(theta, entries, k))
}
