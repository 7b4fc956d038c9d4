//! From state to number.
//!
//! Sparse: linear counting in `2^26` slots (K.-Y. Whang and others, "A linear-time probabilistic counting algorithm", 1990).
//! Dense: the improved raw estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
//! algorithm 6. It is a closed form: no bias tables, no switch between ranges, and it needs only `+ * sqrt`, so estimates
//! of dense sketches are the same to the bit on every machine.

use super::SLOT_BITS;
use crate::estimate::Estimate;

/// Bounds of two standard errors hold this often.
const CONFIDENCE: f64 = 0.95;

/// `-m ln(1 - n/m)` items for `n` of `m` slots, with variance `m (e^t - t - 1)`, where `t` is the estimate divided by `m`.
pub(super) fn sparse(tokens: usize) -> Estimate {
    let m = f64::from(1u32 << SLOT_BITS);
    let n = tokens as f64;
    let value = -m * (-n / m).ln_1p();
    let t = value / m;
    let error = 2.0 * (m * (t.exp_m1() - t)).max(0.0).sqrt();
    // Every token is at least one item.
    Estimate {
        value,
        low: (value - error).max(n),
        high: value + error,
        confidence: CONFIDENCE,
    }
}

/// Ertl's estimate of `2^P` registers whose ranks end at `q + 1 = max_rank`.
pub(super) fn dense(registers: &[u8], max_rank: u8) -> Estimate {
    let mut counts = [0u32; 64];
    for &r in registers {
        counts[usize::from(r.min(max_rank))] += 1;
    }
    let highest = usize::from(max_rank);
    let m = registers.len() as f64;
    let mut z = m * tau(1.0 - f64::from(counts[highest]) / m);
    for &c in counts[1..highest].iter().rev() {
        z = 0.5 * (z + f64::from(c));
    }
    z += m * sigma(f64::from(counts[0]) / m);
    let value = m * m / (2.0 * std::f64::consts::LN_2 * z);
    let error = 2.0 * 1.04 / m.sqrt();
    Estimate {
        value,
        low: value * (1.0 - error),
        high: value * (1.0 + error),
        confidence: CONFIDENCE,
    }
}

/// `x + sum over k >= 1 of x^(2^k) 2^(k-1)`: the registers never hit.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// `(1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3`: the registers at the highest rank.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
