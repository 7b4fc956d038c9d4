//! Row 24 of the fault table: ten times the budget of state, and the program stays within the budget and 15 %.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::kafka::Broker;
use rufous_integration_tests::run::Random;

const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
const BUDGET: u64 = 128 << 20;

/// A word of `len` letters that no other number has.
fn word(n: u64, len: usize, random: &mut Random, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = n;
    for _ in 0..8 {
        out.push(b'a' + (rest % 26) as u8);
        rest /= 26;
    }
    while out.len() - start < len {
        let mut bits = random.below(1 << 60);
        for _ in 0..12.min(len - (out.len() - start)) {
            out.push(b'a' + (bits % 26) as u8);
            bits /= 26;
        }
    }
}

/// Unique words in some files. Returns how many there are and their bytes together.
fn input(dir: &std::path::Path, words: u64, len: usize) -> Result<u64> {
    fs::create_dir(dir)?;
    let mut random = Random(7);
    let (mut line, mut bytes) = (Vec::new(), 0);
    for file in 0..4 {
        let mut out = BufWriter::new(File::create(dir.join(format!("{file}.txt")))?);
        for n in (file..words).step_by(4) {
            line.clear();
            word(n, len, &mut random, &mut line);
            bytes += line.len() as u64;
            line.push(b'\n');
            out.write_all(&line)?;
        }
        out.flush()?;
    }
    Ok(bytes)
}

/// The most memory that a run of the job had, in bytes.
fn peak(dir: &std::path::Path, source: &str, args: &[&str]) -> Result<u64> {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .args(["--memory", "128MiB"])
        .arg("--data")
        .arg(dir.join("data"))
        .arg("--source")
        .arg(source)
        .env("RUFOUS_LOG", "warn")
        .current_dir(dir)
        .stdout(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // Read before it ends: the kernel keeps the high-water mark as long as the process is there.
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find(|l| l.starts_with("VmHWM:"))
        {
            let kib = line.split_whitespace().nth(1).context("a number")?;
            peak = kib.parse::<u64>()? << 10;
        }
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{status}");
            ensure!(peak > 0, "the process was never seen");
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run(words: u64, len: usize, times: u64, args: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let state = input(&dir.path().join("in"), words, len)?;
    ensure!(state >= times * BUDGET, "{state} bytes of keys are too few");
    let source = format!("lines=dir:{}+text", dir.path().join("in").display());
    let args = [&["stream", "--until-end"], args].concat();
    let peak = peak(dir.path(), &source, &args)?;
    println!(
        "{} MiB of keys, peak {} MiB of a budget of {} MiB",
        state >> 20,
        peak >> 20,
        BUDGET >> 20
    );
    ensure!(
        peak <= BUDGET / 100 * 115,
        "{} MiB of memory, with a budget of {} MiB",
        peak >> 20,
        BUDGET >> 20
    );
    // Nothing was lost for it: each word is there, once.
    let answers = rufous_integration_tests::run::count_on_disk(
        &word_count(&Args { min_len: 1 }).plan()?,
        &dir.path().join("data"),
        b'a'..=b'z',
    )?;
    ensure!(answers == (words, words), "{answers:?} of {words}");
    Ok(())
}

/// Long keys: ten times the budget in keys alone.
#[test]
fn ten_times_the_budget_of_state() -> Result<()> {
    run(2_700_000, 500, 10, &["--no-archive"])
}

/// Short keys, with the archive: here what is kept beside each key and record weighs most.
#[test]
fn short_keys_and_the_archive() -> Result<()> {
    run(6_000_000, 12, 0, &[])
}

/// A bulk run, whose sums are ten times the budget: they go to files, and what is read at a time is in the budget as well.
#[test]
fn a_bulk_run_of_ten_times_the_budget() -> Result<()> {
    const WORDS: u64 = 2_900_000;
    let dir = tempfile::tempdir()?;
    input(&dir.path().join("in"), WORDS, 500)?;
    let source = format!("lines=dir:{}+text", dir.path().join("in").display());
    peak(dir.path(), &source, &["archive", "--until-end"])?;
    fs::remove_dir_all(dir.path().join("in"))?;
    let peak = peak(dir.path(), &source, &["batch"])?;
    // What is sealed: all but the last 8 MiB of each file.
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let (keys, sum) = rufous_integration_tests::run::count_on_disk(&plan, &dir.path().join("data"), b'a'..=b'z')?;
    println!("{keys} keys of {} MiB, peak {} MiB", (keys * 500) >> 20, peak >> 20);
    ensure!(keys == sum && keys * 500 >= 10 * BUDGET, "{keys} keys, {sum} words");
    ensure!(
        peak <= BUDGET / 100 * 115,
        "{} MiB of memory, with a budget of {} MiB",
        peak >> 20,
        BUDGET >> 20
    );
    let tmp = dir.path().join("data/main/tmp");
    ensure!(
        !tmp.exists() || fs::read_dir(&tmp)?.next().is_none(),
        "files of sums are left"
    );
    Ok(())
}

/// Records that a broker has ready: what is read ahead, by the job and by the archiver, is in the budget as well.
#[test]
fn a_backlog_over_kafka() -> Result<()> {
    const RECORDS: u64 = 2_000_000;
    const PARTITIONS: u64 = 8;
    let broker = Broker::start()?;
    broker.create_topic("lines", PARTITIONS as i32, &[])?;
    let mut random = Random(9);
    for p in 0..PARTITIONS {
        let mut words = Vec::new();
        for n in (p..RECORDS).step_by(PARTITIONS as usize) {
            let mut bytes = Vec::new();
            word(n, 14, &mut random, &mut bytes);
            words.push(String::from_utf8(bytes)?);
        }
        broker.produce("lines", p as i32, words.iter().map(|w| (1, "", w.as_str())))?;
    }
    let dir = tempfile::tempdir()?;
    let source = format!("lines=kafka://{}/lines+text", broker.addr());
    let peak = peak(dir.path(), &source, &["stream", "--until-end"])?;
    println!(
        "{RECORDS} records, peak {} MiB of a budget of {} MiB",
        peak >> 20,
        BUDGET >> 20
    );
    ensure!(
        peak <= BUDGET / 100 * 115,
        "{} MiB of memory, with a budget of {} MiB",
        peak >> 20,
        BUDGET >> 20
    );
    let plan = word_count(&Args { min_len: 1 }).plan()?;
    let answers = rufous_integration_tests::run::count_on_disk(&plan, &dir.path().join("data"), b'a'..=b'z')?;
    ensure!(answers == (RECORDS, RECORDS), "{answers:?} of {RECORDS}");
    Ok(())
}
