//! The keys of weighted samples: `-log2(u) / weight` in integers.
//!
//! A logarithm of a maths library differs from machine to machine in its last bits, and keys decide what is kept. So
//! `log2` is computed bit by bit: squaring a number between 1 and 2 doubles its logarithm, and whether the square is 2
//! or more is its next bit. That is 57 multiplications of 64 bits; what is cut off after each is worth less than
//! `2^-61` in all.

/// Binary places of a logarithm. With the 6 bits before the point it fits 64 bits.
const PLACES: u32 = 57;

/// `-log2(u)` with 57 binary places, for `u = (hash + 1) / 2^64`: exponentially distributed, from 0 to 64.
fn exponential(hash: u64) -> u64 {
    let Some(n) = hash.checked_add(1) else { return 0 };
    // n = 2^exponent * m / 2^63.
    let exponent = u64::from(n.ilog2());
    let mut m = n << n.leading_zeros();
    let mut fraction = 0;
    for _ in 0..PLACES {
        let square = (u128::from(m) * u128::from(m)) >> 63;
        let two_or_more = (square >> 64) as u64;
        m = (square >> two_or_more) as u64;
        fraction = fraction << 1 | two_or_more;
    }
    (64 << PLACES) - (exponent << PLACES | fraction)
}

/// Never above [`exponential`], and near it for the small values that samples keep: `-log2(u) >= (1 - u) / ln 2`, and
/// `23 / 16 < 1 / ln 2`. Two are taken off for what rounding does to either side.
fn not_above(hash: u64) -> u64 {
    ((u128::from(!hash) * 23) >> (64 - PLACES + 4)).saturating_sub(2) as u64
}

/// The key of an event: `-log2(u) / weight`, with 57 + 64 binary places, rounded down.
pub(super) fn key(hash: u64, weight: u64) -> u128 {
    (u128::from(exponential(hash)) << 64) / u128::from(weight.max(1))
}

/// Whether the key of an event is certainly above `last`, without computing it.
#[inline]
pub(super) fn is_above(hash: u64, weight: u64, last: u128) -> bool {
    let least = last
        .checked_add(1)
        .and_then(|next| next.checked_mul(u128::from(weight)));
    least.is_some_and(|least| u128::from(not_above(hash)) << 64 >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes() -> impl Iterator<Item = u64> {
        let scattered = (0..20_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let edges = (0..64).flat_map(|bits| [u64::MAX >> bits, 1 << bits, !(1 << bits), !(u64::MAX >> bits)]);
        scattered.chain(edges)
    }

    /// The fixed point logarithm is the real one to the precision of `f64`, and known values are exact.
    #[test]
    fn logarithms() {
        assert_eq!(exponential(u64::MAX), 0);
        assert_eq!(exponential(0), 64 << PLACES);
        assert_eq!(exponential((1 << 63) - 1), 1 << PLACES);
        for hash in hashes() {
            let u = (hash as f64 + 1.0) / 2f64.powi(64);
            let found = exponential(hash) as f64 / 2f64.powi(PLACES as i32);
            // Near 1 the sum in `u` rounds to 2^-53.
            assert!((found + u.log2()).abs() < 1e-14 * (1.0 + found), "{hash}: {found}");
            // Where the result is small, the series has more digits than the logarithm.
            let rest = (u64::MAX - hash) as f64 / 2f64.powi(64);
            if rest < 1e-6 {
                let series = (rest + rest * rest / 2.0) / std::f64::consts::LN_2;
                assert!(
                    (found - series).abs() <= 1e-12 * series + 2f64.powi(-56),
                    "{hash}: {found}, {series}"
                );
            }
        }
    }

    /// What is turned down early would have been turned down.
    #[test]
    fn early_answers_are_right() {
        for hash in hashes() {
            assert!(not_above(hash) <= exponential(hash), "{hash}");
            for weight in [1, 2, 3, 1_000, 1 << 40, u64::MAX] {
                let key = key(hash, weight);
                assert!(!is_above(hash, weight, key));
                assert!(!is_above(hash, weight, u128::MAX));
            }
        }
        assert!(is_above(0, 1, 1 << 64));
    }

    /// The bits of keys are the same for ever: these are the logarithms to 60 decimal places, rounded.
    #[test]
    fn keys() {
        assert_eq!(
            [
                (0x0123_4567_89ab_cdef, 1),
                (0xfedc_ba98_7654_3210, 10),
                (u64::MAX - 1, 3)
            ]
            .map(|(h, w)| key(h, w)),
            [
                20_772_593_424_606_589_338_689_723_790_834_794_496,
                1_708_395_375_033_495_570_587_560_740_860_723,
                6_148_914_691_236_517_205
            ]
        );
    }
}
