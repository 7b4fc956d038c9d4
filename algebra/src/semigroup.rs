//! The ladder of laws. Each trait adds one law to the one before it; `crate::laws` checks them on your own types.

use std::num::NonZeroU64;

/// Things that can be added. **Law:** `combine` is associative, `(a + b) + c == a + (b + c)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a semigroup: Rufous does not know how to add two of them",
    label = "values of this type would have to be added up",
    note = "a struct whose fields are all monoids needs only `#[derive(Monoid)]`",
    note = "a plain value can be wrapped to say how it adds: `Max<T>`, `Min<T>`, `Hll<P>`",
    note = "to fold records into a state as they come, write `impl Absorb<Record> for State` and call `aggregate_by_key`"
)]
pub trait Semigroup: Clone + Send + Sync + 'static {
    /// Whether `combine` adds part to part, as [`Codec::MERGE`](crate::Codec::MERGE) does with bytes. Only then may a store
    /// merge undecoded bytes. A `combine` written by hand keeps `false`; the derive says `true` when it holds for every field.
    const BY_PARTS: bool = false;

    /// `self = self + other`. It cannot fail: two values of one type always fit (parameters are part of the type).
    fn combine(&mut self, other: &Self);

    /// `combine` for a value that is no longer needed; may reuse its buffers, must agree with [`combine`](Self::combine).
    #[inline]
    fn combine_owned(&mut self, other: Self) {
        self.combine(&other);
    }

    /// The sum from left to right, or `None` of nothing. May be faster than pairwise sums, must agree with them.
    fn sum_all<'a, I>(items: I) -> Option<Self>
    where
        I: IntoIterator<Item = &'a Self>,
        Self: 'a,
    {
        let mut items = items.into_iter();
        let mut sum = items.next()?.clone();
        for item in items {
            sum.combine(item);
        }
        Some(sum)
    }

    /// Bytes that the value owns elsewhere in memory, about: for buffers with a budget. A type that owns none, or always few,
    /// keeps the default of 0.
    #[inline]
    fn heap_bytes(&self) -> usize {
        0
    }

    /// `n` equal values at once: `self + self + ... + self`. The default doubles, so it takes `2 log2 n` combines;
    /// integers multiply and idempotent types return themselves.
    fn times(self, n: NonZeroU64) -> Self {
        let mut n = n.get();
        let mut power = self;
        while n & 1 == 0 {
            let same = power.clone();
            power.combine(&same);
            n >>= 1;
        }
        let mut sum = power.clone();
        n >>= 1;
        while n > 0 {
            let same = power.clone();
            power.combine(&same);
            if n & 1 == 1 {
                sum.combine(&power);
            }
            n >>= 1;
        }
        sum
    }
}

/// A semigroup with an identity. **Law:** `zero() + a == a == a + zero()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a monoid: it has no zero",
    note = "wrap it in `Option<{Self}>`: `None` is then the zero"
)]
pub trait Monoid: Semigroup {
    /// The identity of [`Semigroup::combine`].
    fn zero() -> Self;
    /// Whether this is the identity.
    fn is_zero(&self) -> bool;
}

/// A monoid with inverses. **Law:** `a + a.negated() == zero()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no inverse: what was added cannot be taken back",
    note = "sums of integers, `CountMin`, `Quantiles` and structs of these do; a maximum, a set or an `Hll` does not"
)]
pub trait Group: Monoid {
    /// Turns the value into its inverse.
    fn negate(&mut self);
}

/// **Law:** `a + b == b + a`. Platforms that do not keep each key's order take only commutative values.
#[diagnostic::on_unimplemented(
    message = "values of type `{Self}` cannot be summed in any order: `{Self}` is not known to be a commutative semigroup",
    label = "`sum_by_key` adds the values of a key in any order",
    note = "your own struct: `#[derive(Monoid)]` makes it one when every field is; or write `impl Semigroup` and `impl Commutative` and let `laws::check` test them",
    note = "records that are folded into a state: `impl Absorb<Record> for State` and `aggregate_by_key`",
    note = "order matters: keep the newest with `Latest<T, N>`, or call `.in_order()` first; the job then runs only where order is kept"
)]
pub trait Commutative: Semigroup {}

/// **Law:** `a + a == a`. Redelivery is harmless to such values.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not idempotent, and this store may apply a merge twice after a crash",
    note = "use a store that commits values and offsets together, or say `.at_least_once()` to accept double counts"
)]
pub trait Idempotent: Semigroup {}

/// Folds one item straight into the state, without building a state per item.
/// **Law:** `s.absorb(x)` equals `s.combine(&e)` where `e` is `zero()` that absorbed `x`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not absorb `{T}`",
    label = "the store keeps `{Self}`, the records are `{T}`",
    note = "write `impl Absorb<{T}> for {Self}`; if the values are already `{Self}`, call `sum_by_key`"
)]
pub trait Absorb<T: ?Sized>: Monoid {
    /// Folds `item` in.
    fn absorb(&mut self, item: &T);

    /// Whether a state that has seen much lies in many places, of which an item changes one: most of the time then goes into
    /// waiting for memory.
    const SPREAD: bool = false;

    /// Reads what [`absorb`](Self::absorb) would change, and changes nothing: whoever has many items of many states glances
    /// at all of them, without a branch between, before the first is absorbed. What it returns means nothing.
    fn glance(&self, _: &T) -> u8 {
        0
    }

    /// Folds `item` in `n` times at once. Must agree with `n` calls of [`absorb`](Self::absorb).
    fn absorb_times(&mut self, item: &T, n: NonZeroU64) {
        let mut one = Self::zero();
        one.absorb(item);
        self.combine_owned(one.times(n));
    }
}
