//! Compares every byte of a run with what the manifest says.

use rufous_core::Result;
use rufous_store_api::RunFile;
use xxhash_rust::xxh3::Xxh3;

use super::entry::entry;
use super::reader::{corrupt, read_at};
use super::{FOOTER, MAGIC, Reader, hex};

impl Reader {
    /// Reads every byte once and compares the checksum of each block and of the whole, the number and the order of keys,
    /// and the first and the last of them. The reader should be fresh: footer and index were checked when it was opened.
    ///
    /// # Errors
    /// `CorruptData` that names the file, and the byte where it is known.
    pub fn verify(&self, expected: &RunFile) -> Result<()> {
        let mut hash = Xxh3::new();
        let mut bytes = vec![0; MAGIC.len()];
        read_at(&self.path, &self.file, &mut bytes, 0)?;
        hash.update(&bytes);
        let (mut keys, mut last) = (0, Vec::new());
        for (i, block) in self.blocks.iter().enumerate() {
            self.block_and_sum(i, &mut bytes)?;
            hash.update(&bytes);
            bytes.truncate(block.len);
            let mut at = 0;
            while at < bytes.len() {
                let (key, value) = entry(&bytes, at).ok_or_else(|| self.malformed(i, at))?;
                let key = &bytes[key];
                if keys > 0 && key <= last.as_slice() {
                    let at = block.offset + at as u64;
                    return Err(corrupt(
                        &self.path,
                        &format!("has a key at byte {at} that does not ascend"),
                    ));
                }
                last.clear();
                last.extend_from_slice(key);
                keys += 1;
                at = value.end;
            }
        }
        // The index, which the open run holds decoded, and the footer.
        let tail = expected
            .bytes
            .checked_sub(self.index_at)
            .and_then(|n| usize::try_from(n).ok());
        bytes.resize(
            tail.filter(|n| *n >= FOOTER)
                .ok_or_else(|| corrupt(&self.path, "has another length"))?,
            0,
        );
        read_at(&self.path, &self.file, &mut bytes, self.index_at)?;
        hash.update(&bytes);
        if keys != expected.keys {
            return Err(corrupt(
                &self.path,
                &format!("holds {keys} keys in place of {}", expected.keys),
            ));
        }
        if hex(&last) != expected.last_key {
            return Err(corrupt(
                &self.path,
                &format!("ends with key {} in place of {}", hex(&last), expected.last_key),
            ));
        }
        let sum = format!("{:016x}", hash.digest());
        if sum != expected.checksum {
            return Err(corrupt(
                &self.path,
                &format!("has checksum {sum} in place of {}", expected.checksum),
            ));
        }
        Ok(())
    }
}
