//! No allocation per record on either job's path: counted. One test in this file, so that nothing else allocates.
#![allow(unsafe_code, reason = "a counting allocator is what this test is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rufous::core::{ChunkMeta, Entry, Executor, Format, Plan, RecordBatch, SourceDecoder};
use rufous::prelude::*;
use rufous_examples::flights::flights;
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::data;

struct Counting;
static COUNT: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it is; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Path {
    executor: Executor,
    decoder: Box<dyn SourceDecoder>,
    batches: Vec<RecordBatch>,
    records: u64,
}

impl Path {
    fn new(plan: &Plan, format: Format, lines: &[String]) -> Self {
        let mut batches = Vec::new();
        for (n, lines) in lines.chunks(1_000).enumerate() {
            let mut batch = RecordBatch::default();
            for (i, line) in lines.iter().enumerate() {
                let span = batch.push_bytes(line.as_bytes());
                batch.entries.push(Entry::plain((n * 1_000 + i) as u64, span));
            }
            batches.push(batch);
        }
        Self {
            executor: plan.instantiate(),
            decoder: plan.sources()[0].decoder(format).unwrap(),
            batches,
            records: lines.len() as u64,
        }
    }
    /// Allocations of one pass over all records.
    fn pass(&mut self) -> u64 {
        let (mut times, mut bad) = (Vec::with_capacity(1_000), Vec::new());
        let before = COUNT.load(Relaxed);
        for batch in &self.batches {
            self.decoder.decode(batch, &mut times, &mut bad);
            let meta = ChunkMeta {
                source: 0,
                partition: 0,
                batch: BatchId(1),
            };
            self.executor
                .push(&meta, self.decoder.chunk(0..batch.entries.len()))
                .unwrap();
        }
        assert!(bad.is_empty(), "{bad:?}");
        COUNT.load(Relaxed) - before
    }
}

/// Every step that can do without allocating. (`pairs`, `keys` and `swap` hand out keys of their own.)
fn every_step() -> Job {
    const LINES: Source<str> = Source::new("lines");
    const ONE: Store<String, u64> = Store::new("one");
    const TWO: Store<(u64, String), u64> = Store::new("two");
    const THREE: Store<u64, u64> = Store::new("three");
    const SEEN: Counter = Counter::new("seen");
    const LONG: Counter = Counter::new("long");
    let lines = LINES.read().filter(|line| !line.is_empty()).counted(SEEN);
    let words = lines
        .clone()
        .keyed(|line, out| {
            for word in line.split(['"', ':', ',']) {
                if word.len() > 8 {
                    out.count(LONG, 1);
                }
                out.emit(word, word.len() as u64);
            }
        })
        .counting([LONG])
        .filter_keys(|word| !word.is_empty())
        .filter_values(|n| *n < 40);
    let one = words.clone().map_values(|n| n + 1).sum_by_key(ONE);
    let two = words
        .clone()
        .flat_map_values(|n, out| (0..n % 3).for_each(|i| out.emit(i)))
        .keyed_pairs(|word, n, out| out.emit((*n, word.as_str()), 1_u64))
        .map_keys(|(n, word)| (n + 1, word.len() as u64))
        .flat_map_keys(|(n, len), out| out.emit((*n, if *len > 5 { "long" } else { "short" })))
        .sum_by_key(TWO);
    let three = lines
        .map(|line| line.len())
        .filter_map(|n| (n % 7 > 0).then_some(*n as u64))
        .flat_map(|n, out| (0..n % 4).for_each(|i| out.emit(i)))
        .key_by(|n| *n)
        .sum_by_key(THREE)
        .deltas()
        .map_keys(|n| n / 2);
    let four: Store<u64, u64> = Store::new("four");
    Job::new("every-step", (one, two, three.sum_by_key(four)))
}

#[test]
fn no_allocation_per_record() {
    let lines = data::sample_lines().unwrap();
    let flights = Path::new(&flights().plan().unwrap(), Format::JsonLines, &lines);
    let words = Path::new(&word_count(&Args { min_len: 1 }).plan().unwrap(), Format::Text, &lines);
    let steps = Path::new(&every_step().plan().unwrap(), Format::Text, &lines);
    for (name, mut path) in [("flights", flights), ("word count", words), ("every step", steps)] {
        let first = path.pass();
        let second = path.pass();
        // A histogram changes its form once, after 256 values; so until the rarest keys have had theirs.
        let passes = if name == "flights" { 300 } else { 3 };
        (0..passes).for_each(|_| {
            path.pass();
        });
        // Keys and sketches exist now, and have their full size: what a pass allocates is per record or per chunk.
        let later = path.pass();
        println!(
            "{name}: {first} allocations on the first pass over {} records, {second} on the second, {later} later",
            path.records
        );
        assert!(
            later * 1_000 < path.records,
            "{name}: {later} allocations for {} records",
            path.records
        );
    }
}
