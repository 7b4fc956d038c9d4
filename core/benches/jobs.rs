//! Whole jobs in memory beside loops written by hand; one erased step; planning.

#[path = "../../algebra/benches/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

use common::contest;
use rufous_core::{BatchId, Chunk, ChunkMeta, Executor, Job, KeyedProducer, Producer, Rules, Source, Store, TextChunk};
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

fn main() {
    words();
    steps();
    planning();
}
