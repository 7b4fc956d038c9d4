//! Whole jobs in memory beside loops written by hand; one erased step; planning.

#[path = "../../algebra/benches/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use common::contest;
use rufous_core::{
    AnyChunk, BatchId, Chunk, ChunkMeta, Entry, Executor, Field, FieldType, Format, HopSize, Job, KeyedProducer,
    Message, Producer, Record, RecordBatch, RecordError, Row, Rules, Source, SourceRecord, Store, Text, TextChunk,
    TimeBucket, Timestamp, WindowedStore,
};
use rufous_platform_memory::Memory;
use xxhash_rust::xxh3::xxh3_64;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

/// The hash of the product in a map of the standard shape.
#[derive(Clone, Copy, Default)]
struct Xxh3;
struct State(u64);
impl BuildHasher for Xxh3 {
    type Hasher = State;
    fn build_hasher(&self) -> State {
        State(0)
    }
}
impl Hasher for State {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    /// The mark that ends a text: the hash of its bytes is enough.
    fn write_u8(&mut self, _: u8) {}
}
type Map = hashbrown::HashMap<String, u64, Xxh3>;

/// A generator of our own, so that the text is the same for ever: xorshift (Marsaglia 2003).
struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Lines of ten words, log-uniform over `vocabulary` different ones.
fn text(vocabulary: f64, lines: usize) -> TextChunk {
    let mut random = Random(7);
    let mut text = TextChunk::default();
    for _ in 0..lines {
        let words = (0..10).map(|_| {
            format!(
                "w{:x}",
                (vocabulary.powf(random.unit()) as u64) * 2_654_435_761 % 1_000_003
            )
        });
        text.push(&words.collect::<Vec<_>>().join(" "));
    }
    text
}

fn word_count() -> Job {
    let words = LINES.read().keyed(|line, out| {
        for word in line.split_whitespace() {
            out.emit(word, 1);
        }
    });
    Job::new("word-count", words.sum_by_key(COUNTS))
}

fn by_hand(text: &TextChunk) -> Map {
    let mut counts = Map::with_hasher(Xxh3);
    for line in text.iter() {
        for word in line.split_whitespace() {
            *counts.entry_ref(word).or_insert(0) += 1;
        }
    }
    counts
}

fn words() {
    for (name, vocabulary, bar) in [("1,000", 1_000.0, 0.65), ("100,000", 100_000.0, 0.85)] {
        let text = text(vocabulary, 300_000);
        let job = word_count();
        let memory = Memory::new().source(LINES, text.iter());
        let hand = by_hand(&text);
        let ours: HashMap<String, u64> = job.run_on(&memory).expect("a run").all(COUNTS).into_iter().collect();
        let exact = ours.len() == hand.len() && hand.iter().all(|(word, n)| ours.get(word) == Some(n));
        contest(
            format!("word count, {} of {name} words, a word", hand.len()),
            text.iter().count() as u64 * 10,
        )
        .contender("the job in memory", || job.run_on(&memory).expect("a run"))
        .contender("loop by hand, same hash", || by_hand(&text))
        .contender("loop by hand, std HashMap", || {
            let mut counts: HashMap<&str, u64> = HashMap::new();
            for line in text.iter() {
                for word in line.split_whitespace() {
                    *counts.entry(word).or_default() += 1;
                }
            }
            counts
        })
        .contender("splitting only", || {
            text.iter().flat_map(str::split_whitespace).map(str::len).sum::<usize>()
        })
        .at_most_of("loop by hand, same hash", 1.0 / bar)
        .exact(exact)
        .run();
    }
}

const HOURLY: WindowedStore<String, u64> = WindowedStore::new(
    "hourly",
    &[
        HopSize::minutes(5).keep_days(2),
        HopSize::hours(1).keep_days(60),
        HopSize::days(1),
    ],
);

/// The instant that a line begins with: 13 digits.
fn instant(line: &str) -> Timestamp {
    Timestamp(line.bytes().take(13).fold(0, |n, b| n * 10 + i64::from(b - b'0')))
}

fn timed_words() -> Job {
    let words = LINES.read().keyed(|line, out| {
        for word in line.split_whitespace().skip(1) {
            out.emit(word, 1);
        }
    });
    Job::new("word-count", words.sum_by_key(COUNTS))
}

fn windowed_words() -> Job {
    let words = LINES.read().keyed(|line, out| {
        let at = instant(line);
        for word in line.split_whitespace().skip(1) {
            out.emit((word, at), 1);
        }
    });
    Job::new("windowed-word-count", words.windowed_sum_by_key(HOURLY))
}

/// The same by three keys for each record: what a job without late expansion does.
fn expanded_words() -> Job {
    const HOPS: Store<(String, TimeBucket), u64> = Store::new("hops");
    let words = LINES.read().keyed(|line, out| {
        let at = instant(line);
        let hops = [TimeBucket::of(300_000, at), TimeBucket::hour(at), TimeBucket::day(at)];
        for word in line.split_whitespace().skip(1) {
            hops.into_iter().for_each(|hop| out.emit((word, hop), 1));
        }
    });
    Job::new("expanded-word-count", words.sum_by_key(HOPS))
}

/// Words with three hops each, beside words: the stream is so fast that a commit lies within few hops, or so slow that each
/// word is nearly alone in its own.
fn windows() {
    for (pace, step_ms) in [("100,000 words a second", 0.1), ("1,000 words a second", 10.0)] {
        for (name, vocabulary) in [("1,000", 1_000.0), ("100,000", 100_000.0)] {
            let mut timed = TextChunk::default();
            for (i, line) in text(vocabulary, 300_000).iter().enumerate() {
                let at = 1_700_000_000_000 + (i as f64 * step_ms) as i64;
                timed.push(&format!("{at} {line}"));
            }
            let (plain, windowed, expanded) = (timed_words(), windowed_words(), expanded_words());
            let memory = Memory::new().source(LINES, timed.iter());
            let hops = windowed.run_on(&memory).expect("a run");
            let sums: u64 = hops.all(HOURLY.hops()).iter().map(|(_, n)| n).sum();
            contest(
                format!("windowed word count, {name} words, {pace}, a word"),
                timed.iter().count() as u64 * 10,
            )
            .contender("three hops a word", || windowed.run_on(&memory).expect("a run"))
            .contender("words alone", || plain.run_on(&memory).expect("a run"))
            .contender("three keys a word", || expanded.run_on(&memory).expect("a run"))
            .at_most_of("words alone", 1.6)
            .exact(sums == 3 * 3_000_000)
            .run();
        }
    }
}

const NUMBERS: Source<str> = Source::new("numbers");
const FEW: Store<u64, u64> = Store::new("few");

/// `steps` maps, and a sum of next to nothing.
fn chain(steps: u64) -> Job {
    let mut numbers: Producer<u64> = NUMBERS.read().map(|line| line.len() as u64);
    for i in 0..steps {
        numbers = numbers.map(move |x| x.wrapping_mul(31) ^ i);
    }
    let few = numbers.filter(|x| *x == 1).keyed(|x, out| out.emit(*x, 1));
    Job::new("chain", few.sum_by_key(FEW))
}

fn filters(steps: u64) -> Job {
    let mut numbers: Producer<u64> = NUMBERS.read().map(|line| line.len() as u64);
    for i in 0..steps {
        numbers = numbers.filter(move |x| x.wrapping_mul(31) != i);
    }
    let few = numbers.filter(|x| *x == 1).keyed(|x, out| out.emit(*x, 1));
    Job::new("filters", few.sum_by_key(FEW))
}

/// What `work` records cost, in chunks of `size`.
fn pass(run: &mut Executor, chunk: &TextChunk, chunks: usize) {
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    for _ in 0..chunks {
        run.push_shared(&meta, black_box(chunk)).expect("a run");
    }
}

fn steps() {
    const RECORDS: usize = 1 << 20;
    for size in [1024, 256, 16, 1] {
        let mut chunk = TextChunk::default();
        (0..size).for_each(|_| chunk.push("xx"));
        let runs = |job: fn(u64) -> Job, n| job(n).plan().expect("a plan").instantiate();
        let (mut none, mut eight, mut filtered) = (runs(chain, 0), runs(chain, 8), runs(filters, 8));
        // The difference of the first two, over eight, is one step.
        contest(format!("chain over chunks of {size}, a record"), RECORDS as u64)
            .contender("8 maps", || pass(&mut eight, &chunk, RECORDS / size))
            .contender("no map", || pass(&mut none, &chunk, RECORDS / size))
            .contender("8 filters", || pass(&mut filtered, &chunk, RECORDS / size))
            .run();
    }
}

/// A chain, and a fan that comes together again, of `n` steps.
fn deep(n: usize) -> Job {
    let mut pairs: KeyedProducer<u64, u64> = NUMBERS.read().keyed(|line, out| out.emit(line.len() as u64, 1));
    for i in 0..n {
        pairs = match i % 4 {
            0 => pairs.map_values(|v| v + 1),
            1 => pairs.filter_keys(|k| *k > 1),
            2 => pairs.flat_map_keys(|k, out| out.emit(*k)),
            _ => pairs.filter_values(|v| *v > 1),
        };
    }
    Job::new("deep", pairs.sum_by_key(FEW))
}

fn wide(n: usize) -> Job {
    let source = NUMBERS.read();
    let branch = |i: usize| {
        source
            .clone()
            .keyed(move |line, out| out.emit((line.len() + i) as u64, 1))
            .filter_keys(|k| *k > 1)
    };
    let all = (1..n / 2).map(branch).fold(branch(0), KeyedProducer::merge);
    Job::new("wide", all.sum_by_key(FEW))
}

fn planning() {
    for n in [1_000, 4_000, 16_000] {
        let (deep, wide) = (deep(n), wide(n));
        contest(format!("planning {n} steps, a plan"), 1)
            .contender("deep", || deep.plan().expect("a plan"))
            .contender("wide", || wide.plan().expect("a plan"))
            .contender("deep, no rules", || deep.plan_with(&Rules::none()).expect("a plan"))
            .at_most_ns(if n == 1_000 { 50e6 } else { f64::INFINITY })
            .run();
    }
}

/// What `#[derive(Record)]` writes for these four fields; this crate cannot use it.
#[derive(Clone)]
#[allow(dead_code, reason = "read to be kept")]
struct Click {
    user: u64,
    page: Text,
    at: Timestamp,
    ms: Option<f64>,
}

impl Record for Click {
    const FIELDS: &'static [Field] = {
        const fn field(name: &'static str, ty: FieldType, optional: bool) -> Field {
            Field { name, ty, optional }
        }
        &[
            field("user", FieldType::Integer, false),
            field("page", FieldType::Text, false),
            field("at", FieldType::Timestamp, false),
            field("ms", FieldType::Float, true),
        ]
    };
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            user: row.get(0)?,
            page: row.get(1)?,
            at: row.get(2)?,
            ms: row.get(3)?,
        })
    }
}

/// The same four fields as `serde` reads them, borrowed.
#[derive(serde::Deserialize)]
struct Borrowed<'a> {
    user: u64,
    page: &'a str,
    at: &'a str,
    ms: Option<f64>,
}

const DECODED: usize = 4096;

fn batch(payload: impl Fn(&mut Random) -> String) -> RecordBatch {
    let (mut random, mut records) = (Random(11), RecordBatch::default());
    for i in 0..DECODED {
        let span = records.push_bytes(payload(&mut random).as_bytes());
        records.entries.push(Entry::plain(i as u64, span));
    }
    records
}

/// About 300 bytes of which four fields are read.
fn flat(random: &mut Random) -> String {
    let r = random.next();
    format!(
        r#"{{"id":"{r:016x}","user":{},"session":"{:032x}","agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101","page":"/shop/{}","status":200,"at":"2026-11-{:02}T{:02}:15:07Z","referrer":"https://example.org/list?page={}","ms":{}.5,"bytes":{},"tags":["a","b"],"secure":true}}"#,
        r % 100_000,
        u128::from(r) << 32,
        r % 997,
        1 + r % 28,
        r % 24,
        r % 50,
        r % 900,
        r % 70_000,
    )
}

/// The same between objects within objects, about a kilobyte.
fn nested(random: &mut Random) -> String {
    let inner = flat(random);
    let head = &inner[..inner.len() - 1];
    format!(
        r#"{head},"actor":{{"id":7,"urls":{{"self":"https://example.org/u/7","org":{{"id":1,"names":["x","y",{{"z":[1,2,3]}}]}}}}}},"payload":{{"commits":[{{"sha":"{:040x}","message":"one \"two\" three","author":{{"name":"n","email":"e@example.org"}}}},{{"sha":"{:040x}","message":"four","author":{{"name":"n","email":"e@example.org"}}}}],"size":2}},"public":true}}"#,
        random.next(),
        random.next(),
    )
}

/// The four fields among twelve columns.
fn row(random: &mut Random) -> String {
    let r = random.next();
    format!(
        "{},/shop/{},2026-11-{:02}T{:02}:15:07Z,{}.5,200,{:032x},Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101,x,y,z,true,{r:016x}",
        r % 100_000,
        r % 997,
        1 + r % 28,
        r % 24,
        r % 900,
        u128::from(r) << 32,
    )
}

/// Sums what a decoder of this format makes of the records.
fn decode<T: SourceRecord + ?Sized>(format: Format, records: &RecordBatch) -> impl FnMut() -> usize {
    let mut decoder = T::decoder(format, None).expect("a decoder");
    let (mut times, mut bad) = (Vec::new(), Vec::new());
    move || {
        decoder.decode(black_box(records), &mut times, &mut bad);
        assert!(bad.is_empty(), "{}", bad[0].reason);
        let chunk = decoder.chunk(0..records.entries.len());
        chunk.downcast_ref::<T::Chunk>().expect("a chunk").len()
    }
}

fn decoding() {
    for (name, payload) in [
        ("JSON, 4 flat fields", flat as fn(&mut Random) -> String),
        ("JSON, 4 fields among nested ones", nested),
    ] {
        let records = batch(payload);
        let size = records.bytes.len() / DECODED;
        contest(format!("decode {name}, {size} bytes, a record"), DECODED as u64)
            .contender("a decoder of records", decode::<Click>(Format::JsonLines, &records))
            .contender("serde_json into a borrowed struct", || {
                let values = records.entries.iter().filter_map(|e| records.value(e));
                let clicks = values.filter_map(|v| serde_json::from_slice::<Borrowed<'_>>(v).ok());
                clicks
                    .map(|c| c.user as usize + c.page.len() + c.at.len() + c.ms.map_or(0, |ms| ms as usize))
                    .sum::<usize>()
            })
            .at_most_ns(if size < 400 { 400.0 } else { f64::INFINITY })
            .run();
    }
}

fn rows() {
    let records = batch(row);
    let json = batch(flat);
    let size = records.bytes.len() / DECODED;
    let csv = |text: &str| text.parse::<Format>().expect("a format");
    let names = csv("csv(user,page,at,ms,,,,,,,,)");
    let mut quoted = RecordBatch::default();
    for e in &records.entries {
        let value = records.value(e).unwrap_or_default();
        let text = String::from_utf8_lossy(value).replace(",x,", ",\"x\",");
        let span = quoted.push_bytes(text.as_bytes());
        quoted.entries.push(Entry { value: span, ..*e });
    }
    contest(
        format!("decode CSV, 4 of 12 columns, {size} bytes, a record"),
        DECODED as u64,
    )
    .contender("a decoder of records", decode::<Click>(names, &records))
    .contender("the same with a quoted column", decode::<Click>(names, &quoted))
    .run();
    let mut keyed = json.clone();
    for i in 0..keyed.entries.len() {
        keyed.entries[i].key = keyed.push_bytes(format!("user-{i}").as_bytes());
        keyed.entries[i].headers = keyed.push_headers([("tenant", Some(&b"blue"[..]))].into_iter()).0;
    }
    contest("decode JSON with key and header, a record", DECODED as u64)
        .contender("messages", decode::<Message<Click>>(Format::JsonLines, &keyed))
        .contender("records", decode::<Click>(Format::JsonLines, &json))
        .contender("messages of text", decode::<Message<str>>(Format::Text, &keyed))
        .contender("text", decode::<str>(Format::Text, &json))
        .run();
}

fn main() {
    words();
    windows();
    steps();
    planning();
    decoding();
    rows();
}
