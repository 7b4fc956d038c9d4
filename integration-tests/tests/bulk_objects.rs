//! Bounded inputs in an object store: the answer of the same files on disk, and of plain code; what is missing, cut off, replaced
//! or deleted while it is read is an error with its URL, and publishes nothing (issue 7, items 1 and 8; row 12).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result, bail, ensure};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rufous::core::{ErrorKind, Format, Plan};
use rufous::prelude::*;
use rufous_integration_tests::run::{Random, State};
use rufous_integration_tests::s3::{SECRET, Server};
use rufous_integration_tests::settings::option;
use rufous_place::Remote;
use rufous_place::object_store::memory::InMemory;
use rufous_place::object_store::{ObjectStoreExt as _, path::Path as StorePath};
use rufous_platform_parquet::BulkInput;
use rufous_platform_parquet::input::storage::Storage;
use rufous_platform_parquet::input::{listing::files, local::LocalFiles, objects::Objects};

const BUCKET: &str = "inputs";

#[derive(Clone, Record)]
struct Sale {
    shop: String,
    cents: i64,
    day: Option<String>,
}

const SALES: Source<Sale> = Source::new("sales");
const TOTALS: Store<String, i64> = Store::new("totals");

fn totals(seen: impl Fn() + Clone + Send + Sync + 'static) -> Result<Plan> {
    let keyed = SALES.read().keyed(move |s, out| {
        seen();
        let key = format!("{} {}", s.shop, s.day.as_deref().unwrap_or("-"));
        out.emit(key.as_str(), s.cents);
    });
    Ok(Job::new("sales", keyed.sum_by_key(TOTALS)).plan()?)
}

type Rows = Vec<(String, i64)>;

fn rows(random: &mut Random, n: usize) -> Rows {
    (0..n)
        .map(|_| {
            (
                format!("shop {}", random.number() % 50),
                (random.number() % 1_000) as i64,
            )
        })
        .collect()
}

fn parquet(rows: &Rows) -> Result<Vec<u8>> {
    let shops: ArrayRef = Arc::new(rows.iter().map(|(s, _)| Some(s.as_str())).collect::<StringArray>());
    let cents: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, c)| *c)));
    let batch = RecordBatch::try_from_iter([("shop", shops), ("cents", cents)])?;
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(7_000))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(bytes)
}

fn lines(rows: &Rows) -> Vec<u8> {
    let line = |(shop, cents): &(String, i64)| format!("{{\"shop\": \"{shop}\", \"cents\": {cents}}}\n");
    rows.iter().map(line).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes)?;
    Ok(out.finish()?)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Path below the input, bytes, rows, and the day that a directory names.
type File = (String, Vec<u8>, Rows, Option<&'static str>);

fn of_parquet(random: &mut Random) -> Result<Vec<File>> {
    let mut all = Vec::new();
    for (path, n, day) in [
        ("day=a/part-0.parquet", 20_000, Some("a")),
        ("day=b%2F c/part-0.parquet", 9_000, Some("b/ c")),
        ("x/y/z.parquet", 1, None),
    ] {
        let rows = rows(random, n);
        all.push((path.to_string(), parquet(&rows)?, rows, day));
    }
    Ok(all)
}

fn of_lines(random: &mut Random) -> Result<Vec<File>> {
    let mut all = Vec::new();
    for (path, n) in [("a.jsonl", 90_000), ("b/c.jsonl.gz", 90_000), ("b/d.jsonl.zst", 9_000)] {
        let rows = rows(random, n);
        let plain = lines(&rows);
        let bytes = match path.rsplit('.').next() {
            Some("gz") => gzip(&plain)?,
            Some("zst") => zstd(&plain),
            _ => plain,
        };
        all.push((path.to_string(), bytes, rows, None));
    }
    Ok(all)
}

/// What plain code says.
fn oracle(files: &[File]) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for (_, _, rows, day) in files {
        for (shop, cents) in rows {
            *all.entry(format!("{shop} {}", day.unwrap_or("-"))).or_default() += cents;
        }
    }
    all
}

/// Runs a future of a store in memory, which waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T> {
    let mut waits = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut waits) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => bail!("it waits"),
    }
}

fn input(storage: &Arc<dyn Storage>, dir: &str, of_lines: bool) -> rufous_core::Result<BulkInput> {
    Ok(match of_lines {
        true => BulkInput::Files {
            files: files(storage, Path::new(dir), "")?,
            format: Format::JsonLines,
        },
        false => BulkInput::Parquet(files(storage, Path::new(dir), ".parquet")?),
    })
}

fn answers(plan: &Plan, state: &State) -> Result<BTreeMap<String, i64>> {
    let rows = state.client(plan).store(TOTALS)?.under(())?;
    rows.into_iter()
        .map(|(key, a)| Ok((key, a.value.context("a value")?)))
        .collect()
}

fn s3(server: &Server) -> Result<Remote> {
    Ok(rufous_place::s3::open(
        &format!("s3://{BUCKET}"),
        &server.options(),
        "sources.sales",
    )?)
}

/// The files on disk, in a store in memory below a prefix, and in a bucket: one answer.
#[test]
fn one_answer_wherever_the_files_lie() -> Result<()> {
    let server = Server::start(BUCKET)?;
    let mut random = Random(72);
    for (of_lines_too, all) in [(false, of_parquet(&mut random)?), (true, of_lines(&mut random)?)] {
        let dir = tempfile::tempdir()?;
        let memory = Arc::new(InMemory::new());
        let prefix = format!("of lines {of_lines_too}");
        for (path, bytes, ..) in &all {
            let local = dir.path().join(&prefix).join(path);
            fs::create_dir_all(local.parent().context("a parent")?)?;
            fs::write(local, bytes)?;
        }
        // As other programs write them: names verbatim, the mark of a directory, and what does not count.
        let names = all.iter().map(|(path, bytes, ..)| (path.as_str(), bytes.clone()));
        let others = [("_SUCCESS", Vec::new()), ("b/.hidden", b"no record".to_vec())];
        for (path, bytes) in names.chain(others) {
            server.put(&format!("{BUCKET}/{prefix}/{path}"), &bytes)?;
            let path = StorePath::parse(format!("p/q/{prefix}/{path}"))?;
            at_once(memory.put(&path, bytes.into()))??;
        }
        for dir in ["x/", "b/", ""] {
            server.put(&format!("{BUCKET}/{prefix}/{dir}"), b"")?;
        }
        let memory = Remote::new(memory, "test://memory", "p/q")?;
        let bucket = s3(&server)?;
        let local: Arc<dyn Storage> = Arc::new(LocalFiles);
        let memory: Arc<dyn Storage> = Arc::new(Objects::new(memory));
        let bucket: Arc<dyn Storage> = Arc::new(Objects::new(bucket));
        let below = dir.path().join(&prefix);
        let plan = totals(|| {})?;
        for (storage, dir) in [
            (&local, below.to_str().context("a path")?),
            (&memory, &prefix),
            (&bucket, &prefix),
        ] {
            let state = State::memory(&plan);
            let report = state.bulk(&plan, input(storage, dir, of_lines_too)?, None)?;
            ensure!(report.published && report.bad == 0, "{report:?}");
            ensure!(answers(&plan, &state)? == oracle(&all), "{dir}");
            let again = state.bulk(&plan, input(storage, dir, of_lines_too)?, None)?;
            ensure!(!again.published, "nothing is new in {dir}");
        }
    }
    Ok(())
}

/// What is not there, and what is cut off: an error with its URL, and the generation of before is served on.
#[test]
fn missing_and_damaged_objects_are_named() -> Result<()> {
    let server = Server::start(BUCKET)?;
    let bucket: Arc<dyn Storage> = Arc::new(Objects::new(s3(&server)?));
    let mut random = Random(73);
    let good = rows(&mut random, 9_000);
    let (columns, text) = (parquet(&good)?, lines(&good));
    server.put(&format!("{BUCKET}/in/a.parquet"), &columns)?;
    server.put(&format!("{BUCKET}/in/a.jsonl.gz"), &gzip(&text)?)?;
    let plan = totals(|| {})?;
    let state = State::memory(&plan);
    for (dir, ending, words) in [
        (
            "none",
            ".parquet",
            "s3://inputs/none holds no file whose name ends in .parquet",
        ),
        ("in/b.parquet", ".parquet", "s3://inputs/in/b.parquet holds no file"),
        ("in", ".orc", "s3://inputs/in holds no file whose name ends in .orc"),
    ] {
        let e = files(&bucket, Path::new(dir), ending).unwrap_err();
        ensure!(
            e.kind() == ErrorKind::InvalidRequest && e.to_string().contains(words),
            "{e}"
        );
    }
    let nowhere = rufous_place::s3::open("s3://other", &server.options(), "sources.sales")?;
    let nowhere: Arc<dyn Storage> = Arc::new(Objects::new(nowhere));
    let e = files(&nowhere, Path::new(""), "").unwrap_err();
    ensure!(
        e.kind() == ErrorKind::InvalidRequest && e.to_string().contains("no bucket s3://other"),
        "{e}"
    );

    // An object is its own input, whatever lies beside it.
    let report = state.bulk(&plan, input(&bucket, "in/a.parquet", false)?, None)?;
    ensure!(report.published && report.records == 9_000);
    let before = answers(&plan, &state)?;

    let packed = gzip(&text)?;
    for (name, bytes, of_lines, words) in [
        (
            "cut.parquet",
            &columns[..columns.len() / 2],
            false,
            "it does not end in PAR1",
        ),
        ("none.parquet", &[], false, "it is empty"),
        (
            "cut.jsonl.gz",
            &packed[..packed.len() / 2],
            true,
            "gzip data is cut off or damaged",
        ),
        ("none.jsonl.zst", &[], true, "zstd data is cut off or damaged"),
    ] {
        server.put(&format!("{BUCKET}/bad/{name}"), bytes)?;
        let e = state.bulk(&plan, input(&bucket, &format!("bad/{name}"), of_lines)?, None);
        let e: rufous::Error = e.unwrap_err().downcast()?;
        let named = e.to_string().contains(&format!("s3://inputs/bad/{name}"));
        ensure!(
            e.kind() == ErrorKind::CorruptData && named && e.to_string().contains(words),
            "{e}"
        );
        ensure!(answers(&plan, &state)? == before);
    }

    // Deleted between the listing and the look at it.
    let gone = input(&bucket, "in/a.jsonl.gz", true)?;
    ensure!(server.request("DELETE", &format!("/{BUCKET}/in/a.jsonl.gz"), &[], "")? == 204);
    let e = state.bulk(&plan, gone, None).unwrap_err().to_string();
    ensure!(
        e.contains("s3://inputs/in/a.jsonl.gz does not exist, or no more"),
        "{e}"
    );
    Ok(())
}

/// An object that gets another content, or goes, while it is read: nothing of either is published, and the next run reads what
/// is there then. The store is asked by tag, so also a content of the same length is noticed.
#[test]
fn objects_that_change_publish_nothing() -> Result<()> {
    let server = Arc::new(Server::start(BUCKET)?);
    let mut random = Random(74);
    let many = rows(&mut random, 150_000);
    let other: Rows = many.iter().map(|(s, c)| (s.clone(), (c + 1) % 1_000)).collect();
    for (name, of_lines) in [("a.parquet", false), ("a.jsonl", true), ("a.jsonl.gz", true)] {
        let bytes = |rows: &Rows| match name {
            "a.parquet" => parquet(rows),
            "a.jsonl" => Ok(lines(rows)),
            _ => gzip(&lines(rows)),
        };
        for deleted in [false, true] {
            let path = format!("{BUCKET}/changes/{name}");
            server.put(&path, &bytes(&many)?)?;
            let harmed = Arc::new(AtomicBool::new(false));
            let (store, new, at, once) = (server.clone(), bytes(&other)?, path.clone(), harmed.clone());
            let plan = totals(move || {
                if once.swap(true, Relaxed) {
                    return;
                }
                match deleted {
                    true => drop(store.request("DELETE", &format!("/{at}"), &[], "").unwrap()),
                    false => store.put(&at, &new).unwrap(),
                }
            })?;
            let bucket: Arc<dyn Storage> = Arc::new(Objects::new(s3(&server)?));
            let state = State::memory(&plan);
            let of = || input(&bucket, "changes", of_lines);
            let e: rufous::Error = state.bulk(&plan, of()?, None).unwrap_err().downcast()?;
            let (kind, words) = match deleted {
                true => (ErrorKind::InvalidRequest, "does not exist, or no more"),
                false => (ErrorKind::TryAgain, "it was written to while it was read"),
            };
            ensure!(
                e.kind() == kind && e.to_string().contains(&format!("s3://{path}")) && e.to_string().contains(words),
                "{name}, deleted {deleted}: {e}"
            );
            ensure!(harmed.load(Relaxed) && state.manifests.newest(0)?.is_none());
            if !deleted {
                ensure!(state.bulk(&plan, of()?, None)?.published);
                let file = [(String::new(), Vec::new(), other.clone(), None)];
                ensure!(answers(&plan, &state)? == oracle(&file));
                ensure!(server.request("DELETE", &format!("/{path}"), &[], "")? == 204);
            }
        }
    }
    Ok(())
}

/// A store that fails now and then is asked again; one that does not come back is an error that passes by itself.
#[test]
fn a_store_that_fails_is_asked_again() -> Result<()> {
    let server = Server::start(BUCKET)?;
    let all = rows(&mut Random(75), 20_000);
    server.put(&format!("{BUCKET}/f/a.parquet"), &parquet(&all)?)?;
    let bucket: Arc<dyn Storage> = Arc::new(Objects::new(s3(&server)?));
    let plan = totals(|| {})?;
    let state = State::memory(&plan);
    server.fail(2, "GET", "/f/a.parquet", false)?;
    ensure!(state.bulk(&plan, input(&bucket, "f", false)?, None)?.published);
    let file = [(String::new(), Vec::new(), all, None)];
    ensure!(answers(&plan, &state)? == oracle(&file));
    let state = State::memory(&plan);
    let found = input(&bucket, "f", false)?;
    server.fail(1_000, "GET", "/f/a.parquet", false)?;
    let e: rufous::Error = state.bulk(&plan, found, None).unwrap_err().downcast()?;
    ensure!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("s3://inputs/f/a.parquet"),
        "{e}"
    );
    Ok(())
}

/// The same through the command line, with credentials in the settings of the source, that nobody sees.
#[test]
fn on_the_command_line() -> Result<()> {
    let server = Server::start(BUCKET)?;
    let dir = tempfile::tempdir()?;
    let options = server.options();
    let options = options.iter().map(|(name, value)| option(dir.path(), name, value));
    let settings = format!("[sources.lines.options]\n{}", options.collect::<Result<String>>()?);
    fs::write(dir.path().join("rufous.toml"), settings)?;
    server.put(&format!("{BUCKET}/w/a.txt"), b"a b a\nc\n")?;
    server.put(&format!("{BUCKET}/w/b.txt.gz"), &gzip(b"a c\n")?)?;
    let run = |args: &[&str]| -> Result<(bool, String)> {
        let out = Command::new(env!("CARGO_BIN_EXE_job-word-count"))
            .args(args)
            .env("RUFOUS_LOG", "debug")
            .current_dir(dir.path())
            .output()?;
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        ensure!(!said.contains(SECRET), "a secret is shown: {said}");
        Ok((out.status.success(), said))
    };
    let source = ["--source", "lines=bulk:s3://inputs/w"];
    let (good, said) = run(&[&["batch"], &source[..]].concat())?;
    ensure!(good && said.contains("generation 0: 3 records"), "{said}");
    let (good, said) = run(&[&["get", "a", "--json"], &source[..]].concat())?;
    ensure!(good && said.contains("\"value\":3"), "{said}");
    let (good, said) = run(&[&["doctor"], &source[..]].concat())?;
    ensure!(good && said.contains("source lines: s3://inputs/w, 2 files"), "{said}");
    let (good, said) = run(&[&["batch"], &source[..]].concat())?;
    ensure!(good && said.contains("nothing new"), "{said}");
    let (good, said) = run(&["batch", "--source", "lines=parquet:s3://inputs/w"])?;
    ensure!(
        !good && said.contains("s3://inputs/w holds no file whose name ends in .parquet"),
        "{said}"
    );
    fs::write(
        dir.path().join("rufous.toml"),
        "[sources.lines.options]\naws_endpoind = \"x\"\n",
    )?;
    let (good, said) = run(&[&["batch"], &source[..]].concat())?;
    ensure!(
        !good && said.contains("[sources.lines.options]: unknown option `aws_endpoind`"),
        "{said}"
    );
    Ok(())
}
