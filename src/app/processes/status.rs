//! What a process says of itself: read from the engine's atomics when somebody asks, and from nowhere else.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Value, json};

use crate::app::generations::now;
use crate::app::metrics::View;
use crate::app::monitor;
use crate::app::open::Context;
use crate::core::Drawn;
use crate::realtime::budget::Shares;
use crate::realtime::{Metrics, PartitionMetrics, SourceMetrics};

/// Characters of a sample's text.
const TEXT: usize = 400;

/// What a bulk run says of how far it is.
pub(in crate::app) type Progress = Arc<dyn Fn() -> Value + Send + Sync>;

/// What a bulk run has counted, by place in the plan; empty before it reads.
pub(in crate::app) struct Flowed {
    /// Records of each source.
    pub(in crate::app) read: Vec<u64>,
    /// Those of them that are bad.
    pub(in crate::app) bad: Vec<u64>,
    /// Records that came out of each step.
    pub(in crate::app) passed: Vec<u64>,
}

/// How far a bulk run is, and what flows in it.
struct Bulk {
    progress: Progress,
    flowed: Box<dyn Fn() -> Flowed + Send + Sync>,
}

/// What can be said of a process.
pub(in crate::app) struct Status {
    pub(super) kind: &'static str,
    view: Option<Arc<View>>,
    bulk: Option<Bulk>,
    nodes: Vec<Drawn>,
    sources: Vec<&'static str>,
    budget: usize,
    shares: Shares,
}

impl Status {
    /// Of a process that runs this command.
    pub(in crate::app) fn of(context: &Context<'_>, kind: &'static str) -> Self {
        Self {
            kind,
            view: None,
            bulk: None,
            nodes: context.plan.drawn().to_vec(),
            sources: context.plan.sources().iter().map(|face| face.name).collect(),
            budget: context.budget.bytes(),
            shares: context.shares,
        }
    }
    /// Of a process that has nothing to say.
    #[cfg(test)]
    pub(super) fn nothing(kind: &'static str) -> Self {
        Self {
            kind,
            view: None,
            bulk: None,
            nodes: Vec::new(),
            sources: Vec::new(),
            budget: 0,
            shares: crate::realtime::budget::Budget::default()
                .split(&crate::realtime::budget::Users {
                    sources: 1,
                    stream: true,
                    archive: true,
                    own: 0,
                })
                .unwrap(),
        }
    }
    /// Of a live one.
    pub(in crate::app) fn live(mut self, view: Arc<View>) -> Self {
        self.view = Some(view);
        self
    }
    /// Of a bulk run.
    #[cfg(feature = "parquet")]
    pub(in crate::app) fn bulk(
        mut self,
        progress: Progress,
        flowed: impl Fn() -> Flowed + Send + Sync + 'static,
    ) -> Self {
        self.bulk = Some(Bulk {
            progress,
            flowed: Box::new(flowed),
        });
        self
    }

    /// What the engine counts: of an archiver where nothing streams.
    fn metrics(&self) -> Option<&Arc<Metrics>> {
        let view = self.view.as_ref()?;
        view.stream.as_ref().or(view.archive.as_ref())
    }

    pub(super) fn now(&self, started_ms: i64) -> Value {
        let now = now().0;
        let ago = |age: std::time::Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let metrics = self.metrics();
        let sources = metrics.map(|m| m.sources()).unwrap_or_default();
        // What is stuck is not ready either, and is said once.
        let (stalled, unready) = match &self.view {
            Some(view) => (view.stalled(), view.unready()),
            None => Default::default(),
        };
        let reasons = if unready.is_empty() { &stalled } else { &unready };
        let stream = self.view.as_ref().and_then(|v| v.stream.as_ref());
        let flowed = self.bulk.as_ref().map(|bulk| (bulk.flowed)());
        let told = match &flowed {
            Some(flowed) => self.read(flowed),
            None => sources.iter().map(|(name, s)| source(name, s)).collect(),
        };
        json!({
            "kind": self.kind, "pid": std::process::id(), "started_ms": started_ms, "now_ms": now,
            "healthy": stalled.is_empty(), "ready": stalled.is_empty() && unready.is_empty(),
            "reasons": reasons.iter().map(monitor::reason).collect::<Vec<_>>(),
            "sources": told, "steps": self.steps(&sources, flowed.as_ref()), "memory": self.memory(),
            "commits": metrics.map(|m| m.commits.load(Relaxed)),
            "failed_commits": metrics.map(|m| m.failed_commits.load(Relaxed)),
            "failing_commits": metrics.map(|m| m.failing.load(Relaxed)),
            "last_commit_ms": metrics.and_then(|m| m.committed.age()).map(ago),
            "last_settled_ms": metrics.and_then(|m| m.settled.age()).map(ago),
            "uncommitted_records": stream.map(|m| m.uncommitted()),
            "progress": self.bulk.as_ref().map(|bulk| (bulk.progress)()),
        })
    }

    /// What a bulk run has read. It has no lag, and what is late for others is not for it.
    fn read(&self, flowed: &Flowed) -> Vec<Value> {
        let sources = self.sources.iter().zip(&flowed.read).zip(&flowed.bad);
        let source = |((name, read), bad): ((&&str, &u64), &u64)| {
            json!({
                "source": name, "records": read, "bytes": null, "late": null, "held": null, "bad": bad, "dead_letters": null,
                "partitions": [],
            })
        };
        sources.map(source).collect()
    }

    /// What went into each step and what came out: of steps at the last commit, or behind the last chunk of a bulk run; of sources now.
    fn steps(&self, sources: &[(String, Arc<SourceMetrics>)], bulk: Option<&Flowed>) -> Vec<Value> {
        let stream = self.view.as_ref().and_then(|v| v.stream.as_ref());
        let passed = match (bulk, stream) {
            (Some(flowed), _) if flowed.read.is_empty() => return Vec::new(),
            (Some(flowed), _) => flowed.passed.clone(),
            (None, Some(stream)) => stream.passed(),
            (None, None) => return Vec::new(),
        };
        let read = |name: &str| match bulk {
            Some(flowed) => {
                let place = self.sources.iter().position(|n| *n == name)?;
                flowed.read.get(place).copied()
            }
            None => { sources.iter() }
                .find(|(n, _)| n == name)
                .map(|(_, s)| s.records.load(Relaxed)),
        };
        let out = self.nodes.iter().map(|node| match node.step {
            None => read(&node.about),
            Some(step) => Some(passed.get(step).copied().unwrap_or(0)),
        });
        let out: Vec<Option<u64>> = out.collect();
        let step = |(place, node): (usize, &Drawn)| {
            let of = |from: &usize| out.get(*from).copied().flatten();
            let into = (!node.inputs.is_empty()).then(|| node.inputs.iter().filter_map(of).sum::<u64>());
            let out = out.get(place).copied().flatten().filter(|_| node.goes_on);
            json!({ "id": place.to_string(), "in": into, "out": out })
        };
        self.nodes.iter().enumerate().map(step).collect()
    }

    fn memory(&self) -> Vec<Value> {
        let part =
            |part: &str, bytes: u64, limit: Option<u64>| json!({ "part": part, "bytes": bytes, "limit_bytes": limit });
        let mut parts = Vec::new();
        if let Some(bytes) = crate::app::metrics::resident_bytes() {
            parts.push(part("process", bytes, Some(self.budget as u64)));
        }
        let Some(view) = &self.view else { return parts };
        if let Some(stream) = &view.stream {
            let maps = stream.map_bytes.load(Relaxed);
            parts.push(part("combining maps", maps, Some(self.shares.maps as u64)));
        }
        if let Some(stats) = view.stats() {
            parts.push(part("store: not in files yet", stats.memtable_bytes, None));
            parts.push(part("store", stats.cache_bytes, Some(stats.cache_capacity)));
        }
        parts
    }

    /// Some of the records that something was wrong with, newest first.
    pub(super) fn samples(&self, late: bool, limit: usize) -> Value {
        let mut found = Vec::new();
        for (name, source) in self.metrics().map(|m| m.sources()).unwrap_or_default() {
            let samples = if late {
                &source.late_samples
            } else {
                &source.bad_samples
            };
            for s in samples.newest().into_iter().take(limit) {
                let text: String = String::from_utf8_lossy(&s.payload).chars().take(TEXT).collect();
                let why: String = s.why.chars().take(TEXT).collect();
                found.push(json!({
                    "source": name, "partition": s.partition, "offset": s.offset, "time_ms": s.time.map(|t| t.0), "why": why, "text": text,
                }));
            }
        }
        json!({ "samples": found })
    }
}

fn source(name: &str, s: &SourceMetrics) -> Value {
    let partitions: Vec<Value> = s.partitions().iter().map(|(n, p)| partition(*n, p)).collect();
    json!({
        "source": name, "records": s.records.load(Relaxed), "bytes": s.bytes.load(Relaxed), "late": s.late.load(Relaxed),
        "held": s.held.load(Relaxed), "bad": s.bad.load(Relaxed), "dead_letters": s.dead_letters.load(Relaxed),
        "partitions": partitions,
    })
}

fn partition(number: u32, p: &PartitionMetrics) -> Value {
    json!({
        "partition": number, "owned": p.owned.load(Relaxed), "applied": p.committed.load(Relaxed), "end": p.end.load(Relaxed),
        "lag": p.lag(), "batch": p.running_batch(), "time_ms": p.last_time().map(|t| t.0), "late": p.late.load(Relaxed),
        "bad": p.bad.load(Relaxed), "holes": p.holes.load(Relaxed),
    })
}

#[cfg(all(test, feature = "parquet"))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::prelude::*;

    const LINES: Source<str> = Source::new("lines");
    const OTHERS: Source<str> = Source::new("others");
    const COUNTS: Store<String, u64> = Store::new("counts");
    const LONG: Store<String, u64> = Store::new("long");

    /// What a bulk run counted goes into the steps behind what it came out of, as of a live run, and each source has its own counts; before it reads
    /// nothing is said.
    #[test]
    fn a_bulk_run_says_what_flows() {
        let all = LINES.read().merge(OTHERS.read());
        let words = all.keyed(|line, out| line.split(' ').for_each(|w| out.emit(w, 1)));
        let long = words.clone().filter_keys(|w| w.len() > 3);
        let plan = Job::new("j", (words.sum_by_key(COUNTS), long.sum_by_key(LONG)))
            .plan()
            .unwrap();
        let step = |kind: &str| {
            let node = plan.drawn().iter().find(|n| n.kind == kind);
            node.and_then(|n| n.step).unwrap()
        };
        let mut passed = vec![0; 8];
        (passed[step("flat_map")], passed[step("filter")]) = (170, 9);
        let sources: Vec<&str> = plan.sources().iter().map(|face| face.name).collect();
        let says = |read: Vec<u64>, passed: Vec<u64>| {
            let status = Status {
                nodes: plan.drawn().to_vec(),
                sources: sources.clone(),
                ..Status::nothing("batch")
            };
            let flowed = move || Flowed {
                bad: read.iter().map(|n| n / 6).collect(),
                read: read.clone(),
                passed: passed.clone(),
            };
            status.bulk(Arc::new(|| json!({ "done": 12 })), flowed).now(0)
        };
        let counts = BTreeMap::from([("lines", 12), ("others", 30)]);
        let now = says(sources.iter().map(|name| counts[name]).collect(), passed);
        assert_eq!((&now["kind"], &now["progress"]["done"]), (&json!("batch"), &json!(12)));
        let told: BTreeMap<&str, (&Value, &Value)> = { now["sources"].as_array().unwrap().iter() }
            .map(|s| (s["source"].as_str().unwrap(), (&s["records"], &s["bad"])))
            .collect();
        assert_eq!(
            told,
            BTreeMap::from([("lines", (&json!(12), &json!(2))), ("others", (&json!(30), &json!(5)))])
        );
        let mut steps: Vec<(&str, &Value, &Value)> = { plan.drawn().iter().zip(now["steps"].as_array().unwrap()) }
            .map(|(node, step)| (node.kind, &step["in"], &step["out"]))
            .collect();
        let null = Value::Null;
        // Two sources, in whatever order they are drawn.
        steps[..2].sort_by_key(|(.., out)| out.as_u64());
        assert_eq!(
            steps,
            [
                ("source", &null, &json!(12)),
                ("source", &null, &json!(30)),
                ("flat_map", &json!(42), &json!(170)),
                ("sum", &json!(170), &null),
                ("filter", &json!(170), &json!(9)),
                ("sum", &json!(9), &null),
            ]
        );
        let now = says(Vec::new(), Vec::new());
        assert_eq!((&now["sources"], &now["steps"]), (&json!([]), &json!([])));
    }
}
