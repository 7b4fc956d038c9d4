//! Whether all that was written is there: a count of writes that is kept twice, in two ways that damage changes differently.
//!
//! ```text
//! 0x02 0x00 -> 0x01, u64 big-endian   the sum: each write of the store adds 1 by a merge
//! 0x02 0x01 -> 0x01, u64 big-endian   the number: each write of the store puts its own
//! ```
//!
//! The newest number is where the newest write is. The sum is spread over all files that writes went to. RocksDB's list of files is
//! a log whose end may be cut unnoticed; it then names an older set of tables, with newer write-ahead logs beside it, and
//! what was between the two is missing without any checksum being wrong. The sum is smaller than the number then.

use rocksdb::{ColumnFamily, DB, WriteBatch};
use rufous_core::Result;

use crate::damage::{damaged, failed};

/// The first byte of these keys: behind all cells.
pub(crate) const PREFIX: u8 = 2;
const SUM: [u8; 2] = [PREFIX, 0];
const NUMBER: [u8; 2] = [PREFIX, 1];
const VERSION: u8 = 1;

fn bytes(n: u64) -> [u8; 9] {
    let mut out = [VERSION; 9];
    out[1..].copy_from_slice(&n.to_be_bytes());
    out
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (n, []) = bytes.strip_prefix(&[VERSION])?.split_first_chunk::<8>()? else {
        return None;
    };
    Some(u64::from_be_bytes(*n))
}

/// The merge of the sum.
pub(crate) fn add<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut sum = 0_u64;
    for part in parts {
        sum = sum.checked_add(parse(part)?)?;
    }
    Some(bytes(sum).to_vec())
}

/// Puts write number `number` into a batch.
pub(crate) fn write(cf: &ColumnFamily, number: u64, batch: &mut WriteBatch) {
    batch.merge_cf(cf, SUM, bytes(1));
    batch.put_cf(cf, NUMBER, bytes(number));
}

/// The number of the last write; a store of the first builds has none, and begins to count.
///
/// # Errors
/// `CorruptData` when writes are missing.
pub(crate) fn check(db: &DB, cf: &ColumnFamily, store: &str) -> Result<u64> {
    let read = |key: [u8; 2]| -> Result<u64> {
        let found = db
            .get_cf(cf, key)
            .map_err(|e| failed(format_args!("store `{store}`: cannot read the count of writes"), e))?;
        match found {
            None => Ok(0),
            Some(bytes) => {
                parse(&bytes).ok_or_else(|| damaged(format_args!("store `{store}`: the count of writes is none")))
            }
        }
    };
    let (sum, number) = (read(SUM)?, read(NUMBER)?);
    if sum != number {
        return Err(damaged(format_args!(
            "store `{store}` in {}: {number} writes are recorded and {sum} are there: tables are missing from its MANIFEST",
            db.path().display()
        )));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: the bytes are on disks.
    #[test]
    fn the_bytes_are_pinned() {
        assert_eq!(bytes(258), [1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(parse(&bytes(258)), Some(258));
        assert_eq!(add([&bytes(1)[..], &bytes(2)].into_iter()), Some(bytes(3).to_vec()));
        for bad in [
            &b""[..],
            b"\x02\0\0\0\0\0\0\0\x01",
            b"\x01\0\0\0\0\0\0\x01",
            b"\x01\0\0\0\0\0\0\0\0\x01",
        ] {
            assert_eq!(add([bad].into_iter()), None);
        }
        assert_eq!(add([&bytes(u64::MAX)[..], &bytes(1)].into_iter()), None);
    }
}
