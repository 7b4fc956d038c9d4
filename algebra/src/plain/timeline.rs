//! A sum that can still be asked as of the last while.

use std::num::NonZeroU64;

use serde_json::{Value, json};
use smallvec::{SmallVec, smallvec};

use crate::codec::{
    Codec, DecodeError, decode_part, nothing_left, put_part, put_varint, take, take_varint, unzigzag, zigzag,
};
use crate::semigroup::{Commutative, Monoid, Semigroup};
use crate::tier::Tiered;

/// Values with the time of each, summed so that [`at`](Self::at) still tells what the sum was as of an instant of the last
/// while. Each value also says from when on it wants to be asked about, its *floor*; the sum keeps the greatest floor, adds up
/// what is older into one value, and keeps what is younger apart by time. So the sum does not depend on who added what first,
/// nor on when the old was added up: it is a function of the values.
///
/// **Zero**: nothing. **Laws**: as those of `V`, which must be commutative: what is old is added up in any order. Exact where
/// `V` is. Not idempotent.
///
/// **Cost**: one value for all that is older than the floor, one for each different time above it.
///
/// **Not for** the newest values alone ([`Latest`](crate::Latest)), or sums by hour (a key with the hour).
///
/// ```
/// use rufous_algebra::{Semigroup, Timeline};
/// let mut stock = Timeline::of(100, 0, 5_i64);          // 5 at time 100, to be asked about any time from 0 on
/// stock.combine(&Timeline::of(300, 200, -2));           // from here on nobody asks about what was before 200
/// stock.combine(&Timeline::of(250, 150, 10));           // late
/// assert_eq!(stock.at(250), Some(5));                   // before time 250
/// assert_eq!(stock.at(251), Some(15));
/// assert_eq!(stock.total(), Some(13));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<V> {
    /// Below it only the sum is known.
    floor: i64,
    /// The sum of what is older than the floor, with the newest time of it.
    base: Option<(i64, V)>,
    /// What is not, by time, ascending; each time once.
    versions: Versions<V>,
}

/// One value with its time is what a join keeps of nearly every record: it needs no space of its own.
type Versions<V> = SmallVec<[(i64, V); 1]>;

impl<V> Default for Timeline<V> {
    /// Nothing.
    fn default() -> Self {
        Self {
            floor: i64::MIN,
            base: None,
            versions: SmallVec::new(),
        }
    }
}

impl<V: Semigroup> Timeline<V> {
    /// A value with its time, and the earliest time that anybody is going to ask about from now on.
    pub fn of(time: i64, floor: i64, value: V) -> Self {
        if time < floor {
            Self {
                floor,
                base: Some((time, value)),
                versions: SmallVec::new(),
            }
        } else {
            Self {
                floor,
                base: None,
                versions: smallvec![(time, value)],
            }
        }
    }
    /// The earliest time that can be asked about.
    pub fn floor(&self) -> i64 {
        self.floor
    }
    /// The sum of the values of all times below `time`; `None` of none. Below the floor it is that as of the floor.
    pub fn at(&self, time: i64) -> Option<V> {
        let versions = &self.versions[..self.versions.partition_point(|(t, _)| *t < time)];
        let base = self.base.iter().map(|(_, value)| value);
        V::sum_all(base.chain(versions.iter().map(|(_, value)| value)))
    }
    /// The newest time below `time` that a value has.
    pub fn newest_before(&self, time: i64) -> Option<i64> {
        let at = self.versions.partition_point(|(t, _)| *t < time);
        let version = at.checked_sub(1).and_then(|i| self.versions.get(i));
        version.or(self.base.as_ref()).map(|(time, _)| *time)
    }
    /// The sum of all values; `None` of none.
    pub fn total(&self) -> Option<V> {
        let base = self.base.iter().map(|(_, value)| value);
        V::sum_all(base.chain(self.versions.iter().map(|(_, value)| value)))
    }

    fn add_to_base(&mut self, time: i64, value: V) {
        match &mut self.base {
            Some((newest, sum)) => {
                *newest = time.max(*newest);
                sum.combine_owned(value);
            }
            None => self.base = Some((time, value)),
        }
    }
    fn raise(&mut self, floor: i64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let old = self.versions.partition_point(|(t, _)| *t < floor);
        if old > 0 {
            let mut versions = std::mem::take(&mut self.versions);
            for (time, value) in versions.drain(..old) {
                self.add_to_base(time, value);
            }
            self.versions = versions;
        }
    }
    fn add(&mut self, time: i64, value: V) {
        if time < self.floor {
            return self.add_to_base(time, value);
        }
        // Mostly the newest comes last.
        match self.versions.last_mut() {
            Some((last, sum)) if *last == time => sum.combine_owned(value),
            Some((last, _)) if *last > time => match self.versions.binary_search_by_key(&time, |(t, _)| *t) {
                Ok(at) => {
                    if let Some((_, sum)) = self.versions.get_mut(at) {
                        sum.combine_owned(value);
                    }
                }
                Err(at) => self.versions.insert(at, (time, value)),
            },
            _ => self.versions.push((time, value)),
        }
    }
}

impl<V: Semigroup> Semigroup for Timeline<V> {
    fn combine(&mut self, other: &Self) {
        self.combine_owned(other.clone());
    }
    fn combine_owned(&mut self, other: Self) {
        self.raise(other.floor);
        if let Some((time, value)) = other.base {
            self.add_to_base(time, value);
        }
        for (time, value) in other.versions {
            self.add(time, value);
        }
    }
    fn heap_bytes(&self) -> usize {
        let own = if self.versions.spilled() {
            self.versions.capacity() * size_of::<(i64, V)>()
        } else {
            0
        };
        let base = self.base.iter().map(|(_, value)| value);
        let values = base.chain(self.versions.iter().map(|(_, value)| value));
        own + values.map(V::heap_bytes).sum::<usize>()
    }
    fn times(self, n: NonZeroU64) -> Self {
        let times = |(time, value): (i64, V)| (time, value.times(n));
        Self {
            floor: self.floor,
            base: self.base.map(times),
            versions: self.versions.into_iter().map(times).collect(),
        }
    }
}

impl<V: Commutative> Monoid for Timeline<V> {
    fn zero() -> Self {
        Self::default()
    }
    fn is_zero(&self) -> bool {
        self.floor == i64::MIN && self.versions.is_empty()
    }
}
impl<V: Commutative> Commutative for Timeline<V> {}
impl<V: Commutative + Tiered> Tiered for Timeline<V> {
    type Tier = V::Tier;
}

/// The floor; whether anything is below it (a byte), how far below the newest of it, and the sum; then distance from the
/// floor, or the time before, and value of each time. All numbers are LEB128.
impl<V: Semigroup + Codec> Codec for Timeline<V> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(zigzag(self.floor), out);
        match &self.base {
            None => out.push(0),
            Some((newest, sum)) => {
                out.push(1);
                put_varint(self.floor.wrapping_sub(1).wrapping_sub(*newest) as u64, out);
                put_part(sum, out);
            }
        }
        let mut before = self.floor;
        for (time, value) in &self.versions {
            put_varint(time.wrapping_sub(before) as u64, out);
            put_part(value, out);
            before = *time;
        }
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut bytes = bytes;
        let floor = unzigzag(take_varint(&mut bytes)?);
        let base = match take(&mut bytes, 1)? {
            [0] => None,
            [1] => {
                let below = take_varint(&mut bytes)?;
                let newest = i128::from(floor) - 1 - i128::from(below);
                let newest = i64::try_from(newest).map_err(|_| DecodeError::new("timeline older than time"))?;
                Some((newest, decode_part(&mut bytes)?))
            }
            tag => return Err(DecodeError::new(format!("timeline tag {tag:?}"))),
        };
        let mut versions: Versions<V> = SmallVec::new();
        while !bytes.is_empty() {
            let step = take_varint(&mut bytes)?;
            let before = versions.last().map(|(time, _)| *time);
            if before.is_some() && step == 0 {
                return Err(DecodeError::new("timeline has a time twice"));
            }
            let time = i128::from(before.unwrap_or(floor)) + i128::from(step);
            let time = i64::try_from(time).map_err(|_| DecodeError::new("timeline beyond time"))?;
            versions.push((time, decode_part(&mut bytes)?));
        }
        nothing_left(bytes)?;
        Ok(Self { floor, base, versions })
    }
    fn schema() -> String {
        format!("timeline<{}>", V::schema())
    }
    fn json(&self) -> Value {
        let before = self
            .base
            .as_ref()
            .map(|(newest, sum)| json!({ "newest": newest, "sum": sum.json() }));
        let version = |(time, value): &(i64, V)| json!({ "time": time, "value": value.json() });
        json!({
            "total": self.total().map(|v| v.json()),
            "floor": self.floor,
            "before": before,
            "versions": self.versions.iter().map(version).collect::<Vec<_>>(),
        })
    }
    /// That of the whole sum.
    fn magnitude(&self) -> f64 {
        self.total().map_or(f64::NEG_INFINITY, |v| v.magnitude())
    }
    fn agrees(&self, other: &Self) -> bool {
        let pair = |(a, b): (&(i64, V), &(i64, V))| a.0 == b.0 && a.1.agrees(&b.1);
        self.floor == other.floor
            && self.versions.len() == other.versions.len()
            && self.base.is_some() == other.base.is_some()
            && self.base.iter().zip(&other.base).all(pair)
            && self.versions.iter().zip(&other.versions).all(pair)
    }
}
