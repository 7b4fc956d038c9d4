//! Packed values: what all lanes hold for one (batch, key).
//!
//! A lane is a small number that stands for one source partition of a store (see [`layout`](crate::layout)).
//!
//! ```text
//! 0x01                                        the version
//! then per lane, ascending:
//!   varint   the lane, for the first; its distance to the lane before (at least 1) for the others
//!   varint   the value's length
//!   bytes    the value's canonical bytes
//! ```
//!
//! The same form is the operand of a merge, so operands may be combined with each other before they meet the value. Bytes
//! that are not of this form make the merge fail; RocksDB reports that as corruption and nothing is skipped.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rufous_algebra::codec::{DecodeError, put_varint, take, take_varint};
use rufous_core::ValueFace;

use crate::chain;
use crate::options::Merges;

/// The version of the form.
pub const VERSION: u8 = 1;

/// The entries of a packed value, ascending by lane.
pub struct Entries<'a> {
    rest: &'a [u8],
    last: Option<u64>,
}

/// Reads a packed value.
///
/// # Errors
/// When it is empty or of another version.
pub fn entries(bytes: &[u8]) -> Result<Entries<'_>, DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) if !rest.is_empty() => Ok(Entries { rest, last: None }),
        Some((&VERSION, _)) | None => Err(DecodeError::new("a packed value without entries")),
        Some((v, _)) => Err(DecodeError::new(format!(
            "a packed value of version {v}, not {VERSION}"
        ))),
    }
}

impl<'a> Entries<'a> {
    fn entry(&mut self) -> Result<(u64, &'a [u8]), DecodeError> {
        let gap = take_varint(&mut self.rest)?;
        let lane = match self.last {
            None => gap,
            Some(_) if gap == 0 => return Err(DecodeError::new("a lane that is there twice")),
            Some(last) => last
                .checked_add(gap)
                .ok_or_else(|| DecodeError::new("a lane above 64 bits"))?,
        };
        self.last = Some(lane);
        let n = take_varint(&mut self.rest)?;
        let n = usize::try_from(n).map_err(|_| DecodeError::new("a length above the memory"))?;
        Ok((lane, take(&mut self.rest, n)?))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(u64, &'a [u8]), DecodeError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_err() {
            self.rest = &[];
        }
        Some(entry)
    }
}

/// A packed value that is being written.
#[derive(Default)]
pub struct Packer {
    bytes: Vec<u8>,
    last: Option<u64>,
}

impl Packer {
    /// Appends an entry; lanes must ascend.
    ///
    /// # Errors
    /// When the lane is not above the one before.
    pub fn push(&mut self, lane: u64, value: &[u8]) -> Result<(), DecodeError> {
        let gap = match self.last {
            None => lane,
            Some(last) if lane > last => lane - last,
            Some(last) => return Err(DecodeError::new(format!("lane {lane} after lane {last}"))),
        };
        if self.last.is_none() {
            self.bytes.push(VERSION);
        }
        self.last = Some(lane);
        put_varint(gap, &mut self.bytes);
        put_varint(value.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(value);
        Ok(())
    }
    /// The bytes; empty when nothing was pushed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Begins anew and keeps the space.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last = None;
    }
}

/// Adds packed values lane by lane, in the order given.
///
/// # Errors
/// When one of them, or a value in them, is not of its form.
pub fn add<'a>(value: &ValueFace, parts: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, DecodeError> {
    // The next entry of each part; parts are few and ascend, so a look over all of them per lane beats sorting.
    let mut heads = Vec::new();
    for part in parts {
        let mut rest = entries(part)?;
        heads.push((rest.next().transpose()?, rest));
    }
    let (mut out, mut sum, mut group) = (Packer::default(), Vec::new(), Vec::new());
    while let Some(lane) = heads.iter().filter_map(|(head, _)| head.map(|(lane, _)| lane)).min() {
        group.clear();
        for (head, rest) in &mut heads {
            if let Some((at, bytes)) = *head
                && at == lane
            {
                group.push(bytes);
                *head = rest.next().transpose()?;
            }
        }
        match group.as_slice() {
            [one] => out.push(lane, one)?,
            more => {
                sum.clear();
                value.sum(&mut more.iter().copied(), &mut sum)?;
                out.push(lane, &sum)?;
            }
        }
    }
    Ok(out.bytes)
}

/// The merge operator of a store: full and partial merges alike. It returns `None` for bytes that cannot be added, and
/// for a `combine` that panics: an unwinding must not cross into RocksDB.
pub fn operator(
    value: ValueFace,
) -> impl Fn(&[u8], Option<&[u8]>, &rocksdb::MergeOperands) -> Option<Vec<u8>> + Clone + Send + Sync + 'static {
    counting(value, Arc::default())
}

/// As [`operator`], and counts what it does.
pub(crate) fn counting(
    value: ValueFace,
    merges: Arc<Merges>,
) -> impl Fn(&[u8], Option<&[u8]>, &rocksdb::MergeOperands) -> Option<Vec<u8>> + Clone + Send + Sync + 'static {
    move |key, existing, operands| {
        if key.first() == Some(&chain::PREFIX) {
            return chain::add(existing.into_iter().chain(operands));
        }
        merges.calls.fetch_add(1, Relaxed);
        merges.operands.fetch_add(operands.len() as u64, Relaxed);
        let sum = std::panic::AssertUnwindSafe(|| add(&value, existing.into_iter().chain(operands)));
        match std::panic::catch_unwind(sum) {
            Ok(Ok(sum)) => Some(sum),
            Ok(Err(e)) => {
                tracing::error!(error = %e, "a cell cannot be merged");
                None
            }
            Err(_) => {
                tracing::error!("the sum of a cell panicked");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_core::{Store, StoreFace};

    fn face() -> ValueFace {
        StoreFace::of(Store::<String, u64>::new("counts")).value
    }

    fn packed(entries: &[(u64, &[u8])]) -> Vec<u8> {
        let mut packer = Packer::default();
        entries.iter().for_each(|(lane, v)| packer.push(*lane, v).unwrap());
        packer.bytes
    }

    /// Golden: the bytes are on disks. Lanes 0, 2 and 300.
    #[test]
    fn the_bytes_are_pinned() {
        let bytes = packed(&[(0, b"\x07"), (2, b""), (300, b"abc")]);
        assert_eq!(
            bytes,
            [0x01, 0x00, 0x01, 0x07, 0x02, 0x00, 0xaa, 0x02, 0x03, b'a', b'b', b'c']
        );
        let back: Result<Vec<_>, _> = entries(&bytes).unwrap().collect();
        assert_eq!(back.unwrap(), [(0, &b"\x07"[..]), (2, b""), (300, b"abc")]);
    }

    #[test]
    fn lanes_are_added_each_for_itself() {
        use rufous_algebra::Codec;
        let n = |n: u64| n.to_bytes();
        let (a, b, c) = (
            packed(&[(1, &n(5)), (3, &n(1))]),
            packed(&[(0, &n(2)), (3, &n(300))]),
            packed(&[(3, &n(1))]),
        );
        let all = add(&face(), [&a[..], &b, &c].into_iter()).unwrap();
        assert_eq!(all, packed(&[(0, &n(2)), (1, &n(5)), (3, &n(302))]));
        // Operands combined first give the same.
        let first = add(&face(), [&b[..], &c].into_iter()).unwrap();
        assert_eq!(add(&face(), [&a[..], &first].into_iter()).unwrap(), all);
    }

    #[test]
    fn other_bytes_are_errors() {
        let good = packed(&[(1, b"\x05"), (3, b"\x01")]);
        for cut in 0..good.len() {
            // After the first entry the bytes are whole again.
            assert_eq!(add(&face(), [&good[..cut]].into_iter()).is_ok(), cut == 4, "{cut}");
        }
        for bad in [
            &[2, 0, 1, 7][..],
            &[1, 1, 1, 7, 0, 1, 7],
            &[1, 0x81, 0, 1, 7],
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7],
        ] {
            assert!(add(&face(), [bad].into_iter()).is_err(), "{bad:?}");
        }
        assert!(
            add(&face(), [&[1, 0, 2, 0x80, 0x00][..], &[1, 0, 1, 7]].into_iter()).is_err(),
            "a value that is no number"
        );
    }
}
