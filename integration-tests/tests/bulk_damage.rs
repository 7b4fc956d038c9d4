//! Damaged, changed and forbidden inputs of bulk runs (issue 7, item 8): each fails before anything is published, names the file
//! and the repair, and the old generation is served on. And the same through the command line.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context as _, Result, ensure};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rufous::core::{ErrorKind, Plan};
use rufous::prelude::*;
use rufous_examples::flights::flights;
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::data;
use rufous_integration_tests::run::{Bytes, State, answers_on_disk, assert_same};
use rufous_platform_parquet::BulkInput;

#[derive(Clone, Record)]
struct Sale {
    shop: String,
    cents: i64,
}

const SALES: Source<Sale> = Source::new("sales");
const TOTALS: Store<String, i64> = Store::new("totals");

fn totals(seen: impl Fn() + Clone + Send + Sync + 'static) -> Result<Plan> {
    let keyed = SALES.read().keyed(move |s, out| {
        seen();
        out.emit(s.shop.as_str(), s.cents);
    });
    Ok(Job::new("sales", keyed.sum_by_key(TOTALS)).plan()?)
}

fn write(path: &Path, rows: i64, columns: [&str; 2]) -> Result<()> {
    let shops: ArrayRef = Arc::new(
        (0..rows)
            .map(|i| Some(format!("shop {}", i % 40)))
            .collect::<StringArray>(),
    );
    let cents: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_from_iter([(columns[0], shops), (columns[1], cents)])?;
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(4_000))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Two good files make a generation; then the second is harmed in every way that people and disks find.
#[test]
fn a_harmed_file_publishes_nothing() -> Result<()> {
    let plan = totals(|| {})?;
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    write(&a, 9_000, ["shop", "cents"])?;
    write(&b, 10_000, ["shop", "cents"])?;
    let good = fs::read(&b)?;
    let state = State::disk(&plan, &dir.path().join("state"))?;
    let run = || state.bulk(&plan, BulkInput::parquet([&*a, &*b]), None);
    ensure!(run()?.published);
    let before = state.answers(&plan)?;
    ensure!(before.len() == 40);

    type Harm = Box<dyn Fn(&Path) -> Result<()>>;
    let bytes = |f: fn(&mut Vec<u8>)| -> Harm {
        let good = good.clone();
        Box::new(move |path| {
            let mut bytes = good.clone();
            f(&mut bytes);
            Ok(fs::write(path, bytes)?)
        })
    };
    let harms: Vec<(&str, Harm, ErrorKind, &str)> = vec![
        ("empty", bytes(|b| b.clear()), ErrorKind::CorruptData, "it is empty"),
        (
            "cut off",
            bytes(|b| b.truncate(b.len() / 2)),
            ErrorKind::CorruptData,
            "still being written",
        ),
        (
            "grown",
            bytes(|b| b.extend(b"more")),
            ErrorKind::CorruptData,
            "still being written",
        ),
        (
            "footer",
            bytes(|b| {
                let n = b.len();
                b[n - 60..n - 8].fill(0xff);
            }),
            ErrorKind::CorruptData,
            "replace it by an undamaged",
        ),
        (
            "a footer longer than the file",
            bytes(|b| {
                let n = b.len();
                b[n - 6] = 0xff;
            }),
            ErrorKind::CorruptData,
            "longer than the file",
        ),
        (
            "first page",
            bytes(|b| b[4..40].fill(0xff)),
            ErrorKind::CorruptData,
            "replace it by an undamaged",
        ),
        (
            "JSON",
            bytes(|b| *b = b"{\"shop\": \"x\", \"cents\": 1}\n".repeat(9)),
            ErrorKind::CorruptData,
            "no Parquet file",
        ),
        (
            "other columns",
            Box::new(|p| write(p, 50, ["shop", "euros"])),
            ErrorKind::InvalidRequest,
            "no column `cents`",
        ),
        (
            "other types",
            Box::new(|p| write(p, 50, ["cents", "shop"])),
            ErrorKind::InvalidRequest,
            "change the field's type",
        ),
        (
            "a directory",
            Box::new(|p| {
                fs::remove_file(p)?;
                Ok(fs::create_dir(p)?)
            }),
            ErrorKind::InvalidRequest,
            "is a directory",
        ),
        (
            "gone",
            Box::new(|p| Ok(fs::remove_dir(p)?)),
            ErrorKind::InvalidRequest,
            "No such file",
        ),
    ];
    for (what, harm, kind, words) in harms {
        harm(&b)?;
        let e = run().err().with_context(|| format!("{what}: published"))?;
        let e: rufous::Error = e.downcast()?;
        ensure!(
            e.kind() == kind && e.to_string().contains("b.parquet") && e.to_string().contains(words),
            "{what}: {e:?}"
        );
        assert_same(what, &state.answers(&plan)?, &before);
    }
    write(&b, 20_000, ["shop", "cents"])?;
    ensure!(run()?.records == 29_000);
    Ok(())
}

/// A file that is written to while it is read: nothing of either content is published.
#[test]
fn a_file_that_changes_publishes_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.parquet");
    write(&path, 30_000, ["shop", "cents"])?;
    let (harmed, target) = (Arc::new(AtomicBool::new(false)), path.clone());
    let plan = totals(move || {
        if !harmed.swap(true, Relaxed) {
            let mut bytes = fs::read(&target).unwrap();
            bytes[30] ^= 1;
            fs::write(&target, bytes).unwrap();
        }
    })?;
    let state = State::memory(&plan);
    let e = state.bulk(&plan, BulkInput::parquet([&*path]), None).unwrap_err();
    let e: rufous::Error = e.downcast()?;
    ensure!(
        e.kind() == ErrorKind::TryAgain && e.to_string().contains("a.parquet: it was written to while it was read"),
        "{e:?}"
    );
    ensure!(state.manifests.newest(0)?.is_none());
    Ok(())
}

#[derive(Clone, Record)]
struct Word {
    word: String,
}

const WORDS: Source<Word> = Source::new("words");
const COUNTS: Store<String, u64> = Store::new("counts");

/// A file of 200 words `w0` to `w6` with a checksum a page, as pyarrow 26 writes it (compression none).
const CHECKED: &str = "5041523115041554155415dbfbe7f8063c150e1500120000020000007730020000007731020000007732020000007733020000007734020000007735020000007736150015a80115a80115c0d184ef0e1c1590031510150615061c00000003000000900301033388c61ad158231a6b44638d68ac118d35a2b14634d688c61ad158231a6b44638d68ac118d35a2b14634d688c61ad158231a6b44638d68ac118d35a2b14634d688c61ad158231a6b44638d681504192c35001806736368656d61150200150c25021804776f726425004c1c000000169003191c191c26001c150c1935000610191804776f7264150016900316dc0216dc022684012608292c15041500150200150015101502003c16a0061906192600900300000016dc02169003260816dc02002820706172717565742d6370702d6172726f772076657273696f6e2032362e302e31191c1c0000009c00000050415231";

/// Page checksums are looked at: not one changed bit of a page gets through.
#[test]
fn checksums_of_pages() -> Result<()> {
    let plan = Job::new(
        "words",
        WORDS
            .read()
            .keyed(|w, out| out.emit(w.word.as_str(), 1))
            .sum_by_key(COUNTS),
    )
    .plan()?;
    let digits = CHECKED.as_bytes().chunks(2);
    let good: Vec<u8> = digits
        .map(|d| Ok(u8::from_str_radix(std::str::from_utf8(d)?, 16)?))
        .collect::<Result<_>>()?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.parquet");
    let run = |bytes: &[u8]| -> Result<Bytes> {
        fs::write(&path, bytes)?;
        let state = State::memory(&plan);
        state.bulk(&plan, BulkInput::parquet([&*path]), None)?;
        state.answers(&plan)
    };
    let answers = run(&good)?;
    let count = |n: u64| answers[format!("w{n}\0").as_bytes()] == (200_u64 / 7 + u64::from(n < 200 % 7)).to_le_bytes();
    ensure!((0..7).all(count), "{answers:?}");
    let at = |some: &[u8]| good.windows(some.len()).position(|w| w == some).context("not there");
    // The codec of the only column, in the footer: one that nobody here can read.
    let mut brotli = good.clone();
    brotli[at(b"\x18\x04word\x15\x00\x16")? + 7] = 8;
    let e = run(&brotli).unwrap_err().to_string();
    ensure!(e.contains("a.parquet: column `word` is compressed by BROTLI"), "{e}");
    // The bytes of the words, and of the numbers of the words of rows, behind their headers.
    for range in [
        at(b"w0")?..at(b"w6")? + 2,
        at(&[0x33, 0x88, 0xc6])?..at(&[0x33, 0x88, 0xc6])? + 70,
    ] {
        for (i, bit) in range.flat_map(|i| (0..8).map(move |bit| (i, bit))) {
            let mut bytes = good.clone();
            bytes[i] ^= 1 << bit;
            let e = run(&bytes)
                .err()
                .with_context(|| format!("byte {i}, bit {bit}: answered"))?;
            ensure!(e.to_string().contains("checksum"), "{e}");
        }
    }
    Ok(())
}

struct Binary<'a> {
    program: PathBuf,
    dir: &'a Path,
}

impl Binary<'_> {
    /// Exit code and what was said, as the user `nobody` if asked.
    fn run(&self, args: &[&str], nobody: bool) -> Result<(i32, String)> {
        let mut c = match nobody {
            false => Command::new(&self.program),
            true => {
                let mut c = Command::new("setpriv");
                c.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                    .arg(&self.program);
                c
            }
        };
        let out = c.args(args).env("RUFOUS_LOG", "warn").current_dir(self.dir).output()?;
        let said = [out.stdout, out.stderr].concat();
        Ok((
            out.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }
    fn succeeds(&self, args: &[&str]) -> Result<String> {
        let (code, said) = self.run(args, false)?;
        ensure!(code == 0, "{args:?}: {code}: {said}");
        Ok(said)
    }
}

/// `bulk:` and `parquet:` on the command line: nested directories, packed files, one answer.
#[test]
fn on_the_command_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let job = Binary {
        program: env!("CARGO_BIN_EXE_job-flights").into(),
        dir: dir.path(),
    };
    for (n, day) in [(1, "2001-01"), (2, "2001-02")] {
        let below = dir.path().join(format!("in.parquet/month={day}"));
        fs::create_dir_all(&below)?;
        fs::copy(
            data::sample(&format!("flights-sample-{n}.parquet")),
            below.join("part-0.parquet"),
        )?;
    }
    fs::write(dir.path().join("in.parquet/_SUCCESS"), "")?;
    fs::create_dir(dir.path().join("lines"))?;
    fs::copy(
        data::sample("flights-sample.jsonl.gz"),
        dir.path().join("lines/a.jsonl.gz"),
    )?;
    let said = job.succeeds(&[
        "batch",
        "--data",
        "of-parquet",
        "--source",
        "flights=parquet:in.parquet",
    ])?;
    ensure!(said.contains("generation 0:"), "{said}");
    let dry = job.succeeds(&[
        "batch",
        "--data",
        "of-lines",
        "--source",
        "flights=bulk:lines",
        "--dry-run",
    ])?;
    ensure!(
        dry.contains("a.jsonl.gz, whole; 1 files, rows not known yet, "),
        "{dry}"
    );
    job.succeeds(&["batch", "--data", "of-lines", "--source", "flights=bulk:lines"])?;
    let plan = flights().plan()?;
    let read = |data: &str| answers_on_disk(&plan, &dir.path().join(data));
    assert_same("lines", &read("of-lines")?, &read("of-parquet")?);
    let (code, said) = job.run(
        &[
            "stream",
            "--data",
            "live",
            "--source",
            "flights=bulk:lines",
            "--until-end",
        ],
        false,
    )?;
    ensure!(
        code == 1 && said.contains("is a bounded input and cannot be followed"),
        "{said}"
    );
    let (code, said) = job.run(&["batch", "--data", "none", "--source", "flights=parquet:lines"], false)?;
    ensure!(
        code == 1 && said.contains("lines holds no file whose name ends in .parquet"),
        "{said}"
    );
    Ok(())
}

/// Permissions, which a superuser does not feel: as `nobody`, the error names the file or directory, and nothing is lost.
#[test]
fn permissions_are_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    // Where nobody may go.
    let program = dir.path().join("job");
    fs::copy(env!("CARGO_BIN_EXE_job-word-count"), &program)?;
    let job = Binary {
        program,
        dir: dir.path(),
    };
    fs::create_dir_all(dir.path().join("in/sub"))?;
    fs::write(dir.path().join("in/a.txt"), "one two\ntwo\n")?;
    fs::write(dir.path().join("in/sub/b.txt"), "three\n")?;
    fs::create_dir(dir.path().join("data"))?;
    let status = Command::new("chown")
        .args(["65534"])
        .arg(dir.path().join("data"))
        .status()?;
    ensure!(status.success(), "run as root");
    let batch = ["batch", "--data", "data", "--source", "lines=bulk:in+text"];
    let (code, said) = job.run(&batch, true)?;
    ensure!(code == 0, "{said}");
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let before = answers_on_disk(&plan, &dir.path().join("data"))?;
    ensure!(before.len() == 3);
    // What was summed is not opened again; this one is new.
    fs::write(dir.path().join("in/sub/c.txt"), "four\n")?;
    for (path, mode) in [("in/sub/c.txt", 0o644), ("in/sub", 0o755), ("in", 0o755)] {
        let path = dir.path().join(path);
        fs::set_permissions(&path, Permissions::from_mode(0o000))?;
        let (code, said) = job.run(&batch, true)?;
        ensure!(
            code == 1
                && said.contains("ermission denied")
                && said.contains(path.strip_prefix(dir.path())?.to_str().context("text")?),
            "{}: {code}: {said}",
            path.display()
        );
        assert_same("before", &answers_on_disk(&plan, &dir.path().join("data"))?, &before);
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    let (code, said) = job.run(&batch, true)?;
    ensure!(code == 0 && said.contains("generation 1:"), "{said}");
    ensure!(answers_on_disk(&plan, &dir.path().join("data"))?.len() == 4);
    Ok(())
}
