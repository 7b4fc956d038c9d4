//! Records with what their log knows beside the value: key, headers, timestamp, place.
//!
//! ```
//! use rufous_core::{Job, Message, Source, Store};
//!
//! const VIEWS: Source<Message<str>> = Source::new("views");           // or Message<[u8]>, or Message<View>
//! const BY_TENANT: Store<(String, String), u64> = Store::new("by-tenant");
//!
//! let views = VIEWS.read().keyed(|view, out| {
//!     let tenant = view.header("tenant").and_then(|t| std::str::from_utf8(t).ok()).unwrap_or("none");
//!     match (view.key_text(), view.value()) {
//!         (Some(user), Some(_page)) => out.emit((tenant, user), 1),
//!         (_, None) => {}                                             // a tombstone: the key was deleted
//!         (None, Some(_)) => out.emit((tenant, ""), 1),
//!     }
//! });
//! Job::new("views", views.sum_by_key(BY_TENANT)).plan()?;
//! # Ok::<(), rufous_core::Error>(())
//! ```
//!
//! Live and out of the archive a message is the same. Keys and headers of a batch lie in one arena that its messages share:
//! none is allocated for a record, and a message that is kept keeps the arena of its batch, some ten to hundred kilobytes.
//! Bounded inputs of columns (Parquet) have rows and nothing beside them, so they are refused for such a source.

mod arena;
mod decode;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::log::{Headers, RecordBatch, Span};
use crate::time::Timestamp;
pub use arena::Arena;
pub use arena::Payload;

/// A record as a log has it: `Source<Message<T>>` for a `T` that is `str`, `[u8]` or derives `Record`.
pub struct Message<T: Payload + ?Sized> {
    value: Option<T::Kept>,
    around: Around,
}

/// What there is beside the value.
#[derive(Clone)]
struct Around {
    arena: Arc<Arena>,
    key: Span,
    headers: Span,
    partition: u32,
    offset: u64,
    time: Option<Timestamp>,
}

impl<T: Payload + ?Sized> Message<T> {
    /// The value; `None` is a tombstone, which a topic uses to delete a key.
    #[inline]
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref().map(|kept| T::get(kept, &self.around.arena))
    }
    /// The key's bytes, if it has a key.
    #[inline]
    pub fn key(&self) -> Option<&[u8]> {
        self.around.key.of(&self.around.arena.bytes)
    }
    /// The key as text; also `None` when it is not UTF-8: [`key`](Self::key) tells these apart.
    #[inline]
    pub fn key_text(&self) -> Option<&str> {
        self.key().and_then(|key| std::str::from_utf8(key).ok())
    }
    /// The value of the last header of this name; `None` when there is none, or when it is null.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().named(name).flatten()
    }
    /// All headers in the order in which they were written. Names may repeat; values may be null.
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(self.around.headers.of(&self.around.arena.bytes))
    }
    /// The log's timestamp; `None` in logs that have none (files). The time that the record itself says is
    /// [`Source::timed_by`](crate::Source::timed_by)'s.
    #[inline]
    pub fn time(&self) -> Option<Timestamp> {
        self.around.time
    }
    /// The partition that it is in; 0 in memory.
    #[inline]
    pub fn partition(&self) -> u32 {
        self.around.partition
    }
    /// Its offset in the partition. In memory the records of a source are counted.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.around.offset
    }
}

/// To make messages for tests. Each has an arena of its own.
impl<T: Payload + ?Sized> Message<T> {
    /// With this value.
    pub fn new(value: impl Borrow<T>) -> Self {
        let mut arena = Arena::default();
        let value = value.borrow().keep(&mut arena);
        Self {
            value: Some(value),
            around: Around::new(arena),
        }
    }
    /// Without a value.
    pub fn tombstone() -> Self {
        Self {
            value: None,
            around: Around::new(Arena::default()),
        }
    }
    /// With this key.
    #[must_use]
    pub fn with_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.around.key = Arc::make_mut(&mut self.around.arena).push(key.as_ref());
        self
    }
    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut all: Vec<_> = self.headers().collect();
        all.push((name, Some(value.as_ref())));
        let mut encoded = RecordBatch::default();
        encoded.push_headers(all.into_iter());
        self.around.headers = Arc::make_mut(&mut self.around.arena).push(&encoded.bytes);
        self
    }
    /// Logged at this time. The test kit's clock says another.
    #[must_use]
    pub fn with_time(mut self, time: Timestamp) -> Self {
        self.around.time = Some(time);
        self
    }
    /// At this place. In the test kit its offset is its number among the records of the source.
    #[must_use]
    pub fn with_place(mut self, partition: u32, offset: u64) -> Self {
        (self.around.partition, self.around.offset) = (partition, offset);
        self
    }
}

impl Around {
    fn new(arena: Arena) -> Self {
        Self {
            arena: Arc::new(arena),
            key: Span::NONE,
            headers: Span::NONE,
            partition: 0,
            offset: 0,
            time: None,
        }
    }
}

impl<T: Payload + ?Sized> Clone for Message<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            around: self.around.clone(),
        }
    }
}

/// All that can be asked for is the same.
impl<T: Payload + PartialEq + ?Sized> PartialEq for Message<T> {
    fn eq(&self, other: &Self) -> bool {
        let place = |m: &Self| (m.around.partition, m.around.offset, m.around.time);
        self.value() == other.value()
            && self.key() == other.key()
            && self.headers().eq(other.headers())
            && place(self) == place(other)
    }
}

impl<T: Payload + fmt::Debug + ?Sized> fmt::Debug for Message<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Vec<_> = self.headers().map(|(name, value)| (name, value.map(text))).collect();
        f.debug_struct("Message")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("time", &self.time())
            .field("key", &self.key().map(text))
            .field("headers", &headers)
            .field("value", &self.value())
            .finish()
    }
}

#[cfg(test)]
mod tests;
