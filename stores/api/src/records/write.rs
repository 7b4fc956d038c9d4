//! A file of records that is being written.

use rufous_core::{Error, Result};

use super::block::{BLOCK, Packer, put};
use super::{RecordFile, WrittenId};
use crate::offline::{GenerationStore, RunWriter};

/// Writes records of a sink in the order of their ids. Nothing is visible before a manifest names the file.
pub struct RecordWriter {
    sink: String,
    run: Box<dyn RunWriter>,
    packer: Packer,
    /// Of the block that is being filled.
    block: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
    records: u64,
}

impl RecordWriter {
    /// A file of a sink.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin(generations: &dyn GenerationStore, sink: &str) -> Result<Self> {
        Ok(Self {
            sink: sink.into(),
            run: generations.begin_records(sink)?,
            packer: Packer::new(),
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            last: Vec::new(),
            records: 0,
        })
    }

    /// Appends a record by the bytes of its id.
    ///
    /// # Errors
    /// When it cannot be written, or ids do not ascend (a bug).
    pub fn push(&mut self, id: &[u8], record: &[u8]) -> Result<()> {
        if self.records > 0 && id <= self.last.as_slice() {
            return Err(Error::bug(format!(
                "sink `{}`: record {} was written after {}: ids of a file must ascend",
                self.sink,
                shown(id),
                shown(&self.last)
            )));
        }
        if self.records == 0 {
            self.first.extend_from_slice(id);
        }
        put(id, record, &mut self.block);
        self.last.clear();
        self.last.extend_from_slice(id);
        self.records += 1;
        if self.block.len() >= BLOCK {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let packed = self.packer.pack(&self.block);
        let packed = packed.map_err(|e| Error::bug(format!("sink `{}`: a block was not packed: {e}", self.sink)))?;
        self.block.clear();
        self.run.push(&self.last, &packed)
    }

    /// Makes the file whole and durable. `None`: nothing was written, and there is no file.
    ///
    /// # Errors
    /// When it cannot be synced.
    pub fn finish(mut self) -> Result<Option<RecordFile>> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let first_id = shown(&self.first);
        let file = self.run.finish()?;
        Ok(file.map(|file| RecordFile {
            file,
            records: self.records,
            first_id,
        }))
    }
}

/// An id for messages, whatever its bytes are.
pub(super) fn shown(id: &[u8]) -> String {
    WrittenId::from_bytes(id).map_or_else(|| format!("{id:02x?}"), |id| id.to_string())
}
