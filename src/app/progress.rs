//! The log on standard error, and a progress line when that is a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use super::cli::LogFormat;
use crate::core::{Error, Result};
use crate::realtime::Metrics;

pub(super) fn log_to_stderr(format: LogFormat, command: &str) -> Result<()> {
    // Those who ask for a value want the value; those who run a job want to know what it does.
    let level = if matches!(command, "stream" | "archive" | "batch") {
        "info"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_env("RUFOUS_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let done = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    done.map_err(|e| Error::bug(format!("the log was set up twice: {e}")))
}

/// Rate, lag and freshness of a running job.
pub(super) struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    pub(super) fn start(metrics: Arc<Metrics>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        if !std::io::stderr().is_terminal() {
            return Self { stop, thread: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        let ended = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut last, mut at) = (0, Instant::now());
            while !ended.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(250));
                let records = metrics.records.load(Relaxed);
                let rate = (records - last) as f64 / at.elapsed().as_secs_f64();
                (last, at) = (records, Instant::now());
                let fresh = super::read::show_time(metrics.last_time());
                bar.set_message(format!(
                    "{records} records, {rate:.0}/s, lag {}, fresh until {fresh}",
                    metrics.lag.load(Relaxed)
                ));
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
    pub(super) fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only draws: a panic in it is nothing to fail a job for.
            let _ = thread.join();
        }
    }
}
