//! The plan against plain collections, and what it refuses.

use std::collections::BTreeMap;

use crate::*;
use rufous_algebra::Codec;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
const LENGTHS: Store<u64, u64> = Store::new("lengths");
const RARE: Store<String, u64> = Store::new("rare");

fn totals(job: &Job, lines: &[&str]) -> BTreeMap<String, BTreeMap<Vec<u8>, u64>> {
    let plan = job.plan().unwrap();
    let mut run = plan.instantiate();
    let mut chunk = TextChunk::default();
    for (i, line) in lines.iter().enumerate() {
        chunk.push(line);
        let meta = ChunkMeta {
            source: 0,
            partition: i as u32 % 2,
            batch: BatchId(i as i64 / 3),
        };
        run.push(&meta, &mut chunk).unwrap();
        chunk.clear();
    }
    let mut all = BTreeMap::new();
    for (store, deltas) in plan.stores().iter().zip(run.take(Vec::new()).unwrap()) {
        let sums: &mut BTreeMap<Vec<u8>, u64> = all.entry(store.name.to_string()).or_default();
        let mut last = None;
        deltas
            .for_each(&mut |d| {
                let here = Some((d.batch, d.key.to_vec(), d.source, d.partition));
                assert!(last < here, "sorted, each cell once");
                last = here;
                *sums.entry(d.key.to_vec()).or_default() += u64::decode(d.value).unwrap();
                Ok(())
            })
            .unwrap();
    }
    all
}

#[test]
fn a_diamond_runs_once_and_a_self_merge_doubles() {
    let words = LINES.read().keyed(|line, out| {
        for w in line.split(' ') {
            out.emit(w, 1)
        }
    });
    let lengths = words
        .clone()
        .pairs()
        .keyed(|(w, _), out| out.emit(w.len() as u64, 1))
        .merge(words.clone().pairs().keyed(|(w, _), out| out.emit(w.len() as u64, 1)));
    let job = Job::new("diamond", (words.sum_by_key(COUNTS), lengths.sum_by_key(LENGTHS)));
    let lines = ["a bb a", "bb", "ccc a", "a", "bb a"];
    let got = totals(&job, &lines);
    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut by_length: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for w in lines.iter().flat_map(|l| l.split(' ')) {
        *counts.entry([w.as_bytes(), &[0]].concat()).or_default() += 1;
        *by_length.entry((w.len() as u64).to_be_bytes().to_vec()).or_default() += 2;
    }
    assert_eq!(got["counts"], counts);
    assert_eq!(got["lengths"], by_length);
}

#[test]
fn one_port_one_type() {
    let other: Store<String, i64> = Store::new("counts");
    let both = (
        LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS),
        LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(other),
    );
    let e = Job::new("twice", both).plan().err().unwrap();
    let e = e.to_string();
    assert!(
        e.starts_with("store `counts` is declared twice with different types (core/src/planner/tests.rs:"),
        "{e}"
    );
    let e = Job::new(
        "Bad name",
        LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS),
    )
    .plan()
    .err()
    .unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
}

#[test]
fn the_fingerprint_sees_graph_arguments_and_version() {
    let job = |n: u32, args: &str| {
        let lines = LINES.read();
        let lines = if n > 1 { lines.named("x") } else { lines };
        Job::new("j", lines.keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS)).arguments(args)
    };
    let print = |j: Job| j.plan().unwrap().fingerprint().to_string();
    assert_eq!(print(job(1, "a")), print(job(1, "a")));
    assert_ne!(print(job(1, "a")), print(job(2, "a")));
    assert_ne!(print(job(1, "a")), print(job(1, "b")));
    assert_ne!(print(job(1, "a")), print(job(1, "a").version(2)));
}

/// Names identify metrics, and survive rewriting: the filter runs before the step that was said before it.
#[test]
fn named_steps_count_what_comes_out() {
    let words = LINES
        .read()
        .keyed(|line, out| line.split(' ').for_each(|w| out.emit(w, 1)));
    let some = words
        .named("words")
        .map_values(|n| n + 1)
        .named("more")
        .filter_keys(|w| w != "a")
        .named("some");
    let plan = Job::new("named", some.sum_by_key(COUNTS)).plan().unwrap();
    assert!(plan.explain(None).contains("filter-keys-first"));
    let mut run = plan.instantiate();
    let mut chunk = TextChunk::default();
    ["a bb a", "bb", "ccc a"].iter().for_each(|line| chunk.push(line));
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    run.push(&meta, &mut chunk).unwrap();
    let counts: BTreeMap<&str, u64> = run.emitted().collect();
    assert_eq!(counts, BTreeMap::from([("words", 6), ("some", 3), ("more", 3)]));
}

/// What is drawn is what `explain` prints, node by node; counts of all its steps are those of lists.
#[test]
fn what_is_drawn_counts_what_passes() {
    let words = LINES
        .read()
        .keyed(|line, out| line.split(' ').for_each(|w| out.emit(w, 1)))
        .named("words");
    let rare = words.clone().filter_keys(|w| w != "a").map_values(|n| 2 * n);
    let plan = Job::new("drawn", (words.sum_by_key(COUNTS), rare.sum_by_key(RARE)))
        .plan()
        .unwrap();
    let mut run = plan.instantiate();
    let mut chunk = TextChunk::default();
    ["a bb a", "bb", "ccc a"].iter().for_each(|line| chunk.push(line));
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    run.push(&meta, &mut chunk).unwrap();
    let drawn = plan.drawn();
    let explained = plan.explain(None);
    let planned = explained.split("\nplan\n").nth(1).unwrap();
    for (place, (node, line)) in drawn.iter().zip(planned.lines()).enumerate() {
        let begin: Vec<_> = line.split_whitespace().take(2).collect();
        assert_eq!(begin, [place.to_string(), node.word.to_string()], "{line}");
    }
    let out = |node: &crate::Drawn| node.step.map(|step| run.passed()[step]);
    let found: Vec<_> = drawn
        .iter()
        .map(|n| (n.kind, n.about.as_str(), out(n), n.goes_on))
        .collect();
    assert_eq!(
        found,
        [
            ("source", "lines", None, true),
            ("flat_map", "", Some(6), true),
            ("sum", "counts", Some(0), false),
            ("filter", "", Some(3), true),
            ("map", "", Some(3), true),
            ("sum", "rare", Some(0), false),
        ]
    );
    let inputs: Vec<_> = drawn.iter().map(|n| n.inputs.clone()).collect();
    assert_eq!(inputs, [vec![], vec![0], vec![1], vec![1], vec![3], vec![4]]);
    // What stands several times in the input has come as often.
    let mut chunk = TextChunk::default();
    chunk.push("a bb");
    run.push_repeated(&meta, 5.try_into().unwrap(), &mut chunk).unwrap();
    assert_eq!(
        drawn
            .iter()
            .filter_map(|n| Some(run.passed()[n.step?]))
            .collect::<Vec<_>>(),
        [16, 0, 8, 8, 0]
    );
}

/// What a combiner hands on is counted as its own: once a key, however often it came.
#[test]
fn what_a_combiner_hands_on_is_counted() {
    let pairs = LINES
        .read()
        .keyed(|line, out| line.split(' ').for_each(|w| out.emit(w, 1)));
    let many = pairs.flat_map_keys(|w, out| ["x", "y"].iter().for_each(|p| out.emit(format!("{p}{w}").as_str())));
    let plan = Job::new("combined", many.sum_by_key(COUNTS)).plan().unwrap();
    let combiner = plan.drawn().iter().find(|n| n.kind == "combine").unwrap().clone();
    let mut run = plan.instantiate();
    let mut chunk = TextChunk::default();
    ["a bb a", "bb", "ccc a"].iter().for_each(|line| chunk.push(line));
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    run.push(&meta, &mut chunk).unwrap();
    run.take(Vec::new()).unwrap();
    assert_eq!(run.passed()[combiner.step.unwrap()], 3, "a, bb, ccc");
}
