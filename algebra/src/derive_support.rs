//! What the code that the derives write needs. Not for people; no promise of stability.
//!
//! A derive cannot ask whether a field's type is commutative, and rustc rejects a bound on a concrete type that is plainly
//! false. But a bound with a lifetime of its own, `for<'f> Each<'f, T>: IsCommutative`, is only looked at where the impl is
//! used: where it is false, the impl is simply absent.

use std::marker::PhantomData;

pub use crate::codec::{Codec, DecodeError, Merge, decode_part, merge_parts, nothing_left, put_part};
pub use crate::semigroup::{Commutative, Group, Idempotent, Monoid, Semigroup};
pub use crate::tier::{Tier, Tiered};
pub use crate::ways::With;
pub use serde_json;

/// Stands for a field of type `T`.
pub struct Each<'f, T>(PhantomData<(&'f (), T)>);

/// Stands for a field of type `T` that is summed the way `W` does.
pub struct Summed<T, W>(PhantomData<(T, W)>);

/// Holds for fields that are [`Commutative`].
pub trait IsCommutative {}
impl<T: Commutative> IsCommutative for Each<'_, T> {}
impl<T, W: With<T>> IsCommutative for Each<'_, Summed<T, W>> {}

/// Holds for fields that are [`Idempotent`].
pub trait IsIdempotent {}
impl<T: Idempotent> IsIdempotent for Each<'_, T> {}
impl<T, W: crate::ways::Idempotent<T>> IsIdempotent for Each<'_, Summed<T, W>> {}

/// Holds for fields with a [`Tier`].
pub trait HasTier {
    /// The field's.
    type Tier: Tier;
}
impl<T: Tiered> HasTier for Each<'_, T> {
    type Tier = T::Tier;
}
impl<T, W: With<T>> HasTier for Each<'_, Summed<T, W>> {
    type Tier = crate::tier::Exact;
}

/// Holds for fields that are a [`Group`]. It does the work as well, since the bound does not say that `T` itself is one.
pub trait IsGroup<T> {
    /// [`Group::negate`].
    fn negate(value: &mut T);
}
impl<T: Group> IsGroup<T> for Each<'_, T> {
    #[inline]
    fn negate(value: &mut T) {
        value.negate();
    }
}
