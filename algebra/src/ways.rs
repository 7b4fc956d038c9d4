//! Other ways to sum a plain field: `#[algebra(with = ways::Max)]` keeps the field's type as it is and sums it so.
//!
//! | way | of | zero | idempotent |
//! |---|---|---|---|
//! | [`Max`] | integers | the least one | yes |
//! | [`Min`] | integers | the greatest one | yes |
//! | [`Saturating`] | unsigned integers | 0 | no |
//! | [`Any`], [`All`] | `bool` | `false`, `true` | yes |
//!
//! All are commutative and exact; none has an inverse. [`crate::Max`] is the better field where "none yet" must differ from
//! the least integer.
//!
//! ```
//! use rufous_algebra::ways::{Max, With};
//! let mut peak = 7u32;
//! Max::combine(&mut peak, &9);
//! assert_eq!((peak, <Max as With<u32>>::zero()), (9, 0));
//! ```

use std::num::NonZeroU64;

/// A way to sum values of type `T` that is not the type's own.
///
/// **Laws:** associative and commutative, equal multisets lead to equal values, and `zero` is the identity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no way to sum values of type `{T}`",
    note = "`ways` has `Max` and `Min` (integers), `Saturating` (unsigned integers), `Any` and `All` (`bool`)",
    note = "or write `impl With<{T}> for {Self}`"
)]
pub trait With<T>: 'static {
    /// `a = a + b`.
    fn combine(a: &mut T, b: &T);
    /// [`combine`](Self::combine) of a value that is no longer needed.
    #[inline]
    fn combine_owned(a: &mut T, b: T) {
        Self::combine(a, &b);
    }
    /// The identity.
    fn zero() -> T;
    /// Whether this is the identity.
    fn is_zero(value: &T) -> bool;
    /// `n` equal values.
    fn times(value: T, n: NonZeroU64) -> T;
}

/// **Law:** `a + a == a`.
pub trait Idempotent<T>: With<T> {}

/// The greater.
#[derive(Clone, Copy, Debug)]
pub enum Max {}
/// The lesser.
#[derive(Clone, Copy, Debug)]
pub enum Min {}
/// The sum, which stays at the greatest number instead of passing it. (Of signed numbers that would not be associative.)
#[derive(Clone, Copy, Debug)]
pub enum Saturating {}
/// Or.
#[derive(Clone, Copy, Debug)]
pub enum Any {}
/// And.
#[derive(Clone, Copy, Debug)]
pub enum All {}

macro_rules! idempotent {
    ($way:ident for $t:ty, $zero:expr, |$a:ident, $b:ident| $sum:expr) => {
        impl With<$t> for $way {
            #[inline]
            fn combine($a: &mut $t, $b: &$t) {
                *$a = $sum;
            }
            fn zero() -> $t {
                $zero
            }
            fn is_zero(value: &$t) -> bool {
                *value == $zero
            }
            #[inline]
            fn times(value: $t, _: NonZeroU64) -> $t {
                value
            }
        }
        impl Idempotent<$t> for $way {}
    };
}
macro_rules! integers {
    ($($t:ty)*) => {$(
        idempotent!(Max for $t, <$t>::MIN, |a, b| (*a).max(*b));
        idempotent!(Min for $t, <$t>::MAX, |a, b| (*a).min(*b));
    )*};
}
integers!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
idempotent!(Any for bool, false, |a, b| *a | *b);
idempotent!(All for bool, true, |a, b| *a & *b);

macro_rules! saturating {
    ($($t:ty)*) => {$(
        impl With<$t> for Saturating {
            #[inline]
            fn combine(a: &mut $t, b: &$t) {
                *a = a.saturating_add(*b);
            }
            fn zero() -> $t {
                0
            }
            fn is_zero(value: &$t) -> bool {
                *value == 0
            }
            fn times(value: $t, n: NonZeroU64) -> $t {
                let n = <$t>::try_from(n.get()).unwrap_or(<$t>::MAX);
                value.saturating_mul(n)
            }
        }
    )*};
}
saturating!(u8 u16 u32 u64 u128);
