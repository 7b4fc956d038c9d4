//! Records as a log holds them: raw bytes with offset, timestamp, key and headers. Logs fill a [`RecordBatch`], the
//! archive stores it, decoders read it.

use rufous_algebra::codec::take_varint;

use crate::time::Timestamp;

/// A piece of [`RecordBatch::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// No bytes at all: a null value, not an empty one.
    pub const NONE: Self = Self {
        start: u32::MAX,
        len: 0,
    };

    /// The bytes `[start, start + len)`. Batches are far below 4 GiB; a span beyond that is `NONE`.
    #[inline]
    pub fn new(start: usize, len: usize) -> Self {
        match (u32::try_from(start), u32::try_from(len)) {
            (Ok(start), Ok(len)) if start != u32::MAX => Self { start, len },
            _ => Self::NONE,
        }
    }
    /// Whether this is [`Span::NONE`].
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
    /// Where the bytes are, if there are any.
    #[inline]
    pub(crate) fn range(self) -> Option<std::ops::Range<usize>> {
        (self.start != u32::MAX).then(|| self.start as usize..self.start as usize + self.len as usize)
    }
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        self.range().map(|range| &bytes[range])
    }
}

/// One record of a [`RecordBatch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its offset in the partition.
    pub offset: u64,
    /// The log's own timestamp in milliseconds; `i64::MIN` when the log has none.
    pub time_ms: i64,
    /// The value.
    pub value: Span,
    /// The key, if any.
    pub key: Span,
    /// The headers as [`RecordBatch::push_headers`] writes them, if any.
    pub headers: Span,
    /// A heartbeat (P7): it moves the running batch and is counted by nobody.
    pub heartbeat: bool,
}

impl Entry {
    /// A record with an offset and a value, nothing else.
    pub fn plain(offset: u64, value: Span) -> Self {
        Self {
            offset,
            time_ms: i64::MIN,
            value,
            key: Span::NONE,
            headers: Span::NONE,
            heartbeat: false,
        }
    }
    /// The log's timestamp.
    #[inline]
    pub fn time(&self) -> Option<Timestamp> {
        (self.time_ms != i64::MIN).then_some(Timestamp(self.time_ms))
    }
}

/// The name of the header that marks a heartbeat (P7).
pub const HEARTBEAT_HEADER: &str = "rufous-heartbeat";

/// Consecutive records of one partition, in one buffer that is used again and again.
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    /// Which partition.
    pub partition: u32,
    /// All bytes of the entries.
    pub bytes: Vec<u8>,
    /// The records in offset order.
    pub entries: Vec<Entry>,
    /// The position after these records: where reading goes on. Offsets may have gaps.
    pub next: u64,
    /// The leader epoch of what lies before `next`; `None` when the log has none, or it is not known (P42).
    pub leader_epoch: Option<i32>,
}

impl RecordBatch {
    /// Forgets the records and keeps the space.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.leader_epoch = None;
    }
    /// Drops the entries below `position`: records that were handed out before. Returns how many there were.
    pub fn skip_below(&mut self, position: u64) -> usize {
        // Offsets ascend, so one comparison a batch is the rule.
        let n = self.entries.partition_point(|e| e.offset < position);
        self.entries.drain(..n);
        self.next = self.next.max(position);
        n
    }
    /// The value of an entry; `None` for a null value.
    #[inline]
    pub fn value(&self, e: &Entry) -> Option<&[u8]> {
        e.value.of(&self.bytes)
    }
    /// The key of an entry.
    #[inline]
    pub fn key(&self, e: &Entry) -> Option<&[u8]> {
        e.key.of(&self.bytes)
    }
    /// The encoded headers of an entry.
    pub fn headers(&self, e: &Entry) -> Option<&[u8]> {
        e.headers.of(&self.bytes)
    }
    /// The last header of this name, as in Kafka's own clients; a null value is `Some(None)`.
    pub fn header(&self, e: &Entry, name: &str) -> Option<Option<&[u8]>> {
        Headers::new(self.headers(e)).named(name)
    }
    /// Appends bytes and says where they are.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }
    /// Appends headers in their stored form: count, then name and value each with its length, as LEB128 numbers; a null
    /// value has length 0 and a flag. Returns the span and whether [`HEARTBEAT_HEADER`] is among them.
    pub fn push_headers<'a>(
        &mut self,
        headers: impl ExactSizeIterator<Item = (&'a str, Option<&'a [u8]>)>,
    ) -> (Span, bool) {
        use rufous_algebra::codec::put_varint;
        if headers.len() == 0 {
            return (Span::NONE, false);
        }
        let start = self.bytes.len();
        let mut heartbeat = false;
        put_varint(headers.len() as u64, &mut self.bytes);
        for (name, value) in headers {
            heartbeat |= name == HEARTBEAT_HEADER;
            put_varint(name.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(name.as_bytes());
            self.bytes.push(u8::from(value.is_some()));
            let value = value.unwrap_or_default();
            put_varint(value.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(value);
        }
        (Span::new(start, self.bytes.len() - start), heartbeat)
    }
}

/// The headers of a record in the order in which they were written. Names may repeat; bytes that are no headers end it.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u64,
}

impl<'a> Headers<'a> {
    /// Of what [`RecordBatch::push_headers`] wrote.
    pub fn new(encoded: Option<&'a [u8]>) -> Self {
        let mut rest = encoded.unwrap_or_default();
        let left = take_varint(&mut rest).unwrap_or(0);
        Self { rest, left }
    }
    /// The value of the last one of this name; a null value is `Some(None)`.
    pub fn named(self, name: &str) -> Option<Option<&'a [u8]>> {
        self.filter(|(n, _)| *n == name).last().map(|(_, value)| value)
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(take_varint(&mut self.rest).ok()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }
    fn one(&mut self) -> Option<(&'a str, Option<&'a [u8]>)> {
        let name = std::str::from_utf8(self.bytes()?).ok()?;
        let (flag, rest) = self.rest.split_first()?;
        self.rest = rest;
        let value = self.bytes()?;
        Some((name, (*flag != 0).then_some(value)))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let one = self.one();
        if one.is_none() {
            self.left = 0;
        }
        one
    }
}
