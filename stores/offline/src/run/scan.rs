//! A run in key order.

use std::ops::Range;
use std::sync::Arc;

use rufous_core::Result;
use rufous_store_api::Entries;

use super::Reader;
use super::entry::entry;
use super::meta::Meta;
use super::{BLOCK, PARTITION, SUM};

/// Entries in key order. What is read at a time grows from a block to a partition, so that a short scan reads little and a
/// long one asks seldom.
pub(crate) struct Scan {
    reader: Arc<Reader>,
    next_partition: usize,
    meta: Option<Arc<Meta>>,
    next_block: usize,
    /// Blocks with their checksums, from `at_byte` of the file on.
    bytes: Vec<u8>,
    at_byte: u64,
    /// What is left of the entries of the block before `next_block`, in `bytes`.
    left: Range<usize>,
    ahead: usize,
    /// Keys below it are passed over, until the first that is not.
    from: Option<Vec<u8>>,
    /// Indexes are kept in memory.
    near: bool,
}

impl Scan {
    pub(super) fn new(reader: Arc<Reader>, partition: usize, from: &[u8], near: bool) -> Self {
        Self {
            ahead: if reader.far { PARTITION / 4 } else { BLOCK },
            reader,
            next_partition: partition,
            meta: None,
            next_block: 0,
            bytes: Vec::new(),
            at_byte: 0,
            left: 0..0,
            from: Some(from.to_vec()),
            near,
        }
    }

    /// The next block of a partition. Who asks again after an error gets it again, never the bytes that failed.
    fn next_block(&mut self, meta: &Meta) -> Result<()> {
        let first = &meta.blocks[self.next_block];
        let end = |i: usize| meta.blocks.get(i).map(|b| b.offset + (b.len + SUM) as u64);
        let have = self.at_byte..self.at_byte + self.bytes.len() as u64;
        if !(have.contains(&first.offset) && end(self.next_block).is_some_and(|end| end <= have.end)) {
            let (mut last, mut n) = (self.next_block, first.len + SUM);
            while let Some(b) = meta.blocks.get(last + 1).filter(|b| n + b.len + SUM <= self.ahead) {
                n += b.len + SUM;
                last += 1;
            }
            self.ahead = (self.ahead * 2).min(PARTITION + 2 * BLOCK);
            self.bytes.resize(n, 0);
            self.at_byte = first.offset;
            self.reader
                .read_at(&mut self.bytes, first.offset)
                .inspect_err(|_| self.bytes.clear())?;
        }
        let at = (first.offset - self.at_byte) as usize;
        self.reader
            .check_block(meta, self.next_block, &self.bytes[at..at + first.len + SUM])?;
        self.left = at..at + first.len;
        self.next_block += 1;
        Ok(())
    }

    /// The next key and value.
    ///
    /// # Errors
    /// `CorruptData` that names the file and the byte; `TryAgain` when the file is gone.
    pub(crate) fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        loop {
            if self.left.is_empty() {
                let meta = match self.meta.take().filter(|meta| self.next_block < meta.blocks.len()) {
                    Some(meta) => meta,
                    None if self.next_partition >= self.reader.partitions.len() => return Ok(None),
                    None => {
                        let meta = if self.near {
                            self.reader.meta(self.next_partition)?
                        } else {
                            self.reader.meta_once(self.next_partition)?
                        };
                        self.next_partition += 1;
                        self.next_block = self.from.as_deref().map_or(0, |from| meta.block_of(from));
                        self.bytes.clear();
                        meta
                    }
                };
                let read = self.next_block(&meta);
                self.meta = Some(meta);
                read?;
            }
            let block = self.next_block.saturating_sub(1);
            let (key, value) = match entry(&self.bytes[..self.left.end], self.left.start) {
                Some(found) => found,
                None => {
                    let offset = self
                        .meta
                        .as_ref()
                        .and_then(|m| m.blocks.get(block))
                        .map_or(0, |b| b.offset);
                    let in_block = self.left.start as u64 + self.at_byte - offset;
                    return Err(match &self.meta {
                        Some(meta) => self.reader.malformed(meta, block, in_block as usize),
                        None => self.reader.corrupt("has a malformed entry"),
                    });
                }
            };
            self.left.start = value.end;
            if self.from.as_deref().is_none_or(|from| &self.bytes[key.clone()] >= from) {
                self.from = None;
                return Ok(Some((&self.bytes[key], &self.bytes[value])));
            }
        }
    }
}

impl Entries for Scan {
    fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Self::next_entry(self)
    }
}
