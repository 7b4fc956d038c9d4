//! A list in a file: blocks of entries (`varint` key length, key, `varint` value length, value), each with its checksum behind
//! it. What lies in which block is kept in memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rufous_algebra::codec::put_varint;
use rufous_core::{Deltas, Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::SpillDir;

/// Entries of about this many bytes make a block.
pub(super) const BLOCK: usize = 64 << 10;

/// A finished list. Its file is deleted with it.
#[derive(Debug)]
pub(crate) struct SpillFile {
    path: PathBuf,
    file: File,
    pub(super) blocks: Vec<Block>,
    bytes: u64,
    /// The partition that all of it is of, where keys stay in one (O2).
    pub(crate) domain: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) first: Box<[u8]>,
    at: u64,
    len: usize,
}

impl SpillFile {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Reads the entries of a block.
    pub(super) fn read(&self, block: usize, into: &mut Vec<u8>) -> Result<()> {
        let Some(Block { at, len, .. }) = self.blocks.get(block) else {
            into.clear();
            return Ok(());
        };
        into.resize(len + 8, 0);
        self.file
            .read_exact_at(into, *at)
            .map_err(|e| Error::io("cannot read", &self.path, e))?;
        let sum = into.split_off(*len);
        if xxh3_64(into).to_le_bytes() != *sum {
            return Err(self.damaged(block));
        }
        Ok(())
    }
    pub(super) fn damaged(&self, block: usize) -> Error {
        Error::corrupt(format!(
            "temporary file {} is not what was written (byte {}): check the disk and run again",
            self.path.display(),
            self.blocks.get(block).map_or(0, |b| b.at)
        ))
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // The directory goes too when the run ends.
        let _ = fs::remove_file(&self.path);
    }
}

/// A list that is being written.
pub(crate) struct SpillWriter {
    path: PathBuf,
    file: BufWriter<File>,
    block: Vec<u8>,
    first: Vec<u8>,
    blocks: Vec<Block>,
    at: u64,
}

impl SpillWriter {
    pub(crate) fn create(dir: &SpillDir) -> Result<Self> {
        let path = dir.next()?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| Error::io("cannot create", &path, e))?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(2 * BLOCK, file),
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            blocks: Vec::new(),
            at: 0,
        })
    }
    /// Everything that a map holds.
    pub(crate) fn of(dir: &SpillDir, deltas: &dyn Deltas) -> Result<SpillFile> {
        let mut writer = Self::create(dir)?;
        deltas.for_each(&mut |d| writer.push(d.key, d.value))?;
        writer.finish()
    }
    /// Appends a pair, whose key is not below the last.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.block.is_empty() {
            self.first.clear();
            self.first.extend_from_slice(key);
        }
        put_varint(key.len() as u64, &mut self.block);
        self.block.extend_from_slice(key);
        put_varint(value.len() as u64, &mut self.block);
        self.block.extend_from_slice(value);
        if self.block.len() >= BLOCK {
            self.end_block()?;
        }
        Ok(())
    }
    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let sum = xxh3_64(&self.block).to_le_bytes();
        self.file
            .write_all(&self.block)
            .and_then(|()| self.file.write_all(&sum))
            .map_err(|e| Error::io("cannot write", &self.path, e))?;
        self.blocks.push(Block {
            first: self.first.as_slice().into(),
            at: self.at,
            len: self.block.len(),
        });
        self.at += (self.block.len() + sum.len()) as u64;
        self.block.clear();
        Ok(())
    }
    pub(crate) fn finish(mut self) -> Result<SpillFile> {
        self.end_block()?;
        let file = self
            .file
            .into_inner()
            .map_err(|e| Error::io("cannot write", &self.path, e.into_error()))?;
        Ok(SpillFile {
            path: self.path,
            file,
            blocks: self.blocks,
            bytes: self.at,
            domain: None,
        })
    }
}
