//! What bulk commands share: the line that shows how far they are, and the signal that stops them.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
#[cfg(feature = "server")]
use serde_json::json;

#[cfg(feature = "server")]
use super::open::Context;
#[cfg(feature = "server")]
use super::processes::{Flowed, Status, Told, tell as tell_of};
use super::settings::LogFormat;
use crate::platform_parquet::{Phase, Progress};

/// How often the line is drawn.
const DRAW: Duration = Duration::from_millis(200);
/// How often a line is logged where there is no terminal.
const LOG: Duration = Duration::from_secs(10);

/// Lets others of this machine have the cores first: what this process begins from now on takes what they leave. Where that cannot be had
/// the run goes on as it is.
pub(super) fn come_after_others(nice: i32) {
    let lowered = rustix::process::getpriority_process(None).and_then(|now| match now < nice {
        true => rustix::process::setpriority_process(None, nice),
        // Who started it said more.
        false => Ok(()),
    });
    if let Err(e) = lowered {
        tracing::warn!(error = %e, "the run has the cores as others have");
    }
}

/// Shows a run until it is dropped: a bar on a terminal, a line of the log now and then elsewhere.
pub(super) struct Shown {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Shown {
    pub(super) fn start(progress: Arc<Progress>, format: LogFormat) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let draw = matches!(format, LogFormat::Text) && std::io::stderr().is_terminal();
        let thread = std::thread::spawn(move || {
            if draw {
                draw_bar(&progress, &stopped);
            } else {
                log_lines(&progress, &stopped);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It only draws: a panic in it is nothing to fail a run for.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Counts of one moment.
struct Look {
    phase: Phase,
    rows: u64,
    total: u64,
    bytes: u64,
    keys: u64,
    spilled: u64,
}

impl Look {
    fn of(p: &Progress) -> Self {
        Self {
            phase: p.phase(),
            rows: p.rows.load(Relaxed),
            total: p.rows_total.load(Relaxed),
            bytes: p.bytes_total.load(Relaxed),
            keys: p.keys.load(Relaxed),
            spilled: p.spilled.load(Relaxed),
        }
    }
    /// Rows a second, and the time that is left for reading at that rate.
    fn rate(&self, since: Duration) -> (f64, Option<Duration>) {
        let rate = self.rows as f64 / since.as_secs_f64().max(1e-3);
        let left = self.total.saturating_sub(self.rows) as f64 / rate;
        (rate, Duration::try_from_secs_f64(left).ok().filter(|_| self.rows > 0))
    }
}

/// Tells who looks how far a run is.
#[cfg(feature = "server")]
pub(super) fn tell(context: &Context<'_>, kind: &'static str, progress: &Arc<Progress>) -> Option<Told> {
    let (progress, flow) = (progress.clone(), progress.clone());
    let flowed = move || Flowed {
        read: flow.read(),
        bad: flow.bad(),
        passed: flow.passed(),
    };
    let how_far = move || {
        let look = Look::of(&progress);
        let text = match look.phase {
            Phase::Reading => format!("reading: {} of {} rows", HumanCount(look.rows), HumanCount(look.total)),
            phase => format!("{}: {} keys", phase.name(), HumanCount(look.keys)),
        };
        json!({ "text": text, "phase": look.phase.name(), "done": look.rows, "total": look.total, "keys": look.keys })
    };
    tell_of(context, Status::of(context, kind).bulk(Arc::new(how_far), flowed))
}

fn draw_bar(progress: &Progress, stopped: &mpsc::Receiver<()>) {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} [{bar:30}] {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    super::progress::share(Some(bar.clone()));
    let (mut reading, mut last) = (Instant::now(), Phase::Planning);
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(DRAW) {
        let look = Look::of(progress);
        if look.phase != last {
            (reading, last) = (Instant::now(), look.phase);
        }
        bar.set_length(look.total);
        bar.set_position(look.rows.min(look.total));
        bar.set_message(words(&look, reading.elapsed()));
        bar.tick();
    }
    super::progress::share(None);
    bar.finish_and_clear();
}

fn words(look: &Look, since: Duration) -> String {
    let spilled = match look.spilled {
        0 => String::new(),
        n => format!(", {} of sums in files", HumanBytes(n)),
    };
    match look.phase {
        Phase::Reading => {
            let (rate, left) = look.rate(since);
            let left = left.map_or_else(String::new, |left| format!(", {} left", HumanDuration(left)));
            format!(
                "reading: {} of {} rows ({}), {}/s{spilled}{left}",
                HumanCount(look.rows),
                HumanCount(look.total),
                HumanBytes(look.bytes),
                HumanCount(rate as u64)
            )
        }
        phase => format!("{}: {} keys{spilled}", phase.name(), HumanCount(look.keys)),
    }
}

fn log_lines(progress: &Progress, stopped: &mpsc::Receiver<()>) {
    let (mut reading, mut last) = (Instant::now(), Phase::Planning);
    let mut logged = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(DRAW) {
        let look = Look::of(progress);
        if look.phase != last {
            (reading, last) = (Instant::now(), look.phase);
        }
        if logged.elapsed() < LOG {
            continue;
        }
        logged = Instant::now();
        let (rate, left) = look.rate(reading.elapsed());
        tracing::info!(
            phase = look.phase.name(),
            rows = look.rows,
            rows_total = look.total,
            bytes_total = look.bytes,
            rows_per_second = rate as u64,
            seconds_left = left.map_or(0, |left| left.as_secs()),
            keys = look.keys,
            spilled_bytes = look.spilled,
            "bulk run"
        );
    }
}
