//! Stopped at the worst moment: what was read and then dropped must not be passed by the last commit.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rufous_core::{Error, Format, Job, RecordBatch, Result};
use rufous_realtime::{BoundLog, Log, OnBadRecord, PartitionInfo, Polled, Position, Stream, StreamOptions};
use rufous_store_api::RealtimeStore;
use support::{Bed, COUNTS, Fault, Faulty, LINES, ListLog, Rec, counted, lists};

/// A log whose server answers what it is asked a number of times, then no more; the operator stops the stream then.
struct Away {
    inner: ListLog,
    answers: usize,
    asked: AtomicUsize,
    stop: Arc<AtomicBool>,
    /// What is done when it does not answer, with how often it was asked; `true`: the stream is stopped.
    silent: Box<dyn Fn(usize) -> bool + Send>,
}

impl Log for Away {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        let asked = self.asked.fetch_add(1, Relaxed);
        if asked >= self.answers {
            self.stop.fetch_or((self.silent)(asked - self.answers), Relaxed);
            return Err(Error::try_again("the brokers do not answer"));
        }
        self.inner.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.inner.assign(positions)
    }
    fn assign_at(&mut self, positions: &[Position]) -> Result<()> {
        self.inner.assign_at(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        self.inner.poll(timeout, into)
    }
}

fn job() -> Job {
    let words = LINES.read().keyed(|line, out| {
        assert!(line != "poison", "will not count it");
        out.emit(line, 1);
    });
    Job::new("words", words.sum_by_key(COUNTS))
}

fn words(poison: bool) -> Vec<&'static str> {
    let mut words: Vec<_> = ["a", "b", "c", "a", "b"].into_iter().cycle().take(60).collect();
    if poison {
        words[40] = "poison";
    }
    words
}

/// Runs until the log falls silent, then once more with one that answers. `genesis` and the opening each ask it once.
fn stopped_then_resumed(poison: bool, fault: impl Fn(u64) -> Fault + Send + Sync + 'static, every: Duration) {
    run(poison, fault, every, |_| Box::new(|_| true));
}

fn run(
    poison: bool,
    fault: impl Fn(u64) -> Fault + Send + Sync + 'static,
    every: Duration,
    silent: impl Fn(&Bed) -> Box<dyn Fn(usize) -> bool + Send>,
) {
    let plan = job().plan().unwrap();
    let words = words(poison);
    let log = lists(vec![words.iter().map(|w| Rec::text(w)).collect()]);
    let mut bed = Bed::new(&plan);
    bed.options.on_bad_record = OnBadRecord::Skip;
    let stop = Arc::new(AtomicBool::new(false));
    let away = Away {
        inner: ListLog::new(&log, 7),
        answers: 2,
        asked: AtomicUsize::new(0),
        stop: stop.clone(),
        silent: silent(&bed),
    };
    let store: Arc<dyn RealtimeStore> = Arc::new(Faulty::new(bed.memory.clone(), fault));
    let stream = Stream {
        plan: &plan,
        logs: vec![BoundLog::new("lines", Box::new(away))],
        store,
        manifests: &bed.manifests,
        generations: None,
        metrics: bed.metrics.clone(),
        options: StreamOptions {
            commit_interval: every,
            longest_pause: Duration::from_millis(50),
            stop: stop.clone(),
            ..bed.options.clone()
        },
    };
    // It ends with or without an error: what counts is what the next one finds.
    let _ = stream.run();
    assert!(stop.load(Relaxed), "the log was not asked again");
    bed.run(&plan, &log).unwrap();
    assert_eq!(bed.sums(&plan), counted(words.into_iter().filter(|w| *w != "poison")));
}

/// Row 16 with row 4, P12: a function panics, the maps are dropped, and the brokers do not say where to read again.
#[test]
fn a_panic_while_the_brokers_are_away_loses_nothing() {
    stopped_then_resumed(true, |_| Fault::None, Duration::from_secs(3600));
}

/// P12 with row 4: the answer to a commit is lost, what was read after it is dropped, and the brokers do not answer.
#[test]
fn a_lost_answer_while_the_brokers_are_away_loses_nothing() {
    stopped_then_resumed(
        false,
        |n| if n == 0 { Fault::After } else { Fault::None },
        Duration::ZERO,
    );
}

/// Row 4: the loop that asks again and again for brokers that are away is alive, or `/healthz` would have it killed.
#[test]
fn waiting_for_the_brokers_is_not_being_stuck() {
    let stuck = Arc::new(AtomicBool::new(false));
    let seen = stuck.clone();
    run(
        true,
        |_| Fault::None,
        Duration::from_secs(3600),
        move |bed| {
            let (metrics, seen) = (bed.metrics.clone(), seen.clone());
            let age = move || metrics.heartbeat.age().unwrap_or_default();
            Box::new(move |asked| {
                // The first question takes as long as a hung broker makes it; before the second one the loop came round.
                let long = Duration::from_secs(2);
                while asked == 0 && age() < long {
                    std::thread::sleep(Duration::from_millis(10));
                }
                seen.fetch_or(asked > 0 && age() >= long, Relaxed);
                asked > 0
            })
        },
    );
    assert!(!stuck.load(Relaxed), "no heartbeat between two questions");
}
