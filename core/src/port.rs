//! Ports: typed names. A job reads and writes them, platforms bind them to places, the client asks them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use rufous_algebra::{Codec, Commutative, Idempotent, Timeline};

use crate::batch::{Batcher, Clock};
use crate::decode::SourceRecord;
use crate::key::Key;
use crate::producer::Producer;
use crate::time::Timestamp;

/// Names become directories, metrics and settings: checked when the constant is compiled.
const fn checked(name: &'static str) -> &'static str {
    let b = name.as_bytes();
    assert!(!b.is_empty(), "a port needs a name");
    let mut i = 0;
    while i < b.len() {
        assert!(
            matches!(b[i], b'a'..=b'z' | b'0'..=b'9' | b'-'),
            "port names are made of a-z, 0-9 and '-'"
        );
        i += 1;
    }
    assert!(
        hyphens_stand_alone(name),
        "port names have each '-' between two of a-z and 0-9: a variable could not say them otherwise"
    );
    name
}

/// Whether a variable can say the name: there `-` is `_`, and `__` divides levels.
pub(crate) const fn hyphens_stand_alone(name: &str) -> bool {
    let b = name.as_bytes();
    let mut i = 0;
    while i < b.len() {
        let at_an_end = i == 0 || i + 1 == b.len();
        if b[i] == b'-' && (at_an_end || b[i + 1] == b'-') {
            return false;
        }
        i += 1;
    }
    true
}

/// Where records come from. Batches and event time are declared here, once, so that both layers agree on them.
pub struct Source<T: ?Sized> {
    pub(crate) name: &'static str,
    pub(crate) time: Option<fn(&T) -> Timestamp>,
    pub(crate) time_field: Option<&'static str>,
    pub(crate) clock: Clock,
    pub(crate) batcher: Batcher,
}

impl<T: ?Sized> Clone for Source<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: ?Sized> Copy for Source<T> {}

impl<T: ?Sized> Source<T> {
    /// A source with batches of one hour, cut by the log's own timestamps.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: checked(name),
            time: None,
            time_field: None,
            clock: Clock::Log,
            batcher: Batcher::of_hours(1),
        }
    }
    /// The record's own event time. It serves keys and windows; it cuts batches only with [`Clock::Event`], or where the
    /// log has no timestamps (files).
    #[must_use]
    pub const fn timed_by(mut self, time: fn(&T) -> Timestamp) -> Self {
        self.time = Some(time);
        self
    }
    /// Names the field of the record that [`timed_by`](Self::timed_by) returns just as it is. A bulk run that asks for a span
    /// of event time then leaves out files, row groups and pages by what they note of that column, without reading them. It
    /// says nothing new about the answer, so it is no part of the fingerprint; a record whose field and time differ is an
    /// error where it is read.
    ///
    /// ```
    /// # use rufous_core::record::{FieldType, RecordError};
    /// # use rufous_core::{Field, Record, Row, Source, Timestamp};
    /// # #[derive(Clone)]
    /// # struct Sale { at: Timestamp }
    /// # impl Record for Sale {
    /// #     const FIELDS: &'static [Field] = &[Field { name: "at", ty: FieldType::Timestamp, optional: false }];
    /// #     fn from_row(row: &Row<'_>) -> Result<Self, RecordError> { Ok(Self { at: row.get(0)? }) }
    /// # }
    /// const SALES: Source<Sale> = Source::new("sales").time_field("at").timed_by(|s| s.at);
    /// ```
    #[must_use]
    pub const fn time_field(mut self, name: &'static str) -> Self {
        self.time_field = Some(name);
        self
    }
    /// Which time cuts batches (P2).
    #[must_use]
    pub const fn batch_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
    /// How time, or the offset, becomes a batch.
    #[must_use]
    pub const fn batches(mut self, batcher: Batcher) -> Self {
        self.batcher = batcher;
        self
    }
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
    /// The event time of a record; `None` if the source declares none.
    pub fn time_of(&self, record: &T) -> Option<Timestamp> {
        self.time.map(|time| time(record))
    }
}

impl<T: ?Sized> Source<T> {
    /// The records of this source.
    #[track_caller]
    pub fn read(self) -> Producer<T>
    where
        // Here and not at the block: a record without its derive is then told so.
        T: SourceRecord,
    {
        Producer::source(self)
    }
}

/// Where totals live: one value per key, merged by the value's semigroup.
pub struct Store<K, V> {
    name: &'static str,
    idempotent: bool,
    _of: PhantomData<(fn() -> K, fn() -> V)>,
}

impl<K, V> Clone for Store<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Store<K, V> {}

impl<K: Key, V: Codec> Store<K, V> {
    /// A store of this name. The declaration is where a missing derive on key or value shows.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: checked(name),
            idempotent: false,
            _of: PhantomData,
        }
    }
}

impl<K, V> Store<K, V> {
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
    /// Whether [`idempotent`](Self::idempotent) was said.
    pub(crate) const fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}

impl<K: Key, V: Commutative + Codec> Store<K, V> {
    /// Where the versions of this store are kept, for joins: a store of the job like others, named after this one.
    pub(crate) fn versions(self) -> Store<K, Timeline<V>> {
        // A port's name lives for ever, and this one is made of another.
        static NAMES: Mutex<BTreeMap<&'static str, &'static str>> = Mutex::new(BTreeMap::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || -> &'static str { Box::leak(format!("{}-as-of", self.name).into_boxed_str()) };
        Store {
            name: names.entry(self.name).or_insert_with(make),
            idempotent: false,
            _of: PhantomData,
        }
    }
}

impl<K, V: Idempotent> Store<K, V> {
    /// Says that a value which is added twice counts once; the compiler checks that the type promises it. State that is kept
    /// where values and offsets cannot be written together may get a value again after a crash, so such places take only
    /// stores that say this.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

/// A number of the job that only grows: records that could not be read, lines that were skipped. Counters are sums like all
/// others, kept in the store [`COUNTERS`]: committed with the state, and so exact on every platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    name: &'static str,
}

impl Counter {
    /// A counter of this name. Two steps that count under one name count together.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self { name: checked(name) }
    }
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The counters of a job, by name. Every job that counts has this store; its name is reserved.
pub const COUNTERS: Store<String, u64> = Store::new("counters");

/// How far the live part of a job is that has no store, for it only writes: rows of progress, and never a value.
pub const PROGRESS: Store<String, u64> = Store::new("progress");

/// What a job looks up and does not build: a table, the answers of another system. A platform [binds](crate::service) it.
pub struct Service<K, V> {
    name: &'static str,
    _of: PhantomData<(fn() -> K, fn() -> V)>,
}

impl<K, V> Clone for Service<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Service<K, V> {}

impl<K: Key, V> Service<K, V> {
    /// A service of this name.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: checked(name),
            _of: PhantomData,
        }
    }
}

impl<K, V> Service<K, V> {
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Where records go.
pub struct Sink<T> {
    name: &'static str,
    _of: PhantomData<fn() -> T>,
}

impl<T> Clone for Sink<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Sink<T> {}

impl<T> Sink<T> {
    /// A sink of this name.
    ///
    /// # Panics
    /// At compile time for constants: when the name has other characters than `a-z`, `0-9` and `-`.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: checked(name),
            _of: PhantomData,
        }
    }
    /// The port's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
