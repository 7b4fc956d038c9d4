//! What the code that `#[derive(Monoid)]` writes needs to say "if every field is". Not for people.
//!
//! A derive cannot ask whether a field's type is commutative, and rustc rejects a bound on a concrete type that is plainly
//! false. But a bound with a lifetime of its own, `for<'f> Each<'f, T>: IsCommutative`, is only looked at where the impl is
//! used: where it is false, the impl is simply absent.

use std::marker::PhantomData;

use crate::semigroup::{Commutative, Group, Idempotent};

/// Stands for a field of type `T`.
pub struct Each<'f, T>(PhantomData<(&'f (), T)>);

/// Holds for fields that are [`Commutative`].
pub trait IsCommutative {}
impl<T: Commutative> IsCommutative for Each<'_, T> {}

/// Holds for fields that are [`Idempotent`].
pub trait IsIdempotent {}
impl<T: Idempotent> IsIdempotent for Each<'_, T> {}

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
