//! Functions that commute with addition.

use crate::semigroup::Semigroup;

/// A function from one semigroup to another. **Law:** `apply(a + b) == apply(a) + apply(b)`; `crate::laws` checks it
/// (`laws::rule::homomorphism`). Values may then be added before or after it, in any groups.
#[diagnostic::on_unimplemented(
    message = "nobody has declared that this function commutes with addition, `f(a + b) == f(a) + f(b)`",
    label = "values may be added before or after it, in groups that nobody specifies",
    note = "where the law holds, say so: `Additive(|value: &{V}| ..)`, and let `laws::rule::homomorphism` test it",
    note = "where it does not hold, apply the function before the first sum"
)]
pub trait Homomorphism<V: Semigroup>: Send + Sync + 'static {
    /// What comes out.
    type Output: Semigroup;
    /// The function.
    fn apply(&self, value: &V) -> Self::Output;
}

/// A closure that is declared to be a [`Homomorphism`]: a projection to a field, a product with a constant.
///
/// ```
/// use rufous_algebra::{Additive, Homomorphism};
///
/// let clicks = Additive(|(_, clicks): &(u64, u64)| *clicks);
/// assert_eq!(clicks.apply(&(3, 4)), 4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Additive<F>(pub F);

impl<V: Semigroup, U: Semigroup, F: Fn(&V) -> U + Send + Sync + 'static> Homomorphism<V> for Additive<F> {
    type Output = U;
    fn apply(&self, value: &V) -> U {
        (self.0)(value)
    }
}
