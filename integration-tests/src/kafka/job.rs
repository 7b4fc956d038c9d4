//! A job that runs as a process over a topic: started, stopped, killed, paused; and what its answers must be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rufous::Result as Outcome;
use rufous::client::OpenRealtime;
use rufous::core::Plan;
use rufous::prelude::Codec;

use super::*;
use crate::run::{Bytes, answers_on_disk, client_of};

/// Settings of a consumer whose death is noticed soon.
pub const SOON_DEAD: [(&str, &str); 3] = [
    ("session.timeout.ms", "4000"),
    ("heartbeat.interval.ms", "300"),
    ("topic.metadata.refresh.interval.ms", "1000"),
];

/// Words in a topic, and how often each of them was written: the plain fold over the log.
pub struct Words<'a> {
    broker: &'a Broker,
    topic: String,
    partitions: i32,
    next: u64,
    counts: BTreeMap<String, u64>,
}

impl<'a> Words<'a> {
    /// A new topic.
    pub fn new(broker: &'a Broker, partitions: i32) -> Result<Self> {
        let topic = unique_name("words");
        broker.create_topic(&topic, partitions, &[])?;
        let counts = BTreeMap::new();
        Ok(Self {
            broker,
            topic,
            partitions,
            next: 0,
            counts,
        })
    }
    /// Its name.
    pub fn topic(&self) -> &str {
        &self.topic
    }
    /// New partitions get words from now on.
    pub fn grow(&mut self, partitions: i32) -> Result<()> {
        self.broker.create_partitions(&self.topic, partitions as usize)?;
        self.partitions = partitions;
        Ok(())
    }
    /// Writes `n` more words to each partition, and counts them.
    pub fn write(&mut self, n: u64) -> Result<()> {
        self.write_at(n, 1_000)
    }
    /// The same at this time, in milliseconds.
    pub fn write_at(&mut self, n: u64, time: u64) -> Result<()> {
        let time = i64::try_from(time)?;
        for partition in 0..self.partitions {
            let words: Vec<String> = (self.next..self.next + n).map(word).collect();
            self.next += n;
            let records = words.iter().map(|w| (time, "", w.as_str()));
            self.broker.produce(&self.topic, partition, records)?;
            for w in words {
                *self.counts.entry(w).or_default() += 1;
            }
        }
        Ok(())
    }
    /// One word is in the log no more.
    pub fn forget(&mut self, word: &str) {
        if let Some(n) = self.counts.get_mut(word) {
            *n -= 1;
        }
        self.counts.retain(|_, n| *n > 0);
    }
    /// The answer, in the bytes of the store.
    pub fn expected(&self) -> Bytes {
        let bytes = |(word, n): (&String, &u64)| (rufous::core::key::to_bytes(word.as_str()), n.to_bytes());
        self.counts.iter().map(bytes).collect()
    }
}

/// The word of a number: 97 words come again and again.
fn word(n: u64) -> String {
    let n = n % 97;
    let letter = |n: u64| char::from(b'a' + (n % 26) as u8);
    [letter(n / 26), letter(n), 'x'].into_iter().collect()
}

/// `job-word-count` over a topic, with a data directory of its own; or several of them that share directory and state.
pub struct Live {
    program: PathBuf,
    dir: Arc<tempfile::TempDir>,
    source: String,
    plan: Plan,
    shared: Option<SharedState>,
    /// Which of them it is.
    number: Arc<AtomicU32>,
    log: String,
    child: Option<Child>,
}

/// Realtime state in a server.
#[derive(Clone)]
pub struct SharedState {
    /// Where it is.
    pub url: String,
    /// How it is read.
    pub reader: OpenRealtime,
}

impl Live {
    /// `program`: the path of `job-word-count`, which only a test knows. `properties` are those of its source.
    pub fn new(program: &str, broker: &Broker, topic: &str, properties: &[(&str, &str)]) -> Result<Self> {
        Self::at(program, broker.addr(), topic, properties)
    }
    /// The same at another address of the broker.
    pub fn at(program: &str, addr: &str, topic: &str, properties: &[(&str, &str)]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut settings = String::from("[sources.lines.kafka]\n[sources.lines.kafka.properties]\n");
        for (name, value) in properties {
            settings += &crate::settings::option(dir.path(), name, value)?;
        }
        fs::write(dir.path().join("rufous.toml"), settings)?;
        let args = rufous_examples::word_count::Args { min_len: 1 };
        Ok(Self {
            program: program.into(),
            dir: Arc::new(dir),
            source: format!("lines=kafka://{addr}/{topic}+text"),
            plan: rufous_examples::word_count::word_count(&args).plan()?,
            shared: None,
            number: Arc::default(),
            log: "stderr.log".into(),
            child: None,
        })
    }
    /// Keeps its state in a server.
    pub fn in_server(mut self, state: SharedState) -> Self {
        self.shared = Some(state);
        self
    }
    /// Another process of the same job, directory and state.
    pub fn beside(&self) -> Result<Self> {
        let number = self.number.fetch_add(1, Relaxed) + 1;
        let args = rufous_examples::word_count::Args { min_len: 1 };
        Ok(Self {
            program: self.program.clone(),
            dir: self.dir.clone(),
            source: self.source.clone(),
            plan: rufous_examples::word_count::word_count(&args).plan()?,
            shared: self.shared.clone(),
            number: self.number.clone(),
            log: format!("stderr-{number}.log"),
            child: None,
        })
    }
    /// The job.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
    /// A command of the job.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(&self.program);
        c.args(args)
            .args(["--source", &self.source])
            .env("RUFOUS_LOG", "info")
            .current_dir(self.dir.path());
        if let Some(state) = &self.shared {
            c.env("RUFOUS_REALTIME", &state.url);
        }
        c
    }
    /// Starts the stream.
    pub fn start(&mut self) -> Result<()> {
        let mut c = self.command(&["stream", "--no-archive", "--commit-ms", "50"]);
        let log = File::options().create(true).append(true).open(self.log_path())?;
        c.stdout(Stdio::null()).stderr(log);
        self.child = Some(process::spawn(c)?);
        Ok(())
    }
    fn log_path(&self) -> PathBuf {
        self.dir.path().join(&self.log)
    }
    /// What the stream wrote to its log, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
    fn child(&mut self) -> Result<&mut Child> {
        self.child.as_mut().context("the stream does not run")
    }
    /// Its process id.
    pub fn id(&mut self) -> Result<u32> {
        Ok(self.child()?.id())
    }
    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child()?.try_wait()?.is_none())
    }
    /// SIGKILL.
    pub fn kill9(&mut self) -> Result<()> {
        self.child.take().map_or(Ok(()), |mut c| process::kill(&mut c))
    }
    /// SIGTERM, and waits.
    pub fn stop(&mut self) -> Result<()> {
        self.child.take().map_or(Ok(()), |mut c| process::stop(&mut c))
    }
    /// Waits until it ends by itself.
    pub fn ends(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child()?.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the stream does not end; its log:\n{}", self.log())
    }
    /// SIGSTOP.
    pub fn pause(&mut self) -> Result<()> {
        Ok(unsafe_calls::pause(self.child()?)?)
    }
    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        Ok(unsafe_calls::resume(self.child()?)?)
    }
    /// All answers, read as another process reads them.
    pub fn answers(&self) -> Result<Bytes> {
        let data = self.dir.path().join("data");
        match &self.shared {
            None => answers_on_disk(&self.plan, &data),
            Some(state) => {
                let client = client_of(&self.plan, &data, state.reader.clone())?;
                Ok(client.raw(self.plan.stores()[0]).under(&[])?.0.into_iter().collect())
            }
        }
    }
    /// The error that a read of everything is; `None` when it is an answer.
    pub fn refusal(&self) -> Option<String> {
        let refused: Outcome<(), anyhow::Error> = self.answers().map(|_| ());
        refused.err().map(|e| format!("{e:#}"))
    }
    /// Waits until the answer is this, byte for byte.
    pub fn comes_to(&mut self, what: &str, expected: &Bytes) -> Result<()> {
        let start = Instant::now();
        loop {
            let got = self.answers();
            if got.as_ref().is_ok_and(|got| got == expected) {
                return Ok(());
            }
            if self.child.is_some() && !self.is_running()? {
                bail!("{what}: the stream ended; its log:\n{}", self.log());
            }
            if start.elapsed() > PATIENCE {
                let total = |b: &Bytes| b.values().filter_map(|v| u64::decode(v).ok()).sum::<u64>();
                let got = got.map(|b| total(&b));
                bail!(
                    "{what}: {got:?} records of {}; its log:\n{}",
                    total(expected),
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    /// Waits until reads are refused with a text that has all these parts.
    pub fn is_refused(&self, what: &str, parts: &[&str]) -> Result<()> {
        let start = Instant::now();
        loop {
            let refusal = self.refusal();
            if refusal.as_ref().is_some_and(|e| parts.iter().all(|p| e.contains(p))) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("{what}: {refusal:?}; its log:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nobody is left to hear of a failure.
            let _ = process::kill(&mut child);
        }
    }
}
