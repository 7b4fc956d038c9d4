//! Whether all is well: the checks of `doctor`, made now and then in the background, and the numbers that matter with their limits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Desk, Seen};
use crate::app::doctor::checks::{Checks, Found, Verdict};
use crate::app::doctor::{Options, run};
use crate::app::generations::now;
use crate::app::open::Context;
use crate::app::processes::asked::{self, Process};
use crate::core::Result;

/// Checks are made anew when they are so old and somebody looks.
const EVERY: Duration = Duration::from_secs(30);
/// No answer of a server or a broker is waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who looks first waits so long for them.
const FIRST: Duration = Duration::from_secs(2);

/// The checks that were made last.
#[derive(Default)]
pub(super) struct Kept {
    state: Mutex<State>,
    made: Condvar,
}

#[derive(Default)]
struct State {
    last: Option<(Instant, i64, Vec<Value>)>,
    /// Whether they are being made.
    running: bool,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the turn of those who make the checks, however it ends.
struct Turn(Arc<Seen>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.health.lock().running = false;
        self.0.health.made.notify_all();
    }
}

/// Checks that are a moment old, and numbers that are not.
pub(super) fn look(desk: &Arc<Desk>, seen: &Arc<Seen>) -> Result<Value> {
    let kept = &seen.health;
    let mut state = kept.lock();
    let old = state.last.as_ref().is_none_or(|(at, ..)| at.elapsed() >= EVERY);
    if old && !state.running {
        state.running = true;
        // A desk that is closed drops the turn at once, and that locks what is locked here.
        drop(state);
        let (turn, ends) = (Turn(seen.clone()), desk.clone());
        desk.send(move |context| {
            let checks = checks(context, &|| ends.is_closed());
            turn.0.health.lock().last = Some((Instant::now(), now().0, checks));
        })?;
        state = kept.lock();
    }
    if state.last.is_none() {
        let waits = |state: &mut State| state.last.is_none() && state.running;
        let (waited, _) = kept
            .made
            .wait_timeout_while(state, FIRST, waits)
            .unwrap_or_else(PoisonError::into_inner);
        state = waited;
    }
    let (checked_ms, checks) = match &state.last {
        Some((_, at, checks)) => (Some(*at), checks.clone()),
        None => (None, Vec::new()),
    };
    drop(state);
    let note = checked_ms
        .is_none()
        .then_some("the checks are still being made: something that is asked does not answer soon");
    let metrics = desk.ask(|context| metrics(&asked::status(context)))?;
    Ok(json!({ "checked_ms": checked_ms, "checks": checks, "metrics": metrics, "note": note }))
}

/// As `doctor` makes them, with two differences: who looks writes nothing, and waits for no answer longer than a moment. They end early when
/// the server does.
fn checks(context: &Context<'_>, ends: &dyn Fn() -> bool) -> Vec<Value> {
    let options = Options {
        verbose: false,
        min_free: None,
        checksums: false,
        patience: Some(PATIENCE),
        probes: false,
    };
    let mut settings = context.settings.clone();
    settings.wait_at_most(PATIENCE);
    let mut all = Vec::new();
    let mut keep = |found: Found| {
        let name = match found.check.as_str() {
            "" => "order",
            name => name,
        };
        all.push(json!({ "name": name, "verdict": word(found.verdict), "said": found.said, "repair": found.repair }));
    };
    let mut checks = Checks::new(&mut keep).until(ends);
    match Context::as_far_as_it_goes(context.plan, &settings, options.patience, &mut checks) {
        Ok(mut own) => {
            own.sinks = context.sinks.clone();
            own.refused_writes = context.refused_writes.clone();
            run(&own, &options, &mut checks);
        }
        Err(e) => checks.fail("instance", e),
    }
    all
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        // What is not looked at is not well.
        Verdict::Warn | Verdict::Skip => "warn",
        Verdict::Fail => "error",
    }
}

/// A number and from where on it is too large.
struct Metric {
    name: &'static str,
    label: &'static str,
    value: Option<f64>,
    unit: &'static str,
    warn: Option<f64>,
    error: Option<f64>,
}

impl Metric {
    fn object(&self) -> Value {
        let beyond = |limit: Option<f64>| self.value.zip(limit).is_some_and(|(value, limit)| value >= limit);
        let verdict = match () {
            () if beyond(self.error) => Verdict::Fail,
            () if beyond(self.warn) => Verdict::Warn,
            () => Verdict::Ok,
        };
        json!({
            "name": self.name, "label": self.label, "value": self.value, "unit": self.unit, "warn": self.warn, "error": self.error,
            "verdict": word(verdict),
        })
    }
}

/// Of all processes together; `null` is a number that nobody knows.
fn metrics(processes: &[Process]) -> Vec<Value> {
    let known = || processes.iter().filter_map(|p| p.found.as_ref().ok());
    let partitions = || {
        let sources = processes.iter().flat_map(|p| p.members("sources"));
        sources.flat_map(|s| s["partitions"].as_array().into_iter().flatten())
    };
    let sum = |member: &str| -> Option<f64> { known().filter_map(|p| p[member].as_f64()).reduce(|a, b| a + b) };
    let of_sources = |member: &str| -> Option<f64> {
        let all = processes.iter().flat_map(|p| p.members("sources"));
        all.filter_map(|s| s[member].as_f64()).reduce(|a, b| a + b)
    };
    let owned = || partitions().filter(|p| p["owned"] == true);
    let lag = owned().filter_map(|p| p["lag"].as_f64()).reduce(|a, b| a + b);
    let lost = owned().filter_map(|p| p["holes"].as_f64()).reduce(|a, b| a + b);
    let now = now().0;
    let streams = || known().filter(|p| p["kind"] == "stream");
    // One that is idle has no age; after a silence, records wait since nothing was left to commit, and not since the commit before it.
    let waits = |p: &&Value| p["uncommitted_records"].as_u64() != Some(0);
    let since = |p: &Value| p["last_commit_ms"].as_i64().max(p["last_settled_ms"].as_i64());
    let since_commit = { streams().filter(waits).filter_map(since) }
        .map(|at| now.saturating_sub(at) as f64 / 1e3)
        .reduce(f64::max);
    let memory = processes
        .iter()
        .flat_map(|p| p.members("memory"))
        .filter(|m| m["part"] == "process");
    let memory = memory.filter_map(|m| Some(100.0 * m["bytes"].as_f64()? / m["limit_bytes"].as_f64()?));
    let silent = processes.iter().filter(|p| p.found.is_err()).count() as f64;
    let unhealthy = known().filter(|p| p["healthy"] == false).count() as f64;
    let unready = known().filter(|p| p["ready"] == false).count() as f64;
    let metric = |name, label, value, unit, warn, error| {
        Metric {
            name,
            label,
            value,
            unit,
            warn,
            error,
        }
        .object()
    };
    vec![
        metric(
            "processes",
            "processes that run here",
            Some(processes.len() as f64),
            "",
            None,
            None,
        ),
        metric(
            "silent",
            "processes that do not answer",
            Some(silent),
            "",
            Some(1.0),
            Some(1.0),
        ),
        metric(
            "unhealthy",
            "processes that are stuck",
            Some(unhealthy),
            "",
            Some(1.0),
            Some(1.0),
        ),
        metric(
            "unready",
            "processes whose answers are not fresh",
            Some(unready),
            "",
            Some(1.0),
            None,
        ),
        metric("lag", "offsets read by nobody yet", lag, "offsets", None, None),
        metric(
            "uncommitted",
            "records read and not stored yet",
            sum("uncommitted_records"),
            "records",
            None,
            None,
        ),
        metric(
            "commit_age",
            "since the last commit, while records wait",
            since_commit,
            "s",
            Some(10.0),
            Some(60.0),
        ),
        metric(
            "failing_commits",
            "commits in a row that failed",
            sum("failing_commits"),
            "",
            Some(1.0),
            Some(3.0),
        ),
        metric(
            "memory",
            "memory, of the budget",
            memory.reduce(f64::max),
            "%",
            Some(95.0),
            Some(120.0),
        ),
        metric(
            "bad",
            "records that cannot be read",
            of_sources("bad"),
            "records",
            Some(1.0),
            None,
        ),
        metric(
            "late",
            "records behind the running batch",
            of_sources("late"),
            "records",
            None,
            None,
        ),
        metric(
            "lost",
            "ranges that the log lost before they were read",
            lost,
            "",
            Some(1.0),
            Some(1.0),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::processes::asked::Note;
    use crate::app::settings::Settings;

    /// Only who has something to commit is late with it, and only since then.
    #[test]
    fn silence_is_no_delay() {
        let process = |waits: u64, committed: i64, settled: i64| Process {
            note: Note {
                kind: "stream".into(),
                pid: 1,
                started_ms: 1,
                socket: "s".into(),
            },
            found: Ok(json!({
                "kind": "stream", "uncommitted_records": waits,
                "last_commit_ms": now().0 - committed, "last_settled_ms": now().0 - settled,
            })),
        };
        let verdict = |all: &[Process]| -> Value {
            let all = metrics(all);
            let age = all.iter().find(|m| m["name"] == "commit_age").unwrap();
            age["verdict"].clone()
        };
        let (hour, now) = (3_600_000, 0);
        assert_eq!(
            verdict(&[process(1, hour, now)]),
            "ok",
            "the first record after an hour"
        );
        let all = [process(0, hour, hour), process(1, now, now)];
        assert_eq!(verdict(&all), "ok", "the idle one is not late");
        assert_eq!(verdict(&[process(1, hour, hour)]), "error");
    }

    /// Checks write nothing, not even what is taken away at once, and are not begun when the server ends.
    #[test]
    fn checks_write_nothing_and_end() {
        let dir = tempfile::tempdir().unwrap();
        let source: crate::core::Source<str> = crate::core::Source::new("lines");
        let counts: crate::core::Store<String, u64> = crate::core::Store::new("counts");
        let job = source
            .read()
            .keyed(|line: &str, out| out.emit(line, 1))
            .sum_by_key(counts);
        let plan = crate::core::Job::new("j", job).plan().unwrap();
        let settings = Settings {
            data: dir.path().into(),
            instance: "main".into(),
            ..Settings::default()
        };
        let context = Context::new(&plan, &settings, "serve", false).unwrap();
        let changed = || std::fs::metadata(dir.path()).unwrap().modified().unwrap();
        let before = changed();
        let made = checks(&context, &|| false);
        assert!(made.iter().any(|c| c["name"] == "permissions of data"), "{made:?}");
        assert_eq!(changed(), before);
        assert_eq!(checks(&context, &|| true), Vec::<Value>::new());
    }

    /// A server that is ending refuses a look; it does not wait for itself.
    #[test]
    fn a_closed_desk_refuses() {
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let desk = Arc::new(Desk::default());
            desk.close();
            said.send(look(&desk, &Arc::default()).map_err(|e| e.to_string()))
        });
        let answer = heard
            .recv_timeout(Duration::from_secs(20))
            .expect("it waits for itself");
        assert!(answer.unwrap_err().contains("this server is ending"));
    }

    /// Numbers are those of all processes; what nobody knows is not 0; each verdict follows from its limits.
    #[test]
    fn numbers_are_of_all_processes() {
        let note = Note {
            kind: "stream".into(),
            pid: 1,
            started_ms: 1,
            socket: "s".into(),
        };
        let found = |metrics: &[Value], name: &str| -> (Value, String) {
            let one = metrics.iter().find(|m| m["name"] == name).unwrap();
            (one["value"].clone(), one["verdict"].as_str().unwrap().to_string())
        };
        let none = metrics(&[]);
        assert_eq!(found(&none, "processes"), (json!(0.0), "ok".into()));
        assert_eq!(found(&none, "lag"), (Value::Null, "ok".into()));
        let one = |lag: u64, failing: u64, bad: u64| {
            json!({
                "kind": "stream", "healthy": true, "ready": failing == 0, "uncommitted_records": 4, "last_commit_ms": now().0 - 20_000,
                "failing_commits": failing, "memory": [{ "part": "process", "bytes": 96, "limit_bytes": 100 }],
                "sources": [{ "bad": bad, "late": 0, "partitions": [
                    { "owned": true, "lag": lag, "holes": 0 }, { "owned": false, "lag": 1000, "holes": 5 },
                ]}],
            })
        };
        let process = |found| Process {
            note: note.clone(),
            found,
        };
        let all = metrics(&[
            process(Ok(one(3, 0, 0))),
            process(Ok(one(4, 3, 2))),
            process(Err("gone".into())),
        ]);
        for (name, value, verdict) in [
            ("processes", 3.0, "ok"),
            ("silent", 1.0, "error"),
            ("unready", 1.0, "warn"),
            ("lag", 7.0, "ok"),
            ("uncommitted", 8.0, "ok"),
            ("failing_commits", 3.0, "error"),
            ("memory", 96.0, "warn"),
            ("bad", 2.0, "warn"),
            ("lost", 0.0, "ok"),
        ] {
            assert_eq!(found(&all, name), (json!(value), verdict.to_string()), "{name}");
        }
        assert_eq!(found(&all, "commit_age").1, "warn");
    }
}
