//! Compares every byte of a run with what the manifest says.

use rufous_core::Result;
use rufous_store_api::RunFile;
use xxhash_rust::xxh3::Xxh3;

use super::entry::entry;
use super::{FOOTER, MAGIC, Reader, SUM, filter, hex};

impl Reader {
    /// Reads every byte once and compares the checksum of each block and of the whole, the filters, the number and the order
    /// of keys, and the first and the last of them. The reader should be fresh: footer and top were checked when it was
    /// opened.
    ///
    /// # Errors
    /// `CorruptData` that names the file, and the byte where it is known.
    pub(crate) fn verify(&self, expected: &RunFile) -> Result<()> {
        let mut hash = Xxh3::new();
        let mut bytes = vec![0; MAGIC.len()];
        self.read_at(&mut bytes, 0)?;
        hash.update(&bytes);
        let (mut keys, mut last) = (0, Vec::new());
        let (mut hashes, mut filter, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        for (p, partition) in self.partitions.iter().enumerate() {
            let meta = self.load_meta(p, Some(&mut raw))?;
            hashes.clear();
            // At once: far away each question costs a round trip.
            let len = usize::try_from(partition.index_at - partition.start)
                .map_err(|_| self.corrupt("is too large for this machine"))?;
            bytes.resize(len, 0);
            self.read_at(&mut bytes, partition.start)?;
            hash.update(&bytes);
            for (i, block) in meta.blocks.iter().enumerate() {
                let from = (block.offset - partition.start) as usize;
                let bytes = &bytes[from..from + block.len + SUM];
                self.check_block(&meta, i, bytes)?;
                let bytes = &bytes[..block.len];
                let mut at = 0;
                while at < bytes.len() {
                    let (key, value) = entry(bytes, at).ok_or_else(|| self.malformed(&meta, i, at))?;
                    let key = &bytes[key];
                    if keys > 0 && key <= last.as_slice() {
                        let at = block.offset + at as u64;
                        return Err(self.corrupt(&format!("has a key at byte {at} that does not ascend")));
                    }
                    last.clear();
                    last.extend_from_slice(key);
                    hashes.push(filter::hash(key));
                    keys += 1;
                    at = value.end;
                }
            }
            hash.update(&raw);
            filter::build(&hashes, &mut filter);
            if filter != meta.filter() {
                let at = partition.index_at + (partition.index + SUM) as u64;
                return Err(self.corrupt(&format!("has a filter at byte {at} that is not of its keys")));
            }
        }
        // The top, which the open run holds decoded, and the footer.
        let tail = expected
            .bytes
            .checked_sub(self.top_at)
            .and_then(|n| usize::try_from(n).ok());
        bytes.resize(
            tail.filter(|n| *n >= FOOTER)
                .ok_or_else(|| self.corrupt("has another length"))?,
            0,
        );
        self.read_at(&mut bytes, self.top_at)?;
        hash.update(&bytes);
        if keys != expected.keys {
            return Err(self.corrupt(&format!("holds {keys} keys in place of {}", expected.keys)));
        }
        if hex(&last) != expected.last_key {
            let (found, said) = (hex(&last), &expected.last_key);
            return Err(self.corrupt(&format!("ends with key {found} in place of {said}")));
        }
        let sum = format!("{:016x}", hash.digest());
        if sum != expected.checksum {
            return Err(self.corrupt(&format!("has checksum {sum} in place of {}", expected.checksum)));
        }
        Ok(())
    }
}
