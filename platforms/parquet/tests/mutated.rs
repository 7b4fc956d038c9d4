//! Mutated Parquet files, whole bulk runs over them: thousands of changed, removed and added bytes in files of every encoding.
//! Each run ends in answers or in an error that names the file and publishes nothing: no panic, no hang, no allocation beyond
//! what the file can hold. `RUFOUS_MUTATIONS` sets how many a file.
#![allow(unsafe_code, reason = "an allocator that watches sizes is what this test is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field as ArrowField, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;
use rufous_core::record::{FieldType, RecordError};
use rufous_core::{Error, ErrorKind, Field, Job, Plan, Record, Row, Source, Store, Timestamp};
use rufous_platform_parquet::{BatchOptions, BatchRun, BulkInput};
use rufous_store_api::{ManifestLog, Window};
use rufous_store_memory::{MemoryGenerations, MemoryManifests};

/// Remembers the largest request.
struct Watching;
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is; watching touches no memory of it.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Relaxed);
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// No file here has more than 300 KB, and no page of it unpacks to more than that.
const MOST: usize = 64 << 20;
/// A run takes milliseconds. Nobody waits longer for one.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct All {
    id: i64,
    small: Option<i64>,
    text: Option<String>,
    word: String,
    share: f64,
    flag: bool,
    at: Timestamp,
    inner: Option<String>,
}

const fn field(name: &'static str, ty: FieldType, optional: bool) -> Field {
    Field { name, ty, optional }
}

impl Record for All {
    const FIELDS: &'static [Field] = &[
        field("id", FieldType::Integer, false),
        field("small", FieldType::Integer, true),
        field("text", FieldType::Text, true),
        field("word", FieldType::Text, false),
        field("share", FieldType::Float, false),
        field("flag", FieldType::Bool, false),
        field("at", FieldType::Timestamp, false),
        field("outer.inner", FieldType::Text, true),
    ];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            id: row.get(0)?,
            small: row.get(1)?,
            text: row.get(2)?,
            word: row.get(3)?,
            share: row.get(4)?,
            flag: row.get(5)?,
            at: row.get(6)?,
            inner: row.get(7)?,
        })
    }
}

#[derive(Clone)]
struct Word(String);

impl Record for Word {
    const FIELDS: &'static [Field] = &[field("word", FieldType::Text, false)];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self(row.get(0)?))
    }
}

const ALL: Source<All> = Source::new("all");
/// Read with a window, so what the file notes of its times is looked at.
const TIMED: Source<All> = Source::<All>::new("timed").timed_by(|r| r.at).time_field("at");
const WINDOW: std::ops::Range<i64> = 1_000_000..2_000_000;
const WORDS: Source<Word> = Source::new("words");
const COUNTS: Store<String, u64> = Store::new("counts");

fn all_columns() -> Plan {
    let keyed = ALL.read().keyed(|r, out| {
        out.emit(r.word.as_str(), 1);
        let rest = format!(
            "{} {:?} {:?} {} {} {:?}",
            r.id % 10,
            r.small,
            r.text,
            r.share,
            r.flag,
            r.inner
        );
        out.emit(rest.as_str(), r.at.0.unsigned_abs());
    });
    Job::new("all", keyed.sum_by_key(COUNTS)).plan().unwrap()
}

fn some_of_the_time() -> Plan {
    let keyed = TIMED.read().keyed(|r, out| out.emit(r.word.as_str(), 1));
    Job::new("timed", keyed.sum_by_key(COUNTS)).plan().unwrap()
}

/// One column of dictionary entries, read once a value.
fn one_column() -> Plan {
    let keyed = WORDS.read().keyed(|r, out| out.emit(r.0.as_str(), 1));
    Job::new("one", keyed.sum_by_key(COUNTS)).plan().unwrap()
}

fn write(path: &Path, properties: WriterPropertiesBuilder) {
    let n = 3_000_i64;
    let text = |i: i64| (i % 7 != 0).then(|| format!("text number {} of many", i % 100 * (i % 13)));
    let inner: ArrayRef = Arc::new(
        (0..n)
            .map(|i| (i % 3 != 0).then(|| format!("i{}", i % 9)))
            .collect::<StringArray>(),
    );
    let outer = StructArray::new(
        vec![ArrowField::new("inner", DataType::Utf8, true)].into(),
        vec![inner],
        Some((0..n).map(|i| i % 5 != 0).collect::<Vec<_>>().into()),
    );
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        (
            "id",
            Arc::new((0..n).map(|i| i * 1_000_003).collect::<Int64Array>()),
            false,
        ),
        (
            "small",
            Arc::new(
                (0..n)
                    .map(|i| (i % 4 != 1).then_some(i as i32 % 50))
                    .collect::<Int32Array>(),
            ),
            true,
        ),
        ("text", Arc::new((0..n).map(text).collect::<StringArray>()), true),
        (
            "word",
            Arc::new(
                (0..n)
                    .map(|i| Some(format!("w{}", i * i % 101)))
                    .collect::<StringArray>(),
            ),
            false,
        ),
        (
            "share",
            Arc::new((0..n).map(|i| i as f64 / 7.0).collect::<Float64Array>()),
            false,
        ),
        (
            "flag",
            Arc::new((0..n).map(|i| Some(i % 3 == 0)).collect::<BooleanArray>()),
            false,
        ),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values((0..n).map(|i| i << 20))),
            false,
        ),
        ("outer", Arc::new(outer), true),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array, null)| ArrowField::new(*name, array.data_type().clone(), *null))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let properties = properties
        .set_max_row_group_row_count(Some(1_700))
        .set_data_page_row_count_limit(500)
        .set_write_batch_size(250)
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), schema.clone(), Some(properties)).unwrap();
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.close().unwrap();
}

/// Files of every encoding and packing.
fn originals(dir: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let plain = WriterProperties::builder;
    let of = |properties: WriterPropertiesBuilder, columns: &[(&str, Encoding)]| {
        let each = |p: WriterPropertiesBuilder, (name, encoding): &(&str, Encoding)| {
            let column = || ColumnPath::from(name.split('.').map(String::from).collect::<Vec<_>>());
            p.set_column_dictionary_enabled(column(), false)
                .set_column_encoding(column(), *encoding)
        };
        columns.iter().fold(properties, each)
    };
    let delta = [
        ("id", Encoding::DELTA_BINARY_PACKED),
        ("small", Encoding::DELTA_BINARY_PACKED),
        ("at", Encoding::DELTA_BINARY_PACKED),
        ("text", Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ("word", Encoding::DELTA_BYTE_ARRAY),
        ("outer.inner", Encoding::DELTA_BYTE_ARRAY),
        ("share", Encoding::BYTE_STREAM_SPLIT),
        ("flag", Encoding::RLE),
    ];
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let v2 = || plain().set_writer_version(WriterVersion::PARQUET_2_0);
    let all = [
        ("dictionary, plain bytes", plain()),
        ("dictionary, snappy", plain().set_compression(Compression::SNAPPY)),
        ("dictionary, zstd, v2", v2().set_compression(zstd)),
        (
            "dictionary, gzip",
            plain().set_compression(Compression::GZIP(GzipLevel::default())),
        ),
        (
            "plain, lz4",
            plain()
                .set_compression(Compression::LZ4_RAW)
                .set_dictionary_enabled(false),
        ),
        (
            "plain, headers with statistics",
            plain()
                .set_dictionary_enabled(false)
                .set_write_page_header_statistics(true),
        ),
        ("delta, plain bytes", of(plain(), &delta)),
        (
            "delta, snappy, v2",
            of(v2().set_compression(Compression::SNAPPY), &delta),
        ),
        ("delta, v2", of(v2(), &delta)),
    ];
    let mut files = Vec::new();
    for (name, properties) in all {
        let path = dir.join("original.parquet");
        write(&path, properties);
        files.push((name, fs::read(path).unwrap()));
    }
    files
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    // Footers are small and say much: every other mutation is there.
    let footer = bytes.len() - bytes.len().min(4_000);
    let place = |bytes: &[u8], random: &mut Random| match random.below(2) {
        0 => random.below(bytes.len()),
        _ => footer.min(bytes.len() - 1) + random.below(bytes.len() - footer.min(bytes.len() - 1)),
    };
    match random.below(10) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            let at = place(bytes, random);
            bytes.drain(at..bytes.len().min(at + 1 + random.below(40)));
        }
        2 => {
            let at = place(bytes, random);
            let more: Vec<u8> = (0..1 + random.below(40)).map(|_| random.below(256) as u8).collect();
            bytes.splice(at..at, more);
        }
        3 => {
            // A long number, where there may be a length.
            let at = place(bytes, random);
            for (byte, new) in bytes[at..].iter_mut().zip([0xff, 0xff, 0xff, 0xff, 0x07]) {
                *byte = new;
            }
        }
        4 => {
            let (from, to, n) = (place(bytes, random), place(bytes, random), 1 + random.below(64));
            let copied: Vec<u8> = bytes[from..].iter().take(n).copied().collect();
            bytes[to..].iter_mut().zip(copied).for_each(|(byte, new)| *byte = new);
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = place(bytes, random);
                bytes[at] = match random.below(3) {
                    0 => bytes[at] ^ (1 << random.below(8)),
                    1 => random.below(256) as u8,
                    _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                };
            }
        }
    }
}

fn run(plan: &Plan, path: &Path) -> (Result<u64, Error>, MemoryManifests) {
    let manifests = MemoryManifests::default();
    let run = BatchRun {
        plan,
        inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), BulkInput::parquet([path]))]),
        manifests: &manifests,
        generations: &MemoryGenerations::default(),
        options: BatchOptions {
            threads: 1,
            skip_bad: true,
            window: plan.sources()[0].timed.then_some(Window {
                since: Some(Timestamp(WINDOW.start)),
                until: Some(Timestamp(WINDOW.end)),
            }),
            ..BatchOptions::default()
        },
    };
    let done = run.run().map(|report| report.records - report.outside);
    (done, manifests)
}

/// Ends the process when a run takes too long: a hang is a failure with a name.
fn watch(case: Arc<AtomicU64>, name: &'static str) {
    std::thread::spawn(move || {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = case.load(Relaxed);
            if now == u64::MAX {
                return;
            }
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                eprintln!("{name}, mutation {now}: still running");
                std::process::exit(101);
            }
        }
    });
}

#[test]
fn mutated_files() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = std::env::var("RUFOUS_MUTATIONS").map_or(600, |n| n.parse().unwrap());
    let plans = [all_columns(), one_column(), some_of_the_time()];
    let inside = (0..3_000_i64).filter(|i| WINDOW.contains(&((i << 20) / 1_000))).count() as u64;
    let path = dir.path().join("input.parquet");
    // What the decoder's panics say is caught, and would fill the output.
    std::panic::set_hook(Box::new(|_| {}));
    let mut problems: Vec<String> = Vec::new();
    let (mut fine, mut refused) = (0_u64, 0_u64);
    for (name, good) in originals(dir.path()) {
        fs::write(&path, &good).unwrap();
        for plan in &plans {
            let (done, _) = run(plan, &path);
            let all = if plan.job() == "timed" { inside } else { 3_000 };
            assert_eq!(done.unwrap(), all, "{name}: as it was written");
        }
        let case = Arc::new(AtomicU64::new(0));
        watch(case.clone(), name);
        for round in 0..rounds {
            case.store(round, Relaxed);
            let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (round + 1).wrapping_mul(0xd134_2543_de82_ef95));
            let mut bytes = good.clone();
            mutate(&mut bytes, &mut random);
            fs::write(&path, &bytes).unwrap();
            LARGEST.store(0, Relaxed);
            let plan = &plans[[0, 0, 1, 2, 2][round as usize % 5]];
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(plan, &path)));
            let mut wrong = |why: String| problems.push(format!("{name}, mutation {round}: {why}"));
            let largest = LARGEST.load(Relaxed);
            if largest > MOST {
                wrong(format!("asked for {largest} bytes at once"));
            }
            match outcome {
                Err(_) => wrong("panicked".into()),
                Ok((Ok(_), _)) => fine += 1,
                Ok((Err(e), manifests)) => {
                    refused += 1;
                    if !matches!(e.kind(), ErrorKind::CorruptData | ErrorKind::InvalidRequest)
                        || !e.to_string().contains("input.parquet")
                    {
                        wrong(format!("is refused by: {e:?}"));
                    }
                    if manifests.newest(0).unwrap().is_some() {
                        wrong(format!("published: {e}"));
                    }
                }
            }
        }
        case.store(u64::MAX, Relaxed);
    }
    drop(std::panic::take_hook());
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
    assert!(refused > fine / 4, "{refused} refused, {fine} fine");
    println!("{refused} refused, {fine} fine");
}
