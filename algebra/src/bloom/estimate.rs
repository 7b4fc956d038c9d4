//! From bits to numbers.

use super::{Bloom, State};
use crate::estimate::Estimate;

/// Bounds of two standard errors hold this often.
const CONFIDENCE: f64 = 0.95;

impl<const BITS: usize, const K: usize> Bloom<BITS, K> {
    /// How many different items were seen. A list knows it, but for equal hashes; bits are counted: `-m/K ln(z/m)`
    /// items leave `z` of `m` bits unset, with the standard error of linear counting, `sqrt(m (e^t - t - 1)) / K` for
    /// `t` set per bit. When no bit is unset, there is no upper bound.
    pub fn estimate_len(&self) -> Estimate {
        match &self.state {
            State::Sparse(hashes) => {
                let n = hashes.len() as f64;
                Estimate {
                    // Two of n hashes are equal with a probability of at most this.
                    confidence: 1.0 - n * n / 2f64.powi(65),
                    ..Estimate::exact(n)
                }
            }
            State::Dense(words) => Self::linear_count(ones(words)),
        }
    }

    fn linear_count(ones: usize) -> Estimate {
        let (m, k) = (BITS as f64, K as f64);
        // Of a full filter it is only known that less than about one bit should be left.
        let unset = ((BITS - ones) as f64).max(0.5);
        let t = (m / unset).ln();
        let value = t * m / k;
        let error = 2.0 * (m * (t.exp_m1() - t)).max(0.0).sqrt() / k;
        // There were more items than a list holds, and each sets K bits at the most.
        let least = (Self::MAX_HASHES as f64 + 1.0).max(ones as f64 / k);
        Estimate {
            value: value.max(least),
            low: (value - error).max(least),
            high: if ones == BITS {
                f64::INFINITY
            } else {
                (value + error).max(least)
            },
            confidence: CONFIDENCE,
        }
    }

    /// The share of items never seen that [`contains`](Self::contains) says were seen, now.
    pub fn false_positive_rate(&self) -> f64 {
        match &self.state {
            State::Sparse(hashes) => hashes.len() as f64 / 2f64.powi(64),
            State::Dense(words) => (ones(words) as f64 / BITS as f64).powi(K as i32),
        }
    }
}

fn ones(words: &[u64]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}
