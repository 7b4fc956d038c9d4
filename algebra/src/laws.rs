//! The laws as functions: run them on your own types, over samples that you choose. Each panics with the law's name and the
//! values that break it.
//!
//! The checks build on each other: [`check_group`] and [`check_monoid`] include [`check_semigroup`], which includes
//! [`check_sum_all`] and [`check_times`]. They take all pairs and triples, so a dozen samples is plenty; choose the odd ones:
//! the zero, the extremes, values that cancel out, sizes around a change of form.
//!
//! ```
//! use rufous_algebra::{Max, Quantiles, laws};
//! laws::check([Max::of(3), Max::of(-1), Max::default()]);
//! laws::check_idempotent(&[Max::of(3)]);
//! laws::check_absorb::<i64, Quantiles>(&[3, -1, 0, 3]);
//! ```

use std::fmt::Debug;
use std::num::NonZeroU64;

use crate::codec::Codec;
use crate::semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};

fn plus<T: Semigroup>(a: &T, b: &T) -> T {
    let mut sum = a.clone();
    sum.combine(b);
    sum
}

/// All that a summing store asks of a value: a commutative monoid with canonical bytes.
///
/// # Panics
/// When a law does not hold.
pub fn check<T: Monoid + Commutative + Codec + PartialEq + Debug>(samples: impl IntoIterator<Item = T>) {
    let samples: Vec<T> = samples.into_iter().collect();
    check_monoid(&samples);
    check_commutative(&samples);
    check_codec(&samples);
}

/// `(a + b) + c == a + (b + c)`; `combine_owned`, `sum_all` and `times` agree with `combine`.
///
/// # Panics
/// When a law does not hold.
pub fn check_semigroup<T: Semigroup + PartialEq + Debug>(samples: &[T]) {
    for a in samples {
        for b in samples {
            let ab = plus(a, b);
            let mut owned = a.clone();
            owned.combine_owned(b.clone());
            assert_eq!(owned, ab, "combine_owned agrees with combine: {a:?} + {b:?}");
            for c in samples {
                assert_eq!(
                    plus(&ab, c),
                    plus(a, &plus(b, c)),
                    "associativity of {a:?}, {b:?}, {c:?}"
                );
            }
        }
    }
    check_sum_all(samples);
    check_times(samples);
}

/// `sum_all` agrees with sums from left to right, for nothing, for all triples, and for all samples many times over (bulk
/// paths may start late).
///
/// # Panics
/// When the law does not hold.
pub fn check_sum_all<T: Semigroup + PartialEq + Debug>(samples: &[T]) {
    let left_to_right = |items: &[&T]| {
        let (first, rest) = items.split_first()?;
        Some(rest.iter().fold((*first).clone(), |sum, item| plus(&sum, item)))
    };
    assert_eq!(T::sum_all([]), None, "the sum of nothing is nothing");
    for a in samples {
        for b in samples {
            for c in samples {
                let items = [a, b, c];
                assert_eq!(
                    T::sum_all(items),
                    left_to_right(&items),
                    "sum_all agrees with combine: {items:?}"
                );
            }
        }
    }
    let many: Vec<&T> = std::iter::repeat_n(samples, 5).flatten().collect();
    assert_eq!(
        T::sum_all(many.iter().copied()),
        left_to_right(&many),
        "sum_all agrees with combine: five times {samples:?}"
    );
}

/// `times(n)` agrees with `n` equal values summed, and `times(n).times(m)` with `times(n * m)`.
///
/// # Panics
/// When the law does not hold.
pub fn check_times<T: Semigroup + PartialEq + Debug>(samples: &[T]) {
    const LARGE: NonZeroU64 = NonZeroU64::new(1 << 11).unwrap();
    for a in samples {
        let mut sum = a.clone();
        for n in (0..9).map(|n| NonZeroU64::MIN.saturating_add(n)) {
            assert_eq!(a.clone().times(n), sum, "times({n}) agrees with combine: {a:?}");
            let (one_way, other_way) = (
                a.clone().times(n).times(LARGE),
                a.clone().times(LARGE.saturating_mul(n)),
            );
            assert_eq!(
                one_way, other_way,
                "times({n}).times({LARGE}) agrees with times({n} * {LARGE}): {a:?}"
            );
            sum.combine(a);
        }
    }
}

/// `zero + a == a == a + zero`, and `is_zero` says which is the zero; with the laws of a semigroup.
///
/// # Panics
/// When a law does not hold.
pub fn check_monoid<T: Monoid + PartialEq + Debug>(samples: &[T]) {
    check_semigroup(samples);
    assert!(T::zero().is_zero(), "the zero is zero");
    for a in samples {
        assert_eq!(&plus(&T::zero(), a), a, "left identity of {a:?}");
        assert_eq!(&plus(a, &T::zero()), a, "right identity of {a:?}");
        assert_eq!(a.is_zero(), *a == T::zero(), "is_zero of {a:?}");
    }
}

/// `a + b == b + a`.
///
/// # Panics
/// When the law does not hold.
pub fn check_commutative<T: Commutative + PartialEq + Debug>(samples: &[T]) {
    for a in samples {
        for b in samples {
            assert_eq!(plus(a, b), plus(b, a), "commutativity of {a:?}, {b:?}");
        }
    }
}

/// `a + a == a`.
///
/// # Panics
/// When the law does not hold.
pub fn check_idempotent<T: Idempotent + PartialEq + Debug>(samples: &[T]) {
    for a in samples {
        assert_eq!(&plus(a, a), a, "idempotence of {a:?}");
    }
}

/// `a + (-a) == zero == (-a) + a`, with the laws of a monoid.
///
/// # Panics
/// When a law does not hold.
pub fn check_group<T: Group + PartialEq + Debug>(samples: &[T]) {
    check_monoid(samples);
    for a in samples {
        let mut inverse = a.clone();
        inverse.negate();
        assert_eq!(plus(a, &inverse), T::zero(), "right inverse of {a:?}");
        assert_eq!(plus(&inverse, a), T::zero(), "left inverse of {a:?}");
    }
}

/// `decode(encode(a)) == a`, taking exactly its bytes; equal values have equal bytes and different ones different bytes.
/// Bytes that are cut short or altered are never a panic, and if they are a value, it encodes to the same bytes.
///
/// # Panics
/// When a law does not hold.
pub fn check_codec<T: Codec + PartialEq + Debug>(samples: &[T]) {
    let encoded: Vec<Vec<u8>> = samples.iter().map(T::to_bytes).collect();
    for (a, bytes) in samples.iter().zip(&encoded) {
        assert_eq!(T::decode_all(bytes).as_ref(), Ok(a), "round trip of {a:?}");
        let followed = [bytes.as_slice(), &[0xab, 0xcd]].concat();
        let mut rest = followed.as_slice();
        assert_eq!(
            T::decode(&mut rest).as_ref(),
            Ok(a),
            "round trip of {a:?} before other bytes"
        );
        assert_eq!(rest, [0xab, 0xcd], "{a:?} takes exactly its bytes");
        for (b, others) in samples.iter().zip(&encoded) {
            assert_eq!(a == b, bytes == others, "equal values are equal bytes: {a:?}, {b:?}");
        }
        check_hostile::<T>(bytes);
    }
    assert!(!T::schema().is_empty(), "the schema says what the bytes mean");
}

/// Every truncation of short encodings, and every byte altered; of long ones at both ends and here and there between.
fn check_hostile<T: Codec>(bytes: &[u8]) {
    const SHORT: usize = 512;
    const SOME: usize = 16;
    let canonical = |bytes: &[u8]| {
        if let Ok(value) = T::decode_all(bytes) {
            assert_eq!(value.to_bytes(), bytes, "only canonical bytes are a value");
        }
    };
    let here_and_there = |i: usize| i < SOME || bytes.len() - i <= SOME || i.is_multiple_of(bytes.len() / SOME);
    let mut altered = bytes.to_vec();
    for i in (0..bytes.len()).filter(|i| bytes.len() <= SHORT || here_and_there(*i)) {
        canonical(&bytes[..i]);
        for flip in [1, 0x10, 0x80, 0xff] {
            altered[i] ^= flip;
            canonical(&altered);
            altered[i] ^= flip;
        }
    }
}

/// `s.absorb(x)` equals `s + (zero that absorbed x)`, for the states that the items lead to one after the other;
/// `absorb_times` agrees with as many calls of `absorb`.
///
/// # Panics
/// When the law does not hold.
pub fn check_absorb<T, S: Absorb<T> + PartialEq + Debug>(items: &[T]) {
    let mut state = S::zero();
    for item in items {
        let mut one = S::zero();
        one.absorb(item);
        let summed = plus(&state, &one);
        for n in [1, 2, 5] {
            let (mut one_by_one, mut at_once) = (state.clone(), state.clone());
            (0..n).for_each(|_| one_by_one.absorb(item));
            at_once.absorb_times(item, NonZeroU64::MIN.saturating_add(n - 1));
            assert_eq!(
                at_once, one_by_one,
                "absorb_times({n}) agrees with absorb, on {state:?}"
            );
        }
        state.absorb(item);
        assert_eq!(state, summed, "absorbing is adding a zero that absorbed");
    }
}
