//! Records as a log holds them: raw bytes with offset, timestamp, key and headers. Logs fill a [`RecordBatch`], the
//! archive stores it, decoders read it.

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
    #[inline]
    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.start != u32::MAX).then(|| &bytes[self.start as usize..self.start as usize + self.len as usize])
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
}

impl RecordBatch {
    /// Forgets the records and keeps the space.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
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
