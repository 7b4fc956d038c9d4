//! And, or and exclusive or: of truth values, and bit by bit of unsigned integers.

use std::num::NonZeroU64;

use serde_json::Value;

use crate::codec::{Codec, DecodeError, Merge, merge_decoded};
use crate::semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};
use crate::tier::{Exact, Tiered};

macro_rules! bitwise {
    ($(#[$doc:meta])* $name:ident $op:tt $schema:literal, $zero:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<T = bool>(pub T);
        bitwise!(@for $name $op $schema, $zero; bool u8 u16 u32 u64 u128);
    };
    (@for $name:ident $op:tt $schema:literal, $zero:ident; $($t:ident)*) => {$(
        impl Semigroup for $name<$t> {
            const BY_PARTS: bool = true;
            #[inline]
            fn combine(&mut self, other: &Self) {
                self.0 $op other.0;
            }
            fn times(self, n: NonZeroU64) -> Self {
                bitwise!(@times $zero self n)
            }
        }
        impl Monoid for $name<$t> {
            #[inline]
            fn zero() -> Self {
                Self(bitwise!(@zero $zero $t))
            }
            #[inline]
            fn is_zero(&self) -> bool {
                *self == Self::zero()
            }
        }
        impl Default for $name<$t> {
            fn default() -> Self {
                Self::zero()
            }
        }
        impl Commutative for $name<$t> {}
        impl Tiered for $name<$t> {
            type Tier = Exact;
        }
        impl Absorb<$t> for $name<$t> {
            #[inline]
            fn absorb(&mut self, item: &$t) {
                self.0 $op *item;
            }
        }
        impl Codec for $name<$t> {
            const WIDTH: Option<usize> = <$t>::WIDTH;
            const MERGE: Option<Merge> = Some(merge_decoded::<Self>);
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                <$t>::decode(bytes).map(Self)
            }
            fn schema() -> String {
                concat!($schema, "<", stringify!($t), ">").into()
            }
            fn json(&self) -> Value {
                self.0.json()
            }
            fn magnitude(&self) -> f64 {
                self.0.magnitude()
            }
        }
    )*};
    (@zero none bool) => { false };
    (@zero all bool) => { true };
    (@zero all $t:ident) => { $t::MAX };
    (@zero $none:ident bool) => { false };
    (@zero $none:ident $t:ident) => { 0 };
    (@times odd $self:ident $n:ident) => { if $n.get() % 2 == 1 { $self } else { Self::zero() } };
    (@times $any:ident $self:ident $n:ident) => {{ let _ = $n; $self }};
}

bitwise!(
    /// Whether all were true; of unsigned integers the bits that all have. The zero is true, or all bits. Commutative, idempotent,
    /// exact.
    ///
    /// **Not for** "how many were": that is a [`Count`](super::Count).
    ///
    /// ```
    /// use rufous_algebra::{Absorb, All, Monoid};
    /// let mut healthy = All::<bool>::zero();
    /// [true, false, true].iter().for_each(|up| healthy.absorb(up));
    /// assert_eq!(healthy, All(false));
    /// ```
    All &= "all", all
);
bitwise!(
    /// Whether any was true; of unsigned integers the bits that any has, so it is the union of small sets of small numbers. The
    /// zero is false, or no bits. Commutative, idempotent, exact.
    ///
    /// **Not for** sets of more than 128 numbers: take a `BTreeSet`, a [`Bloom`](crate::Bloom) or an [`Hll`](crate::Hll).
    ///
    /// ```
    /// use rufous_algebra::{Any, Semigroup};
    /// let mut days = Any(1u8 << 0 | 1 << 4);
    /// days.combine(&Any(1 << 4 | 1 << 6));
    /// assert_eq!(days, Any(0b101_0001));
    /// ```
    Any |= "any", none
);
bitwise!(
    /// Exclusive or: whether an odd number were true; of unsigned integers bit by bit. A commutative group in which each value is
    /// its own inverse, exact. Of the hashes of records it is a fingerprint of a set in any order, in which pairs of equal records
    /// cancel out.
    ///
    /// **Not for** redelivered records: one that comes twice is gone.
    ///
    /// ```
    /// use rufous_algebra::{Semigroup, Xor};
    /// let mut fingerprint = Xor(0b0110u64);
    /// fingerprint.combine(&Xor(0b0011));
    /// assert_eq!(fingerprint, Xor(0b0101));
    /// ```
    Xor ^= "xor", odd
);

/// Whether an odd number were true.
pub type Parity = Xor<bool>;

macro_rules! laws {
    ($($t:ty)*) => {$(
        impl Idempotent for All<$t> {}
        impl Idempotent for Any<$t> {}
        impl Group for Xor<$t> {
            fn negate(&mut self) {}
        }
    )*};
}
laws!(bool u8 u16 u32 u64 u128);
