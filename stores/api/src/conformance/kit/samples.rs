//! Keys and values to check a store with.

/// Keys, all of them different, and different values, counted from 1. Where zero is absence, no value may be zero.
pub struct Samples<K, V> {
    keys: Vec<K>,
    value: Box<dyn Fn(u64) -> V + Sync>,
}

impl<K: Ord + Clone, V> Samples<K, V> {
    /// At least ten keys. The harder they are, the better: empty, long, beginnings of each other, of unusual characters.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn new(keys: impl IntoIterator<Item = K>, value: impl Fn(u64) -> V + Sync + 'static) -> Self {
        let mut keys: Vec<K> = keys.into_iter().collect();
        let n = keys.len();
        let mut sorted = keys.clone();
        sorted.sort();
        sorted.dedup();
        assert!(sorted.len() == n && n >= 10, "samples need ten different keys at least");
        keys.shrink_to_fit();
        Self {
            keys,
            value: Box::new(value),
        }
    }
    pub(super) fn keys(&self) -> &[K] {
        &self.keys
    }
    pub(super) fn value(&self, n: usize) -> V {
        (self.value)(n as u64 + 1)
    }
}

impl Samples<String, u64> {
    /// Hostile texts, and a few hundred plain ones.
    pub fn texts() -> Self {
        let hostile = [
            "",
            " ",
            "a",
            "ab",
            "abc",
            "a\0b",
            "\0",
            "\u{1}",
            "a'b",
            "a\"b",
            "a\\b",
            "a%b",
            "a_b",
            "'; DROP TABLE cells; --",
            "{a}:b",
            "a:b",
            "a/../b",
            "*",
            "\r\nDEL a\r\n",
            "\u{fe}",
            "\u{10ffff}",
            "\u{10ffff}\u{10ffff}",
            "nu\u{308}rnberg",
            "nürnberg",
            "\u{202e}abc",
        ];
        let long = ["k".repeat(10_000), format!("{}\0", "k".repeat(10_000))];
        let plain = (0..300).map(|i| format!("key {i}"));
        let hostile = hostile.into_iter().map(str::to_string);
        Self::new(hostile.chain(long).chain(plain), |n| n)
    }
}
