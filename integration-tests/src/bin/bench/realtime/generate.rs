//! The input: seeded words whose rank can be read back, so that totals are compared without a table of words.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `n`, by the upper half of a product.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(n)) >> 64) as u64
    }
}

/// Which keys come how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Law {
    /// Rank `r` of `keys` as often as `1 / (r + 1)^s`.
    Zipf { keys: u32, s: f64 },
    /// All alike.
    Uniform { keys: u32 },
}

impl Law {
    pub(crate) fn keys(self) -> u32 {
        match self {
            Self::Zipf { keys, .. } | Self::Uniform { keys } => keys,
        }
    }
}

/// Draws ranks: Walker's alias table, two numbers a draw whatever the law.
pub(crate) struct Ranks {
    random: SplitMix,
    keys: u64,
    /// (threshold in 2^32, alias); empty for the uniform law.
    table: Vec<(u32, u32)>,
}

impl Ranks {
    pub(crate) fn new(law: Law, seed: u64) -> Self {
        let keys = law.keys() as usize;
        let mut table = Vec::new();
        if let Law::Zipf { s, .. } = law {
            let weights: Vec<f64> = (1..=keys).map(|r| (r as f64).powf(-s)).collect();
            let all: f64 = weights.iter().sum();
            let mut share: Vec<f64> = weights.iter().map(|w| w * keys as f64 / all).collect();
            table = (0..keys as u32).map(|i| (u32::MAX, i)).collect();
            let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..keys).partition(|i| share[*i] < 1.0);
            while let (Some(low), Some(high)) = (small.pop(), large.pop()) {
                table[low] = ((share[low] * f64::from(u32::MAX)) as u32, high as u32);
                share[high] -= 1.0 - share[low];
                if share[high] < 1.0 {
                    small.push(high)
                } else {
                    large.push(high)
                }
            }
        }
        Self {
            random: SplitMix(seed),
            keys: keys as u64,
            table,
        }
    }
    pub(crate) fn draw(&mut self) -> u32 {
        let at = self.random.below(self.keys) as u32;
        match self.table.get(at as usize) {
            Some((threshold, alias)) if self.random.number() as u32 > *threshold => *alias,
            _ => at,
        }
    }
}

/// Five letters hold every rank below 26^5.
const WORDS: u64 = 11_881_376;
/// Neighbours in rank are not neighbours in the alphabet; the inverse modulo [`WORDS`] is found once.
const STEP: u64 = 7_654_321;
const ENDINGS: &[u8; 4] = b"ings";

/// The word of a rank: five to nine letters.
pub(crate) fn spell(rank: u32, out: &mut Vec<u8>) {
    let mut n = u64::from(rank) * STEP % WORDS;
    for _ in 0..5 {
        out.push(b'a' + (n % 26) as u8);
        n /= 26;
    }
    out.extend_from_slice(&ENDINGS[..(rank % 5) as usize]);
}

/// The rank of a word; `None`: it is the word of none.
pub(crate) fn rank(word: &[u8]) -> Option<u32> {
    let letters = word.first_chunk::<5>()?;
    let mut n = 0;
    for letter in letters.iter().rev() {
        n = n * 26 + u64::from(letter.checked_sub(b'a').filter(|l| *l < 26)?);
    }
    let rank = u32::try_from(u128::from(n) * u128::from(inverse()) % u128::from(WORDS)).ok()?;
    (word.get(5..)? == &ENDINGS[..(rank % 5) as usize]).then_some(rank)
}

/// `STEP^-1` modulo [`WORDS`], by Euler: the order of the group divides phi(26^5) = 26^4 * 12.
fn inverse() -> u64 {
    static INVERSE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *INVERSE.get_or_init(|| {
        let (mut base, mut exponent, mut power) = (STEP, 26_u64.pow(4) * 12 - 1, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = power * base % WORDS;
            }
            base = base * base % WORDS;
            exponent >>= 1;
        }
        power
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Totals are compared by ranks: a word has one rank, and another text has none.
    #[test]
    fn words_are_read_back() {
        let mut word = Vec::new();
        for r in (0..10_000_000).step_by(997).chain([9_999_999]) {
            word.clear();
            spell(r, &mut word);
            assert_eq!(rank(&word), Some(r));
            word.push(b'x');
            assert_eq!(rank(&word), None);
        }
        assert_eq!(rank(b"abc"), None);
        assert_eq!(rank(b"ABCDE"), None);
    }

    /// The law is that of the issue: the first rank of 100,000 at s = 1.05 has one in 9.35 or so.
    #[test]
    fn ranks_follow_their_law() {
        let mut ranks = Ranks::new(Law::Zipf { keys: 100_000, s: 1.05 }, 7);
        let (n, mut of) = (1_000_000, [0_u32; 3]);
        for _ in 0..n {
            if let Some(count) = of.get_mut(ranks.draw() as usize) {
                *count += 1;
            }
        }
        let all: f64 = (1..=100_000).map(|r| f64::from(r).powf(-1.05)).sum();
        for (r, count) in of.iter().enumerate() {
            let expected = f64::from(n) * (r as f64 + 1.0).powf(-1.05) / all;
            assert!(
                (f64::from(*count) - expected).abs() < 6.0 * expected.sqrt(),
                "rank {r}: {count}, {expected}"
            );
        }
    }
}
