//! A word count over files that are taken whole, as a program; what was published, and what lies on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous::core::Plan;
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::run::{Bytes, answers_on_disk, assert_same};

/// The job's directory below the world's.
pub(crate) const JOB: &str = "data/main/jobs/word-count";
/// Nobody's number.
const NOBODY: u32 = 65534;
/// So many threads share the smallest budget that each has a map of 256 KiB: the sums go to files.
const SMALL: [&str; 4] = ["--memory", "128MiB", "--threads", "64"];
const ROOMY: [&str; 2] = ["--threads", "1"];

pub(crate) struct World {
    dir: tempfile::TempDir,
    program: PathBuf,
    plan: Plan,
    words: BTreeMap<String, u64>,
    surroundings: Vec<(String, String)>,
}

/// How a command ended, and what it said.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) said: String,
}

/// Whether the tests run as the superuser, who feels no permission.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        // Where nobody may go.
        let program = dir.path().join("job");
        fs::copy(env!("CARGO_BIN_EXE_job-word-count"), &program)?;
        fs::create_dir(dir.path().join("in"))?;
        fs::create_dir(dir.path().join("data"))?;
        Ok(Self {
            dir,
            program,
            plan: word_count(&Args { min_len: 1 }).plan()?,
            words: BTreeMap::new(),
            surroundings: Vec::new(),
        })
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Another file of input: words that are there once, and some again and again.
    pub(crate) fn add(&mut self, name: &str, words: u64) -> Result<()> {
        let mut file = BufWriter::new(File::create(self.path("in").join(name))?);
        for n in 0..words {
            let number = if n % 5 == 0 {
                n % 70
            } else {
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            let word: String = number
                .to_string()
                .bytes()
                .map(|d| char::from(d - b'0' + b'a'))
                .collect();
            writeln!(file, "{word}")?;
            *self.words.entry(word).or_default() += 1;
        }
        file.flush()?;
        Ok(())
    }
    /// Every process from now on has this variable.
    pub(crate) fn set(&mut self, name: &str, value: impl ToString) {
        self.surroundings.retain(|(n, _)| n != name);
        self.surroundings.push((name.into(), value.to_string()));
    }
    pub(crate) fn clear(&mut self) {
        self.surroundings.clear();
    }
    fn end(&self, c: Command, args: &[&str]) -> Result<Ended> {
        self.end_with(c, args, &self.surroundings)
    }
    fn end_with(&self, mut c: Command, args: &[&str], surroundings: &[(String, String)]) -> Result<Ended> {
        c.args(args)
            .args(["--data", "data", "--source", "lines=bulk:in+text"])
            .env("RUFOUS_LOG", "warn")
            .envs(surroundings.iter().map(|(n, v)| (n, v)))
            .current_dir(self.dir.path());
        // Another test that starts a process at this very moment holds the copy of the program open for an instant.
        let until = Instant::now() + Duration::from_secs(60);
        let out = loop {
            match c.output() {
                Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                done => break done?,
            }
        };
        Ok(Ended {
            code: out.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned(),
        })
    }
    pub(crate) fn run(&self, args: &[&str]) -> Result<Ended> {
        self.end(Command::new(&self.program), args)
    }
    /// As somebody who feels permissions.
    pub(crate) fn run_plainly(&self, args: &[&str]) -> Result<Ended> {
        if !is_root() {
            return self.run(args);
        }
        let mut c = Command::new("setpriv");
        c.args([
            &format!("--reuid={NOBODY}"),
            &format!("--regid={NOBODY}"),
            "--clear-groups",
        ])
        .arg(&self.program);
        self.end(c, args)
    }
    /// All of the data directory belongs to him.
    pub(crate) fn give_away(&self) -> Result<()> {
        if is_root() {
            let owner = format!("{NOBODY}:{NOBODY}");
            let status = Command::new("chown")
                .args(["-R", &owner])
                .arg(self.path("data"))
                .status()?;
            ensure!(status.success(), "chown");
        }
        Ok(())
    }
    pub(crate) fn batch(&self, spills: bool) -> Vec<&'static str> {
        let memory: &[&str] = if spills { &SMALL } else { &ROOMY };
        [&["batch"], memory].concat()
    }
    pub(crate) fn succeeds(&self, args: &[&str]) -> Result<String> {
        let ended = self.run(args)?;
        ensure!(ended.code == 0, "{args:?}: {}: {}", ended.code, ended.said);
        Ok(ended.said)
    }
    pub(crate) fn answers(&self) -> Result<Bytes> {
        answers_on_disk(&self.plan, &self.path("data"))
    }
    /// The answer is that of all files of input.
    pub(crate) fn is_whole(&self, what: &str) -> Result<()> {
        let expected: Bytes = self
            .words
            .iter()
            .map(|(w, n)| ([w.as_bytes(), b"\0"].concat(), n.to_le_bytes().to_vec()))
            .collect();
        assert_same(what, &self.answers()?, &expected);
        Ok(())
    }
    /// Every file and directory of the data directory, and its bytes.
    pub(crate) fn files(&self) -> Result<BTreeSet<(PathBuf, u64)>> {
        let mut found = BTreeSet::new();
        let mut dirs = vec![self.path("data")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
                let path = entry?.path();
                let meta = fs::symlink_metadata(&path)?;
                found.insert((path.clone(), if meta.is_dir() { 0 } else { meta.len() }));
                if meta.is_dir() {
                    dirs.push(path);
                }
            }
        }
        Ok(found)
    }
    /// Nothing is there that was not there before, but for runs that no manifest names, where one could not be created;
    /// `gc` deletes them.
    pub(crate) fn only_orphans(&self, what: &str, before: &BTreeSet<(PathBuf, u64)>) -> Result<()> {
        let left = || -> Result<Vec<_>> { Ok(self.files()?.difference(before).cloned().collect()) };
        let is_run = |p: &Path| p.extension().is_some_and(|e| e == "rrun");
        let may = |p: &Path| is_run(p) || (p.is_dir() && p.ends_with("tmp"));
        let found = left()?;
        ensure!(found.iter().all(|(p, _)| may(p)), "{what}: left behind: {found:?}");
        if found.iter().any(|(p, _)| is_run(p)) {
            ensure!(what.contains("manifests"), "{what}: runs are left behind: {found:?}");
            let ended = self.end_with(
                Command::new(&self.program),
                &["gc", "--keep", "9", "--grace-minutes", "0"],
                &[],
            )?;
            ensure!(ended.code == 0 && ended.said.contains("run "), "{what}: {}", ended.said);
            let found = left()?;
            ensure!(!found.iter().any(|(p, _)| is_run(p)), "{what}: after gc: {found:?}");
        }
        Ok(())
    }
    /// The library that makes a small disk.
    pub(crate) fn small_disk(&mut self) -> Result<()> {
        let library = self.path("disk.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bulk_faults/disk.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()?;
        ensure!(built.success(), "cc makes the library of the small disk");
        self.set("LD_PRELOAD", library.display());
        self.set("RUFOUS_DISK", "data/main");
        Ok(())
    }
}
