//! Whether a job is alive and whether its answers are fresh, with reasons that name what is awaited.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Metrics;

/// What counts as too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A loop that did not come round for so long is stuck. A loop comes round many times a second, also when nothing is
    /// there to read; one call of the job's function may hold it up.
    pub stalled: Duration,
    /// A log whose server gave no sign of life for so long is silent. Servers are asked every few seconds.
    pub silent: Duration,
    /// Commits are late after so many commit intervals, ten seconds at the least.
    pub intervals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stalled: Duration::from_secs(30),
            silent: Duration::from_secs(15),
            intervals: 10,
        }
    }
}

/// The least time after which commits are late.
const LATE_COMMIT: Duration = Duration::from_secs(10);

/// Why a job is not alive, or not ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// The source it is about, if it is about one.
    pub source: Option<String>,
    /// The partition.
    pub partition: Option<u32>,
    /// How far that partition is behind, in records.
    pub lag: Option<u64>,
    /// What is awaited, for people.
    pub awaits: String,
}

impl Reason {
    fn of(source: &str, awaits: String) -> Self {
        Self {
            source: Some(source.to_string()),
            awaits,
            ..Self::default()
        }
    }
}

impl Metrics {
    /// Why a stream's loop is not alive: nothing, when it is. A silent log, a failing store or a large lag are none.
    pub fn stalled(&self, limits: &Limits) -> Vec<Reason> {
        self.heartbeat
            .age()
            .filter(|age| *age > limits.stalled && !self.ended.load(Relaxed))
            .map(|age| Reason {
                awaits: format!(
                    "the loop has not come round for {}: a function of the job, the store or the log holds it up",
                    seconds(age)
                ),
                ..Reason::default()
            })
            .into_iter()
            .collect()
    }
    /// The same for archivers, which have a loop a source.
    pub fn stalled_archivers(&self, limits: &Limits) -> Vec<Reason> {
        let stuck = |name: &str, age: Duration| {
            let text = format!("the archiver's loop has not come round for {}", seconds(age));
            Reason::of(name, text)
        };
        self.sources()
            .iter()
            .filter(|(_, s)| !s.ended.load(Relaxed))
            .filter_map(|(name, s)| Some(stuck(name, s.heartbeat.age().filter(|a| *a > limits.stalled)?)))
            .collect()
    }
    /// Sources whose log is silent: (name, for how long).
    pub fn silent(&self, limits: &Limits) -> Vec<(String, Duration)> {
        self.sources()
            .into_iter()
            .filter_map(|(name, s)| {
                // While the loop is held up nobody listens: that is no silence of the log.
                let loop_age = s.heartbeat.age().or(self.heartbeat.age()).unwrap_or_default();
                let age = s.heard.age()?;
                (age.saturating_sub(loop_age) > limits.silent).then_some((name, age))
            })
            .collect()
    }
    /// Why a stream's answers are not fresh: nothing, when they are. Ready means that every partition was acquired and read
    /// to the end that the log had then, also those that another process reads: no answer from here has them. And that commits
    /// go through, and that the log's server can be heard.
    pub fn unready(&self, limits: &Limits) -> Vec<Reason> {
        let mut reasons = self.stalled(limits);
        if !self.opened.load(Relaxed) {
            reasons.push(Reason {
                awaits: "partitions are being acquired".into(),
                ..Reason::default()
            });
        }
        let elsewhere = self.elsewhere.load(Relaxed);
        if elsewhere > 0 {
            reasons.push(Reason {
                awaits: format!(
                    "{elsewhere} partitions that another process of the consumer group reads: answers from here lack them"
                ),
                ..Reason::default()
            });
        }
        reasons.extend(self.unheard(limits));
        let failing = self.failing.load(Relaxed);
        if failing > 0 {
            reasons.push(Reason {
                awaits: format!(
                    "a commit that succeeds: {failing} in a row failed, the last with: {}",
                    self.failure().unwrap_or_default()
                ),
                ..Reason::default()
            });
        }
        let interval = Duration::from_millis(self.commit_interval_ms.load(Relaxed));
        let most = interval.saturating_mul(limits.intervals).max(LATE_COMMIT);
        if let Some(age) = self.settled.age().filter(|age| *age > most) {
            reasons.push(Reason {
                awaits: format!("a commit: the last one ended {} ago", seconds(age)),
                ..Reason::default()
            });
        }
        reasons.extend(self.replaying());
        reasons
    }
    /// Why archivers are not ready: a loop that is stuck, a log that is silent, a place that cannot be written.
    pub fn unready_archivers(&self, limits: &Limits) -> Vec<Reason> {
        let mut reasons = self.stalled_archivers(limits);
        reasons.extend(self.unheard(limits));
        for (name, source) in self.sources() {
            if !source.opened.load(Relaxed) {
                reasons.push(Reason::of(&name, "the end of the archive is being looked for".into()));
            }
            if source.paused.load(Relaxed) {
                reasons.push(Reason::of(
                    &name,
                    "the archive cannot be written: the archiver pauses".into(),
                ));
            }
        }
        reasons
    }
    fn unheard(&self, limits: &Limits) -> Vec<Reason> {
        let silent = self.silent(limits);
        silent
            .into_iter()
            .map(|(name, age)| {
                let source = self.source(&name);
                let place = source.location.get().cloned().unwrap_or_default();
                Reason {
                    lag: Some(source.lag()),
                    ..Reason::of(&name, format!("{place}, which has been silent for {}", seconds(age)))
                }
            })
            .collect()
    }
    fn replaying(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for (name, source) in self.sources() {
            for (partition, p) in source.partitions() {
                if p.owned.load(Relaxed) && p.is_replaying() {
                    reasons.push(Reason {
                        partition: Some(partition),
                        lag: Some(p.lag()),
                        ..Reason::of(
                            &name,
                            format!(
                                "replay: at offset {} of {} ({:.0} %)",
                                p.next.load(Relaxed),
                                p.replay_to.load(Relaxed),
                                100.0 * p.replayed()
                            ),
                        )
                    });
                }
            }
        }
        reasons
    }
}

fn seconds(age: Duration) -> String {
    format!("{:.0} s", age.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_core::Error;

    fn texts(reasons: &[Reason]) -> Vec<&str> {
        reasons.iter().map(|r| r.awaits.as_str()).collect()
    }

    /// Ready only after acquisition, replay and a commit that went through; alive all the time.
    #[test]
    fn readiness_names_what_is_awaited() {
        let m = Metrics::default();
        let limits = Limits::default();
        assert_eq!(texts(&m.unready(&limits)), ["partitions are being acquired"]);
        m.heartbeat.mark();
        m.settled.mark();
        m.opened.store(true, Relaxed);
        assert_eq!(m.unready(&limits), []);

        let source = m.source("lines");
        let p = source.partition(3);
        p.acquired(10, 30);
        assert_eq!(
            m.unready(&limits),
            [],
            "nobody waits for a partition of another process"
        );
        source.owns([3].into_iter());
        p.at(15, 40);
        let reasons = m.unready(&limits);
        assert_eq!(texts(&reasons), ["replay: at offset 15 of 30 (25 %)"]);
        assert_eq!((reasons[0].partition, reasons[0].lag), (Some(3), Some(30)));
        p.at(30, 40);
        assert_eq!(m.unready(&limits), []);

        // The group gave a partition to another process: every answer from here names it as unavailable.
        m.elsewhere.store(2, Relaxed);
        assert!(texts(&m.unready(&limits))[0].starts_with("2 partitions that another process"));
        assert_eq!(m.stalled(&limits), []);
        m.elsewhere.store(0, Relaxed);
        assert_eq!(m.unready(&limits), []);

        m.commit_failed(&Error::try_again("disk full"));
        assert!(m.unready(&limits)[0].awaits.ends_with("disk full"));
        m.committed(7);
        assert_eq!(m.unready(&limits), []);
        assert_eq!(m.stalled(&limits), []);
    }

    /// An archiver is ready once it knows where to go on, and while it can write.
    #[test]
    fn archivers_are_ready_when_they_can_write() {
        let (m, limits) = (Metrics::default(), Limits::default());
        let source = m.source("lines");
        let looking = ["the end of the archive is being looked for"];
        assert_eq!(texts(&m.unready_archivers(&limits)), looking);
        source.opened.store(true, Relaxed);
        assert_eq!(m.unready_archivers(&limits), []);
        source.paused.store(true, Relaxed);
        assert_eq!(m.unready_archivers(&limits)[0].source.as_deref(), Some("lines"));
    }

    /// A hung broker is silence: only a clock of its own shows it. A loop that is held up is not that.
    #[test]
    fn silence_and_stalls_have_clocks_of_their_own() {
        let m = Metrics::default();
        let limits = Limits::default();
        m.opened.store(true, Relaxed);
        m.settled.mark();
        let source = m.source("lines");
        source.location.set("kafka://h/t".into()).unwrap();
        source.heard.mark_ago(Duration::from_secs(60));
        let reason = |m: &Metrics| m.unready(&limits).iter().map(|r| r.awaits.clone()).collect::<Vec<_>>();
        m.heartbeat.mark_ago(Duration::from_secs(59));
        assert!(
            reason(&m)[0].starts_with("the loop has not come round"),
            "{:?}",
            reason(&m)
        );
        assert_eq!(reason(&m).len(), 1, "{:?}", reason(&m));
        assert_eq!(m.stalled(&limits).len(), 1);
        m.heartbeat.mark();
        assert!(
            reason(&m)[0].starts_with("kafka://h/t, which has been silent"),
            "{:?}",
            reason(&m)
        );
        assert_eq!(m.stalled(&limits), []);
        source.heard.mark();
        assert_eq!(reason(&m), [""; 0]);
    }
}
