//! What the threads have summed, and what they wrote to sinks: lists of (key, value) in key order, in memory or, once they would be too many, in files; and
//! their sum, written as files of a generation.
//!
//! Nothing here is read by another process: what a crash leaves is swept by the next run.
//!
//! - `sorted`: a list in memory; `file`: a list in a file; `dir`: where the files are;
//! - `cursor`: one list from a key to a key; `merge`: many of them side by side, added up;
//! - `split`: the keys at which several threads divide the work; `target`, `write`: files out of lists.

mod cursor;
mod dir;
mod file;
mod merge;
mod sorted;
mod split;
mod target;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use dir::SpillDir;
pub(crate) use file::{SpillFile, SpillWriter};
pub(crate) use sorted::Sorted;
pub(crate) use target::{ToSink, ToStore};
pub(crate) use write::write;

/// One list. Equal keys may follow each other (one a source).
pub(crate) enum List {
    Memory(Sorted),
    File(SpillFile),
}

impl List {
    /// The domain that all of it came from, if it is kept apart.
    fn domain(&self) -> Option<u32> {
        match self {
            Self::Memory(sorted) => sorted.domain,
            Self::File(file) => file.domain,
        }
    }
    /// Bytes of keys and values, about.
    fn bytes(&self) -> u64 {
        match self {
            Self::Memory(sorted) => sorted.bytes() as u64,
            Self::File(file) => file.bytes(),
        }
    }
    /// All pairs, for tests.
    #[cfg(test)]
    pub(crate) fn pairs(&self) -> rufous_core::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let (mut cursor, mut all) = (cursor::Cursor::open(self, None, None)?, Vec::new());
        while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
            all.push((key, cursor.value().to_vec()));
            cursor.advance()?;
        }
        Ok(all)
    }
}
