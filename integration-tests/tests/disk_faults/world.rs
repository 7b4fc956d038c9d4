//! A word count over one growing file, as a program, and its reference.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rufous::core::Plan;
use rufous_examples::word_count::{Args, word_count};
use rufous_integration_tests::run::{Random, answers_on_disk};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");
/// A busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) type Counts = BTreeMap<String, u64>;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) random: Random,
    words: Vec<String>,
    plan: Plan,
}

/// A running stream; it is killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
    pub(crate) fn is_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the stream ended: {status}: {}", self.said()),
        }
    }
    /// Whether it says this `times` times before the time is over.
    pub(crate) fn has_said(&mut self, text: &str, times: usize, patience: Duration) -> Result<bool> {
        let start = Instant::now();
        while self.said().matches(text).count() < times {
            self.is_alive()?;
            if start.elapsed() > patience {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
    /// Until it has said this `times` times.
    pub(crate) fn wait_for(&mut self, text: &str, times: usize) -> Result<()> {
        let said = self.has_said(text, times, PATIENCE)?;
        ensure!(said, "never said `{text}`: {}", self.said());
        Ok(())
    }
    /// SIGTERM: it commits and ends well.
    pub(crate) fn stop(mut self) -> Result<()> {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {}", self.said());
        Ok(())
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        File::create(dir.path().join("lines.txt"))?;
        Ok(Self {
            dir,
            random: Random(seed),
            words: Vec::new(),
            plan: word_count(&Args { min_len: 1 }).plan()?,
        })
    }
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    /// The directory of the only namespace.
    pub(crate) fn namespace(&self) -> Result<PathBuf> {
        let all = self.data().join("main/jobs/word-count/realtime");
        let entries = fs::read_dir(&all).with_context(|| all.display().to_string())?;
        let found = entries
            .flatten()
            .map(|e| e.path())
            .find(|p| !p.to_string_lossy().contains(".aside-"));
        found.context("a namespace")
    }
    /// The newest file of the database whose name fits.
    pub(crate) fn db_file(&self, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
        let files = fs::read_dir(self.namespace()?.join("db"))?.flatten().map(|e| e.path());
        let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fitting = files.filter(|p| fits(&name(p)) && fs::metadata(p).is_ok_and(|m| m.len() > 0));
        fitting.max().context("no such file in the database")
    }
    /// Lines of one word each: some come again and again, most do not.
    pub(crate) fn append(&mut self, n: usize) -> Result<()> {
        let mut text = String::new();
        for _ in 0..n {
            let number = if self.random.below(4) == 0 {
                self.random.below(20)
            } else {
                self.random.below(1 << 40)
            };
            let letters = number
                .to_string()
                .into_bytes()
                .into_iter()
                .map(|d| char::from(d - b'0' + b'a'));
            let word: String = letters.collect();
            text.push_str(&word);
            text.push('\n');
            self.words.push(word);
        }
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.dir.path().join("lines.txt"))?;
        file.write_all(text.as_bytes())?;
        Ok(())
    }
    /// The fold of the first `n` lines.
    pub(crate) fn fold(&self, n: usize) -> Counts {
        let mut counts = Counts::new();
        for word in &self.words[..n] {
            *counts.entry(word.clone()).or_default() += 1;
        }
        counts
    }
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }
    pub(crate) fn command(&self, program: &Path, command: &str) -> Command {
        let mut c = Command::new(program);
        let source = format!("lines=file:{}+text", self.dir.path().join("lines.txt").display());
        c.arg(command)
            .arg("--data")
            .arg(self.data())
            .args(["--source", &source])
            .env("RUFOUS_LOG", "warn")
            .current_dir(self.dir.path());
        c
    }
    pub(crate) fn output(&self, command: &str, args: &[&str]) -> Result<Output> {
        Ok(self.command(Path::new(PROGRAM), command).args(args).output()?)
    }
    /// To the end of the file.
    pub(crate) fn catch_up(&self) -> Result<()> {
        let out = self.output("stream", &["--until-end", "--no-archive"])?;
        ensure!(
            out.status.success(),
            "{}: {}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(())
    }
    pub(crate) fn start(&self, with: impl FnOnce(&mut Command)) -> Result<Running> {
        let log = self.dir.path().join("stderr");
        let mut c = self.command(Path::new(PROGRAM), "stream");
        c.args(["--no-archive", "--commit-ms", "10", "--memory", "128MiB"])
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        with(&mut c);
        Ok(Running { child: c.spawn()?, log })
    }
    /// What readers of other processes are told.
    pub(crate) fn answers(&self) -> Result<Counts> {
        let bytes = answers_on_disk(&self.plan, &self.data())?;
        let decode = |(key, value): (Vec<u8>, Vec<u8>)| -> Result<(String, u64)> {
            let word = key.strip_suffix(&[0]).context("an end mark")?;
            let value: [u8; 8] = value.as_slice().try_into()?;
            Ok((String::from_utf8(word.to_vec())?, u64::from_le_bytes(value)))
        };
        bytes.into_iter().map(decode).collect()
    }
    /// The answer is the fold of a whole beginning of the file; says of how many lines.
    pub(crate) fn is_a_beginning(&self) -> Result<usize> {
        let answers = self.answers()?;
        let n = usize::try_from(answers.values().sum::<u64>())?;
        ensure!(
            n <= self.len() && answers == self.fold(n),
            "not the fold of the first {n} lines"
        );
        Ok(n)
    }
    pub(crate) fn is_whole(&self) -> Result<()> {
        let n = self.is_a_beginning()?;
        ensure!(n == self.len(), "{n} lines of {}", self.len());
        Ok(())
    }
    pub(crate) fn wait_until_whole(&self, running: &mut Running) -> Result<()> {
        let start = Instant::now();
        loop {
            running.is_alive()?;
            // A store that is being opened again has no answer for a moment; a wrong one it must never have.
            match self.answers() {
                Ok(a) if a.values().sum::<u64>() == self.len() as u64 => break,
                Ok(_) => {}
                Err(e) if start.elapsed() > PATIENCE => return Err(e),
                Err(_) => {}
            }
            ensure!(start.elapsed() < PATIENCE, "not whole: {}", running.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.is_whole()
    }
}
