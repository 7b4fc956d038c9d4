//! Decoding the pieces of a run. Bytes may be anything: what does not fit is `None`.

use std::ops::Range;

use rufous_algebra::codec::{take, take_varint};

use super::{MAGIC, SUM};

/// Where the key and the value lie of the entry at `at`; the next entry begins where the value ends.
pub(super) fn entry(bytes: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let mut rest = bytes.get(at..)?;
    let key = counted(bytes, &mut rest)?;
    let value = counted(bytes, &mut rest)?;
    Some((key, value))
}

fn counted(bytes: &[u8], rest: &mut &[u8]) -> Option<Range<usize>> {
    let n = usize::try_from(take_varint(rest).ok()?).ok()?;
    let from = bytes.len() - rest.len();
    take(rest, n).ok()?;
    Some(from..bytes.len() - rest.len())
}

/// An entry of the index.
pub(super) struct Block {
    pub(super) first: Vec<u8>,
    pub(super) offset: u64,
    /// Of the entries, without the checksum behind them.
    pub(super) len: usize,
}

/// The blocks of an index, which must tile the file from the magic up to `end`.
pub(super) fn blocks(mut index: &[u8], end: u64) -> Option<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut expected = MAGIC.len() as u64;
    while !index.is_empty() {
        let n = usize::try_from(take_varint(&mut index).ok()?).ok()?;
        let first = take(&mut index, n).ok()?.to_vec();
        let offset = take_varint(&mut index).ok()?;
        let len = take_varint(&mut index).ok()?;
        // So a hostile length asks for no more memory than the file has bytes.
        let next = offset.checked_add(len)?.checked_add(SUM as u64)?;
        if offset != expected || next > end || blocks.last().is_some_and(|b| b.first >= first) {
            return None;
        }
        expected = next;
        blocks.push(Block {
            first,
            offset,
            len: usize::try_from(len).ok()?,
        });
    }
    (expected == end).then_some(blocks)
}

/// The number at `at`; bytes that are not there count as 0.
pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; SUM];
    if let Some(found) = bytes.get(at..).and_then(|b| b.get(..SUM)) {
        raw.copy_from_slice(found);
    }
    u64::from_le_bytes(raw)
}

#[cfg(test)]
mod tests {
    use rufous_algebra::codec::put_varint;

    use super::*;

    fn index(entries: &[(&[u8], u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (first, offset, len) in entries {
            put_varint(first.len() as u64, &mut out);
            out.extend_from_slice(first);
            put_varint(*offset, &mut out);
            put_varint(*len, &mut out);
        }
        out
    }

    /// Blocks tile the file: no gap, no overlap, nothing behind the end, ascending keys.
    #[test]
    fn an_index_tiles_its_file() {
        let good = index(&[(b"a", 8, 10), (b"b", 26, 2)]);
        assert_eq!(blocks(&good, 36).map(|b| b.len()), Some(2));
        assert!(blocks(&good, 35).is_none() && blocks(&good, 37).is_none());
        assert!((0..good.len()).all(|n| blocks(&good[..n], 36).is_none()), "cut short");
        for bad in [
            [(&b"a"[..], 8, 10), (b"b", 27, 1)],
            [(b"a", 8, 10), (b"b", 25, 3)],
            [(b"a", 9, 9), (b"b", 26, 2)],
            [(b"b", 8, 10), (b"b", 26, 2)],
            [(b"a", 8, u64::MAX), (b"b", 26, 2)],
        ] {
            assert!(blocks(&index(&bad), 36).is_none(), "{bad:?}");
        }
    }
}
