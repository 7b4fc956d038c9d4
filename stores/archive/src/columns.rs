//! The columns of an archive file, and records to and from them.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, Int64Builder, TimestampMillisecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{Array, BinaryArray, RecordBatch as Arrays};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use rufous_core::{Entry, RecordBatch, Span};

/// The offset: an `u64` stored as the `i64` of the same bits.
pub(crate) const OFFSET: &str = "_offset";
/// The log's timestamp.
pub(crate) const TIMESTAMP: &str = "_timestamp";
/// All columns in order.
pub(crate) const NAMES: [&str; 6] = [OFFSET, TIMESTAMP, "key", "value", "headers", "_heartbeat"];

/// The columns' types.
pub(crate) fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let types = [
        DataType::Int64,
        time,
        DataType::Binary,
        DataType::Binary,
        DataType::Binary,
        DataType::Boolean,
    ];
    let nullable = [false, true, true, true, true, false];
    let fields = NAMES
        .iter()
        .zip(types)
        .zip(nullable)
        .map(|((name, ty), nullable)| Field::new(*name, ty, nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Collects records into arrays.
#[derive(Default)]
pub(crate) struct Builders {
    offset: Int64Builder,
    time: TimestampMillisecondBuilder,
    key: BinaryBuilder,
    value: BinaryBuilder,
    headers: BinaryBuilder,
    heartbeat: BooleanBuilder,
    /// How many records are collected.
    pub(crate) rows: usize,
    /// About how many bytes they have.
    pub(crate) bytes: usize,
}

impl Builders {
    /// Adds one record.
    pub(crate) fn push(&mut self, records: &RecordBatch, e: &Entry) {
        let (key, value, headers) = (records.key(e), records.value(e), records.headers(e));
        self.offset.append_value(e.offset.cast_signed());
        self.time.append_option(e.time().map(|t| t.0));
        self.key.append_option(key);
        self.value.append_option(value);
        self.headers.append_option(headers);
        self.heartbeat.append_value(e.heartbeat);
        self.rows += 1;
        self.bytes += 24
            + [key, value, headers]
                .iter()
                .map(|b| b.map_or(0, <[u8]>::len))
                .sum::<usize>();
    }

    /// The arrays of what was collected; the builders are empty again.
    pub(crate) fn finish(&mut self, schema: &SchemaRef) -> Result<Arrays, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        Arrays::try_new(
            schema.clone(),
            vec![
                Arc::new(self.offset.finish()),
                Arc::new(self.time.finish().with_timezone("UTC")),
                Arc::new(self.key.finish()),
                Arc::new(self.value.finish()),
                Arc::new(self.headers.finish()),
                Arc::new(self.heartbeat.finish()),
            ],
        )
    }
}

/// Fills `records` with the rows of `arrays`, whose offsets must ascend within `range`; `range.start` moves behind
/// them. `Err` says what is wrong.
pub(crate) fn records(arrays: &Arrays, range: &mut Range<u64>, records: &mut RecordBatch) -> Result<(), String> {
    let column = |name: &str| {
        arrays
            .column_by_name(name)
            .ok_or_else(|| format!("it has no column `{name}`"))
    };
    let wrong = |name: &str| format!("its column `{name}` has another type");
    let [offset, time, key, value, headers, heartbeat] = NAMES;
    let offsets = column(offset)?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| wrong(offset))?;
    let times = column(time)?
        .as_primitive_opt::<TimestampMillisecondType>()
        .ok_or_else(|| wrong(time))?;
    let heartbeats = column(heartbeat)?.as_boolean_opt().ok_or_else(|| wrong(heartbeat))?;
    let binary = |name: &str| column(name)?.as_binary_opt::<i32>().ok_or_else(|| wrong(name));
    let (keys, values, headers) = (binary(key)?, binary(value)?, binary(headers)?);
    if offsets.null_count() > 0 || heartbeats.null_count() > 0 {
        return Err("a record has no offset or no heartbeat flag".into());
    }
    records.clear();
    records.entries.reserve(arrays.num_rows());
    let [key, value, headers] = [keys, values, headers].map(|a| Spans::copy(a, &mut records.bytes));
    for (i, offset) in offsets.values().iter().enumerate() {
        let offset = offset.cast_unsigned();
        if !range.contains(&offset) {
            return Err(format!(
                "a record has offset {offset}, but offsets {}..{} are left for it",
                range.start, range.end
            ));
        }
        range.start = offset + 1;
        records.entries.push(Entry {
            offset,
            time_ms: if times.is_null(i) { i64::MIN } else { times.value(i) },
            value: value.of(i),
            key: key.of(i),
            headers: headers.of(i),
            heartbeat: heartbeats.value(i),
        });
    }
    records.next = range.start;
    Ok(())
}

/// The bytes of a binary array inside a record batch.
struct Spans<'a> {
    array: &'a BinaryArray,
    base: usize,
}

impl<'a> Spans<'a> {
    /// Copies all bytes at once.
    fn copy(array: &'a BinaryArray, bytes: &mut Vec<u8>) -> Self {
        let ends = array.value_offsets();
        let (first, last) = (
            ends.first().map_or(0, |o| *o as usize),
            ends.last().map_or(0, |o| *o as usize),
        );
        // Wraps below zero for a slice that does not begin at 0; `of` adds an offset of at least `first` again.
        let base = bytes.len().wrapping_sub(first);
        bytes.extend_from_slice(&array.value_data()[first..last]);
        Self { array, base }
    }

    fn of(&self, i: usize) -> Span {
        if self.array.is_null(i) {
            return Span::NONE;
        }
        let ends = self.array.value_offsets();
        let (from, to) = (ends[i] as usize, ends[i + 1] as usize);
        Span::new(self.base.wrapping_add(from), to - from)
    }
}
