//! Wide integers rounded to the nearest `f64`.

/// `+-(digits * 2^exponent)`, correctly rounded: to the nearest `f64`, ties to even, beyond the greatest to infinity.
/// Digits are 32 bits each, the lowest first; `exponent` is at least -1074.
pub(super) fn nearest(negative: bool, digits: &[u32], exponent: i32) -> f64 {
    let Some(top) = digits.iter().rposition(|d| *d != 0) else {
        return 0.0;
    };
    let high = 32 * top as i32 + 31 - digits[top].leading_zeros() as i32;
    let sign = if negative { -1.0 } else { 1.0 };
    if high + exponent > 1023 {
        return sign * f64::INFINITY;
    }
    // The power of the last bit of the significand, and where that bit is in the digits.
    let last = (high + exponent - 52).max(-1074);
    let at = last - exponent;
    let significand = if at <= 0 {
        bits(digits, 0) << -at
    } else {
        let at = at as usize;
        let half = bits(digits, at - 1) & 1 == 1;
        let beyond = || {
            (digits[(at - 1) / 32] & ((1 << ((at - 1) % 32)) - 1)) != 0
                || digits[..(at - 1) / 32].iter().any(|d| *d != 0)
        };
        let kept = bits(digits, at);
        kept + u64::from(half && (kept & 1 == 1 || beyond()))
    };
    // A significand of 2^52 or more adds one to the exponent field, and so does one that was rounded up to 2^53.
    sign * f64::from_bits((((last + 1074) as u64) << 52) + significand)
}

/// 53 bits from bit `at` on.
fn bits(digits: &[u32], at: usize) -> u64 {
    let digit = |i: usize| u128::from(digits.get(at / 32 + i).copied().unwrap_or(0));
    let window = digit(0) | digit(1) << 32 | digit(2) << 64;
    (window >> (at % 32)) as u64 & ((1 << 53) - 1)
}
