//! A run in key order.

use std::sync::Arc;

use rufous_core::Result;

use super::Reader;
use super::entry::entry;

/// Entries in key order, one block in memory at a time.
pub struct Scan {
    reader: Arc<Reader>,
    next_block: usize,
    bytes: Vec<u8>,
    at: usize,
    /// Keys below it are passed over, until the first that is not.
    from: Option<Vec<u8>>,
}

impl Scan {
    pub(super) fn new(reader: Arc<Reader>, block: usize, from: &[u8]) -> Self {
        Self {
            reader,
            next_block: block,
            bytes: Vec::new(),
            at: 0,
            from: Some(from.to_vec()),
        }
    }

    /// The next key and value.
    ///
    /// # Errors
    /// `CorruptData` that names the file and the byte.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        loop {
            if self.at >= self.bytes.len() {
                if self.next_block >= self.reader.blocks.len() {
                    return Ok(None);
                }
                self.at = 0;
                // Who asks again after an error gets it again, never the bytes that failed.
                self.reader
                    .block(self.next_block, &mut self.bytes)
                    .inspect_err(|_| self.bytes.clear())?;
                self.next_block += 1;
            }
            let malformed = || self.reader.malformed(self.next_block - 1, self.at);
            let (key, value) = entry(&self.bytes, self.at).ok_or_else(malformed)?;
            self.at = value.end;
            if self.from.as_deref().is_none_or(|from| &self.bytes[key.clone()] >= from) {
                self.from = None;
                return Ok(Some((&self.bytes[key], &self.bytes[value])));
            }
        }
    }
}
