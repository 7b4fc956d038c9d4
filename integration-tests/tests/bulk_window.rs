//! Spans of event time over bounded inputs: the answer is that of plain code over the records inside, whatever files note of their
//! times, and less is read where they note it (issue 7, item 1). An answer of a span never looks like one of all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, ensure};
use arrow_array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rufous::core::{ErrorKind, Format, Plan};
use rufous::prelude::*;
use rufous::store_api::Window;
use rufous_integration_tests::data;
use rufous_integration_tests::run::{Random, State};
use rufous_platform_parquet::input::listing::files;
use rufous_platform_parquet::input::local::LocalFiles;
use rufous_platform_parquet::input::storage::Storage;
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput, RunPlan};

const DAY: i64 = 86_400_000;

#[derive(Clone, Record)]
struct Sale {
    shop: String,
    cents: i64,
    at: Option<Timestamp>,
}

fn time(s: &Sale) -> Timestamp {
    s.at.unwrap_or(Timestamp(3 * DAY))
}

const SALES: Source<Sale> = Source::<Sale>::new("sales").timed_by(time).time_field("at");
/// The same without a word on where the time is.
const UNSAID: Source<Sale> = Source::<Sale>::new("sales").timed_by(time);
const TOTALS: Store<String, i64> = Store::new("totals");

fn totals(source: Source<Sale>, seen: &Arc<AtomicU64>) -> Result<Plan> {
    let seen = seen.clone();
    let keyed = source.read().keyed(move |s, out| {
        seen.fetch_add(1, Relaxed);
        out.emit(s.shop.as_str(), s.cents);
    });
    Ok(Job::new("sales", keyed.sum_by_key(TOTALS)).plan()?)
}

type Row = (String, i64, Option<i64>);

/// Rows whose times go up, more or less, from day `from` on, about a minute apart; some have none.
fn rows(random: &mut Random, n: i64, from: i64, nulls: bool) -> Vec<Row> {
    (0..n)
        .map(|i| {
            let at = from * DAY + i * 60_000 + (random.number() % 600_000) as i64;
            let at = (!nulls || !random.number().is_multiple_of(50)).then_some(at);
            (
                format!("shop {}", random.number() % 30),
                (random.number() % 500) as i64,
                at,
            )
        })
        .collect()
}

/// How the times are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum As {
    Millis,
    Micros,
    Nanos,
    Seconds,
    Numbers,
    Texts,
    Days,
}

fn write(path: &Path, rows: &[Row], how: As, noted: EnabledStatistics) -> Result<()> {
    let shops: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.0.as_str())).collect::<StringArray>());
    let cents: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
    let at = || rows.iter().map(|r| r.2);
    let times: ArrayRef = match how {
        As::Millis => Arc::new(at().collect::<TimestampMillisecondArray>()),
        As::Micros => Arc::new(
            at().map(|t| t.map(|t| t * 1_000 + 999))
                .collect::<TimestampMicrosecondArray>(),
        ),
        As::Nanos => Arc::new(
            at().map(|t| t.map(|t| t * 1_000_000))
                .collect::<TimestampNanosecondArray>(),
        ),
        As::Seconds => Arc::new(at().map(|t| t.map(|t| t / 1_000)).collect::<TimestampSecondArray>()),
        As::Numbers => Arc::new(at().collect::<Int64Array>()),
        As::Texts => Arc::new(
            at().map(|t| t.map(|t| Timestamp(t).to_string()))
                .collect::<StringArray>(),
        ),
        As::Days => Arc::new(at().map(|t| t.map(|t| (t / DAY) as i32)).collect::<Date32Array>()),
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("shop", shops, false),
        ("cents", cents, false),
        ("at", times, true),
    ])?;
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1_500))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(50)
        .set_statistics_enabled(noted)
        .build();
    fs::create_dir_all(path.parent().context("a parent")?)?;
    let mut writer = ArrowWriter::try_new(fs::File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// What a reader sees of a time that is written so.
fn seen_as(how: As, t: i64) -> i64 {
    match how {
        As::Seconds => t / 1_000 * 1_000,
        As::Days => t / DAY * DAY,
        _ => t,
    }
}

fn input(dir: &Path) -> Result<BulkInput> {
    let storage: Arc<dyn Storage> = Arc::new(LocalFiles);
    Ok(BulkInput::Parquet(files(&storage, dir, ".parquet")?))
}

fn within<T>(
    plan: &Plan,
    state: &State,
    input: BulkInput,
    window: Option<Window>,
    f: impl FnOnce(&BatchRun<'_>) -> rufous_core::Result<T>,
) -> Result<T> {
    Ok(f(&BatchRun {
        plan,
        inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), input)]),
        manifests: &*state.manifests,
        generations: &*state.generations,
        options: BatchOptions {
            window,
            ..BatchOptions::default()
        },
    })?)
}

fn batch(plan: &Plan, state: &State, input: BulkInput, window: Option<Window>) -> Result<BatchReport> {
    within(plan, state, input, window, |run| run.run())
}

fn look(plan: &Plan, state: &State, input: BulkInput, window: Option<Window>) -> Result<RunPlan> {
    within(plan, state, input, window, |run| run.plan())
}

fn answers(plan: &Plan, state: &State) -> Result<BTreeMap<String, i64>> {
    let rows = state.client(plan).store(TOTALS)?.under(())?;
    rows.into_iter()
        .map(|(key, a)| Ok((key, a.value.context("a value")?)))
        .collect()
}

fn span(since: Option<i64>, until: Option<i64>) -> Window {
    Window {
        since: since.map(Timestamp),
        until: until.map(Timestamp),
    }
}

/// Plain code: a record without a time has the one that `timed_by` gives it.
fn oracle<'a>(rows: impl IntoIterator<Item = &'a Row>, how: As, window: &Window) -> (u64, BTreeMap<String, i64>) {
    let (mut n, mut all) = (0, BTreeMap::new());
    for (shop, cents, at) in rows {
        let at = at.map_or(3 * DAY, |at| seen_as(how, at));
        if window.since.is_none_or(|t| t.0 <= at) && window.until.is_none_or(|t| at < t.0) {
            *all.entry(shop.clone()).or_default() += cents;
            n += 1;
        }
    }
    (n, all)
}

/// Random spans over files of every kind of time, with what writers note of a column at its fullest, of row groups only, and not
/// at all, with and without nulls: always the oracle's answer, and no more records than the rows that are inside.
#[test]
fn every_kind_of_column_and_note() -> Result<()> {
    let mut random = Random(91);
    let seen = Arc::new(AtomicU64::new(0));
    for how in [
        As::Millis,
        As::Micros,
        As::Nanos,
        As::Seconds,
        As::Numbers,
        As::Texts,
        As::Days,
    ] {
        for noted in [
            EnabledStatistics::Page,
            EnabledStatistics::Chunk,
            EnabledStatistics::None,
        ] {
            for nulls in [false, true] {
                let dir = tempfile::tempdir()?;
                let all: Vec<Vec<Row>> = (0..3).map(|i| rows(&mut random, 4_000, 2 * i, nulls)).collect();
                for (i, rows) in all.iter().enumerate() {
                    write(&dir.path().join(format!("{i}.parquet")), rows, how, noted)?;
                }
                let total: u64 = all.iter().map(|rows| rows.len() as u64).sum();
                for source in [SALES, UNSAID] {
                    let plan = totals(source, &seen)?;
                    for _ in 0..3 {
                        let mut edge = || (random.number() % (9 * DAY as u64)) as i64;
                        let (a, b) = (edge(), edge());
                        let window = match edge() % 4 {
                            0 => span(Some(a), None),
                            1 => span(None, Some(a)),
                            _ => span(Some(a.min(b)), Some(a.max(b) + 1)),
                        };
                        let state = State::memory(&plan);
                        seen.store(0, Relaxed);
                        let report = batch(&plan, &state, input(dir.path())?, Some(window))?;
                        let (n, expected) = oracle(all.iter().flatten(), how, &window);
                        let what = format!("{how:?} {noted:?} nulls {nulls} {window}");
                        ensure!(answers(&plan, &state)? == expected, "{what}");
                        ensure!(
                            report.records - report.outside == n && seen.load(Relaxed) == n,
                            "{what}: {report:?}"
                        );
                        let noted_time =
                            plan.sources()[0].time_field.is_some() && !matches!(how, As::Texts | As::Seconds);
                        // Times go up, more or less: at either end of each file there is a page, or a row group, of both kinds.
                        let most = match noted {
                            _ if !noted_time => None,
                            EnabledStatistics::Page if nulls => Some(total - n),
                            EnabledStatistics::Page if how != As::Days => Some(3 * 2 * 120),
                            EnabledStatistics::None => None,
                            // A row group with a null among its times is read: what those are is up to the source.
                            EnabledStatistics::Chunk if nulls => None,
                            _ => Some(3 * 2 * 1_500),
                        };
                        match most {
                            None => ensure!(report.records == total, "{what}: {report:?}"),
                            Some(most) => ensure!(report.outside <= most, "{what}: {report:?}"),
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// What is left out is said before it is done; the answer says its span; another span, and none, is another input that is summed
/// anew in a line of its own; files that come later add to the same span.
#[test]
fn a_span_is_said_and_kept_apart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut random = Random(92);
    let seen = Arc::new(AtomicU64::new(0));
    let plan = totals(SALES, &seen)?;
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let below = dir.path().join("in");
    let mut all = Vec::new();
    let mut add = |name: &str, from: i64, all: &mut Vec<Row>| {
        let rows = rows(&mut random, 3_000, from, false);
        all.extend(rows.iter().cloned());
        write(&below.join(name), &rows, As::Micros, EnabledStatistics::Page)
    };
    for (name, day) in [("b.parquet", 0), ("c.parquet", 10), ("d.parquet", 20)] {
        add(name, day, &mut all)?;
    }
    let window = span(Some(10 * DAY), Some(11 * DAY));
    let planned = look(&plan, &state, input(&below)?, Some(window))?;
    let said = planned.to_string();
    for words in [
        "event time from 1970-01-11T00:00:00Z to before 1970-01-12T00:00:00Z only: left out by what the files note of it, and not \
         read: 2 files, 5 row groups, 7500 rows, ",
        "b.parquet, not read: it notes other event times",
        "c.parquet, 1 of 2 row groups; 1 files, 1500 rows, ",
        "generation 0: 1500 rows, ",
        "covered until the end of the input, event time from 1970-01-11T00:00:00Z to before 1970-01-12T00:00:00Z only",
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    let first = batch(&plan, &state, input(&below)?, Some(window))?.manifest;
    ensure!(first.window == Some(window) && first.input.len() == 3);
    ensure!(answers(&plan, &state)? == oracle(&all, As::Micros, &window).1);
    let answer = state.client(&plan).store(TOTALS)?.get("shop 1")?;
    ensure!(
        answer
            .coverage
            .to_string()
            .contains("to before 1970-01-12T00:00:00Z only"),
        "{}",
        answer.coverage
    );
    ensure!(
        !batch(&plan, &state, input(&below)?, Some(window))?.published,
        "nothing is new"
    );

    add("a.parquet", 10, &mut all)?;
    let grown = batch(&plan, &state, input(&below)?, Some(window))?;
    ensure!(grown.published && grown.records < 3_000 && grown.manifest.line == first.line);
    ensure!(answers(&plan, &state)? == oracle(&all, As::Micros, &window).1);

    let mut lines = vec![first.line];
    for other in [Some(span(Some(10 * DAY), None)), None, Some(window)] {
        let report = batch(&plan, &state, input(&below)?, other)?;
        ensure!(
            report.published
                && report
                    .notes
                    .iter()
                    .any(|n| n.starts_with("everything is summed anew: generation"))
        );
        let wanted = other.unwrap_or_default();
        ensure!(answers(&plan, &state)? == oracle(&all, As::Micros, &wanted).1);
        let stores = &report.manifest.stores["totals"];
        ensure!(report.manifest.window == other && stores.runs == stores.delta);
        lines.push(report.manifest.line);
    }
    ensure!(
        lines[0] != lines[1] && lines[1] != lines[2] && lines[0] == lines[3],
        "{lines:?}"
    );
    Ok(())
}

#[derive(Clone, Record)]
struct Visit {
    page: String,
    #[record(name = "dt")]
    day: Timestamp,
}

const VISITS: Source<Visit> = Source::<Visit>::new("visits").timed_by(|v| v.day).time_field("dt");
const PAGES: Store<String, u64> = Store::new("pages");

/// A time that the name of a directory gives leaves out whole files; a file's own column of that name counts before it.
#[test]
fn times_of_directories() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pages = |page: &str| -> ArrayRef { Arc::new(StringArray::from(vec![page; 10])) };
    let write = |path: &str, columns: Vec<(&str, ArrayRef)>| -> Result<()> {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        let batch = RecordBatch::try_from_iter(columns)?;
        let mut writer = ArrowWriter::try_new(fs::File::create(path)?, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    };
    for day in 1..=9 {
        write(
            &format!("dt=2024-01-0{day}/a.parquet"),
            vec![("page", pages(&format!("page {day}")))],
        )?;
    }
    // Its own column: half of it inside, whatever its directory is called.
    let days = Timestamp::parse("2024-01-04")?.0;
    let own: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(
        (0..10).map(|i| days + (i % 2) * 9 * DAY),
    ));
    write("dt=2024-01-09/b.parquet", vec![("page", pages("own")), ("dt", own)])?;
    let counts = VISITS
        .read()
        .keyed(|v, out| out.emit(v.page.as_str(), 1))
        .sum_by_key(PAGES);
    let plan = Job::new("visits", counts).plan()?;
    let window = Window {
        since: Some(Timestamp::parse("2024-01-03")?),
        until: Some(Timestamp::parse("2024-01-05")?),
    };
    let state = State::memory(&plan);
    let said = look(&plan, &state, input(dir.path())?, Some(window))?.to_string();
    ensure!(said.contains("not read: 7 files, 7 row groups, 70 rows, "), "{said}");
    let report = batch(&plan, &state, input(dir.path())?, Some(window))?;
    ensure!(report.records == 30 && report.outside == 5, "{report:?}");
    let found: BTreeMap<String, u64> = state
        .client(&plan)
        .store(PAGES)?
        .under(())?
        .into_iter()
        .map(|(key, a)| (key, a.value.unwrap_or_default()))
        .collect();
    let expected = [("page 3", 10), ("page 4", 10), ("own", 5)];
    ensure!(found == expected.map(|(k, n)| (k.to_string(), n)).into(), "{found:?}");
    Ok(())
}

/// A `timed_by` that is not the field it was said to be is found out; sources without a time, archives and empty spans are
/// refused.
#[test]
fn what_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let rows = rows(&mut Random(93), 100, 0, false);
    write(
        &dir.path().join("a.parquet"),
        &rows,
        As::Millis,
        EnabledStatistics::Page,
    )?;
    let seen = Arc::new(AtomicU64::new(0));
    let window = span(Some(0), Some(DAY));
    let run = |source: Source<Sale>, window: Window| -> Result<rufous::Error> {
        let plan = totals(source, &seen)?;
        let state = State::memory(&plan);
        let e = batch(&plan, &state, input(dir.path())?, Some(window)).unwrap_err();
        ensure!(state.manifests.newest(0)?.is_none());
        e.downcast()
    };
    const SHIFTED: Source<Sale> = Source::<Sale>::new("sales")
        .timed_by(|s| Timestamp(time(s).0 + 1))
        .time_field("at");
    const MISSPELT: Source<Sale> = Source::<Sale>::new("sales").timed_by(time).time_field("att");
    const OTHER: Source<Sale> = Source::<Sale>::new("sales").timed_by(time).time_field("cents");
    for (source, window, words) in [
        (
            SHIFTED,
            window,
            "a.parquet, row group 0, row 0: the event time of source `sales`",
        ),
        (MISSPELT, window, "has no such field that holds a time"),
        (OTHER, window, "has no such field that holds a time"),
        (Source::new("sales"), window, "source `sales` declares no event time"),
        (SALES, span(Some(5), Some(5)), "no instant is inside"),
    ] {
        let e = run(source, window)?;
        ensure!(
            e.kind() == ErrorKind::InvalidRequest && e.to_string().contains(words),
            "{e}"
        );
    }
    // Where nothing is read nothing can show it, and that is said.
    let plan = totals(SHIFTED, &seen)?;
    let far = span(Some(400 * DAY), Some(401 * DAY));
    let said = look(&plan, &State::memory(&plan), input(dir.path())?, Some(far))?.to_string();
    ensure!(said.contains("no record was there to show that `at`"), "{said}");
    Ok(())
}

/// Lines have no notes: all of them are read, and the same records count.
#[test]
fn lines_of_a_span() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let rows = rows(&mut Random(94), 5_000, 0, true);
    let line = |(shop, cents, at): &Row| {
        let at = at.map_or_else(|| "null".into(), |at| at.to_string());
        format!("{{\"shop\": \"{shop}\", \"cents\": {cents}, \"at\": {at}}}\n")
    };
    fs::write(dir.path().join("a.jsonl"), rows.iter().map(line).collect::<String>())?;
    let seen = Arc::new(AtomicU64::new(0));
    let plan = totals(SALES, &seen)?;
    let storage: Arc<dyn Storage> = Arc::new(LocalFiles);
    for window in [span(Some(DAY), Some(2 * DAY)), span(Some(3 * DAY), None)] {
        let state = State::memory(&plan);
        let input = BulkInput::Files {
            files: files(&storage, dir.path(), "")?,
            format: Format::JsonLines,
        };
        let report = batch(&plan, &state, input, Some(window))?;
        let (n, expected) = oracle(&rows, As::Millis, &window);
        ensure!(report.records == 5_000 && report.outside == 5_000 - n && answers(&plan, &state)? == expected);
    }
    Ok(())
}

/// `--since` and `--until` on the command line: bounded inputs by event time, archives by batches.
#[test]
fn on_the_command_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("in"))?;
    fs::copy(
        data::sample("flights-sample-1.parquet"),
        dir.path().join("in/a.parquet"),
    )?;
    let run = |program: &str, args: &[&str]| -> Result<(bool, String)> {
        let out = Command::new(program).args(args).current_dir(dir.path()).output()?;
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        Ok((out.status.success(), said))
    };
    let flights = env!("CARGO_BIN_EXE_job-flights");
    let days = ["--since", "2001-01-02", "--until", "2001-01-03"];
    let whole = ["--source", "flights=parquet:in"];
    let (good, said) = run(flights, &[&["batch", "--dry-run"], &days[..], &whole[..]].concat())?;
    let limits = "event time from 2001-01-02T00:00:00Z to before 2001-01-03T00:00:00Z only";
    ensure!(
        good && said.contains(&format!("{limits}: left out by what the files note")),
        "{said}"
    );
    let (good, said) = run(flights, &[&["batch"], &days[..], &whole[..]].concat())?;
    ensure!(
        good && said.contains(&format!("covered until the end of the input, {limits}")),
        "{said}"
    );
    let (good, said) = run(flights, &["top", "-n", "3", "--store", "by-origin-day"])?;
    ensure!(good && said.contains(limits), "{said}");
    // Over an archive a time names a batch.
    let lines = data::sample_lines()?;
    fs::create_dir(dir.path().join("live"))?;
    fs::write(dir.path().join("live/a.jsonl"), lines.join("\n") + "\n")?;
    let live = ["--data", "of-live", "--source", "flights=dir:live+jsonl"];
    let (good, said) = run(flights, &[&["stream", "--until-end"], &live[..]].concat())?;
    ensure!(good, "{said}");
    let (good, said) = run(
        flights,
        &[&["batch", "--until", "2001-01-03T07:00"], &live[..]].concat(),
    )?;
    ensure!(good && said.contains("covered until 2001-01-03T00:00:00Z"), "{said}");
    let words = env!("CARGO_BIN_EXE_job-word-count");
    fs::write(dir.path().join("w.txt"), "a b\n")?;
    let lines = ["--source", "lines=bulk:w.txt"];
    let (good, said) = run(words, &[&["batch", "--since", "2024-01-01"], &lines[..]].concat())?;
    ensure!(
        !good && said.contains("source `lines` declares no event time"),
        "{said}"
    );
    let (good, said) = run(words, &[&["batch", "--since", "yesterday"], &lines[..]].concat())?;
    ensure!(!good && said.contains("`yesterday` is no time"), "{said}");
    fs::create_dir(dir.path().join("mixed"))?;
    fs::copy(dir.path().join("in/a.parquet"), dir.path().join("mixed/b.parquet"))?;
    let (good, said) = run(words, &["batch", "--source", "lines=bulk:mixed"])?;
    ensure!(
        !good && said.contains("mixed/b.parquet: its name says that it is a Parquet file"),
        "{said}"
    );
    fs::write(dir.path().join("l.txt"), "a b\n")?;
    let live = ["--data", "live", "--source", "lines=file:l.txt"];
    let (good, said) = run(words, &[&["stream", "--until-end"], &live[..]].concat())?;
    ensure!(good, "{said}");
    let (good, said) = run(words, &[&["batch", "--since", "2024-01-01"], &live[..]].concat())?;
    ensure!(
        !good && said.contains("an archive is covered by whole batches"),
        "{said}"
    );
    let (good, said) = run(words, &[&["batch", "--until", "2024-01-01"], &live[..]].concat())?;
    ensure!(
        !good && said.contains("source `lines` is cut into batches by offsets"),
        "{said}"
    );
    let (good, said) = run(words, &[&["generations"], &live[..]].concat())?;
    ensure!(
        good && said.contains("lines/0: nothing yet, from offset 0 on"),
        "{said}"
    );
    Ok(())
}
