//! Files of lines, taken whole: the answers of a live run over the same files byte for byte, and of plain code; bad records by
//! file and line; torn files (issue 7, items 1 and 8; P8a).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rufous::core::{Batcher, Format, Plan};
use rufous::prelude::*;
use rufous_examples::flights::flights;
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::data;
use rufous_integration_tests::run::{self, Bytes, Random, State, assert_same};
use rufous_platform_parquet::input::listing::files;
use rufous_platform_parquet::input::local::LocalFiles;
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput, InputFile};

fn listed(dir: &Path) -> Result<Vec<InputFile>> {
    let storage: Arc<dyn rufous_platform_parquet::input::storage::Storage> = Arc::new(LocalFiles);
    Ok(files(&storage, dir, "")?)
}

fn bulk(plan: &Plan, state: &State, dir: &Path, format: Format, skip_bad: bool) -> Result<BatchReport> {
    let input = BulkInput::Files {
        files: listed(dir)?,
        format,
    };
    let run = BatchRun {
        plan,
        inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), input)]),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            threads: 3,
            skip_bad,
            ..BatchOptions::default()
        },
    };
    Ok(run.run()?)
}

fn live(plan: &Plan, dir: &Path, registry: &Path, format: Format) -> Result<Bytes> {
    let state = State::memory(plan);
    state.stream(plan, run::local(dir, registry, format)?)?;
    state.answers(plan)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes)?;
    Ok(out.finish()?)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// The same files plain, mixed with packed ones, and in nested directories, each in a directory of its own.
fn dressed(dir: &Path, parts: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>> {
    let all: Vec<_> = ["plain", "packed", "nested"].iter().map(|d| dir.join(d)).collect();
    for (n, (name, bytes)) in parts.iter().enumerate() {
        let packed = match n % 3 {
            0 => (format!("{name}.gz"), gzip(bytes)?),
            1 => (format!("{name}.zst"), zstd(bytes)),
            _ => (name.clone(), bytes.clone()),
        };
        for (path, bytes) in [
            (all[0].join(name), bytes),
            (all[1].join(&packed.0), &packed.1),
            (all[2].join(format!("d{n}/e/{name}")), bytes),
        ] {
            fs::create_dir_all(path.parent().context("a parent")?)?;
            fs::write(path, bytes)?;
        }
    }
    // What engines leave beside their files.
    fs::write(all[2].join("_SUCCESS"), "no record")?;
    fs::write(all[2].join("d0/.hidden"), "no record")?;
    Ok(all)
}

/// Bulk over each dress is live over the plain one.
fn same(plan: &Plan, parts: &[(String, Vec<u8>)], format: Format) -> Result<Bytes> {
    let dir = tempfile::tempdir()?;
    let dresses = dressed(dir.path(), parts)?;
    let expected = live(plan, &dresses[0], &dir.path().join("registry"), format)?;
    for dress in dresses {
        let state = State::memory(plan);
        let report = bulk(plan, &state, &dress, format, false)?;
        ensure!(report.published && report.bad == 0);
        assert_same(&dress.display().to_string(), &state.answers(plan)?, &expected);
        ensure!(!bulk(plan, &state, &dress, format, false)?.published, "nothing is new");
    }
    Ok(expected)
}

fn parts(lines: &[String], n: usize, ending: &str, before: &str) -> Vec<(String, Vec<u8>)> {
    let part = |(i, some): (usize, &[String])| {
        let text: String = some.iter().map(|l| format!("{l}\n")).collect();
        (format!("part-{i:02}.{ending}"), format!("{before}{text}").into_bytes())
    };
    lines.chunks(lines.len().div_ceil(n)).enumerate().map(part).collect()
}

#[test]
fn text() -> Result<()> {
    let mut random = Random(71);
    let line = |random: &mut Random| {
        let words = 1 + random.below(9);
        (0..words)
            .map(|_| format!("w{}x ", random.below(500)).replace(char::is_numeric, "ü"))
            .collect::<String>()
    };
    let mut lines: Vec<String> = (0..30_000).map(|_| line(&mut random)).collect();
    lines[17] = "a".repeat(700_000) + " b\r";
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let answers = same(&plan, &parts(&lines, 7, "txt", "\u{feff}"), Format::Text)?;
    let mut expected = BTreeMap::<String, u64>::new();
    for word in lines
        .iter()
        .flat_map(|l| l.split(|c: char| !c.is_alphabetic()))
        .filter(|w| !w.is_empty())
    {
        *expected.entry(word.to_lowercase()).or_default() += 1;
    }
    let face = plan.stores()[0];
    ensure!(answers.len() == expected.len());
    for (key, value) in answers {
        ensure!(face.value.json(&value)?.as_u64() == expected.get(&face.key.text(&key)?).copied());
    }
    Ok(())
}

/// The flights sample as JSON lines, as CSV with a header line, and as tab-separated columns: one answer, which is Parquet's.
#[test]
fn one_answer_in_every_format() -> Result<()> {
    let lines = data::sample_lines()?;
    let plan = flights().plan()?;
    let json = same(&plan, &parts(&lines, 4, "jsonl", "\r\n \n"), Format::JsonLines)?;
    let columns = ["date", "delay", "distance", "origin", "destination"];
    let rows = |delimiter: &str| -> Result<Vec<String>> {
        let row = |line: &String| -> Result<String> {
            let value: serde_json::Value = serde_json::from_str(line)?;
            let text = |c: &&str| match &value[*c] {
                serde_json::Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            Ok(columns.iter().map(text).collect::<Vec<_>>().join(delimiter))
        };
        lines.iter().map(row).collect()
    };
    let header = format!("\u{feff}{}\r\n", columns.join(","));
    let csv = same(&plan, &parts(&rows(",")?, 4, "csv", &header), "csv-header".parse()?)?;
    assert_same("csv", &csv, &json);
    let named = format!("tsv({})", columns.join(","));
    let tsv = same(&plan, &parts(&rows("\t")?, 3, "tsv", ""), named.parse()?)?;
    assert_same("tsv", &tsv, &json);
    let state = State::memory(&plan);
    let sample = [1, 2].map(|n| data::sample(&format!("flights-sample-{n}.parquet")));
    state.bulk(&plan, BulkInput::parquet(sample), None)?;
    assert_same("parquet", &state.answers(&plan)?, &json);
    Ok(())
}

const PLACED: Source<Message<str>> = Source::new("placed").batches(Batcher::of_offsets(1_000));
const PLACES: Store<(u32, u64, String), u64> = Store::new("places");

/// What a log knows beside the value, partition and offset, is the same in bulk.
#[test]
fn places_of_records() -> Result<()> {
    let keyed = PLACED.read().keyed(|m, out| {
        out.emit((m.partition(), m.offset(), m.value().unwrap_or_default()), 1);
    });
    let plan = Job::new("places", keyed.sum_by_key(PLACES)).plan()?;
    let lines: Vec<String> = (0..5_000).map(|i| "x".repeat(i % 23)).collect();
    let answers = same(&plan, &parts(&lines, 4, "txt", "\u{feff}"), Format::Text)?;
    ensure!(answers.len() == lines.len());
    Ok(())
}

const LINES: Source<str> = Source::new("lines").batches(Batcher::of_offsets(500));
const COUNTS: Store<String, u64> = Store::new("counts");

fn counting() -> Result<Plan> {
    let keyed = LINES.read().keyed(|line, out| {
        assert!(!line.starts_with("poison"), "will not count {line}");
        out.emit(line, 1);
    });
    Ok(Job::new("lines", keyed.sum_by_key(COUNTS)).plan()?)
}

/// Rows 15, 16: bad records are named by file and line, wherever the file is cut into pieces; skipped, the rest is counted.
#[test]
fn bad_records_by_file_and_line() -> Result<()> {
    let plan = counting()?;
    let line = |i: u64| format!("{:0100} {}", i * i, i % 9);
    // 20 MB: three pieces.
    let n = 190_000_u64;
    for bad in [0, 1, 90_001, 150_000, n - 1] {
        for poison in [&b"poison"[..], b"\xff\xfe"] {
            let dir = tempfile::tempdir()?;
            let mut bytes = Vec::new();
            for i in 0..n {
                match i == bad {
                    true => bytes.extend_from_slice(poison),
                    false => bytes.extend_from_slice(line(i).as_bytes()),
                }
                bytes.push(b'\n');
            }
            fs::write(dir.path().join("a.txt"), "fine\n")?;
            fs::write(dir.path().join("b.txt"), bytes)?;
            let state = State::memory(&plan);
            let e = bulk(&plan, &state, dir.path(), Format::Text, false)
                .unwrap_err()
                .to_string();
            ensure!(
                e.contains(&format!("b.txt, line {}: ", bad + 1)),
                "line {}: {e}",
                bad + 1
            );
            ensure!(state.manifests.newest(0)?.is_none(), "nothing is published");
            if bad == 90_001 {
                let report = bulk(&plan, &state, dir.path(), Format::Text, true)?;
                ensure!((report.bad, report.records) == (1, n + 1), "{report:?}");
                ensure!(state.answers(&plan)?.len() as u64 == n);
            }
        }
    }
    Ok(())
}

/// What people see flow (issue 11): records of the source, bad ones, and what came out of every step, as plain loops count them, whatever the threads,
/// and though pieces are read again after a panic in the middle of them. What combines before it hands on counts its own.
#[test]
fn what_flows_is_counted_once() -> Result<()> {
    const WORDS: Store<String, u64> = Store::new("words");
    const LONG: Store<String, u64> = Store::new("long");
    let words = LINES.read().keyed(|line, out| {
        assert!(!line.contains("poison"), "will not split {line}");
        line.split(' ').for_each(|word| out.emit(word, 1));
    });
    let long = words.clone().filter_keys(|word| word.len() > 3).map_values(|n| 2 * n);
    let plan = Job::new("flows", (words.sum_by_key(WORDS), long.sum_by_key(LONG))).plan()?;
    let line = |i: u64| format!("{} {} a", i % 10_007, i * i % 977);
    let dir = tempfile::tempdir()?;
    let (mut bytes, mut read, mut bad, mut split, mut kept) = (Vec::new(), 0_u64, 0_u64, 0_u64, 0_u64);
    for i in 0..400_000 {
        read += 1;
        let text = if i % 130_000 == 77 {
            "of poison".to_string()
        } else {
            line(i)
        };
        writeln!(bytes, "{text}")?;
        if text.contains("poison") {
            bad += 1;
            continue;
        }
        split += text.split(' ').count() as u64;
        kept += text.split(' ').filter(|word| word.len() > 3).count() as u64;
    }
    fs::write(dir.path().join("a.txt"), bytes)?;
    for threads in [1, 3] {
        let state = State::memory(&plan);
        let options = BatchOptions {
            threads,
            skip_bad: true,
            ..BatchOptions::default()
        };
        let progress = options.progress.clone();
        ensure!(progress.passed().is_empty() && progress.read().is_empty());
        let input = BulkInput::Files {
            files: listed(dir.path())?,
            format: Format::Text,
        };
        let run = BatchRun {
            plan: &plan,
            inputs: BTreeMap::from([("lines".to_string(), input)]),
            manifests: &*state.manifests,
            generations: &*state.generations,
            options,
        };
        let report = run.run()?;
        ensure!((report.records, report.bad) == (read, bad), "{report:?}");
        ensure!(
            (progress.read(), progress.bad()) == (vec![read], vec![bad]),
            "{progress:?}"
        );
        ensure!(progress.rows.load(std::sync::atomic::Ordering::Relaxed) == read);
        let passed = progress.passed();
        let out = |kind: &str| {
            let node = plan.drawn().iter().find(|node| node.kind == kind);
            let step = node
                .and_then(|node| node.step)
                .with_context(|| format!("no step {kind}"))?;
            passed
                .get(step)
                .copied()
                .with_context(|| format!("step {step} of {passed:?}"))
        };
        ensure!(out("flat_map")? == split, "{threads} threads: {passed:?}, {split}");
        ensure!(
            (out("filter")?, out("map")?, out("sum")?) == (kept, kept, 0),
            "{threads} threads: {passed:?}, {kept}"
        );
    }
    Ok(())
}

/// A backfill is one run after the other: what flows goes on over them, and a run that others were faster than is taken back when the next
/// one begins, for it reads the same again.
#[test]
fn what_flows_goes_on_over_runs() -> Result<()> {
    let words = LINES
        .read()
        .keyed(|line, out| line.split(' ').for_each(|word| out.emit(word, 1)));
    let plan = Job::new("flows", words.sum_by_key(COUNTS)).plan()?;
    let dir = tempfile::tempdir()?;
    let state = State::memory(&plan);
    let run = |options: BatchOptions| -> Result<BatchRun<'_>> {
        let input = BulkInput::Files {
            files: listed(dir.path())?,
            format: Format::Text,
        };
        Ok(BatchRun {
            plan: &plan,
            inputs: BTreeMap::from([("lines".to_string(), input)]),
            manifests: &*state.manifests,
            generations: &*state.generations,
            options,
        })
    };
    let shared = BatchOptions::default();
    let progress = shared.progress.clone();
    let flowed = || (progress.read(), progress.passed().into_iter().sum::<u64>());
    fs::write(dir.path().join("a.txt"), "a b\nc\n".repeat(500))?;
    run(shared.clone())?.run()?;
    ensure!(flowed() == (vec![1_000], 1_500), "{:?}", flowed());
    // Another one publishes what this one has planned.
    fs::write(dir.path().join("b.txt"), "d e f\n".repeat(70))?;
    let beaten = run(shared.clone())?;
    let planned = beaten.plan()?;
    run(BatchOptions::default())?.run()?;
    ensure!(beaten.execute(planned)?.is_none(), "it was published twice");
    fs::write(dir.path().join("c.txt"), "g h\n".repeat(30))?;
    let report = run(shared)?.run()?;
    ensure!(report.records == 30, "{report:?}");
    ensure!(flowed() == (vec![1_030], 1_560), "{:?}", flowed());
    Ok(())
}

/// Item 8: a packed file that is cut off, a file that is gone: an error with its name, and the old generation is served on.
#[test]
fn torn_files_publish_nothing() -> Result<()> {
    let plan = counting()?;
    let dir = tempfile::tempdir()?;
    let input = dir.path().join("in");
    fs::create_dir(&input)?;
    let text: String = (0..50_000).map(|i| format!("{}\n", i % 70)).collect();
    fs::write(input.join("a.txt"), &text)?;
    let state = State::disk(&plan, &dir.path().join("state"))?;
    bulk(&plan, &state, &input, Format::Text, false)?;
    let before = state.answers(&plan)?;
    ensure!(before.len() == 70);
    for (name, whole) in [
        ("b.txt.gz", gzip(text.as_bytes())?),
        ("b.txt.zst", zstd(text.as_bytes())),
    ] {
        for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
            fs::write(input.join(name), &whole[..cut])?;
            // Skipping is for records: what a torn file lost is no record.
            let e = bulk(&plan, &state, &input, Format::Text, true).unwrap_err().to_string();
            ensure!(e.contains(name) && e.contains("write it again, whole"), "{cut}: {e}");
            assert_same("the old generation", &state.answers(&plan)?, &before);
        }
        fs::remove_file(input.join(name))?;
    }
    fs::write(input.join("b.txt.gz"), gzip(text.as_bytes())?)?;
    ensure!(
        bulk(&plan, &state, &input, Format::Text, false)?.records == 50_000,
        "of the new file"
    );
    let e = state.bulk(&plan, BulkInput::files([input.join("gone.txt")], Format::Text), None);
    ensure!(e.unwrap_err().to_string().contains("gone.txt"));
    let e = state.bulk(&plan, BulkInput::files([input.clone()], Format::Text), None);
    ensure!(e.unwrap_err().to_string().contains("is a directory"));
    let e = state.bulk(&plan, BulkInput::files([input.join("a.txt")], Format::JsonLines), None);
    ensure!(
        e.unwrap_err()
            .to_string()
            .contains("source `lines`: records of type str are read as lines")
    );
    Ok(())
}

#[derive(Clone, Record)]
struct Step {
    at: Timestamp,
    n: u32,
}

const STEPS: Source<Step> = Source::new("steps")
    .batches(Batcher::of_days(1))
    .batch_clock(Clock::Event)
    .timed_by(|s| s.at);
const HISTORY: Store<String, Vec<u32>> = Store::new("history");

/// A job in order reads files and lines one after the other, and names the line that comes too late.
#[test]
fn values_in_order() -> Result<()> {
    let keyed = STEPS.read().in_order().keyed(|s, out| {
        out.emit(if s.n % 2 == 0 { "even" } else { "odd" }, vec![s.n]);
    });
    let plan = Job::new("steps", keyed.sum_by_key(HISTORY)).plan()?;
    let line = |i: u32| {
        format!(
            "{{\"at\": {}, \"n\": {}}}\n",
            u64::from(i) * 1_000,
            i.wrapping_mul(7) % 1_000
        )
    };
    let n = 20_000;
    let dir = tempfile::tempdir()?;
    let half = |from: u32| (from..from + n / 2).map(line).collect::<String>();
    fs::write(dir.path().join("a.jsonl.gz"), gzip(half(0).as_bytes())?)?;
    fs::write(dir.path().join("b.jsonl"), half(n / 2))?;
    let state = State::memory(&plan);
    bulk(&plan, &state, dir.path(), Format::JsonLines, false)?;
    let client = state.client(&plan).store(HISTORY)?;
    for (name, rest) in [("even", 0), ("odd", 1)] {
        let expected: Vec<u32> = (0..n).map(|i| i * 7 % 1_000).filter(|n| n % 2 == rest).collect();
        ensure!(client.get(name)?.value.as_ref() == Some(&expected), "{name}");
    }
    // One line of a third file is older than the last one of the second.
    fs::write(dir.path().join("c.jsonl"), [line(n), line(n + 1), line(3)].concat())?;
    let e = bulk(&plan, &State::memory(&plan), dir.path(), Format::JsonLines, false)
        .unwrap_err()
        .to_string();
    ensure!(
        e.contains("c.jsonl, line 3: event time") && e.contains("in order"),
        "{e}"
    );
    Ok(())
}
