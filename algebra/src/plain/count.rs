//! Counters that stop at their greatest value.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Commutative, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

/// The sum of unsigned integers that stops at the greatest instead of wrapping: for counters that are read as "at least so
/// many". Commutative, exact; there is no inverse, since what was cut off is gone. Bytes are those of the integer.
///
/// **Not for** sums that are taken back: integers themselves wrap, and are groups.
///
/// ```
/// use rufous_algebra::{Saturating, Semigroup};
/// let mut sum = Saturating(250u8);
/// sum.combine(&Saturating(10));
/// assert_eq!(sum, Saturating(255));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Saturating<T>(pub T);

macro_rules! saturating {
    ($($t:ty)*) => {$(
        impl Semigroup for Saturating<$t> {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                self.0 = self.0.saturating_add(other.0);
            }
            fn times(self, n: NonZeroU64) -> Self {
                // More than the type holds is as good as its greatest: only zero stays below.
                Self(self.0.saturating_mul(<$t>::try_from(n.get()).unwrap_or(<$t>::MAX)))
            }
        }
        impl Monoid for Saturating<$t> {
            #[inline]
            fn zero() -> Self {
                Self(0)
            }
            #[inline]
            fn is_zero(&self) -> bool {
                self.0 == 0
            }
        }
        impl Commutative for Saturating<$t> {}
        impl Tiered for Saturating<$t> {
            type Tier = Exact;
        }
        impl Absorb<$t> for Saturating<$t> {
            #[inline]
            fn absorb(&mut self, item: &$t) {
                self.0 = self.0.saturating_add(*item);
            }
        }
        impl Codec for Saturating<$t> {
            const WIDTH: Option<usize> = <$t>::WIDTH;
            const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                <$t>::decode(bytes).map(Self)
            }
            fn schema() -> String {
                concat!("saturating<", stringify!($t), ">").into()
            }
            fn json(&self) -> Value {
                self.0.json()
            }
            fn magnitude(&self) -> f64 {
                self.0.magnitude()
            }
        }
    )*};
}
saturating!(u8 u16 u32 u64 u128);

/// How many items, whatever they are; stops at 2^64 - 1. Commutative, exact, no inverse. Bytes are those of a `u64`.
///
/// **Not for** counts that are taken back: a plain `i64` is a group.
///
/// ```
/// use rufous_algebra::{Absorb, Count, Monoid};
/// let mut words = Count::zero();
/// "to be or not to be".split(' ').for_each(|word| words.absorb(word));
/// assert_eq!(words.get(), 6);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(Saturating<u64>);

impl Count {
    /// Of so many items.
    pub const fn of(n: u64) -> Self {
        Self(Saturating(n))
    }
    /// How many there were.
    pub const fn get(self) -> u64 {
        self.0.0
    }
}
impl Semigroup for Count {
    const BY_PARTS: bool = true;
    #[inline]
    fn combine(&mut self, other: &Self) {
        self.0.combine(&other.0);
    }
    fn times(self, n: NonZeroU64) -> Self {
        Self(self.0.times(n))
    }
}
impl Monoid for Count {
    #[inline]
    fn zero() -> Self {
        Self::of(0)
    }
    #[inline]
    fn is_zero(&self) -> bool {
        self.get() == 0
    }
}
impl Commutative for Count {}
impl Tiered for Count {
    type Tier = Exact;
}
impl<T: ?Sized> Absorb<T> for Count {
    #[inline]
    fn absorb(&mut self, _: &T) {
        self.0.absorb(&1);
    }
    #[inline]
    fn absorb_times(&mut self, _: &T, n: NonZeroU64) {
        self.0.absorb(&n.get());
    }
}
impl Codec for Count {
    const WIDTH: Option<usize> = u64::WIDTH;
    const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
    fn encode(&self, out: &mut Vec<u8>) {
        self.get().encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        u64::decode(bytes).map(Self::of)
    }
    fn schema() -> String {
        "count".into()
    }
    fn json(&self) -> Value {
        self.get().json()
    }
    fn magnitude(&self) -> f64 {
        self.get() as f64
    }
}
