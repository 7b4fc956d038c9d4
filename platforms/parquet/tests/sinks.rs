//! Sinks that are a part of each generation (O22), against plain lists: at every split into incremental runs, with several
//! threads, with little memory, behind operators, and over files that are taken whole.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rufous_algebra::Codec;
use rufous_core::sink::{Sinks, each_generation, files};
use rufous_core::{
    BatchId, Batcher, Clock, CutSpec, Entry, Format, Job, Plan, RecordBatch, Result, Sink, Source, SourcePartition,
    Store, Timestamp,
};
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput, WrittenTo, backfill};
use rufous_store_api::archive::INDEX_FORMAT;
use rufous_store_api::records::{Records, verify};
use rufous_store_api::{Archive, ArchivedFile, IndexEntry, Manifest, ManifestLog, WrittenId};
use rufous_store_memory::{MemoryGenerations, MemoryManifests};

const LINES: Source<str> = Source::new("lines").batches(Batcher::of_hours(1));
const COUNTS: Store<String, u64> = Store::new("counts");
const WORDS: Sink<String> = Sink::new("words");
const TOTALS: Sink<(String, u64)> = Sink::new("totals");
const HOUR: i64 = 3_600_000;

/// An archive of one source: a file a batch, made once.
struct Kept {
    files: BTreeMap<String, RecordBatch>,
    index: BTreeMap<u32, Vec<IndexEntry>>,
}

fn line(partition: u32, offset: u64) -> String {
    let words = (0..offset % 4).map(|n| format!("{partition}-{}", (offset * 7 + n) % 11));
    words.collect::<Vec<_>>().join(" ")
}

fn spec() -> String {
    CutSpec::new(Clock::Log, Batcher::of_hours(1)).text()
}

impl Kept {
    /// Partitions of `batches` batches each, with `per` records a batch, and one record that seals the last.
    fn new(partitions: u32, batches: u64, per: u64) -> Self {
        let (mut files, mut index) = (BTreeMap::new(), BTreeMap::new());
        for p in 0..partitions {
            let mut entries = Vec::new();
            for b in 0..=batches {
                let (from, to) = (b * per, if b == batches { b * per + 1 } else { (b + 1) * per });
                let mut records = RecordBatch {
                    partition: p,
                    next: to,
                    ..RecordBatch::default()
                };
                for offset in from..to {
                    let value = records.push_bytes(line(p, offset).as_bytes());
                    records.entries.push(Entry {
                        time_ms: b as i64 * HOUR,
                        ..Entry::plain(offset, value)
                    });
                }
                let file = ArchivedFile {
                    path: format!("{p}-{b}"),
                    batch: BatchId(b as i64),
                    from,
                    to,
                    rows: to - from,
                    bytes: 1,
                    checksum: "0".repeat(16),
                };
                files.insert(file.path.clone(), records);
                entries.push(IndexEntry {
                    format: INDEX_FORMAT,
                    from,
                    to,
                    batch_before: if b == 0 { BatchId::MIN } else { BatchId(b as i64 - 1) },
                    files: vec![file],
                    cuts: vec![(BatchId(b as i64), from)],
                    hole: None,
                    topic_id: String::new(),
                    leader_epoch: -1,
                    cut_spec: spec(),
                });
            }
            index.insert(p, entries);
        }
        Self { files, index }
    }
}

impl Archive for Kept {
    fn source(&self) -> &str {
        LINES.name()
    }
    fn partitions(&self) -> Result<Vec<u32>> {
        Ok(self.index.keys().copied().collect())
    }
    fn index(&self, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
        Ok(self.index[&partition].iter().skip(from as usize).cloned().collect())
    }
    fn write(&self, _: u32, _: BatchId, _: Range<u64>, _: &[(&RecordBatch, Range<usize>)]) -> Result<ArchivedFile> {
        unreachable!("a run writes no archive")
    }
    fn commit(&self, _: u32, _: u64, _: &IndexEntry) -> Result<bool> {
        unreachable!("a run writes no archive")
    }
    fn read(&self, _: u32, file: &ArchivedFile, f: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        // In pieces, so that chunks end anywhere.
        let all = &self.files[&file.path];
        for some in all.entries.chunks(5) {
            let mut piece = all.clone();
            piece.entries = some.to_vec();
            f(&piece)?;
        }
        Ok(())
    }
}

const RUNNING: Store<String, u64> = Store::new("running");

/// Words of lines, counted and written.
fn words() -> Job {
    let lines = LINES.read();
    let counts = lines.clone().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let words = lines.flat_map(|line, out| {
        for word in line.split_whitespace() {
            out.emit(word.to_string());
        }
    });
    Job::new("words", (counts, words.write(WORDS)))
}

/// Running totals of words, which stay in their partition, after each of them.
fn totals() -> Job {
    let words = LINES.read().keyed(|line, out| {
        for word in line.split_whitespace() {
            out.emit(word, 1);
        }
    });
    let totals = words.within_partition().scan_by_key(RUNNING).pairs();
    Job::new("totals", totals.write(TOTALS))
}

fn in_bulk(job: Job) -> Plan {
    let mut plan = job.plan().unwrap();
    let mut sinks = Sinks::new();
    sinks.bind(WORDS, &each_generation());
    sinks.bind(TOTALS, &each_generation());
    plan.write_in_bulk(&sinks).unwrap();
    plan
}

/// All words below these batches, by a loop.
fn expected_words(partitions: u32, offsets: u64) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for p in 0..partitions {
        for offset in 0..offsets {
            let line = line(p, offset);
            let words = line.split_whitespace().enumerate();
            all.extend(words.map(|(i, word)| (format!("lines/{p}/{offset}/{i}"), word.to_string())));
        }
    }
    all
}

/// The same with how often each word came so far in its partition.
fn expected_totals(partitions: u32, offsets: u64) -> Vec<(String, (String, u64))> {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let words = expected_words(partitions, offsets).into_iter();
    words
        .map(|(id, word)| {
            let n = seen.entry(word.clone()).or_default();
            *n += 1;
            (id, (word, *n))
        })
        .collect()
}

/// A data directory in memory.
struct World {
    plan: Plan,
    archive: Arc<Kept>,
    manifests: MemoryManifests,
    generations: MemoryGenerations,
}

impl World {
    fn new(plan: Plan, archive: Arc<Kept>) -> Self {
        let world = Self {
            plan,
            archive,
            manifests: MemoryManifests::default(),
            generations: MemoryGenerations::default(),
        };
        let first = backfill::first(&world.plan, &world.inputs(), None, "line", Timestamp(0)).unwrap();
        world.manifests.publish(&first).unwrap();
        world
    }
    fn inputs(&self) -> BTreeMap<String, BulkInput> {
        let input = BulkInput::Archive {
            archive: self.archive.clone(),
            format: Format::Text,
            cut_spec: spec(),
        };
        BTreeMap::from([(LINES.name().to_string(), input)])
    }
    fn run(&self, until: Option<u64>, threads: usize, memory: usize) -> Result<BatchReport> {
        let run = BatchRun {
            plan: &self.plan,
            inputs: self.inputs(),
            manifests: &self.manifests,
            generations: &self.generations,
            options: BatchOptions {
                until: until.map(|b| BatchId(b as i64)),
                threads,
                memory,
                ..BatchOptions::default()
            },
        };
        run.run()
    }
    fn read<T: Codec>(&self, sink: Sink<T>, manifest: &Manifest) -> Vec<(String, T)> {
        let generation = &manifest.sinks[sink.name()];
        verify(&self.generations, sink.name(), generation).unwrap();
        let mut records = Records::open(&self.generations, sink.name(), generation, None).unwrap();
        let mut all = Vec::new();
        while let Some((id, record)) = records.next_record().unwrap() {
            all.push((
                WrittenId::from_bytes(id).unwrap().to_string(),
                T::decode(record).unwrap(),
            ));
        }
        assert_eq!(all.len() as u64, generation.records());
        all
    }
}

const BATCHES: u64 = 4;

/// Equation 2 for sinks: at every split into incremental runs each generation has what one run has, which is the fold over the log
/// below its frontier, each record once and in order; older generations stay what they were.
#[test]
fn every_split_is_one_run() {
    let (partitions, per) = (3, 40);
    let archive = Arc::new(Kept::new(partitions, BATCHES, per));
    for splits in 0..1u64 << (BATCHES - 1) {
        for threads in [1, 3] {
            let words = World::new(in_bulk(words()), archive.clone());
            let totals = World::new(in_bulk(totals()), archive.clone());
            let ends = (1..=BATCHES).filter(|b| *b == BATCHES || splits & (1 << (b - 1)) != 0);
            let mut published = Vec::new();
            for end in ends {
                let (w, t) = (
                    words.run(Some(end), threads, 1 << 30).unwrap(),
                    totals.run(Some(end), threads, 1 << 30).unwrap(),
                );
                assert!(w.published && t.published && w.manifest.format == 3);
                published.push((end, w.manifest, t.manifest));
            }
            assert!(
                !words.run(Some(BATCHES), threads, 1 << 30).unwrap().published,
                "done again it changes nothing"
            );
            for (end, w, t) in &published {
                let offsets = end * per;
                assert_eq!(
                    words.read(WORDS, w),
                    expected_words(partitions, offsets),
                    "{splits:b} until {end}"
                );
                assert_eq!(
                    totals.read(TOTALS, t),
                    expected_totals(partitions, offsets),
                    "{splits:b} until {end}"
                );
            }
        }
    }
}

/// What outgrows memory goes to files for a while, and is written in order all the same; what is large becomes several files.
#[test]
fn little_memory_is_enough() {
    let (partitions, per) = (2, 4_000);
    let archive = Arc::new(Kept::new(partitions, BATCHES, per));
    let world = World::new(in_bulk(words()), archive);
    let report = world.run(None, 2, 0).unwrap();
    let expected = expected_words(partitions, BATCHES * per);
    assert_eq!(report.written[WORDS.name()], expected.len() as u64);
    assert_eq!(world.read(WORDS, &report.manifest), expected);
}

/// After a panic what was written is written again: of the records that panic nothing is there, of all others each once.
#[test]
fn records_that_panic_leave_nothing() {
    rufous_core::panics::keep_quiet();
    let job = || {
        let lines = LINES.read();
        let counts = lines.clone().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
        let words = lines.flat_map(|line, out| {
            for word in line.split_whitespace() {
                out.emit(word.to_string());
                assert!(!word.ends_with("-7"), "no such word");
            }
        });
        Job::new("panics", (counts, words.write(WORDS)))
    };
    for (per, memory) in [(40, 1 << 30), (4_000, 0)] {
        let archive = Arc::new(Kept::new(2, BATCHES, per));
        for threads in [1, 3] {
            let world = World::new(in_bulk(job()), archive.clone());
            let run = BatchRun {
                plan: &world.plan,
                inputs: world.inputs(),
                manifests: &world.manifests,
                generations: &world.generations,
                options: BatchOptions {
                    threads,
                    memory,
                    skip_bad: true,
                    ..BatchOptions::default()
                },
            };
            let report = run.run().unwrap();
            let mut expected = Vec::new();
            for (p, offset) in (0..2).flat_map(|p| (0..BATCHES * per).map(move |offset| (p, offset))) {
                let line = line(p, offset);
                if line.split_whitespace().any(|word| word.ends_with("-7")) {
                    continue;
                }
                let words = line.split_whitespace().enumerate();
                expected.extend(words.map(|(i, word)| (format!("lines/{p}/{offset}/{i}"), word.to_string())));
            }
            assert!(report.bad > 0);
            assert_eq!(world.read(WORDS, &report.manifest), expected, "{per} {threads}");
        }
    }
}

/// A generation without the records of those before it would not be what it says: it is refused. Records of another type are, too.
#[test]
fn a_base_that_lacks_records_is_refused() {
    let archive = Arc::new(Kept::new(1, 2, 10));
    let mut world = World::new(words().plan().unwrap(), archive.clone());
    world.run(Some(1), 1, 1 << 30).unwrap();
    world.plan = in_bulk(words());
    let e = world.run(None, 1, 1 << 30).unwrap_err().to_string();
    assert!(
        e.contains("sink `words`") && e.contains("generation 1 was made without it") && e.contains("backfill"),
        "{e}"
    );
    // From the beginning on it is fine, and who binds it no more is told.
    let mut world = World::new(words().plan().unwrap(), archive);
    world.plan = in_bulk(words());
    let report = world.run(Some(1), 1, 1 << 30).unwrap();
    assert_eq!(world.read(WORDS, &report.manifest), expected_words(1, 10));
    let mut other = report.manifest.clone();
    other.number += 1;
    other.sinks.get_mut(WORDS.name()).unwrap().schema = "u64".into();
    let fine = world.manifests.clone();
    world.manifests = MemoryManifests::default();
    world.manifests.publish(&other).unwrap();
    let e = world.run(None, 1, 1 << 30).unwrap_err().to_string();
    assert!(
        e.contains("holds `u64` in generation 2") && e.contains("the job writes"),
        "{e}"
    );
    world.manifests = fine;
    world.plan = words().plan().unwrap();
    let report = world.run(None, 1, 1 << 30).unwrap();
    let said = report.notes.join("\n");
    assert!(
        said.contains("generation 1 has") && said.contains("later ones have none"),
        "{said}"
    );
    assert!(report.manifest.sinks.is_empty() && report.manifest.format == 1);
}

/// O22: one layer writes a sink.
#[test]
fn one_layer_writes() {
    let mut sinks = Sinks::new();
    sinks.bind(WORDS, &files("there"));
    sinks.bind(WORDS, &files("elsewhere"));
    sinks.check_layers().unwrap();
    sinks.bind(WORDS, &each_generation());
    let e = words().plan().unwrap().write_in_bulk(&sinks).unwrap_err().to_string();
    assert_eq!(
        e,
        "sink `words` is bound in both layers: each record would be written twice; keep one"
    );
}

fn bounded(plan: &Plan, world: (&MemoryManifests, &MemoryGenerations), files: &[&Path]) -> Result<BatchReport> {
    let input = BulkInput::files(files.iter().map(|f| f.to_path_buf()), Format::Text);
    let run = BatchRun {
        plan,
        inputs: BTreeMap::from([(LINES.name().to_string(), input)]),
        manifests: world.0,
        generations: world.1,
        options: BatchOptions::default(),
    };
    run.run()
}

/// Over files that are taken whole an id names the file by its number and the place in it. New files are added; when one is
/// another one now, all is written anew.
#[test]
fn files_that_are_taken_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = |n: usize| dir.path().join(format!("{n}.txt"));
    let texts = ["a b\n\nc\n", "b\n", "d d d\n"];
    let mut expected = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        std::fs::write(path(n), text).unwrap();
        let mut at = 0;
        for line in text.lines() {
            for (i, word) in line.split_whitespace().enumerate() {
                expected.push((format!("lines/{n}/{at}/{i}"), word.to_string()));
            }
            at += line.len() + 1;
        }
    }
    let archive = Arc::new(Kept::new(1, 1, 1));
    let world = World::new(in_bulk(words()), archive);
    let (manifests, paths) = (MemoryManifests::default(), [path(0), path(1), path(2)]);
    let paths: Vec<&Path> = paths.iter().map(|p| p.as_path()).collect();
    let at = (&manifests, &world.generations);
    let first = bounded(&world.plan, at, &paths[..2]).unwrap().manifest;
    assert_eq!(world.read(WORDS, &first), expected[..4]);
    let second = bounded(&world.plan, at, &paths).unwrap().manifest;
    assert_eq!(world.read(WORDS, &second), expected);
    assert_eq!(
        second.sinks[WORDS.name()].files[..first.sinks[WORDS.name()].files.len()],
        first.sinks[WORDS.name()].files
    );
    std::fs::write(path(1), "other words\n").unwrap();
    let third = bounded(&world.plan, at, &paths).unwrap().manifest;
    let words: Vec<_> = world.read(WORDS, &third).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["a", "b", "c", "other", "words", "d", "d", "d"]);
    // A live part that would write it does not exist.
    let live = self::words().plan().unwrap();
    let e = bounded(&live, (&MemoryManifests::default(), &world.generations), &paths).unwrap_err();
    assert!(e.to_string().contains("each_generation()"), "{e}");
}

/// O25: a run goes on for hours, and meanwhile a sink that was given up is taken up again. What it had when the run was planned says
/// nothing of what it has now: the permission stays where it was.
#[test]
fn the_permission_is_asked_for_when_a_generation_is_published() {
    for last in [Some(u64::MAX), Some(0), None] {
        let world = World::new(words().plan().unwrap(), Arc::new(Kept::new(1, BATCHES, 40)));
        let asked = Arc::new(AtomicUsize::new(0));
        let written_to = WrittenTo::asking(move || {
            let now = if asked.fetch_add(1, Relaxed) == 0 {
                Some(u64::MAX)
            } else {
                last
            };
            now.map(|to| BTreeMap::from([(SourcePartition::new(LINES.name(), 0), to)]))
        });
        let run = BatchRun {
            plan: &world.plan,
            inputs: world.inputs(),
            manifests: &world.manifests,
            generations: &world.generations,
            options: BatchOptions {
                keep: 0,
                written_to: Some(written_to),
                ..BatchOptions::default()
            },
        };
        let report = run.run().unwrap();
        let permitted = |m: &Manifest| {
            let frontier = m.drop_before.values().next().cloned().unwrap_or_default();
            frontier.of(&SourcePartition::new(LINES.name(), 0)).cut
        };
        let raised = last == Some(u64::MAX);
        assert!(report.published);
        assert_eq!(permitted(&report.manifest) > 0, raised, "{last:?}");
        let said = report.notes.iter().any(|note| note.contains("cells stay"));
        assert_eq!(said, !raised, "{:?}", report.notes);
        assert_eq!(
            world.manifests.newest(0).unwrap(),
            Some(report.manifest),
            "what is reported is what is there"
        );
    }
}
