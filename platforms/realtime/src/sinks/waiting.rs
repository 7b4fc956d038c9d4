//! How much waits for sinks: a commit comes early before that outgrows its part of the memory.

/// Records that wait at most.
const MOST: usize = 1 << 16;
/// Bytes of a record, before any was encoded.
const UNKNOWN: usize = 1 << 10;

/// What waits for sinks between two commits. Records wait as they are, and how large they are is known when they are encoded: so
/// what the last ones had is what the next ones are taken to have, and what was read for them bounds the rest.
pub(crate) struct Written {
    /// Bytes of a record: the largest mean of a chunk, which a smaller one lowers slowly.
    each: usize,
    /// Bytes that were read since the last commit.
    read: usize,
}

impl Default for Written {
    fn default() -> Self {
        Self { each: UNKNOWN, read: 0 }
    }
}

impl Written {
    /// So many bytes of a log were read.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.read += bytes;
    }
    /// All that waited was taken.
    pub(crate) fn taken(&mut self) {
        self.read = 0;
    }
    /// So many records had so many bytes.
    pub(crate) fn had(&mut self, (records, bytes): (usize, usize)) {
        if bytes == 0 {
            return;
        }
        let mean = bytes.div_ceil(records.max(1));
        self.each = mean.max(self.each - self.each / 8);
    }
    /// Whether `waiting` records are more than `budget` bytes have room for.
    pub(crate) fn is_full(&self, waiting: usize, budget: usize) -> bool {
        let bytes = waiting.saturating_mul(self.each).max(self.read);
        waiting > 0 && (waiting >= MOST || bytes >= budget / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few large records fill the room as many small ones do, also the first.
    #[test]
    fn bytes_fill_the_room() {
        let mut w = Written::default();
        let budget = 8 << 20;
        assert!(!w.is_full(0, budget), "nothing waits");
        assert!(
            !w.is_full(1000, budget) && w.is_full(1024, budget),
            "before any size is known"
        );
        w.read(1 << 20);
        assert!(w.is_full(1, budget), "what was read is as large as the room");
        w.taken();
        assert!(!w.is_full(1, budget));
        w.had((10, 10 << 18));
        assert!(w.is_full(4, budget) && !w.is_full(3, budget), "of 256 KiB each");
        w.had((0, 0));
        for _ in 0..80 {
            w.had((1000, 16_000));
        }
        assert!(!w.is_full(20_000, budget) && w.is_full(MOST, budget), "small again");
    }
}
