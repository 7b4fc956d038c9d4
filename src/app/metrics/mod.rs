//! What a running job shows to Prometheus: read from the engine's atomics at each scrape, and from nowhere else.
//!
//! - `families`: every metric: name, labels, help, and where it is read; `METRICS.md` beside it is the same table for people;
//! - `process`: what the operating system says about this process.

mod families;
mod process;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::follow::Latest;
use crate::core::{Error, Result};
use crate::realtime::{Limits, Metrics, Reason};
use crate::store_api::{RealtimeStore, StoreStats};

/// The content type of [`View::scrape`].
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What can be seen of a running job.
pub(super) struct View {
    pub(super) job: String,
    pub(super) instance: String,
    pub(super) fingerprint: String,
    /// The stream's, if this process streams.
    pub(super) stream: Option<Arc<Metrics>>,
    /// The archivers', if it archives.
    pub(super) archive: Option<Arc<Metrics>>,
    /// What comparisons of the layers found.
    pub(super) reconciled: Arc<Latest>,
    pub(super) limits: Limits,
    /// The open store. Weak: who looks must not keep it open.
    pub(super) store: OnceLock<Weak<dyn RealtimeStore>>,
}

impl View {
    /// Every metric as OpenMetrics text, which Prometheus reads.
    pub(super) fn scrape(self: &Arc<Self>) -> Result<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(self.clone())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .map_err(|e| Error::bug(format!("the metrics cannot be written: {e}")))?;
        Ok(text)
    }
    /// Why the process is not alive: nothing, when it is.
    pub(super) fn stalled(&self) -> Vec<Reason> {
        let stream = self.stream.iter().flat_map(|m| m.stalled(&self.limits));
        let archive = self.archive.iter().flat_map(|m| m.stalled_archivers(&self.limits));
        stream.chain(archive).collect()
    }
    /// Why it is not ready. A stream is ready when its answers are fresh and given, whatever its archivers do; a process that
    /// only archives is ready when it can read and write.
    pub(super) fn unready(&self) -> Vec<Reason> {
        match (&self.stream, &self.archive) {
            (Some(stream), _) => {
                let mut reasons = stream.unready(&self.limits);
                // A stream without news writes nothing, and would not notice.
                if self.stats().is_some_and(|s| s.damaged) {
                    reasons.push(Reason {
                        awaits: "a rebuild: the realtime state is damaged, and answers are refused".into(),
                        ..Reason::default()
                    });
                }
                reasons
            }
            (None, Some(archive)) => archive.unready_archivers(&self.limits),
            (None, None) => Vec::new(),
        }
    }
    /// How the store is, if it is open and says.
    pub(super) fn stats(&self) -> Option<StoreStats> {
        let store = self.store.get()?.upgrade()?;
        match store.stats() {
            Ok(stats) => stats,
            Err(e) => {
                tracing::debug!(error = %e, "the store does not say how it is");
                None
            }
        }
    }
}

/// Memory that the system gave to this process, as far as it says.
#[cfg(feature = "server")]
pub(super) fn resident_bytes() -> Option<u64> {
    process::Process::now().resident_bytes
}

/// A number, or a histogram: (upper bound, count of the bucket), and the sum.
enum Sample {
    Int(u64),
    Float(f64),
    Histogram(Vec<(f64, u64)>, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
struct Family {
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Shot<'_>, &mut Rows),
}

/// Values of labels, in the order of [`Family::labels`], and what was read.
#[derive(Default)]
struct Rows(Vec<(Vec<String>, Sample)>);

impl Rows {
    fn push(&mut self, labels: &[&str], sample: impl Into<Sample>) {
        let labels = labels.iter().map(|l| (*l).to_string()).collect();
        self.0.push((labels, sample.into()));
    }
}

impl From<u64> for Sample {
    fn from(n: u64) -> Self {
        Self::Int(n)
    }
}

impl From<bool> for Sample {
    fn from(is: bool) -> Self {
        Self::Int(u64::from(is))
    }
}

impl From<f64> for Sample {
    fn from(x: f64) -> Self {
        Self::Float(x)
    }
}

/// What a scrape reads once for several metrics.
struct Shot<'a> {
    view: &'a View,
    store: Option<StoreStats>,
    process: process::Process,
}

struct Scrape(Arc<View>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scrape").field(&self.0.job).finish()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shot = Shot {
            view: &self.0,
            store: self.0.stats(),
            process: process::Process::now(),
        };
        for family in families::all() {
            let mut rows = Rows::default();
            (family.read)(&shot, &mut rows);
            if !rows.0.is_empty() {
                family.encode(&mut encoder, &rows)?;
            }
        }
        Ok(())
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, rows: &Rows) -> fmt::Result {
        // The text format adds `_total` to the names of counters.
        let (name, kind) = match self.kind {
            Kind::Counter => (
                self.name.strip_suffix("_total").unwrap_or(self.name),
                MetricType::Counter,
            ),
            Kind::Gauge => (self.name, MetricType::Gauge),
            Kind::Histogram => (self.name, MetricType::Histogram),
        };
        let mut metric = encoder.encode_descriptor(name, self.help, None, kind)?;
        for (values, sample) in &rows.0 {
            let labels: Vec<(&str, &str)> = self
                .labels
                .iter()
                .copied()
                .zip(values.iter().map(String::as_str))
                .collect();
            let labels = labels.as_slice();
            if labels.is_empty() {
                self.sample(&mut metric, sample)?;
            } else {
                self.sample(&mut metric.encode_family(&labels)?, sample)?;
            }
        }
        Ok(())
    }
    fn sample(&self, metric: &mut prometheus_client::encoding::MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
        match (self.kind, sample) {
            (Kind::Counter, Sample::Int(n)) => metric.encode_counter::<NoLabelSet, _, u64>(n, None),
            (Kind::Counter, Sample::Float(x)) => metric.encode_counter::<NoLabelSet, _, f64>(x, None),
            (Kind::Gauge, Sample::Int(n)) => metric.encode_gauge(&i64::try_from(*n).unwrap_or(i64::MAX)),
            (Kind::Gauge, Sample::Float(x)) => metric.encode_gauge(x),
            (_, Sample::Histogram(buckets, sum)) => {
                let count = buckets.iter().map(|(_, n)| n).sum();
                metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
            (Kind::Histogram, _) => Err(fmt::Error),
        }
    }
}

#[cfg(test)]
mod tests;
