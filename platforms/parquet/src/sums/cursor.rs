//! One list, from a key to a key.

use std::ops::Range;

use rufous_algebra::codec::take_varint;
use rufous_core::Result;

use super::file::SpillFile;
use super::{List, Sorted};

/// A place in a list: a pair, or its end.
pub(super) enum Cursor<'a> {
    Memory {
        list: &'a Sorted,
        at: usize,
        end: usize,
    },
    File {
        file: &'a SpillFile,
        /// The block that comes next.
        next: usize,
        block: Vec<u8>,
        key: Range<usize>,
        value: Range<usize>,
        to: Option<&'a [u8]>,
        done: bool,
    },
}

impl<'a> Cursor<'a> {
    /// At the first key that is not below `from`; it ends before `to`.
    pub(super) fn open(list: &'a List, from: Option<&[u8]>, to: Option<&'a [u8]>) -> Result<Self> {
        match list {
            List::Memory(list) => Ok(Self::Memory {
                list,
                at: from.map_or(0, |from| list.find(from)),
                end: to.map_or(list.len(), |to| list.find(to)),
            }),
            List::File(file) => {
                // Equal keys may lie in several blocks: the first of them is in the block before, if not at its begin.
                let block = from.map_or(0, |from| file.blocks.partition_point(|b| *b.first < *from));
                let mut cursor = Self::File {
                    file,
                    next: block.saturating_sub(1),
                    block: Vec::new(),
                    key: 0..0,
                    value: 0..0,
                    to,
                    done: false,
                };
                cursor.advance()?;
                while let (Some(key), Some(from)) = (cursor.key(), from)
                    && key < from
                {
                    cursor.advance()?;
                }
                Ok(cursor)
            }
        }
    }

    /// `None` at the end.
    #[inline]
    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Memory { list, at, end } => (at < end).then(|| list.get(*at).map(|(key, _)| key)).flatten(),
            Self::File { block, key, done, .. } => (!done).then(|| &block[key.clone()]),
        }
    }

    /// The partition that the list is of, where keys stay in one.
    #[inline]
    pub(super) fn domain(&self) -> Option<u32> {
        match self {
            Self::Memory { list, .. } => list.domain,
            Self::File { file, .. } => file.domain,
        }
    }

    /// The value of [`key`](Self::key).
    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        match self {
            Self::Memory { list, at, .. } => list.get(*at).map_or(&[], |(_, value)| value),
            Self::File { block, value, .. } => &block[value.clone()],
        }
    }

    /// To the next pair.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memory { at, .. } => *at += 1,
            Self::File {
                file,
                next,
                block,
                key,
                value,
                to,
                done,
            } => {
                if value.end >= block.len() {
                    file.read(*next, block)?;
                    if block.is_empty() {
                        *done = true;
                        return Ok(());
                    }
                    *next += 1;
                    *value = 0..0;
                }
                let entry = entry(block, value.end).ok_or_else(|| file.damaged(*next - 1))?;
                (*key, *value) = entry;
                *done = to.is_some_and(|to| &block[key.clone()] >= to);
            }
        }
        Ok(())
    }
}

/// Where the key and the value of an entry are.
fn entry(block: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let piece = |at: usize| {
        let mut rest = block.get(at..)?;
        let len = usize::try_from(take_varint(&mut rest).ok()?).ok()?;
        let from = block.len() - rest.len();
        let to = from.checked_add(len).filter(|to| *to <= block.len())?;
        Some(from..to)
    };
    let key = piece(at)?;
    let value = piece(key.end)?;
    Some((key, value))
}
