//! Each law as a function over samples: all of them, all pairs, all triples. It returns what breaks it.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::num::NonZeroU64;

use crate::aggregator::Aggregator;
use crate::buffer::Buffer;
use crate::codec::{Codec, merge_bytes, sum_bytes};
use crate::homomorphism::Homomorphism;
use crate::semigroup::{Absorb, Commutative, Group, Idempotent, Monoid, Semigroup};

/// A law that does not hold: its name and the values that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub(super) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Broken {}

/// `Ok` when the law holds for these samples.
pub type Rule = Result<(), Broken>;

/// `left == right`, or the law's text with both.
fn equal<T: PartialEq + Debug>(left: &T, right: &T, law: impl FnOnce() -> String) -> Rule {
    if left == right {
        Ok(())
    } else {
        Err(Broken(format!("{}\n  left: {left:?}\n right: {right:?}", law())))
    }
}

fn plus<T: Semigroup>(a: &T, b: &T) -> T {
    let mut sum = a.clone();
    sum.combine(b);
    sum
}

/// All that a summing store asks of a value: a commutative monoid with canonical bytes that add up as the values do.
///
/// # Errors
/// The law that does not hold.
pub fn stored<T: Monoid + Commutative + Codec + PartialEq + Debug>(samples: &[T]) -> Rule {
    monoid(samples)?;
    commutative(samples)?;
    codec(samples)?;
    merge(samples)
}

/// `(a + b) + c == a + (b + c)`; `combine_owned`, `sum_all` and `times` agree with `combine`.
///
/// # Errors
/// The law that does not hold.
pub fn semigroup<T: Semigroup + PartialEq + Debug>(samples: &[T]) -> Rule {
    for a in samples {
        for b in samples {
            let ab = plus(a, b);
            let mut owned = a.clone();
            owned.combine_owned(b.clone());
            equal(&owned, &ab, || {
                format!("combine_owned agrees with combine: {a:?} + {b:?}")
            })?;
            for c in samples {
                equal(&plus(&ab, c), &plus(a, &plus(b, c)), || {
                    format!("associativity of {a:?}, {b:?}, {c:?}")
                })?;
            }
        }
    }
    sum_all(samples)?;
    times(samples)
}

/// `sum_all` agrees with sums from left to right, for nothing, for all triples, and for all samples many times over (bulk
/// paths may start late).
///
/// # Errors
/// The law that does not hold.
pub fn sum_all<T: Semigroup + PartialEq + Debug>(samples: &[T]) -> Rule {
    let left_to_right = |items: &[&T]| {
        let (first, rest) = items.split_first()?;
        Some(rest.iter().fold((*first).clone(), |sum, item| plus(&sum, item)))
    };
    equal(&T::sum_all([]), &None, || "the sum of nothing is nothing".into())?;
    for a in samples {
        for b in samples {
            for c in samples {
                let items = [a, b, c];
                equal(&T::sum_all(items), &left_to_right(&items), || {
                    format!("sum_all agrees with combine: {items:?}")
                })?;
            }
        }
    }
    let many: Vec<&T> = std::iter::repeat_n(samples, 5).flatten().collect();
    equal(&T::sum_all(many.iter().copied()), &left_to_right(&many), || {
        format!("sum_all agrees with combine: five times {samples:?}")
    })
}

/// `f(a + b) == f(a) + f(b)`: values may be added before or after `f`.
///
/// # Errors
/// The law that does not hold.
pub fn homomorphism<V, H>(f: &H, samples: &[V]) -> Rule
where
    V: Semigroup + Debug,
    H: Homomorphism<V, Output: PartialEq + Debug>,
{
    for a in samples {
        for b in samples {
            equal(&f.apply(&plus(a, b)), &plus(&f.apply(a), &f.apply(b)), || {
                format!("homomorphism: f({a:?} + {b:?})")
            })?;
        }
    }
    Ok(())
}

/// `times(n)` agrees with `n` equal values summed, and `times(n).times(m)` with `times(n * m)`.
///
/// # Errors
/// The law that does not hold.
pub fn times<T: Semigroup + PartialEq + Debug>(samples: &[T]) -> Rule {
    const LARGE: NonZeroU64 = NonZeroU64::new(1 << 11).unwrap();
    for a in samples {
        let mut sum = a.clone();
        for n in (0..9).map(|n| NonZeroU64::MIN.saturating_add(n)) {
            equal(&a.clone().times(n), &sum, || {
                format!("times({n}) agrees with combine: {a:?}")
            })?;
            let one_way = a.clone().times(n).times(LARGE);
            let other_way = a.clone().times(LARGE.saturating_mul(n));
            equal(&one_way, &other_way, || {
                format!("times({n}).times({LARGE}) agrees with times({n} * {LARGE}): {a:?}")
            })?;
            sum.combine(a);
        }
    }
    Ok(())
}

/// `zero + a == a == a + zero`, and `is_zero` says which is the zero; with the laws of a semigroup.
///
/// # Errors
/// The law that does not hold.
pub fn monoid<T: Monoid + PartialEq + Debug>(samples: &[T]) -> Rule {
    semigroup(samples)?;
    equal(&T::zero().is_zero(), &true, || "the zero is zero".into())?;
    for a in samples {
        equal(&plus(&T::zero(), a), a, || format!("left identity of {a:?}"))?;
        equal(&plus(a, &T::zero()), a, || format!("right identity of {a:?}"))?;
        equal(&a.is_zero(), &(*a == T::zero()), || format!("is_zero of {a:?}"))?;
    }
    Ok(())
}

/// `a + b == b + a`.
///
/// # Errors
/// The law that does not hold.
pub fn commutative<T: Commutative + PartialEq + Debug>(samples: &[T]) -> Rule {
    for a in samples {
        for b in samples {
            equal(&plus(a, b), &plus(b, a), || format!("commutativity of {a:?}, {b:?}"))?;
        }
    }
    Ok(())
}

/// `a + a == a`.
///
/// # Errors
/// The law that does not hold.
pub fn idempotent<T: Idempotent + PartialEq + Debug>(samples: &[T]) -> Rule {
    samples
        .iter()
        .try_for_each(|a| equal(&plus(a, a), a, || format!("idempotence of {a:?}")))
}

/// `a + (-a) == zero == (-a) + a`, with the laws of a monoid.
///
/// # Errors
/// The law that does not hold.
pub fn group<T: Group + PartialEq + Debug>(samples: &[T]) -> Rule {
    monoid(samples)?;
    for a in samples {
        let mut inverse = a.clone();
        inverse.negate();
        equal(&plus(a, &inverse), &T::zero(), || format!("right inverse of {a:?}"))?;
        equal(&plus(&inverse, a), &T::zero(), || format!("left inverse of {a:?}"))?;
    }
    Ok(())
}

/// `decode(encode(a)) == a`; equal values have equal bytes and different ones different bytes; `WIDTH` is their number. Bytes
/// that are cut short or altered are never a panic, and if they are a value, it encodes to the same bytes.
///
/// # Errors
/// The law that does not hold.
pub fn codec<T: Codec + PartialEq + Debug>(samples: &[T]) -> Rule {
    let encoded: Vec<Vec<u8>> = samples.iter().map(T::to_bytes).collect();
    for (a, bytes) in samples.iter().zip(&encoded) {
        equal(&T::decode(bytes).as_ref(), &Ok(a), || format!("round trip of {a:?}"))?;
        equal(&T::WIDTH.unwrap_or(bytes.len()), &bytes.len(), || {
            format!("width of {a:?}")
        })?;
        for (b, others) in samples.iter().zip(&encoded) {
            equal(&(a == b), &(bytes == others), || {
                format!("equal values are equal bytes: {a:?}, {b:?}")
            })?;
        }
        hostile::<T>(bytes)?;
    }
    equal(&T::schema().is_empty(), &false, || {
        "the schema says what the bytes mean".into()
    })
}

/// The sum of encodings, decoded or not, two or many of them, is the encoding of the sum.
///
/// # Errors
/// The law that does not hold.
pub fn merge<T: Semigroup + Codec + PartialEq + Debug>(samples: &[T]) -> Rule {
    let encoded: Vec<Vec<u8>> = samples.iter().map(T::to_bytes).collect();
    for (a, a_bytes) in samples.iter().zip(&encoded) {
        for (b, b_bytes) in samples.iter().zip(&encoded) {
            let mut sum = vec![7];
            let merged = merge_bytes::<T>(a_bytes, b_bytes, &mut sum);
            equal(&merged, &Ok(()), || format!("merge_bytes of {a:?}, {b:?}"))?;
            let expected = [vec![7], plus(a, b).to_bytes()].concat();
            equal(&sum, &expected, || {
                format!("merge_bytes agrees with combine: {a:?} + {b:?}")
            })?;
        }
    }
    for n in [0, 1, 2, 3, 4, 5, 70] {
        let many = || {
            samples
                .iter()
                .zip(&encoded)
                .cycle()
                .take(if samples.is_empty() { 0 } else { n })
        };
        let expected = T::sum_all(many().map(|(value, _)| value)).map(|sum| sum.to_bytes());
        let mut sum = Vec::new();
        let found = sum_bytes::<T>(&mut many().map(|(_, bytes)| bytes.as_slice()), &mut sum);
        equal(&found.map(|some| some.then_some(sum)), &Ok(expected), || {
            format!("sum_bytes of {n} agrees with sum_all: {samples:?}")
        })?;
    }
    Ok(())
}

/// Every truncation of short encodings, and every byte altered; of long ones at both ends and here and there between.
fn hostile<T: Codec>(bytes: &[u8]) -> Rule {
    const SHORT: usize = 512;
    const SOME: usize = 16;
    let canonical = |bytes: &[u8]| match T::decode(bytes) {
        Ok(value) => equal(&value.to_bytes().as_slice(), &bytes, || {
            "only canonical bytes are a value".into()
        }),
        Err(_) => Ok(()),
    };
    let here_and_there = |i: usize| i < SOME || bytes.len() - i <= SOME || i.is_multiple_of(bytes.len() / SOME);
    let mut altered = bytes.to_vec();
    for i in (0..bytes.len()).filter(|i| bytes.len() <= SHORT || here_and_there(*i)) {
        canonical(&bytes[..i])?;
        for flip in [1, 0x10, 0x80, 0xff] {
            altered[i] ^= flip;
            canonical(&altered)?;
            altered[i] ^= flip;
        }
    }
    Ok(())
}

/// `s.absorb(x)` equals `s + (zero that absorbed x)`, for the states that the items lead to one after the other;
/// `absorb_times` agrees with as many calls of `absorb`.
///
/// # Errors
/// The law that does not hold.
pub fn absorb<T, S: Absorb<T> + PartialEq + Debug>(items: &[T]) -> Rule {
    let mut state = S::zero();
    for item in items {
        let mut one = S::zero();
        one.absorb(item);
        let summed = plus(&state, &one);
        for n in [1, 2, 5] {
            let (mut one_by_one, mut at_once) = (state.clone(), state.clone());
            (0..n).for_each(|_| one_by_one.absorb(item));
            at_once.absorb_times(item, NonZeroU64::MIN.saturating_add(n - 1));
            equal(&at_once, &one_by_one, || {
                format!("absorb_times({n}) agrees with absorb, on {state:?}")
            })?;
        }
        state.absorb(item);
        equal(&state, &summed, || "absorbing is adding a zero that absorbed".into())?;
    }
    Ok(())
}

/// `absorb(s, x)` equals `s + prepare(x)`, for the states that the items lead to one after the other; `fold` agrees with them.
///
/// # Errors
/// The law that does not hold.
pub fn aggregator<A>(aggregator: &A, items: &[A::Item]) -> Rule
where
    A: Aggregator<State: PartialEq + Debug, Item: Sized>,
{
    let mut state: Option<A::State> = None;
    for item in items {
        let one = aggregator.prepare(item);
        let mut absorbed = state.clone();
        match &mut absorbed {
            Some(state) => aggregator.absorb(state, item),
            None => absorbed = Some(one.clone()),
        }
        let summed = state.as_ref().map_or_else(|| one.clone(), |state| plus(state, &one));
        equal(&absorbed, &Some(summed), || {
            "absorbing is adding what was prepared".into()
        })?;
        state = absorbed;
    }
    equal(&aggregator.fold(items), &state, || "fold agrees with absorb".into())
}

/// Buffers conserve: the sum by key of what comes out is that of what went in, values of a key in the order they came; and a
/// buffer is empty just when a flush brings nothing.
///
/// # Errors
/// The law that does not hold.
pub fn conserves<V: Semigroup + PartialEq + Debug>(buffer: &mut impl Buffer<V>, puts: &[(Vec<u8>, V)]) -> Rule {
    let add = |sums: &mut BTreeMap<Vec<u8>, V>, key: &[u8], value: V| match sums.get_mut(key) {
        Some(sum) => sum.combine_owned(value),
        None => drop(sums.insert(key.to_vec(), value)),
    };
    let (mut went_in, mut came_out) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in puts {
        add(&mut went_in, key, value.clone());
        buffer.put(key, value.clone(), &mut |key, value| add(&mut came_out, key, value));
    }
    let empty = buffer.is_empty();
    let mut flushed = 0;
    buffer.flush(&mut |key, value| {
        flushed += 1;
        add(&mut came_out, key, value);
    });
    equal(&came_out, &went_in, || "sums by key are conserved".into())?;
    equal(&empty, &(flushed == 0), || {
        "a buffer is empty when a flush brings nothing".into()
    })?;
    equal(&buffer.is_empty(), &true, || "a flushed buffer is empty".into())
}
