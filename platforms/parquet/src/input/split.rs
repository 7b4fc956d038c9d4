//! Bytes into records: the same lines that a live log of the file hands out. A line ends with a newline, or with the file; a
//! carriage return before it is none of the record; the first may begin with UTF-8's mark; where records have fields, blank
//! lines are passed over.

use memchr::memchr_iter;
use rufous_core::{Entry, Format, Span};

/// The longest record, in bytes.
pub(super) const MAX_RECORD: usize = 64 << 20;
/// So many records at once at most.
pub(super) const MOST: usize = 4096;
/// UTF-8's mark at the start of a file: no part of the first record.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How lines become records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    skip_blank: bool,
    /// Whether the first line is no record but names the columns of the others.
    pub(super) header: bool,
}

/// What a pass over some bytes found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// So many bytes from the front are whole lines that were dealt with.
    pub(super) done: usize,
    /// Whether there are more lines than a batch may have.
    pub(super) full: bool,
    /// Whether the line after them is longer than allowed.
    pub(super) too_long: bool,
}

impl Rules {
    pub(super) fn of(format: Format) -> Self {
        Self {
            skip_blank: matches!(format, Format::JsonLines | Format::Csv(_)),
            header: matches!(format, Format::Csv(csv) if csv.has_header()),
        }
    }

    /// Splits bytes that begin at `base`, the start of a line, into `entries`; lines that begin at `end` or later are left.
    /// If they are the `last` bytes of the file, what follows the last newline is a line, too.
    pub(super) fn split(&self, bytes: &[u8], base: u64, end: u64, last: bool, entries: &mut Vec<Entry>) -> Split {
        let mut start = 0;
        let mut split = Split::default();
        for newline in memchr_iter(b'\n', bytes).chain(last.then_some(bytes.len())) {
            if base + start as u64 >= end || start == bytes.len() {
                split.done = start;
                return split;
            }
            split.full = entries.len() == MOST;
            split.too_long = newline - start > MAX_RECORD;
            if split.full || split.too_long {
                split.done = start;
                return split;
            }
            self.push(bytes, base, start, newline, entries);
            start = (newline + 1).min(bytes.len());
        }
        split.done = start;
        split.too_long = bytes.len() - start > MAX_RECORD;
        split
    }

    #[inline]
    fn push(&self, bytes: &[u8], base: u64, start: usize, newline: usize, entries: &mut Vec<Entry>) {
        let first = base == 0 && start == 0;
        if first && self.header {
            return;
        }
        let line = bytes.get(start..newline).unwrap_or_default();
        let text = without_end(line);
        let text = if first {
            text.strip_prefix(MARK).unwrap_or(text)
        } else {
            text
        };
        if self.skip_blank && text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let from = if first {
            start + without_end(line).len() - text.len()
        } else {
            start
        };
        entries.push(Entry::plain(base + start as u64, Span::new(from, text.len())));
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The columns that a file's first line names; `line` is without its newline.
pub(super) fn header_line(line: &[u8]) -> &[u8] {
    let line = without_end(line);
    line.strip_prefix(MARK).unwrap_or(line)
}
