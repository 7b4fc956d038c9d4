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

/// A partition, as the top has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) first: Vec<u8>,
    /// Where its first block begins.
    pub(super) start: u64,
    /// Where its blocks end and its index begins.
    pub(super) index_at: u64,
    /// Without the checksum.
    pub(super) index: usize,
    /// Without the checksum.
    pub(super) filter: usize,
}

impl Partition {
    /// The length of index and filter with their checksums.
    pub(super) fn meta(&self) -> usize {
        self.index + self.filter + 2 * SUM
    }
}

/// The last key, and the partitions, which must tile the file from the magic up to `end`.
pub(super) fn top(bytes: &[u8], end: u64) -> Option<(Vec<u8>, Vec<Partition>)> {
    let mut rest = bytes;
    let last = bytes[counted(bytes, &mut rest)?].to_vec();
    let mut partitions: Vec<Partition> = Vec::new();
    let mut start = MAGIC.len() as u64;
    while !rest.is_empty() {
        let first = bytes[counted(bytes, &mut rest)?].to_vec();
        let mut number = || take_varint(&mut rest).ok();
        let (index_at, index, filter) = (number()?, number()?, number()?);
        // So a hostile length asks for no more memory than the file has bytes.
        let next = index_at
            .checked_add(index)?
            .checked_add(filter)?
            .checked_add(2 * SUM as u64)?;
        let ascends = partitions.last().is_none_or(|p| p.first < first) && first <= last;
        if index_at <= start || next > end || !ascends || filter == 0 || filter % 8 != 0 {
            return None;
        }
        partitions.push(Partition {
            first,
            start,
            index_at,
            index: usize::try_from(index).ok()?,
            filter: usize::try_from(filter).ok()?,
        });
        start = next;
    }
    (start == end).then_some((last, partitions))
}

/// A block, as an index has it.
#[derive(Debug)]
pub(super) struct Block {
    /// Where its first key lies in the index.
    pub(super) first: Range<usize>,
    pub(super) offset: u64,
    /// Of the entries, without the checksum behind them.
    pub(super) len: usize,
}

/// The blocks of a partition's index, which must tile it.
pub(super) fn blocks(index: &[u8], partition: &Partition) -> Option<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut rest, mut offset) = (index, partition.start);
    while !rest.is_empty() {
        let first = counted(index, &mut rest)?;
        let len = take_varint(&mut rest).ok()?;
        let next = offset.checked_add(len)?.checked_add(SUM as u64)?;
        let ascends = match blocks.last() {
            Some(b) => index[b.first.clone()] < index[first.clone()],
            None => index[first.clone()] == *partition.first,
        };
        if next > partition.index_at || !ascends {
            return None;
        }
        blocks.push(Block {
            first,
            offset,
            len: usize::try_from(len).ok()?,
        });
        offset = next;
    }
    (offset == partition.index_at && !blocks.is_empty()).then_some(blocks)
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

    fn numbers(key: &[u8], numbers: &[u64], out: &mut Vec<u8>) {
        put_varint(key.len() as u64, out);
        out.extend_from_slice(key);
        numbers.iter().for_each(|n| put_varint(*n, out));
    }

    fn index(entries: &[(&[u8], u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        entries.iter().for_each(|(key, len)| numbers(key, &[*len], &mut out));
        out
    }

    fn partition(first: &[u8], start: u64, index_at: u64) -> Partition {
        Partition {
            first: first.to_vec(),
            start,
            index_at,
            index: 1,
            filter: 8,
        }
    }

    /// Blocks tile their partition: no gap, no overlap, nothing behind the end, ascending keys, the right first one.
    #[test]
    fn an_index_tiles_its_partition() {
        let good = index(&[(b"a", 10), (b"b", 2)]);
        let tiles = |index: &[u8], first: &[u8], to| blocks(index, &partition(first, 8, to)).map(|b| b.len());
        assert_eq!(tiles(&good, b"a", 36), Some(2));
        assert!(tiles(&good, b"a", 35).is_none() && tiles(&good, b"a", 37).is_none());
        assert!(tiles(&good, b"b", 36).is_none() && tiles(&[], b"", 8).is_none());
        assert!(
            (0..good.len()).all(|n| tiles(&good[..n], b"a", 36).is_none()),
            "cut short"
        );
        for bad in [[(&b"a"[..], 10), (b"a", 2)], [(b"a", u64::MAX), (b"b", 2)]] {
            assert!(tiles(&index(&bad), b"a", 36).is_none(), "{bad:?}");
        }
    }

    /// Partitions tile the file, ascend, and end before the last key.
    #[test]
    fn a_top_tiles_its_file() {
        let of = |last: &[u8], all: &[(&[u8], [u64; 3])]| {
            let mut out = Vec::new();
            numbers(last, &[], &mut out);
            all.iter().for_each(|(key, n)| numbers(key, n, &mut out));
            out
        };
        let good = of(b"b", &[(b"a", [20, 3, 8]), (b"b", [50, 3, 16])]);
        let (last, all) = top(&good, 85).unwrap();
        assert_eq!((last.as_slice(), all.len(), all[1].start), (&b"b"[..], 2, 47));
        assert!(top(&good, 84).is_none() && top(&good, 86).is_none());
        assert!((0..good.len()).all(|n| top(&good[..n], 85).is_none()), "cut short");
        for (last, all) in [
            (&b"b"[..], [(&b"a"[..], [20, 3, 8]), (b"a", [50, 3, 16])]),
            (b"a", [(b"a", [20, 3, 8]), (b"b", [50, 3, 16])]),
            (b"b", [(b"a", [8, 15, 8]), (b"b", [50, 3, 16])]),
            (b"b", [(b"a", [20, 3, 8]), (b"b", [47, 6, 16])]),
            (b"b", [(b"a", [20, 4, 7]), (b"b", [50, 3, 16])]),
            (b"b", [(b"a", [20, 3, 8]), (b"b", [50, u64::MAX - 40, 16])]),
        ] {
            assert!(top(&of(last, &all), 85).is_none(), "{all:?}");
        }
    }
}
