//! When something happened last, as an atomic: staleness needs a clock of its own, because a server that hangs says nothing.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where the count begins: so far before the program that no age reaches behind it.
const BEFORE_MS: u64 = 1 << 50;

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_ms() -> u64 {
    BEFORE_MS + milliseconds(BASE.elapsed())
}

fn milliseconds(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(BEFORE_MS).min(BEFORE_MS)
}

/// When something happened last, by the monotonic clock; "never" at first.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// It happened now.
    pub fn mark(&self) {
        self.0.store(now_ms(), Relaxed);
    }
    /// It happened `age` ago. A moment never moves back.
    pub fn mark_ago(&self, age: Duration) {
        // 0 is never.
        let at = now_ms().saturating_sub(milliseconds(age)).max(1);
        self.0.fetch_max(at, Relaxed);
    }
    /// How long ago that was, to the millisecond; `None`: never.
    pub fn age(&self) -> Option<Duration> {
        let at = Some(self.0.load(Relaxed)).filter(|at| *at != 0)?;
        Some(Duration::from_millis(now_ms().saturating_sub(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never, then an age; what is older does not replace what is newer.
    #[test]
    fn a_moment_has_an_age() {
        let m = Moment::default();
        assert_eq!(m.age(), None);
        let hour = Duration::from_secs(3600);
        m.mark_ago(hour);
        assert!(m.age().is_some_and(|a| a >= hour));
        m.mark();
        m.mark_ago(hour);
        assert!(m.age().is_some_and(|a| a < hour));
    }
}
