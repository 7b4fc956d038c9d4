//! From ranks to numbers.

use super::{MinHash, State, UNUSED};
use crate::bottom_k::gamma;
use crate::estimate::Estimate;
use crate::hash::HashBytes;

/// Bounds of two standard errors hold this often.
const CONFIDENCE: f64 = 0.95;

impl<const M: usize> MinHash<M> {
    /// How many items both sets have, of those that either has. Two empty sets are alike.
    pub fn jaccard(&self, other: &Self) -> Estimate {
        let (mut equal, mut used) = (0, 0);
        let mut compare = |a: u32, b: u32| {
            used += usize::from(a.min(b) != UNUSED);
            equal += usize::from(a == b && a != UNUSED);
        };
        match (&self.state, &other.state) {
            (State::All(a), State::All(b)) => a.iter().zip(b.iter()).for_each(|(a, b)| compare(*a, *b)),
            _ => {
                let (a, b) = (self.ranks(), other.ranks());
                a.iter().zip(b.iter()).for_each(|(a, b)| compare(*a, *b));
            }
        }
        if used == 0 {
            Estimate::exact(1.0)
        } else {
            share(equal, used)
        }
    }

    /// How many different items there were; the relative standard error is about `1 / sqrt(M)`. For this alone, a
    /// [`Hll`](crate::Hll) takes a sixth of the bytes.
    ///
    /// Least ranks are waiting times until the first of many items, cut off at 1 in unused bins: their rate is the
    /// number that ended divided by the time that passed, and is a gamma distribution's as in [`Kmv`](crate::Kmv).
    pub fn distinct(&self) -> Estimate {
        let (mut used, mut time) = (0.0, 0.0);
        for rank in *self.ranks() {
            let ended = rank != UNUSED;
            used += f64::from(u8::from(ended));
            time += if ended {
                (f64::from(rank) + 0.5) / 2f64.powi(32)
            } else {
                1.0
            };
        }
        if used == 0.0 {
            return Estimate::exact(0.0);
        }
        let m = M as f64;
        // Every used bin is at least one item.
        Estimate {
            value: (used * (m - 1.0) / time).max(used),
            low: (gamma(used, -2.0) * m / time).max(used),
            high: gamma(used + 1.0, 2.0) * m / time,
            confidence: CONFIDENCE,
        }
    }

    /// `M` numbers for locality-sensitive hashing: two sets agree in each of them with probability `J`. `None` of the
    /// empty set.
    ///
    /// An unused bin borrows the rank of a bin that is chosen by hashes of the two numbers, the same for all sets (A.
    /// Shrivastava, "Optimal densification for fast and accurate minwise hashing", 2017). To compare two sets,
    /// [`jaccard`](Self::jaccard) is more accurate where bins are unused.
    pub fn signature(&self) -> Option<Vec<u32>> {
        let ranks = self.ranks();
        if ranks.iter().all(|rank| *rank == UNUSED) {
            return None;
        }
        let borrowed = |bin: usize| {
            // Ends, since some bin is used: each number is tried after a while.
            (0u64..)
                .map(|attempt| ranks[attempt_of(bin, attempt) & (M - 1)])
                .find(|rank| *rank != UNUSED)
                .unwrap_or(UNUSED)
        };
        let full = (0..M).map(|bin| {
            if ranks[bin] == UNUSED {
                borrowed(bin)
            } else {
                ranks[bin]
            }
        });
        Some(full.collect())
    }
}

/// The hash of bin and attempt.
fn attempt_of(bin: usize, attempt: u64) -> usize {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(bin as u64).to_le_bytes());
    bytes[8..].copy_from_slice(&attempt.to_le_bytes());
    bytes.hash64() as usize
}

/// A share of which `hits` of `trials` are a sample, with bounds of two standard errors: those of E. Wilson, "Probable
/// inference, the law of succession, and statistical inference" (1927), with half a hit more to either side, so that
/// they also hold near 0 and 1.
pub(crate) fn share(hits: usize, trials: usize) -> Estimate {
    let n = trials as f64;
    let bound = |hits: f64, z: f64| {
        let p = (hits / n).clamp(0.0, 1.0);
        let z2 = z * z / n;
        (p + z2 / 2.0 + z / n.sqrt() * (p * (1.0 - p) + z2 / 4.0).sqrt()) / (1.0 + z2)
    };
    Estimate {
        value: hits as f64 / n,
        low: if hits == 0 { 0.0 } else { bound(hits as f64 - 0.5, -2.0) },
        high: if hits == trials {
            1.0
        } else {
            bound(hits as f64 + 0.5, 2.0)
        },
        confidence: CONFIDENCE,
    }
}
