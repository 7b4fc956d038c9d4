//! The log on standard error, and a progress line when that is a terminal; a log line now and then when it is none.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::metrics::View;
use super::out;
use super::read::show_time;
use super::settings::{LogFormat, LogSettings};
use crate::core::{Error, Result, Timestamp};
use crate::realtime::Metrics;

/// How often the line is drawn, and how many looks back its rate reaches.
const DRAW: Duration = Duration::from_millis(250);
const LOOKS: usize = 8;
/// How often a line is logged where there is no terminal.
const LOG: Duration = Duration::from_secs(10);

/// The line that is being drawn: the log is written above it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn bar() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log is written above this line from now on; `None`: there is none any more.
#[cfg(feature = "parquet")]
pub(super) fn share(line: Option<ProgressBar>) {
    *bar() = line;
}

/// Standard error, which a progress line may share.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let write = || std::io::stderr().lock().write(line);
        match bar().as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

pub(super) fn log_to_stderr(settings: &LogSettings, command: &str) -> Result<()> {
    // Those who ask for a value want the value; those who run a job want to know what it does.
    let runs = matches!(command, "stream" | "archive" | "batch" | "backfill");
    let level = if runs { "info" } else { "warn" };
    let said = settings
        .level
        .as_deref()
        .map(EnvFilter::try_new)
        .transpose()
        .map_err(|e| {
            Error::invalid(format!("setting `log.level`: {e}"))
                .repaired_by("write error, warn, info, debug or trace, or directives such as rufous=debug,warn")
        })?;
    let filter = said.unwrap_or_else(|| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // One filter for all: where each layer had its own, lines came without the span that they were in.
    let filtered = tracing_subscriber::registry().with(filter);
    let lines: Box<dyn Layer<_> + Send + Sync> = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            JSON.store(true, Relaxed);
            lines.json().boxed()
        }
    };
    let all = filtered.with(lines);
    #[cfg(feature = "server")]
    let all = all.with((runs || command == "serve").then_some(super::logged::Keep));
    let done = all.try_init();
    done.map_err(|e| Error::bug(format!("the log was set up twice: {e}")))
}

/// Whether the log is one JSON object a line.
static JSON: AtomicBool = AtomicBool::new(false);

/// The error that ends the program: on standard error, in the form of the log.
pub(super) fn report(e: &Error) {
    // `--json` asks for objects of one form, `--log-format json` for lines of the log.
    if JSON.load(Relaxed) && !out::is_json() {
        tracing::error!(exit_code = e.kind().exit_code(), "{e}");
    } else {
        out::complain(e);
    }
}

/// Rate, lag and freshness of a running job, for people.
pub(super) struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// A line where standard error is a terminal and the log is text; lines of the log elsewhere.
    pub(super) fn start(view: Arc<View>, format: LogFormat) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let draw = matches!(format, LogFormat::Text) && std::io::stderr().is_terminal();
        let thread = std::thread::spawn(move || {
            if draw {
                draw_line(&view, &stopped);
            } else {
                log_lines(&view, &stopped);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
    pub(super) fn finish(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only draws: a panic in it is nothing to fail a job for.
            let _ = thread.join();
        }
    }
}

type Stopped = mpsc::Receiver<()>;

fn draw_line(view: &View, stopped: &Stopped) {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        line.set_style(style);
    }
    *bar() = Some(line.clone());
    let mut rate = Rate::new(LOOKS);
    rate.after(0);
    while stopped.recv_timeout(DRAW) == Err(RecvTimeoutError::Timeout) {
        let look = Look::at(view);
        line.set_message(look.line(rate.after(look.records)));
        line.tick();
    }
    *bar() = None;
    line.finish_and_clear();
}

fn log_lines(view: &View, stopped: &Stopped) {
    let mut rate = Rate::new(2);
    rate.after(0);
    while stopped.recv_timeout(LOG) == Err(RecvTimeoutError::Timeout) {
        let look = Look::at(view);
        let per_second = rate.after(look.records).round() as u64;
        let fresh_until = look.last_time.map(|t| t.to_string());
        tracing::info!(
            job = view.job,
            records = look.records,
            per_second,
            lag = look.lag,
            fresh_until,
            commits = look.commits,
            late = look.late,
            bad = look.bad,
            "{}",
            look.troubles().unwrap_or_else(|| "running".into())
        );
    }
}

/// Records a second over the last few looks.
struct Rate {
    looks: VecDeque<(Instant, u64)>,
    most: usize,
}

impl Rate {
    fn new(most: usize) -> Self {
        Self {
            looks: VecDeque::new(),
            most,
        }
    }
    fn after(&mut self, records: u64) -> f64 {
        let now = Instant::now();
        self.looks.push_back((now, records));
        if self.looks.len() > self.most {
            self.looks.pop_front();
        }
        match self.looks.front() {
            Some((then, before)) if *then < now => records.saturating_sub(*before) as f64 / (now - *then).as_secs_f64(),
            _ => 0.0,
        }
    }
}

/// What one look at the counters shows.
struct Look {
    records: u64,
    commits: u64,
    late: u64,
    bad: u64,
    lag: u64,
    last_time: Option<Timestamp>,
    now: Timestamp,
    /// Places whose server is silent, and for how long.
    silent: Vec<(String, Duration)>,
    failing: u64,
    /// How much of the replay is done, while there is one.
    replay: Option<f64>,
}

impl Look {
    fn at(view: &View) -> Self {
        let nothing = Metrics::default();
        let m = view.stream.as_deref().or(view.archive.as_deref()).unwrap_or(&nothing);
        let sources = m.sources();
        let place = |name: &str| {
            m.source(name)
                .location
                .get()
                .cloned()
                .unwrap_or_else(|| name.to_string())
        };
        let (mut from, mut next, mut to) = (0, 0, 0);
        for (_, p) in sources.iter().flat_map(|(_, s)| s.partitions()) {
            if p.owned.load(Relaxed) && p.is_replaying() {
                from += p.replay_from.load(Relaxed);
                next += p.next.load(Relaxed);
                to += p.replay_to.load(Relaxed);
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            records: m.records.load(Relaxed),
            commits: m.commits.load(Relaxed),
            late: m.late.load(Relaxed),
            bad: m.bad.load(Relaxed),
            lag: m.lag_records(),
            last_time: m.last_time(),
            now: Timestamp(now.as_millis() as i64),
            silent: m
                .silent(&view.limits)
                .iter()
                .map(|(name, age)| (place(name), *age))
                .collect(),
            failing: m.failing.load(Relaxed),
            replay: (to > from).then(|| next.saturating_sub(from) as f64 / (to - from) as f64),
        }
    }
    /// What keeps the answers from being fresh.
    fn troubles(&self) -> Option<String> {
        let mut troubles = Vec::new();
        for (place, age) in &self.silent {
            let since = Timestamp(self.now.0 - age.as_millis() as i64);
            troubles.push(format!("waiting for {place} since {}", show_time(Some(since))));
        }
        if self.failing > 0 {
            troubles.push(format!("{} commits in a row failed", self.failing));
        }
        if let Some(replay) = self.replay {
            troubles.push(format!("replaying, {:.0} %", 100.0 * replay));
        }
        (!troubles.is_empty()).then(|| troubles.join(", "))
    }
    fn line(&self, rate: f64) -> String {
        let mut line = format!(
            "{} records, {}/s, lag {}{}, {} commits",
            HumanCount(self.records),
            HumanCount(rate.round() as u64),
            HumanCount(self.lag),
            self.fresh(),
            HumanCount(self.commits)
        );
        for (n, what) in [(self.late, "late"), (self.bad, "bad")] {
            if n > 0 {
                line.push_str(&format!(", {} {what}", HumanCount(n)));
            }
        }
        if let Some(troubles) = self.troubles() {
            line.push_str("; ");
            line.push_str(&troubles);
        }
        line
    }
    /// How old is what was applied: an age while that is short, a date else.
    fn fresh(&self) -> String {
        let Some(t) = self.last_time else {
            return String::new();
        };
        match self.now.0.saturating_sub(t.0) {
            ms @ 0..3_600_000 => format!(", fresh {:.1} s ago", ms as f64 / 1e3),
            _ => format!(", fresh until {}", show_time(Some(t))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            records: 1_234_567,
            commits: 12,
            late: 0,
            bad: 3,
            lag: 70_000,
            last_time: Some(Timestamp(999_600)),
            now: Timestamp(1_000_000),
            silent: Vec::new(),
            failing: 0,
            replay: None,
        }
    }

    /// The line says rate, lag, freshness, and what is wrong.
    #[test]
    fn a_line_says_what_matters() {
        assert_eq!(
            look().line(1999.6),
            "1,234,567 records, 2,000/s, lag 70,000, fresh 0.4 s ago, 12 commits, 3 bad"
        );
        let waiting = Look {
            silent: vec![("kafka://h/t".into(), Duration::from_secs(30))],
            replay: Some(0.431),
            last_time: Some(Timestamp(-86_400_000)),
            ..look()
        };
        let line = waiting.line(0.0);
        assert!(
            line.contains("fresh until 1969-12-31T00:00:00")
                && line.contains("; waiting for kafka://h/t since 1970-01-01T00:16:10")
                && line.ends_with("replaying, 43 %"),
            "{line}"
        );
    }

    /// A look may fall between the stores of an acquisition that goes on behind a lost range: the position is still the old
    /// one. It is a share of the replay all the same.
    #[test]
    fn a_look_during_an_acquisition() {
        let stream = Arc::new(Metrics::default());
        let source = stream.source("lines");
        let p = source.partition(0);
        p.acquired(100, 200);
        source.owns([0].into_iter());
        p.replay_from.store(300, Relaxed);
        p.replay_to.store(400, Relaxed);
        let view = View {
            job: "j".into(),
            instance: "main".into(),
            fingerprint: "f".into(),
            stream: Some(stream),
            archive: None,
            limits: crate::realtime::Limits::default(),
            reconciled: Arc::default(),
            store: std::sync::OnceLock::new(),
        };
        let replay = Look::at(&view).replay.unwrap();
        assert!((0.0..=1.0).contains(&replay), "{replay}");
    }

    #[test]
    fn a_rate_reaches_a_few_looks_back() {
        let mut rate = Rate::new(2);
        assert!(rate.after(5).abs() < f64::EPSILON);
        std::thread::sleep(Duration::from_millis(2));
        assert!(rate.after(10) > 0.0);
        std::thread::sleep(Duration::from_millis(2));
        assert!(rate.after(10).abs() < f64::EPSILON);
    }
}
