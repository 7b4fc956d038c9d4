//! Reads a run: the index once, then one block a look-up. Every byte that is used was checked against a checksum.

use std::cmp::Ordering;
use std::fs::File;
use std::io::ErrorKind as Io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{Error, Result};
use rufous_store_api::RunFile;
use xxhash_rust::xxh3::xxh3_64;

use super::entry::{Block, blocks, entry, word};
use super::{FOOTER, MAGIC, SUM, Scan, hex};

/// An open run.
pub struct Reader {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) blocks: Vec<Block>,
    /// Where the blocks end and the index begins.
    pub(super) index_at: u64,
    /// What the manifest says; [`verify`](Self::verify) compares it with the bytes.
    checksum: String,
}

pub(super) fn corrupt(path: &Path, why: &str) -> Error {
    let repair = "restore it from a copy, or run `batch` again into a new instance";
    Error::corrupt(format!("run {} {why}: {repair}", path.display()))
}

/// Fills `bytes` from offset `at`; a file that ends before is corrupt.
pub(super) fn read_at(path: &Path, file: &File, bytes: &mut [u8], at: u64) -> Result<()> {
    file.read_exact_at(bytes, at).map_err(|e| match e.kind() {
        Io::UnexpectedEof => corrupt(path, &format!("ends within the {} bytes at byte {at}", bytes.len())).caused_by(e),
        _ => Error::io(&format!("cannot read byte {at} of run"), path, e),
    })
}

impl Reader {
    /// Opens the run that a manifest names, and reads its footer and its index.
    ///
    /// # Errors
    /// `TryAgain` when the file is gone (a newer manifest may have replaced it, P25), `CorruptData` that names the file
    /// when its length, footer or index is not what was written.
    pub fn open(path: &Path, expected: &RunFile) -> Result<Self> {
        let file = File::open(path).map_err(|e| match e.kind() {
            Io::NotFound => {
                let why = "is gone: a newer generation may have replaced it, read again with the newest manifest";
                Error::try_again(format!("run {} {why}", path.display())).caused_by(e)
            }
            _ => Error::io("cannot open run", path, e),
        })?;
        let len = file
            .metadata()
            .map_err(|e| Error::io("cannot read run", path, e))?
            .len();
        if len != expected.bytes {
            return Err(corrupt(
                path,
                &format!("has {len} bytes in place of {}", expected.bytes),
            ));
        }
        let footer_at = match len.checked_sub(FOOTER as u64) {
            Some(at) if at >= MAGIC.len() as u64 => at,
            _ => return Err(corrupt(path, &format!("has {len} bytes, fewer than any run"))),
        };
        let (mut magic, mut footer) = ([0; MAGIC.len()], [0; FOOTER]);
        read_at(path, &file, &mut magic, 0)?;
        read_at(path, &file, &mut footer, footer_at)?;
        if magic != MAGIC || footer[FOOTER - MAGIC.len()..] != MAGIC {
            return Err(corrupt(path, "is no run of format 1"));
        }
        if xxh3_64(&footer[..32]) != word(&footer, 32) {
            return Err(corrupt(path, &format!("has a damaged footer at byte {footer_at}")));
        }
        let (index_at, index_len, index_sum, keys) =
            (word(&footer, 0), word(&footer, 8), word(&footer, 16), word(&footer, 24));
        if index_at.checked_add(index_len) != Some(footer_at) {
            return Err(corrupt(path, "has a footer that does not fit its length"));
        }
        if keys != expected.keys {
            return Err(corrupt(
                path,
                &format!("holds {keys} keys in place of {}", expected.keys),
            ));
        }
        let index_len = usize::try_from(index_len).map_err(|_| corrupt(path, "is too large for this machine"))?;
        let mut index = vec![0; index_len];
        read_at(path, &file, &mut index, index_at)?;
        if xxh3_64(&index) != index_sum {
            return Err(corrupt(path, &format!("has a damaged index at byte {index_at}")));
        }
        let malformed = || corrupt(path, &format!("has a malformed index at byte {index_at}"));
        let blocks = blocks(&index, index_at).ok_or_else(malformed)?;
        let first = blocks.first().map_or_else(String::new, |b| hex(&b.first));
        if first != expected.first_key {
            return Err(corrupt(
                path,
                &format!("begins with key {first} in place of {}", expected.first_key),
            ));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            blocks,
            index_at,
            checksum: expected.checksum.clone(),
        })
    }

    /// Whether this is the run that a manifest means; names are unique, so it is unless a manifest was made by hand.
    pub(crate) fn is(&self, run: &RunFile) -> bool {
        self.checksum == run.checksum
    }

    /// Whether the file still has a name; a deleted one keeps its space while it is open.
    pub(crate) fn is_named(&self) -> bool {
        self.file.metadata().is_ok_and(|m| m.nlink() > 0)
    }

    /// Reads a block and the checksum behind it; checks both that and the first key.
    pub(super) fn block_and_sum(&self, i: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let Block { first, offset, len } = &self.blocks[i];
        bytes.resize(len + SUM, 0);
        read_at(&self.path, &self.file, bytes, *offset)?;
        if xxh3_64(&bytes[..*len]) != word(bytes, *len) {
            return Err(corrupt(
                &self.path,
                &format!("is damaged in the block at byte {offset}"),
            ));
        }
        let (key, _) = entry(&bytes[..*len], 0).ok_or_else(|| self.malformed(i, 0))?;
        if bytes[key] != **first {
            return Err(corrupt(
                &self.path,
                &format!("has a block at byte {offset} that belongs elsewhere"),
            ));
        }
        Ok(())
    }

    /// The entries of a block.
    pub(super) fn block(&self, i: usize, bytes: &mut Vec<u8>) -> Result<()> {
        self.block_and_sum(i, bytes)?;
        bytes.truncate(self.blocks[i].len);
        Ok(())
    }

    /// An entry at `at` of a block cannot be decoded though the checksum fits.
    pub(super) fn malformed(&self, block: usize, at: usize) -> Error {
        let at = self.blocks.get(block).map_or(0, |b| b.offset) + at as u64;
        corrupt(&self.path, &format!("has a malformed entry at byte {at}"))
    }

    /// Calls `found` with the place in `keys` and the value of each key that is here. `keys` must ascend; equal ones may
    /// follow each other. Every block is read once, and passed once.
    ///
    /// # Errors
    /// `CorruptData` that names the file and the byte.
    pub fn get_sorted(&self, keys: &[&[u8]], found: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        let (mut current, mut bytes, mut at) = (None, Vec::new(), 0);
        for (n, key) in keys.iter().enumerate() {
            let Some(i) = self
                .blocks
                .partition_point(|b| b.first.as_slice() <= *key)
                .checked_sub(1)
            else {
                continue;
            };
            if current != Some(i) {
                self.block(i, &mut bytes)?;
                (current, at) = (Some(i), 0);
            }
            while at < bytes.len() {
                let (k, v) = entry(&bytes, at).ok_or_else(|| self.malformed(i, at))?;
                match bytes[k].cmp(key) {
                    Ordering::Less => at = v.end,
                    Ordering::Equal => {
                        found(n, &bytes[v]);
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
        }
        Ok(())
    }

    /// The entries from the first key at or above `from` on.
    pub fn scan(self: &Arc<Self>, from: &[u8]) -> Scan {
        let block = self
            .blocks
            .partition_point(|b| b.first.as_slice() <= from)
            .saturating_sub(1);
        Scan::new(self.clone(), block, from)
    }
}
