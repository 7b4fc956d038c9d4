//! How many bits, and how many of them for each item.
//!
//! With `K` bits an item, `n` items in `m` bits have the false-positive rate `p = (1 - e^(-K n / m))^K`, so `m = -K n /
//! ln(1 - p^(1/K))`. The best `K` is the one that needs the fewest bits. All of it is real arithmetic, done when
//! compiled, by `+ - * /` alone: the parameters are part of the schema and must be the same everywhere.

/// The bits for so many items at this rate of false answers: a multiple of 64.
///
/// # Panics
/// (When compiled, in a constant.) When there are no items, or the rate is not between 0 and 1.
pub const fn bits(items: usize, rate: f64) -> usize {
    assert!(items > 0, "a bloom filter is for one item at least");
    let words = (items as f64 * bits_of_item(rate, probes(rate)) / 64.0).ceil();
    words as usize * 64
}

/// The bits that each item sets at this rate of false answers: the number that needs the fewest bits in all.
///
/// # Panics
/// (When compiled, in a constant.) When the rate is not between 0 and 1.
pub const fn probes(rate: f64) -> usize {
    assert!(rate > 0.0 && rate < 1.0, "the rate is a share");
    let mut best = 1;
    while best < 64 && bits_of_item(rate, best + 1) < bits_of_item(rate, best) {
        best += 1;
    }
    best
}

/// `-K / ln(1 - rate^(1/K))`.
const fn bits_of_item(rate: f64, k: usize) -> f64 {
    let k = k as f64;
    -k / ln(1.0 - exp(ln(rate) / k))
}

/// The natural logarithm of a number from 0 to 1, both excluded: `2 artanh((x - 1) / (x + 1))` near 1.
const fn ln(mut x: f64) -> f64 {
    let mut halvings = 0.0;
    while x < 0.7 {
        x *= 2.0;
        halvings += 1.0;
    }
    let z = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum, mut n) = (z, 0.0, 1.0);
    while n < 40.0 {
        sum += power / n;
        power *= z * z;
        n += 2.0;
    }
    2.0 * sum - halvings * std::f64::consts::LN_2
}

/// `e^x` of a number that is not positive: the series near 0, then squares.
const fn exp(mut x: f64) -> f64 {
    let mut squarings = 0;
    while x < -0.5 {
        x /= 2.0;
        squarings += 1;
    }
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while n < 20.0 {
        term *= x / n;
        sum += term;
        n += 1.0;
    }
    while squarings > 0 {
        sum *= sum;
        squarings -= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The series agree with the functions of the standard library.
    #[test]
    fn series_are_precise() {
        let mut x = 1e-300;
        while x < 1.0 {
            assert!((ln(x) / x.ln() - 1.0).abs() < 1e-14, "ln {x}");
            let y = x.ln();
            assert!((exp(y) / x - 1.0).abs() < 1e-12, "exp {y}");
            x *= 1.37;
        }
    }
}
