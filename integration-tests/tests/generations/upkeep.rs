//! P23, P25, P26: what `batch` does behind its publish. How many generations stay, runs that are merged, and the
//! state of code that nobody goes back to.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rufous_store_api::points::{BULK, UPKEEP, VARIABLE};
use rufous_store_rocksdb::owner::Owner;

use super::program::World;

/// How many manifests a job has.
fn manifests(dir: &Path, job: &str) -> Result<usize> {
    let mut n = 0;
    for entry in std::fs::read_dir(dir.join(format!("data/main/jobs/{job}/manifests")))? {
        n += usize::from(entry?.file_name().to_string_lossy().ends_with(".json"));
    }
    Ok(n)
}

/// P23: with `keep` 2 the cells of two generations stay, so that both can be compared and gone back to; with 0 none.
#[test]
fn what_is_kept() -> Result<()> {
    let mut w = World::new("[offline]\nkeep = 2\ngrace_minutes = 0\n")?;
    // A round has the end of a day in both files: a batch is sealed.
    w.round = 270;
    for n in 1..=4 {
        w.feed()?;
        let out = w.run(&["batch", "--fail-on-drift"])?;
        ensure!(
            out.contains(&format!("generation {n}: ")) && out.contains(" 0 differ"),
            "{out}"
        );
    }
    // The stream drops what it may.
    w.feed()?;
    for n in 3..=4 {
        let out = w.run(&["reconcile", "--generation", &n.to_string()])?;
        ensure!(out.contains(" 0 differ"), "{out}");
    }
    let out = w.try_run(&["reconcile", "--generation", "2"])?;
    ensure!(out.status.code() == Some(3), "{}", out.status);
    ensure!(manifests(w.dir.path(), "flights")? == 3);
    ensure!(
        w.run(&["rollback", "--to", "2"])?
            .starts_with("generation 5 is generation 2 again")
    );
    w.is_exact("two generations back")?;
    w.feed()?;
    w.is_exact("and live again")?;
    w.run(&["batch", "--keep", "0"])?;
    w.is_exact("none kept")?;
    ensure!(manifests(w.dir.path(), "flights")? == 1);
    w.feed()?;
    w.is_exact("none kept, and live again")?;
    let out = w.try_run(&["rollback"])?;
    ensure!(
        String::from_utf8_lossy(&out.stderr).contains("was deleted"),
        "{}",
        out.status
    );
    // More than before may be asked for: what is dropped stays dropped.
    w.run(&["batch", "--keep", "9"])?;
    w.is_exact("nine kept")
}

/// One of 40.
fn word(i: u64) -> String {
    let letter = |n: u64| char::from(b'a' + n as u8);
    format!("whale{}{}", letter(i % 40 / 8), letter(i % 8))
}

struct Words {
    dir: tempfile::TempDir,
    source: String,
    lines: u64,
}

impl Words {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        Ok(Self {
            source: format!("lines=file:{}", dir.path().join("lines.txt").display()),
            dir,
            lines: 0,
        })
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_job-word-count"));
        c.args(args)
            .args(["--source", &self.source])
            .current_dir(self.dir.path());
        c
    }
    fn try_run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).output()?)
    }
    fn run(&self, args: &[&str]) -> Result<String> {
        let out = self.try_run(args)?;
        let err = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{args:?}: {} {err}", out.status);
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }
    /// More than a batch, which is 8 MiB of a file without times.
    fn write(&mut self) -> Result<()> {
        use std::io::Write;
        let path = self.dir.path().join("lines.txt");
        let file = std::fs::File::options().create(true).append(true).open(path)?;
        let mut file = std::io::BufWriter::new(file);
        let more = (9 << 20) / 64;
        for i in self.lines..self.lines + more {
            writeln!(file, "{:>50} {} sea", "", word(i))?;
        }
        self.lines += more;
        Ok(file.flush()?)
    }
    fn is_exact(&self, what: &str, args: &[&str]) -> Result<()> {
        let out = self.run(&[&["top", "-n", "1000", "--json"], args].concat())?;
        let mut found = BTreeMap::new();
        for line in out.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let key = row["key"].as_str().context("a key")?.to_string();
            found.insert(key, row["value"].as_u64().context("a value")?);
        }
        let mut expected = BTreeMap::from([("sea".to_string(), self.lines)]);
        for i in 0..self.lines {
            *expected.entry(word(i)).or_default() += 1;
        }
        ensure!(found == expected, "{what}: {found:?}");
        Ok(())
    }
    fn namespaces(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.dir.path().join("data/main/jobs/word-count/realtime"))? {
            found.push(entry?.path());
        }
        found.sort();
        Ok(found)
    }
}

fn others(all: Vec<PathBuf>, old: &Path) -> Vec<PathBuf> {
    all.into_iter().filter(|path| path != old).collect()
}

/// Item 4 of issue 7: runs are merged behind the publish, and the generation is published in its new form: it answers
/// the same, is compared by the delta of the run that made it, and a rollback goes to the generation before.
#[test]
fn runs_are_merged_behind_the_publish() -> Result<()> {
    let mut w = Words::new()?;
    let mut merged = None;
    for published in 1..=10 {
        w.write()?;
        w.run(&["stream", "--until-end"])?;
        let out = w.run(&["batch", "--grace-minutes", "0", "--fail-on-drift"])?;
        ensure!(!out.contains("nothing new") && out.contains(" 0 differ"), "{out}");
        let first = out.find("covered until").context("a publish")?;
        if let Some(at) = out.find(" is the same with fewer runs") {
            ensure!(first < at, "merged before it was published: {out}");
            merged = Some((published, out));
            break;
        }
    }
    let (published, out) = merged.context("nothing was merged")?;
    ensure!(published == 9 && out.contains("generation 10 is the same"), "{out}");
    w.is_exact("merged", &[])?;
    let listed = w.run(&["generations"])?;
    ensure!(listed.contains("10 (generation 9 with fewer runs)"), "{listed}");
    // Its delta stays as long as its generation, and so does the generation before.
    ensure!(w.run(&["reconcile"])?.contains("generation 9: "));
    ensure!(manifests(w.dir.path(), "word-count")? == 3, "{listed}");
    w.write()?;
    w.run(&["stream", "--until-end"])?;
    let out = w.run(&["rollback"])?;
    ensure!(out.contains("generation 11 is generation 8 again"), "{out}");
    w.is_exact("a rollback from the merged form", &[])?;
    let out = w.run(&["batch", "--grace-minutes", "0", "--fail-on-drift"])?;
    ensure!(
        out.contains("generation 12: ") && out.contains("generation 13 is the same"),
        "{out}"
    );
    w.is_exact("and on", &[])
}

/// A data directory as it is, to another place. Sockets stay behind.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Every file below a directory, by name; as old as that nobody is taken for alive who wrote it.
fn aged(dir: &Path, by: Duration) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.append(&mut aged(&entry.path(), by)?);
        } else {
            let file = std::fs::File::options().append(true).open(entry.path())?;
            file.set_modified(std::time::SystemTime::now() - by)?;
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// Row 2 of the fault table behind the publish: the process ends between any two steps of comparing, merging and
/// deleting. What answers before answers after, and one more `batch` leaves what an undisturbed one leaves.
#[test]
fn killed_anywhere_behind_the_publish() -> Result<()> {
    let mut w = Words::new()?;
    for _ in 1..=9 {
        w.write()?;
        w.run(&["stream", "--until-end"])?;
        w.run(&["batch", "--no-gc", "--no-reconcile"])?;
    }
    // The ninth run makes them too many: it is taken back.
    let manifests_of = |w: &Words| w.dir.path().join("data/main/jobs/word-count/manifests");
    for n in [9, 10] {
        std::fs::remove_file(manifests_of(&w).join(format!("{n}.json")))?;
    }
    let (data, kept) = (w.dir.path().join("data"), w.dir.path().join("kept"));
    std::fs::rename(&data, &kept)?;
    // How many files of each kind are left.
    let left = || -> Result<BTreeMap<&str, usize>> {
        let offline = data.join("main/jobs/word-count/offline");
        let mut left = BTreeMap::from([("manifests", manifests(w.dir.path(), "word-count")?)]);
        for name in aged(&offline, Duration::ZERO)? {
            let kind = if name.ends_with(".rrun") { "runs" } else { "others" };
            *left.entry(kind).or_default() += 1;
        }
        left.insert(
            "reports",
            std::fs::read_dir(data.join("main/jobs/word-count/reconciled"))?.count(),
        );
        Ok(left)
    };
    let batch = ["batch", "--grace-minutes", "0", "--fail-on-drift"];
    let old = Duration::from_secs(7_200);
    copy(&kept, &data)?;
    aged(&data.join("main/jobs/word-count/offline"), old)?;
    let out = w.run(&batch)?;
    ensure!(
        out.contains("generation 9: ") && out.contains("generation 10 is the same"),
        "{out}"
    );
    w.run(&batch)?;
    let expected = left()?;
    ensure!(expected["manifests"] == 3 && expected["reports"] == 1, "{expected:?}");
    let mut ended = 0;
    let points = BULK.iter().chain(&UPKEEP);
    for at in points.flat_map(|point| (1..=6).map(move |time| format!("{point}:{time}"))) {
        std::fs::remove_dir_all(&data)?;
        copy(&kept, &data)?;
        aged(&data.join("main/jobs/word-count/offline"), old)?;
        let out = w.command(&batch).env(VARIABLE, &at).output()?;
        if out.status.success() {
            // It does not come there so often.
            continue;
        }
        ensure!(
            out.status.signal() == Some(6),
            "{at}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        ended += 1;
        w.is_exact(&at, &[])?;
        for dir in ["offline", "reconciled", "manifests"] {
            let dir = data.join("main/jobs/word-count").join(dir);
            if dir.exists() {
                aged(&dir, old)?;
            }
        }
        for _ in 0..2 {
            w.run(&batch)?;
        }
        w.is_exact(&format!("{at}, and run again"), &[])?;
        ensure!(left()? == expected, "{at}: {:?}, not {expected:?}", left()?);
    }
    println!("ended at {ended} points");
    ensure!(ended > 25, "{ended}");
    Ok(())
}

/// P26, P40: the realtime state of code goes when no manifest that is there names it and no process keeps it; a crash
/// in the middle leaves what the next gc deletes.
#[test]
fn state_of_code_that_nobody_goes_back_to() -> Result<()> {
    let mut w = Words::new()?;
    w.write()?;
    w.run(&["stream", "--until-end"])?;
    w.run(&["batch", "--grace-minutes", "0"])?;
    w.is_exact("the first code", &[])?;
    let [old] = w.namespaces()?.try_into().ok().context("one namespace")?;
    let name = old.file_name().context("a name")?.to_string_lossy().into_owned();
    let new = ["--min-len", "2"];
    let with = |args: &[&'static str]| [args, &new[..]].concat();
    w.run(&with(&["backfill"]))?;
    w.run(&with(&["stream", "--until-end"]))?;
    w.run(&with(&["switch"]))?;
    // A rollback reaches the old code: its state stays.
    w.run(&with(&["gc", "--grace-minutes", "0"]))?;
    ensure!(w.namespaces()?.len() == 2 && old.exists());
    w.write()?;
    w.run(&with(&["stream", "--until-end"]))?;
    // Somebody keeps it.
    let owner = Owner::take(&old, Duration::from_secs(5))?;
    let out = w.run(&with(&["batch", "--grace-minutes", "0", "--fail-on-drift"]))?;
    ensure!(
        out.contains("generation 3: ") && out.contains("old generations: "),
        "{out}"
    );
    ensure!(old.exists(), "a process keeps it");
    w.is_exact("the new code", &new)?;
    drop(owner);
    let shown = w.run(&with(&["gc", "--grace-minutes", "0", "--dry-run"]))?;
    ensure!(
        shown.contains("realtime state ") && shown.contains(&format!("realtime/{name} (")) && old.exists(),
        "{shown}"
    );
    // What a gc left that was killed between its two steps, and what `rebuild` set aside for a person.
    let (dead, aside) = (old.with_file_name(".dead-1-2-3"), old.with_file_name("f00.aside-1"));
    for left in [&dead, &aside] {
        std::fs::create_dir_all(left.join("db"))?;
        std::fs::write(left.join("db/000007.sst"), "x")?;
    }
    let out = w.run(&with(&["gc", "--grace-minutes", "0"]))?;
    ensure!(out.matches("realtime state ").count() == 2, "{out}");
    let left = others(w.namespaces()?, &aside);
    ensure!(
        left.len() == 1 && !old.exists() && !dead.exists() && aside.exists(),
        "{left:?}"
    );
    w.is_exact("after gc", &new)?;
    w.write()?;
    w.run(&with(&["stream", "--until-end"]))?;
    w.run(&with(&["batch", "--fail-on-drift"]))?;
    w.is_exact("and on", &new)
}
