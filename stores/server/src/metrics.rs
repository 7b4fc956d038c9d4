//! What the server shows of itself to Prometheus, as OpenMetrics text at `/metrics`.
//!
//! | name | type | labels | meaning |
//! |---|---|---|---|
//! | `rufous_http_job_info` | gauge | `name`, `instance` | 1; what is served is in the labels |
//! | `rufous_http_requests_total` | counter | | requests that came |
//! | `rufous_http_answers_total` | counter | `route`, `status` | requests answered; `none` is no route |
//! | `rufous_http_seconds` | histogram | | from a request's head to its answer; of streams to their beginning |
//! | `rufous_http_read_together` | histogram | | single keys that one read answered |
//! | `rufous_http_waiting`, `_long_waiting`, `_bulk_waiting` | gauge | | reads that wait for a reader: of single keys and small batches, long ones, lists as Arrow |
//! | `rufous_http_panics_total` | counter | | handlers and reads that panicked; each was answered |
//! | `rufous_http_connections` | gauge | | connections that are open |
//! | `rufous_http_refused_connections_total` | counter | | connections closed because there were as many as may be |
//! | `rufous_http_streams`, `rufous_http_watched` | gauge | | streams of events that are open; questions that they watch |
//! | `rufous_http_events_total` | counter | | events sent |

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use rufous_core::{Error, Result};

use crate::state::State;

/// The content type of what is shown.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

/// Counted where it happens.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    answered: Family<Answered, Counter>,
    seconds: Histogram,
    together: Histogram,
    pub(crate) panics: Counter,
    pub(crate) refused_connections: Counter,
    pub(crate) connections: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) watched: Gauge,
    pub(crate) events: Counter,
    pub(crate) requests: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        let metrics = Self {
            registry: Mutex::default(),
            answered: Family::default(),
            seconds: Histogram::new(seconds),
            together: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            panics: Counter::default(),
            refused_connections: Counter::default(),
            connections: Gauge::default(),
            streams: Gauge::default(),
            watched: Gauge::default(),
            events: Counter::default(),
            requests: AtomicU64::new(0),
        };
        let mut r = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
        r.register(
            "rufous_http_answers",
            "requests answered, by route and status",
            metrics.answered.clone(),
        );
        r.register(
            "rufous_http_seconds",
            "from a request's head to its answer",
            metrics.seconds.clone(),
        );
        r.register(
            "rufous_http_read_together",
            "single keys that one read answered",
            metrics.together.clone(),
        );
        r.register(
            "rufous_http_panics",
            "handlers and reads that panicked; each was answered",
            metrics.panics.clone(),
        );
        r.register(
            "rufous_http_refused_connections",
            "connections closed because there were as many as may be",
            metrics.refused_connections.clone(),
        );
        r.register(
            "rufous_http_connections",
            "connections that are open",
            metrics.connections.clone(),
        );
        r.register(
            "rufous_http_streams",
            "streams of events that are open",
            metrics.streams.clone(),
        );
        r.register(
            "rufous_http_watched",
            "questions that are watched, each read once for all",
            metrics.watched.clone(),
        );
        r.register("rufous_http_events", "events sent", metrics.events.clone());
        drop(r);
        metrics
    }
}

impl Metrics {
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let labels = Answered {
            route: route.to_string(),
            status,
        };
        self.answered.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }
    pub(crate) fn read_together(&self, keys: usize) {
        self.together.observe(keys as f64);
    }

    /// Every metric as text.
    pub(crate) fn scrape(&self, state: &State) -> Result<String> {
        let mut text = String::new();
        let failed = |e| Error::bug(format!("the metrics cannot be written: {e}"));
        let mut now = Registry::default();
        now.register_collector(Box::new(Now::of(state)));
        prometheus_client::encoding::text::encode_registry(&mut text, &now).map_err(failed)?;
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry).map_err(failed)?;
        Ok(text)
    }
}

/// Read at the scrape.
#[derive(Debug)]
struct Now {
    job: Vec<(&'static str, String)>,
    requests: u64,
    waiting: i64,
    long_waiting: i64,
    bulk_waiting: i64,
}

impl Now {
    fn of(state: &State) -> Self {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Self {
            job: vec![("name", state.job.clone()), ("instance", state.instance.clone())],
            requests: state.metrics.requests.load(Ordering::Relaxed),
            waiting: count(state.gets.depth()),
            long_waiting: count(state.long.depth()),
            bulk_waiting: count(state.bulk.depth()),
        }
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let one = ConstGauge::new(1i64);
        let info = encoder.encode_descriptor(
            "rufous_http_job_info",
            "1; what is served is in the labels",
            None,
            one.metric_type(),
        )?;
        let mut family = info;
        one.encode(family.encode_family(&self.job)?)?;
        let requests = ConstCounter::new(self.requests);
        let help = "requests that came";
        requests.encode(encoder.encode_descriptor("rufous_http_requests", help, None, requests.metric_type())?)?;
        for (name, help, value) in [
            (
                "rufous_http_waiting",
                "reads of single keys and small batches that wait",
                self.waiting,
            ),
            ("rufous_http_long_waiting", "long reads that wait", self.long_waiting),
            (
                "rufous_http_bulk_waiting",
                "lists as Arrow that wait",
                self.bulk_waiting,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
