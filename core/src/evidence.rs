//! What was known about types when a port was declared, kept as plain functions over bytes. Stores, clients and the command
//! line work with these; none of them is generic over a job's types.

use rufous_algebra::codec::{schema_reads, sum_bytes};
use rufous_algebra::{Codec, DecodeError, Semigroup};
use serde_json::Value;

use crate::batch::{Batcher, Clock, CutSpec};
use crate::decode::{Format, SourceDecoder, SourceRecord};
use crate::error::Result;
use crate::forget::Forgets;
use crate::guarded::{Guarded, MakeDecoder};
use crate::key::{self, Key, KeyError};
use crate::native::{KeyColumn, NativeNumber};
use crate::port::{Source, Store};
use crate::record::Field;
use crate::window::{WindowedStore, Windows};

/// A store port without its types.
#[derive(Clone, Copy)]
pub struct StoreFace {
    /// The port's name.
    pub name: &'static str,
    /// What is known of the keys.
    pub key: KeyFace,
    /// What is known of the values.
    pub value: ValueFace,
    /// Whether the port says that adding a value twice is adding it once ([`Store::idempotent`]).
    pub idempotent: bool,
    /// The hops that its keys end with, if it is a windowed store.
    pub windows: Option<Windows>,
    /// Which rows lose their meaning as the frontier moves on, beside hops that are not kept.
    pub forgets: Option<Forgets>,
}

/// Keys as bytes.
#[derive(Clone, Copy)]
pub struct KeyFace {
    schema: fn() -> String,
    parse: fn(&str, bool) -> Result<Vec<u8>, KeyError>,
    text: fn(&[u8]) -> Result<String, KeyError>,
    json: fn(&[u8]) -> Result<Value, KeyError>,
    columns: fn(&mut Vec<KeyColumn>),
}

/// Values as bytes.
#[derive(Clone, Copy)]
pub struct ValueFace {
    schema: fn() -> String,
    sum: for<'a> fn(&mut dyn Iterator<Item = &'a [u8]>, &mut Vec<u8>) -> Result<bool, DecodeError>,
    json: fn(&[u8]) -> Result<Value, DecodeError>,
    magnitude: fn(&[u8]) -> Result<f64, DecodeError>,
    agree: fn(&[u8], &[u8]) -> Result<bool, DecodeError>,
    native: fn() -> Option<NativeNumber>,
}

impl StoreFace {
    /// Of a port.
    pub fn of<K: Key, V: Semigroup + Codec>(port: Store<K, V>) -> Self {
        Self {
            name: port.name(),
            key: KeyFace::of::<K>(),
            value: ValueFace::of::<V>(),
            idempotent: port.is_idempotent(),
            windows: None,
            forgets: None,
        }
    }
    /// Of the port of a windowed store.
    pub fn windowed<K: Key, V: Semigroup + Codec>(port: WindowedStore<K, V>) -> Self {
        Self {
            windows: Some(port.windows()),
            ..Self::of(port.hops())
        }
    }
    /// The text that stores persist and compare at open: what key and value bytes mean.
    pub fn schema(&self) -> String {
        let windows = self.windows.map_or_else(String::new, |w| format!(" in {}", w.text()));
        format!("{}{windows} -> {}", (self.key.schema)(), (self.value.schema)())
    }
    /// Whether this port reads what was written under another schema text: the same, or one without fields that were added
    /// to the values since, with a default.
    pub fn reads(&self, schema: &str) -> bool {
        schema_reads(&self.schema(), schema)
    }
}

impl KeyFace {
    fn of<K: Key>() -> Self {
        Self {
            schema: K::schema,
            parse: key::parse_text::<K>,
            text: |b| key::decode_all::<K>(b).map(|k| key::to_text(&k)),
            json: |b| key::decode_all::<K>(b).map(|k| key::to_json(&k)),
            columns: K::columns,
        }
    }
    /// What the bytes mean.
    pub fn schema(&self) -> String {
        (self.schema)()
    }
    /// What its parts are, for places that have columns of their own types.
    pub fn columns(&self) -> Vec<KeyColumn> {
        let mut columns = Vec::new();
        (self.columns)(&mut columns);
        columns
    }
    /// The bytes of a key typed by a person; of a key's first parts when `prefix`.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn parse(&self, text: &str, prefix: bool) -> Result<Vec<u8>, KeyError> {
        (self.parse)(text, prefix)
    }
    /// For people: what [`parse`](Self::parse) reads.
    ///
    /// # Errors
    /// When the bytes are no such key.
    pub fn text(&self, bytes: &[u8]) -> Result<String, KeyError> {
        (self.text)(bytes)
    }
    /// For JSON.
    ///
    /// # Errors
    /// When the bytes are no such key.
    pub fn json(&self, bytes: &[u8]) -> Result<Value, KeyError> {
        (self.json)(bytes)
    }
}

impl ValueFace {
    fn of<V: Semigroup + Codec>() -> Self {
        Self {
            schema: V::schema,
            sum: sum_bytes::<V>,
            json: |b| V::decode(b).map(|v| v.json()),
            magnitude: |b| V::decode(b).map(|v| v.magnitude()),
            agree: |a, b| Ok(V::decode(a)?.agrees(&V::decode(b)?)),
            native: NativeNumber::of::<V>,
        }
    }
    /// What the bytes mean.
    pub fn schema(&self) -> String {
        (self.schema)()
    }
    /// The integer that a value is, if it is one that other systems add in the same way.
    pub fn native(&self) -> Option<NativeNumber> {
        (self.native)()
    }
    /// Appends the canonical bytes of the sum, in the order given; `false` of nothing. A single part is copied unchecked.
    ///
    /// # Errors
    /// When a part is no such value.
    pub fn sum(&self, parts: &mut dyn Iterator<Item = &[u8]>, out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        (self.sum)(parts, out)
    }
    /// For JSON and people.
    ///
    /// # Errors
    /// When the bytes are no such value.
    pub fn json(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        (self.json)(bytes)
    }
    /// By what "largest" is meant.
    ///
    /// # Errors
    /// When the bytes are no such value.
    pub fn magnitude(&self, bytes: &[u8]) -> Result<f64, DecodeError> {
        (self.magnitude)(bytes)
    }
    /// Whether two values could be sums of the same records: of exact sums whether they are the same, of approximate
    /// ones whether their published bounds allow it ([`Codec::agrees`]).
    ///
    /// # Errors
    /// When the bytes of one are no such value.
    pub fn agree(&self, a: &[u8], b: &[u8]) -> Result<bool, DecodeError> {
        (self.agree)(a, b)
    }
}

/// A source port without its type.
#[derive(Clone)]
pub struct SourceFace {
    /// The port's name.
    pub name: &'static str,
    /// The fields of its records; `None` for text.
    pub fields: Option<&'static [Field]>,
    /// Whether records declare an event time.
    pub timed: bool,
    /// The field that is that time as it is, where the port says so.
    pub time_field: Option<&'static str>,
    kind: &'static str,
    message: bool,
    clock: Clock,
    batcher: Batcher,
    decoder: MakeDecoder,
}

/// Offsets in a batch of a source that has no time at all, unless it says otherwise: 8 MiB of a file.
pub const OFFSETS_WITHOUT_TIME: u64 = 8 << 20;

impl SourceFace {
    /// Of a port.
    pub(crate) fn of<T: SourceRecord + ?Sized>(port: Source<T>) -> Self {
        Self {
            name: port.name,
            fields: T::FIELDS,
            kind: T::KIND,
            message: T::MESSAGE,
            timed: port.time.is_some(),
            time_field: port.time_field,
            clock: port.clock,
            batcher: port.batcher,
            decoder: std::sync::Arc::new(move |format| T::decoder(format, port.time)),
        }
    }
    /// A decoder for this format. A panic of the source's own functions makes a bad record.
    ///
    /// # Errors
    /// When such records are not written in this format.
    pub fn decoder(&self, format: Format) -> Result<Box<dyn SourceDecoder>> {
        match Guarded::new(self.decoder.clone(), format) {
            Ok(decoder) => Ok(Box::new(decoder)),
            Err(e) => Err(e.at(format_args!("source `{}`", self.name))),
        }
    }
    /// The format that such records have when nobody says: text or JSON lines.
    pub fn default_format(&self) -> Format {
        if self.fields.is_some() {
            Format::JsonLines
        } else {
            Format::Text
        }
    }
    /// How a log is cut. Without timestamps in the log the event time counts; without any time the offset does (P8a).
    pub fn cut_spec(&self, log_has_time: bool) -> CutSpec {
        match (self.batcher.is_by_offset(), self.clock, self.timed, log_has_time) {
            (true, ..) => CutSpec::new(Clock::Log, self.batcher),
            (_, Clock::Event, true, _) | (_, _, true, false) => CutSpec::new(Clock::Event, self.batcher),
            (_, _, _, true) => CutSpec::new(Clock::Log, self.batcher),
            (_, _, false, false) => CutSpec::new(Clock::Log, Batcher::of_offsets(OFFSETS_WITHOUT_TIME)),
        }
    }
    /// One line for the fingerprint: what the records are and how they are cut.
    pub fn describe(&self) -> String {
        let record = match self.fields {
            None => self.kind.to_string(),
            Some(fields) => fields
                .iter()
                .map(|f| format!("{}:{}{}", f.name, f.ty, if f.optional { "?" } else { "" }))
                .collect::<Vec<_>>()
                .join(","),
        };
        let record = if self.message {
            format!("message({record})")
        } else {
            record
        };
        let clock = if self.clock == Clock::Event { "event" } else { "log" };
        format!("{record} timed={} clock={clock} batches={}", self.timed, self.batcher)
    }
    /// The batches that the port declares.
    pub fn batcher(&self) -> Batcher {
        self.batcher
    }
}
