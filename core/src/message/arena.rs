//! Where the bytes of a batch's messages lie, and what of a value lies there too.

use crate::data::Data;
use crate::error::Result;
use crate::formats::{Format, Line, Rows, check_line};
use crate::log::{Entry, RecordBatch, Span};
use crate::record::{Field, Record};

/// Bytes and texts of many messages, end to end.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    pub(super) bytes: Vec<u8>,
    pub(super) text: String,
}

impl Arena {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.text.clear();
    }
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }
    #[inline]
    fn push_text(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        Span::new(start, text.len())
    }
}

/// What a [`Message`](super::Message) may carry: `str`, `[u8]`, and what derives `Record`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a message",
    note = "add `#[derive(Record)]` to `{Self}`, or read `Message<str>` or `Message<[u8]>`"
)]
pub trait Payload: Data {
    /// How a message keeps it.
    #[doc(hidden)]
    type Kept: Clone + Send + 'static;
    /// What reads it.
    #[doc(hidden)]
    type Reader: ReadPayload<Self>;
    #[doc(hidden)]
    const FIELDS: Option<&'static [Field]>;
    #[doc(hidden)]
    const KIND: &'static str;
    #[doc(hidden)]
    fn get<'a>(kept: &'a Self::Kept, arena: &'a Arena) -> &'a Self;
    #[doc(hidden)]
    fn keep(&self, arena: &mut Arena) -> Self::Kept;
    #[doc(hidden)]
    fn reader(format: Format) -> Result<Self::Reader>;
}

/// Reads values in two passes: while the arena is filled, and after that.
#[doc(hidden)]
pub trait ReadPayload<T: Payload + ?Sized>: Send + 'static {
    /// What the arena has to hold of a value.
    fn stage(&mut self, value: &[u8], arena: &mut Arena) -> Result<Span, String>;
    /// The value.
    fn read(&mut self, records: &RecordBatch, e: &Entry, staged: Span) -> Result<T::Kept, String>;
}

impl<T: Record> Payload for T {
    type Kept = T;
    type Reader = RowsOf;
    const FIELDS: Option<&'static [Field]> = Some(<T as Record>::FIELDS);
    const KIND: &'static str = "record";
    fn get<'a>(kept: &'a T, _: &'a Arena) -> &'a T {
        kept
    }
    fn keep(&self, _: &mut Arena) -> T {
        self.clone()
    }
    fn reader(format: Format) -> Result<RowsOf> {
        Rows::new::<T>(format).map(RowsOf)
    }
}

#[doc(hidden)]
pub struct RowsOf(Rows);

impl<T: Record> ReadPayload<T> for RowsOf {
    fn stage(&mut self, _: &[u8], _: &mut Arena) -> Result<Span, String> {
        Ok(Span::NONE)
    }
    #[inline]
    fn read(&mut self, records: &RecordBatch, e: &Entry, _: Span) -> Result<T, String> {
        self.0.read(records, e)
    }
}

/// The reader of `str` and `[u8]`.
#[doc(hidden)]
pub struct Lines(());

macro_rules! lines {
    ($($t:ty: $push:ident, $get:expr;)*) => {$(
        impl Payload for $t {
            type Kept = Span;
            type Reader = Lines;
            const FIELDS: Option<&'static [Field]> = None;
            const KIND: &'static str = <$t as Line>::WORDS.1;
            fn get<'a>(kept: &'a Span, arena: &'a Arena) -> &'a Self {
                let get: fn(&'a Arena, std::ops::Range<usize>) -> Option<&'a Self> = $get;
                kept.range().and_then(|range| get(arena, range)).unwrap_or_default()
            }
            fn keep(&self, arena: &mut Arena) -> Span {
                arena.$push(self)
            }
            fn reader(format: Format) -> Result<Lines> {
                check_line::<$t>(format).map(|()| Lines(()))
            }
        }
        impl ReadPayload<$t> for Lines {
            fn stage(&mut self, value: &[u8], arena: &mut Arena) -> Result<Span, String> {
                <$t as Line>::read(value).map(|line| arena.$push(line))
            }
            fn read(&mut self, _: &RecordBatch, _: &Entry, staged: Span) -> Result<Span, String> {
                Ok(staged)
            }
        }
    )*};
}
lines! {
    str: push_text, |arena, range| arena.text.get(range);
    [u8]: push, |arena, range| arena.bytes.get(range);
}
