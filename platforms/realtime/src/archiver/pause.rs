//! Failures that pass: how long to wait before the next attempt, and what to say.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rufous_core::Error;

use crate::metrics::SourceMetrics;

/// The wait after a failed attempt.
pub(super) struct Pause {
    longest: Duration,
    wait: Duration,
    /// Since when attempts have failed, and when the next one is due.
    failing: Option<(Instant, Instant)>,
    /// What others see of it.
    meter: Arc<SourceMetrics>,
}

impl Pause {
    pub(super) fn new(longest: Duration, meter: Arc<SourceMetrics>) -> Self {
        Self {
            meter,
            longest,
            wait: Duration::ZERO,
            failing: None,
        }
    }
    /// Whether something may be tried.
    pub(super) fn over(&self) -> bool {
        self.failing.is_none_or(|(_, due)| Instant::now() >= due)
    }
    /// An attempt failed.
    pub(super) fn begin(&mut self, source: &str, e: &Error) {
        self.wait = (self.wait * 2).clamp(self.longest / 60, self.longest);
        let now = Instant::now();
        let since = self.failing.map_or(now, |(since, _)| since);
        if !self.meter.paused.swap(true, Relaxed) {
            self.meter.pauses.fetch_add(1, Relaxed);
        }
        self.failing = Some((since, now + self.wait));
        tracing::warn!(
            source,
            error = %e,
            failing_for_seconds = since.elapsed().as_secs(),
            next_attempt_in_ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX),
            "archiving pauses and tries again; nothing is lost"
        );
    }
    /// An attempt succeeded.
    pub(super) fn end(&mut self, source: &str) {
        self.wait = Duration::ZERO;
        self.meter.paused.store(false, Relaxed);
        if let Some((since, _)) = self.failing.take() {
            let paused_seconds = since.elapsed().as_secs();
            tracing::info!(source, paused_seconds, "archiving goes on");
        }
    }
}
