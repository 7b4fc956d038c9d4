//! A block: records that follow each other, compressed together. Format 1, which is frozen:
//!
//! ```text
//! u8       1
//! varint   length of the records
//!          a DEFLATE stream (RFC 1951) of the records: per record varint id length, id, varint length, bytes; ids ascend strictly
//! ```
//!
//! `varint` is unsigned LEB128 in its shortest form. How hard the stream was packed is free.

use std::io::{Read, Write};
use std::ops::Range;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rufous_algebra::codec::{put_varint, take, take_varint};

/// The version of a block's form.
pub const FORMAT: u8 = 1;
/// Records of about this many bytes make a block.
pub const BLOCK: usize = 64 << 10;
/// So much is reserved before it is known that the bytes are there.
const AHEAD: usize = 1 << 20;

/// Appends a record to those of a block.
pub(super) fn put(id: &[u8], record: &[u8], records: &mut Vec<u8>) {
    put_varint(id.len() as u64, records);
    records.extend_from_slice(id);
    put_varint(record.len() as u64, records);
    records.extend_from_slice(record);
}

/// Packs blocks one after the other.
pub(super) struct Packer(DeflateEncoder<Vec<u8>>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(DeflateEncoder::new(Vec::new(), Compression::fast()))
    }

    /// The block of these records.
    pub(super) fn pack(&mut self, records: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut block = Vec::with_capacity(records.len() / 4 + 16);
        block.push(FORMAT);
        put_varint(records.len() as u64, &mut block);
        // What the last one left is an empty stream.
        self.0.reset(block)?;
        self.0.write_all(records)?;
        self.0.reset(Vec::new())
    }
}

/// The records of a block end to end, or why it is none.
pub(super) fn unpack(block: &[u8], records: &mut Vec<u8>) -> Result<(), String> {
    records.clear();
    let mut rest = block;
    match rest.split_off_first() {
        Some(&FORMAT) => {}
        Some(format) => return Err(format!("has format {format}, this program knows {FORMAT}")),
        None => return Err("is empty".into()),
    }
    let len = take_varint(&mut rest).map_err(|e| e.to_string())?;
    let expected = usize::try_from(len).map_err(|_| "is too large for this machine".to_string())?;
    records.reserve(expected.min(AHEAD));
    // One byte more than there should be would show.
    let mut stream = DeflateDecoder::new(rest).take(len.saturating_add(1));
    stream.read_to_end(records).map_err(|e| e.to_string())?;
    if records.len() != expected {
        return Err(format!("does not hold {expected} bytes of records"));
    }
    let used = stream.get_ref().total_in();
    if used != rest.len() as u64 {
        return Err("goes on behind its records".into());
    }
    Ok(())
}

/// Where id and bytes of the record at `at` lie; the next one begins where the bytes end.
pub(super) fn record(records: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let mut rest = records.get(at..)?;
    let mut counted = || {
        let n = usize::try_from(take_varint(&mut rest).ok()?).ok()?;
        let from = records.len() - rest.len();
        take(&mut rest, n).ok()?;
        Some(from..from + n)
    };
    Some((counted()?, counted()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(n: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 0..n {
            put(
                &(i as u64).to_be_bytes(),
                format!("record {}", i % 7).as_bytes(),
                &mut out,
            );
        }
        out
    }

    /// What was packed comes back, also from a packer that was used before; a block is smaller than its records.
    #[test]
    fn blocks_come_back() {
        let (mut packer, mut back) = (Packer::new(), Vec::new());
        for n in [0, 1, 2, 1_000, 20_000] {
            let records = records(n);
            let block = packer.pack(&records).unwrap();
            unpack(&block, &mut back).unwrap();
            assert_eq!(back, records);
            assert!(n < 1_000 || block.len() < records.len() / 4);
            let (mut at, mut found) = (0, 0);
            while at < back.len() {
                at = record(&back, at).unwrap().1.end;
                found += 1;
            }
            assert_eq!(found, n);
        }
    }

    /// Every cut and every changed byte is an error or another list of records, never a panic; what says another length, goes
    /// on behind its end or has another format is an error.
    #[test]
    fn hostile_blocks_are_errors() {
        let good = Packer::new().pack(&records(300)).unwrap();
        let mut out = Vec::new();
        for n in 0..good.len() {
            assert!(unpack(&good[..n], &mut out).is_err(), "cut at {n}");
            for change in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[n] ^= change;
                if unpack(&bad, &mut out).is_ok() {
                    let mut at = 0;
                    while let Some((_, bytes)) = record(&out, at).filter(|_| at < out.len()) {
                        at = bytes.end;
                    }
                }
            }
        }
        assert!(
            unpack(&[&good[..], &[0]].concat(), &mut out)
                .unwrap_err()
                .contains("behind")
        );
        assert!(unpack(&[], &mut out).is_err());
        assert!(unpack(&[2], &mut out).unwrap_err().contains("format 2"));
        // A length that nobody has memory for is not reserved.
        let mut huge = vec![FORMAT];
        put_varint(u64::MAX / 2, &mut huge);
        huge.extend_from_slice(&good[3..]);
        assert!(unpack(&huge, &mut out).is_err() && out.capacity() < 2 * AHEAD);
        assert_eq!(record(&[5, 1], 0), None);
        assert_eq!(record(&[1, 1, 200], 0), None);
        assert_eq!(record(&[1], 7), None);
    }
}
