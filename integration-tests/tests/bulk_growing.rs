//! Directories that gain files: a run reads only what is new and adds it as a run; a file that changed, or is gone, is named, and
//! everything is summed anew (issue 7, item 4). The oracle adds up plain rows of the files that are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, ensure};
use arrow_array::{ArrayRef, Int64Array, RecordBatch as Arrays, StringArray};
use parquet::arrow::ArrowWriter;
use rufous::core::{ErrorKind, Format, Plan, RecordBatch, SourcePartition};
use rufous::prelude::*;
use rufous::store_api::{Archive, ArchivedFile, IndexEntry, Manifest};
use rufous_integration_tests::run::{self, Random, State};
use rufous_platform_parquet::input::listing::files;
use rufous_platform_parquet::input::local::LocalFiles;
use rufous_platform_parquet::input::storage::Storage;
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput, InputFile, RunPlan, backfill};

#[derive(Clone, Record)]
struct Sale {
    shop: String,
    cents: i64,
}

const SALES: Source<Sale> = Source::new("sales");
const TOTALS: Store<String, i64> = Store::new("totals");
const LINES: Source<str> = Source::new("lines").batches(Batcher::of_offsets(500));
const COUNTS: Store<String, u64> = Store::new("counts");

fn totals() -> Result<Plan> {
    let keyed = SALES.read().keyed(|s, out| out.emit(s.shop.as_str(), s.cents));
    Ok(Job::new("sales", keyed.sum_by_key(TOTALS)).plan()?)
}

type Rows = Vec<(String, i64)>;

fn rows(random: &mut Random) -> Rows {
    let n = 1 + random.number() % 400;
    (0..n)
        .map(|_| {
            (
                format!("shop {}", random.number() % 90),
                (random.number() % 2_000) as i64 - 1_000,
            )
        })
        .collect()
}

fn write(path: &Path, rows: &Rows) -> Result<()> {
    fs::create_dir_all(path.parent().context("a parent")?)?;
    if path.extension().is_some_and(|e| e == "jsonl") {
        let line = |(shop, cents): &(String, i64)| format!("{{\"shop\": \"{shop}\", \"cents\": {cents}}}\n");
        return Ok(fs::write(path, rows.iter().map(line).collect::<String>())?);
    }
    let shops: ArrayRef = Arc::new(rows.iter().map(|(s, _)| Some(s.as_str())).collect::<StringArray>());
    let cents: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, c)| *c)));
    let batch = Arrays::try_from_iter([("shop", shops), ("cents", cents)])?;
    let mut writer = ArrowWriter::try_new(fs::File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

fn listed(dir: &Path, ending: &str) -> Result<Vec<InputFile>> {
    let storage: Arc<dyn Storage> = Arc::new(LocalFiles);
    Ok(files(&storage, dir, ending)?)
}

fn input(dir: &Path, ending: &str) -> Result<BulkInput> {
    let files = listed(dir, &format!(".{ending}"))?;
    Ok(match ending {
        "parquet" => BulkInput::Parquet(files),
        _ => BulkInput::Files {
            files,
            format: Format::JsonLines,
        },
    })
}

fn with<T>(plan: &Plan, state: &State, input: BulkInput, f: impl FnOnce(&BatchRun<'_>) -> T) -> T {
    f(&BatchRun {
        plan,
        inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), input)]),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions::default(),
    })
}

fn look(plan: &Plan, state: &State, input: BulkInput) -> Result<RunPlan> {
    Ok(with(plan, state, input, |run| run.plan())?)
}

fn batch(plan: &Plan, state: &State, input: BulkInput) -> Result<BatchReport> {
    Ok(with(plan, state, input, |run| run.run())?)
}

fn answers(plan: &Plan, state: &State) -> Result<BTreeMap<String, i64>> {
    let rows = state.client(plan).store(TOTALS)?.under(())?;
    rows.into_iter()
        .map(|(key, a)| Ok((key, a.value.context("a value")?)))
        .collect()
}

fn oracle(there: &BTreeMap<String, Rows>) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for (shop, cents) in there.values().flatten() {
        *all.entry(shop.clone()).or_default() += cents;
    }
    all
}

/// File names by the number of their partition, as a manifest has them.
fn numbers(m: &Manifest) -> BTreeMap<u32, String> {
    m.input
        .iter()
        .map(|r| (r.partition.partition, r.files[0].0.clone()))
        .collect()
}

/// Files arrive in random order under names that sort anyhow; now and then one changes or goes. After every run the answer is
/// that of a whole new sum, a run that only grew read the new rows alone, and numbers of partitions stay.
#[test]
fn files_that_arrive_in_any_order() -> Result<()> {
    let mut all_merges = 0;
    for (seed, ending) in [(81, "parquet"), (82, "jsonl"), (83, "parquet"), (84, "jsonl")] {
        let mut random = Random(seed);
        let dir = tempfile::tempdir()?;
        let below = dir.path().join("in");
        let plan = totals()?;
        let state = State::disk(&plan, &dir.path().join("state"))?;
        let mut there: BTreeMap<String, Rows> = BTreeMap::new();
        let (mut grew, mut anew, mut merges) = (0, 0, 0);
        for step in 0..40 {
            for _ in 0..random.number() % 4 + u64::from(step == 0) {
                let name = format!("d{}/{:x}.{ending}", random.number() % 3, random.number() % 1_000_000);
                let rows = rows(&mut random);
                write(&below.join(&name), &rows)?;
                there.insert(name, rows);
            }
            let harmed = match random.number() % 8 {
                what @ 0..=1 if step > 3 => {
                    let nth = random.number() as usize % there.len();
                    let name = there.keys().nth(nth).context("a file")?.clone();
                    let path = below.join(&name);
                    if what == 0 {
                        fs::remove_file(&path)?;
                        there.remove(&name);
                    } else {
                        let rows = rows(&mut random);
                        write(&path, &rows)?;
                        there.insert(name.clone(), rows);
                    }
                    Some((name, what))
                }
                _ => None,
            };
            let before = state.manifests.newest(0)?;
            let plans = look(&plan, &state, input(&below, ending)?)?;
            let report = batch(&plan, &state, input(&below, ending)?)?;
            ensure!(plans.is_new() == report.published);
            // Once more, where its runs were merged behind it.
            let merged = report.manifest.number - plans.generation();
            merges += merged;
            let runs = &report.manifest.stores["totals"].runs;
            ensure!(merged <= 1 && runs.len() <= 8, "{} runs", runs.len());
            ensure!(answers(&plan, &state)? == oracle(&there), "{ending}, step {step}");
            let whole: u64 = there.values().map(|rows| rows.len() as u64).sum();
            let Some(before) = before else { continue };
            // Of a file that came and went, or changed, between two runs nothing was summed.
            let known = |name: &str| numbers(&before).values().any(|n| n.ends_with(name));
            let fresh = there.iter().filter(|(name, _)| !known(name));
            let fresh: u64 = fresh.map(|(_, rows)| rows.len() as u64).sum();
            match harmed.filter(|(name, _)| known(name)) {
                Some((name, what)) => {
                    anew += 1;
                    let words = if what == 0 { "is gone" } else { "is another one now" };
                    let said = plans.to_string();
                    ensure!(
                        said.contains("everything is summed anew: file ") && said.contains(&name),
                        "{said}"
                    );
                    ensure!(said.contains(words) && report.notes == plans.notes(), "{said}");
                    ensure!(report.published && report.records == whole);
                    let stores = &report.manifest.stores["totals"];
                    ensure!(stores.runs == stores.delta, "a fresh set of runs");
                }
                None if fresh > 0 => {
                    grew += 1;
                    ensure!(
                        report.published && report.records == fresh,
                        "{} of {fresh}",
                        report.records
                    );
                    ensure!(report.manifest.line == before.line);
                    let old = numbers(&before);
                    let new = numbers(&report.manifest);
                    ensure!(old.iter().all(|(n, file)| new.get(n) == Some(file)), "{old:?} {new:?}");
                    let said = plans.to_string();
                    ensure!(said.contains("not read again"), "{said}");
                }
                None => ensure!(!report.published && report.manifest == before),
            }
            let files = numbers(&report.manifest);
            ensure!(files.len() == there.len() && report.manifest.frontier.0.len() == there.len());
        }
        ensure!(grew > 5 && anew > 1, "{grew} {anew}");
        all_merges += merges;
    }
    ensure!(all_merges > 0, "no run was merged");
    Ok(())
}

/// What the plan says, with files, rows and bytes; a rollback goes back to what was known then; how lines are read is a part of
/// what they are; a file that is named twice would count twice.
#[test]
fn what_is_said_and_what_a_rollback_knows() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let plan = totals()?;
    let state = State::memory(&plan);
    let file = |name: &str, n: i64| write(&dir.path().join(name), &vec![("a".into(), n); 10]);
    file("b.parquet", 1)?;
    file("c.parquet", 10)?;
    ensure!(batch(&plan, &state, input(dir.path(), "parquet")?)?.records == 20);
    file("a.parquet", 100)?;
    let said = look(&plan, &state, input(dir.path(), "parquet")?)?.to_string();
    let bytes = ["b", "c"].map(|n| fs::metadata(dir.path().join(format!("{n}.parquet"))).map(|m| m.len()));
    let bytes: u64 = bytes.into_iter().sum::<std::io::Result<u64>>()?;
    let lines: Vec<&str> = said.lines().collect();
    let unchanged =
        format!("sales: 2 files, 20 rows, {bytes} bytes: what they were when generation 0 was summed, not read again");
    ensure!(lines.len() == 3 && lines[0] == unchanged, "{said}");
    ensure!(
        lines[1].starts_with("sales/2: ") && lines[1].contains("a.parquet, whole; 1 files, 10 rows"),
        "{said}"
    );
    ensure!(lines[2].starts_with("generation 1: 10 rows, "), "{said}");
    ensure!(batch(&plan, &state, input(dir.path(), "parquet")?)?.records == 10);
    ensure!(answers(&plan, &state)? == BTreeMap::from([("a".to_string(), 1_110)]));
    let (zero, one) = (
        state.manifests.get(0)?.context("0")?,
        state.manifests.get(1)?.context("1")?,
    );
    state.manifests.publish(&zero.rolled_back(&one, Timestamp(0)))?;
    ensure!(answers(&plan, &state)? == BTreeMap::from([("a".to_string(), 110)]));
    let report = batch(&plan, &state, input(dir.path(), "parquet")?)?;
    ensure!(report.published && report.records == 10 && report.manifest.number == 3);
    ensure!(answers(&plan, &state)? == BTreeMap::from([("a".to_string(), 1_110)]));

    let twice = listed(dir.path(), ".parquet")?;
    let twice = BulkInput::Parquet(twice.iter().chain(&twice).cloned().collect());
    let e = batch(&plan, &state, twice).unwrap_err().to_string();
    ensure!(e.contains("a.parquet is named twice"), "{e}");
    Ok(())
}

/// The same lines in another format are other records.
#[test]
fn another_format_is_another_input() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("a.txt"), "shop,cents\na,1\n")?;
    let plan = totals()?;
    let state = State::memory(&plan);
    let of = |format: &str| -> Result<BulkInput> {
        Ok(BulkInput::Files {
            files: listed(dir.path(), "")?,
            format: format.parse()?,
        })
    };
    ensure!(batch(&plan, &state, of("csv-header")?)?.records == 1);
    ensure!(!batch(&plan, &state, of("csv-header")?)?.published);
    let said = look(&plan, &state, of("csv(cents,shop)")?)?.to_string();
    ensure!(
        said.contains("everything is summed anew: source `sales` was read as csv-header"),
        "{said}"
    );
    Ok(())
}

#[derive(Clone, Record)]
struct Step {
    at: Timestamp,
    n: u32,
}

const STEPS: Source<Step> = Source::<Step>::new("steps").timed_by(|s| s.at);
const HISTORY: Store<String, Vec<u32>> = Store::new("history");

/// A job in order is summed whole again: what is new may belong before what is summed.
#[test]
fn values_in_order_are_summed_whole() -> Result<()> {
    let keyed = STEPS.read().in_order().keyed(|s, out| out.emit("all", vec![s.n]));
    let plan = Job::new("steps", keyed.sum_by_key(HISTORY)).plan()?;
    let dir = tempfile::tempdir()?;
    let state = State::memory(&plan);
    let write = |name: &str, of: std::ops::Range<u32>| {
        let lines: String = of.map(|n| format!("{{\"at\": {n}, \"n\": {n}}}\n")).collect();
        fs::write(dir.path().join(name), lines)
    };
    write("b.jsonl", 50..100)?;
    ensure!(batch(&plan, &state, input(dir.path(), "jsonl")?)?.records == 50);
    write("a.jsonl", 0..50)?;
    let report = batch(&plan, &state, input(dir.path(), "jsonl")?)?;
    ensure!(report.records == 100 && report.notes.iter().any(|n| n.contains("needs its values in order")));
    let history = state.client(&plan).store(HISTORY)?.get("all")?.value;
    ensure!(history == Some((0..100).collect()), "{history:?}");
    ensure!(!batch(&plan, &state, input(dir.path(), "jsonl")?)?.published);
    Ok(())
}

/// An archive whose index is seen through `change`.
struct Changed<F> {
    archive: Arc<dyn Archive>,
    change: F,
}

impl<F: Fn(&mut Vec<IndexEntry>) + Send + Sync> Archive for Changed<F> {
    fn source(&self) -> &str {
        self.archive.source()
    }
    fn partitions(&self) -> rufous_core::Result<Vec<u32>> {
        self.archive.partitions()
    }
    fn index(&self, partition: u32, from: u64) -> rufous_core::Result<Vec<IndexEntry>> {
        let mut index = self.archive.index(partition, from)?;
        (self.change)(&mut index);
        Ok(index)
    }
    fn write(
        &self,
        _: u32,
        _: BatchId,
        _: std::ops::Range<u64>,
        _: &[(&RecordBatch, std::ops::Range<usize>)],
    ) -> rufous_core::Result<ArchivedFile> {
        Err(rufous_core::Error::bug("nobody writes"))
    }
    fn commit(&self, _: u32, _: u64, _: &IndexEntry) -> rufous_core::Result<bool> {
        Err(rufous_core::Error::bug("nobody writes"))
    }
    fn read(
        &self,
        partition: u32,
        file: &ArchivedFile,
        f: &mut dyn FnMut(&RecordBatch) -> rufous_core::Result<()>,
    ) -> rufous_core::Result<()> {
        self.archive.read(partition, file, f)
    }
}

/// An archive that was changed below what is published: named with batch, partition and file, and nothing is published on top
/// of it (P18, issue 7 item 4).
#[test]
fn a_changed_archive_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let plan = Job::new("lines", counts).plan()?;
    let state = State::memory(&plan);
    let lines = || (0..4_000u32).map(|i| format!("w{} w{}", i % 7, i % 11));
    let make = |name: &str| -> Result<Arc<dyn Archive>> {
        let (input, registry) = (dir.path().join(name), dir.path().join(format!("{name}-registry")));
        let lines: Vec<String> = lines().collect();
        run::write_files(&input, "txt", 1, lines.iter().map(String::as_str), |i, _| i)?;
        let log = || run::local(&input, &registry, Format::Text);
        state.stream(&plan, log()?)?;
        run::archive(&plan, log()?, &dir.path().join(format!("{name}-archive")))
    };
    let archive = make("a")?;
    let report = state.batch(&plan, archive.clone(), Format::Text, false, None)?;
    ensure!(report.published && report.manifest.input[0].files.len() > 3);
    ensure!(
        !state
            .batch(&plan, archive.clone(), Format::Text, false, None)?
            .published
    );
    for (change, words) in [
        (
            (|index| index[0].files[0].checksum = "0".into()) as fn(&mut Vec<IndexEntry>),
            "has checksum 0 in its index now",
        ),
        (|index| drop(index[0].files.remove(0)), "is in its index no more"),
        (|index| index.clear(), "does not hold offsets"),
    ] {
        let changed: Arc<dyn Archive> = Arc::new(Changed {
            archive: archive.clone(),
            change,
        });
        let e = state.batch(&plan, changed, Format::Text, false, None).unwrap_err();
        let e: rufous::Error = e.downcast()?;
        ensure!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains(words),
            "{e}"
        );
        ensure!(e.to_string().contains("lines/0"), "{e}");
    }
    Ok(())
}

/// A history that grows faster than parts of it are published: a backfill ends at what was sealed when it began (P24, P40).
/// It used to chase the live job: in a bucket, on a busy machine, part after part of one batch each, for ever.
#[test]
fn a_backfill_does_not_chase_the_live_job() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let counts = LINES.read().keyed(|line, out| out.emit(line, 1)).sum_by_key(COUNTS);
    let plan = Job::new("lines", counts).plan()?;
    let (input, registry, kept) = (
        dir.path().join("in"),
        dir.path().join("registry"),
        dir.path().join("archive"),
    );
    fs::create_dir(&input)?;
    // An entry of the index each time.
    let mut text = String::new();
    let mut archive = None;
    for i in 0..60 {
        (0..60).for_each(|n| text += &format!("word {}\n", i * 60 + n));
        fs::write(input.join("0.txt"), &text)?;
        archive = Some(run::archive(
            &plan,
            run::local(&input, &registry, Format::Text)?,
            &kept,
        )?);
    }
    let archive = archive.context("some rounds")?;
    let whole = archive.index(0, 0)?.last().context("not empty")?.to;
    // Who looks sees a batch more each time.
    let seen = AtomicU64::new(5_000);
    let growing: Arc<dyn Archive> = Arc::new(Changed {
        archive,
        change: move |index: &mut Vec<IndexEntry>| {
            let end = seen.fetch_add(500, Relaxed);
            index.retain(|entry| entry.to <= end);
        },
    });
    let inputs = BTreeMap::from([(
        "lines".to_string(),
        BulkInput::Archive {
            archive: growing,
            format: Format::Text,
            cut_spec: plan.sources()[0].cut_spec(false).text(),
        },
    )]);
    let state = State::memory(&plan);
    backfill::begin(&plan, &inputs, None, &*state.manifests, "staged", Timestamp(0))?;
    let run = BatchRun {
        plan: &plan,
        inputs,
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            part_rows: Some(1),
            ..BatchOptions::default()
        },
    };
    let mut parts = 0;
    let end = backfill::fill(run, &mut |_| parts += 1)?;
    let cut = end.frontier.of(&SourcePartition::new("lines", 0)).cut;
    ensure!(parts >= 5 && cut >= 4_000, "{parts} parts, to offset {cut}");
    ensure!(cut < 12_000 && whole > 30_000, "chased to offset {cut} of {whole}");
    Ok(())
}

/// A run that listed its files before another one published more of them does not take those for gone.
#[test]
fn a_list_that_is_too_old_is_no_answer() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (below, plan) = (dir.path().join("in"), totals()?);
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let mut there = BTreeMap::new();
    let mut random = Random(85);
    let mut add = |name: &str| -> Result<()> {
        let rows = rows(&mut random);
        write(&below.join(name), &rows)?;
        there.insert(name.to_string(), rows);
        Ok(())
    };
    add("a.jsonl")?;
    batch(&plan, &state, input(&below, "jsonl")?)?;
    add("b.jsonl")?;
    let old = input(&below, "jsonl")?;
    add("c.jsonl")?;
    batch(&plan, &state, input(&below, "jsonl")?)?;
    let late = BatchRun {
        plan: &plan,
        inputs: BTreeMap::from([("sales".to_string(), old)]),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            listed_at: Some(1),
            ..BatchOptions::default()
        },
    };
    let e = late.run().err().context("generation 1 came after the list")?;
    ensure!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("generation 1"),
        "{e}"
    );
    ensure!(answers(&plan, &state)? == oracle(&there));
    Ok(())
}

#[derive(Clone, Record)]
struct Dated {
    shop: String,
    cents: i64,
    dt: Option<String>,
}

/// The same file below another directory has other columns: it is another one.
#[test]
fn a_file_is_what_its_directories_make_of_it() -> Result<()> {
    const DATED: Source<Dated> = Source::new("dated");
    let dir = tempfile::tempdir()?;
    let below = dir.path().join("in");
    let keyed = DATED.read().keyed(|s, out| {
        let day = s.dt.as_deref().unwrap_or("none");
        out.emit(format!("{day} {}", s.shop), s.cents)
    });
    let plan = Job::new("dated", keyed.sum_by_key(TOTALS)).plan()?;
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let mut random = Random(86);
    let mut expected = BTreeMap::new();
    for day in ["2024-01-01", "2024-01-02"] {
        let rows = rows(&mut random);
        write(&below.join(format!("dt={day}/x.parquet")), &rows)?;
        for (shop, cents) in rows {
            *expected.entry(format!("{day} {shop}")).or_default() += cents;
        }
        // First the day by itself, then all of them.
        if day == "2024-01-01" {
            batch(&plan, &state, input(&below.join("dt=2024-01-01"), "parquet")?)?;
            ensure!(answers(&plan, &state)?.keys().all(|key| key.starts_with("none ")));
        }
    }
    let said = batch(&plan, &state, input(&below, "parquet")?)?.notes.join("\n");
    ensure!(said.contains("is another one now"), "{said}");
    ensure!(answers(&plan, &state)? == expected);
    ensure!(
        !batch(&plan, &state, input(&below, "parquet")?)?.published,
        "nothing is new"
    );
    Ok(())
}
