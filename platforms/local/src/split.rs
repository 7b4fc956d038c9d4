//! Bytes become records: lines, found in place, not copied.

use std::fmt::Display;

use memchr::memchr_iter;
use rufous_core::{Entry, Error, Format, Result, Span};

use crate::options::LocalOptions;

/// So many records a batch at most.
pub(crate) const MOST: usize = 4096;

/// UTF-8's mark at the start of a file: no part of the first record.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// How lines become records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) skip_blank: bool,
    /// Whether the first line is no record but names the columns of the others.
    pub(crate) header: bool,
    pub(crate) block: usize,
    pub(crate) max_record: usize,
}

impl From<&LocalOptions> for Rules {
    fn from(o: &LocalOptions) -> Self {
        Self {
            skip_blank: matches!(o.format, Format::JsonLines | Format::Csv(_)),
            header: matches!(o.format, Format::Csv(csv) if csv.has_header()),
            block: o.block,
            max_record: o.max_record,
        }
    }
}

/// What a pass over some bytes found.
pub(crate) struct Split {
    /// So many bytes from the front are whole lines that were dealt with.
    pub(crate) consumed: usize,
    /// The line after them is longer than allowed.
    pub(crate) too_long: bool,
}

impl Rules {
    /// Splits bytes that begin at `base`, the start of a line, into `entries`. When they are the `last` bytes of their file,
    /// what follows the last newline is a line too.
    pub(crate) fn split(&self, bytes: &[u8], base: u64, last: bool, entries: &mut Vec<Entry>) -> Split {
        let mut start = 0;
        let end = last.then_some(bytes.len());
        for newline in memchr_iter(b'\n', bytes).chain(end) {
            if newline - start > self.max_record {
                return Split {
                    consumed: start,
                    too_long: true,
                };
            }
            if newline == bytes.len() && start == newline {
                break;
            }
            self.push(bytes, base, start..newline, entries);
            start = (newline + 1).min(bytes.len());
            if entries.len() == MOST {
                return Split {
                    consumed: start,
                    too_long: false,
                };
            }
        }
        Split {
            consumed: start,
            too_long: bytes.len() - start > self.max_record,
        }
    }

    #[inline]
    fn push(&self, bytes: &[u8], base: u64, line: std::ops::Range<usize>, entries: &mut Vec<Entry>) {
        if self.header && base == 0 && line.start == 0 {
            return;
        }
        let (mut from, mut to) = (line.start, line.end);
        if to > from && bytes[to - 1] == b'\r' {
            to -= 1;
        }
        if base == 0 && line.start == 0 && bytes[..to].starts_with(MARK) {
            from = MARK.len();
        }
        if self.skip_blank && bytes[from..to].iter().all(u8::is_ascii_whitespace) {
            return;
        }
        entries.push(Entry::plain(base + line.start as u64, Span::new(from, to - from)));
    }

    /// How much to read next, after `consumed` of `wanted` bytes made this many records. Short lines fill a batch early: what
    /// was read beyond it is read again.
    pub(crate) fn next_want(&self, wanted: usize, consumed: usize, records: usize) -> usize {
        let want = if records == MOST {
            consumed + consumed / 16
        } else {
            wanted.saturating_mul(2)
        };
        want.max(4096).min(self.block)
    }

    /// How much to read when `wanted` bytes hold no whole line.
    pub(crate) fn more(&self, wanted: usize) -> usize {
        wanted.saturating_mul(2).min(self.max_record + 2)
    }

    /// Refuses a record that is too long and first in its block.
    pub(crate) fn check(&self, split: &Split, file: &dyn Display, offset: u64) -> Result<()> {
        if split.too_long && split.consumed == 0 {
            Err(self.too_long(file, offset))
        } else {
            Ok(())
        }
    }

    /// `false` for a line that has this many bytes and no newline yet, an error when these are too many.
    pub(crate) fn check_unfinished(&self, bytes: u64, file: &dyn Display, offset: u64) -> Result<bool> {
        if bytes > self.max_record as u64 {
            Err(self.too_long(file, offset))
        } else {
            Ok(false)
        }
    }

    pub(crate) fn too_long(&self, file: &dyn Display, offset: u64) -> Error {
        Error::invalid(format!(
            "{file}: the record at offset {offset} is longer than {} bytes: raise max_record, or end records with newlines",
            self.max_record
        ))
    }
}
