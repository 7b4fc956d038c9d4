//! Which brackets are open: a bit each, the first 64 without allocation.

/// A stack of bits. `true` is an object, `false` an array.
#[derive(Default)]
pub(super) struct Nest {
    /// The innermost brackets of a full word of 64, or fewer.
    word: u64,
    depth: usize,
    /// Full words further out.
    outer: Vec<u64>,
}

impl Nest {
    #[inline]
    pub(super) fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.word);
        }
        self.word = (self.word << 1) | u64::from(object);
        self.depth += 1;
    }
    /// The innermost bracket, if one is open.
    #[inline]
    pub(super) fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.word & 1 == 1)
    }
    #[inline]
    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.word >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.word = self.outer.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack of brackets is a vector of them, over the bounds of words.
    #[test]
    fn a_stack() {
        let (mut nest, mut all) = (Nest::default(), Vec::new());
        let mut random = 1_u64;
        for i in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let up = if i < 10_000 {
                random >> 60 < 10
            } else {
                random >> 60 < 5
            };
            if up {
                let object = random >> 40 & 1 == 1;
                nest.push(object);
                all.push(object);
            } else {
                nest.pop();
                all.pop();
            }
            assert_eq!(nest.top(), all.last().copied());
        }
    }
}
