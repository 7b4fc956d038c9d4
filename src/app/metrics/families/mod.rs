//! Every metric: name, labels, help, and where it is read. Names end in their unit; times are seconds, sizes bytes.

mod archive;
mod job;
mod partition;
mod process;
mod reconcile;
mod store;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{Family, Kind, Rows, Sample, Shot};
use crate::realtime::{Metrics, PartitionMetrics, SourceMetrics};
use crate::store_api::StoreStats;

const NONE: &[&str] = &[];
const SOURCE: &[&str] = &["source"];
const PARTITION: &[&str] = &["source", "partition"];

const fn family(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Shot<'_>, &mut Rows),
) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
        read,
    }
}

/// All, in the order in which they are written.
pub(super) fn all() -> impl Iterator<Item = &'static Family> {
    let parts = [
        job::FAMILIES,
        stream::FAMILIES,
        partition::FAMILIES,
        archive::FAMILIES,
        reconcile::FAMILIES,
        store::FAMILIES,
        process::FAMILIES,
    ];
    parts.into_iter().flatten()
}

fn count(n: &AtomicU64) -> Option<Sample> {
    Some(n.load(Relaxed).into())
}

fn age(age: Option<Duration>) -> Option<Sample> {
    Some(age?.as_secs_f64().into())
}

fn known(out: &mut Rows, value: Option<impl Into<Sample>>) {
    if let Some(value) = value {
        out.push(&[], value);
    }
}

fn stream(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&Metrics) -> Option<Sample>) {
    known(out, s.view.stream.as_ref().and_then(|m| read(m)));
}

fn store(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&StoreStats) -> Sample) {
    known(out, s.store.as_ref().map(read));
}

fn streams(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&SourceMetrics) -> Option<Sample>) {
    sources(s.view.stream.as_ref(), out, read);
}

fn archives(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&SourceMetrics) -> Option<Sample>) {
    sources(s.view.archive.as_ref(), out, read);
}

fn sources(metrics: Option<&Arc<Metrics>>, out: &mut Rows, read: impl Fn(&SourceMetrics) -> Option<Sample>) {
    for (name, source) in metrics.into_iter().flat_map(|m| m.sources()) {
        if let Some(sample) = read(&source) {
            out.push(&[&name], sample);
        }
    }
}

fn partitions(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&PartitionMetrics) -> Option<Sample>) {
    each(s.view.stream.as_ref(), out, read);
}

/// A position of a partition that another process reads would be one of the past.
fn owned(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&PartitionMetrics) -> Option<Sample>) {
    each(s.view.stream.as_ref(), out, |p| {
        p.owned.load(Relaxed).then(|| read(p)).flatten()
    });
}

fn archived(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&PartitionMetrics) -> Option<Sample>) {
    each(s.view.archive.as_ref(), out, read);
}

fn each(metrics: Option<&Arc<Metrics>>, out: &mut Rows, read: impl Fn(&PartitionMetrics) -> Option<Sample>) {
    for (name, source) in metrics.into_iter().flat_map(|m| m.sources()) {
        for (partition, p) in source.partitions() {
            if let Some(sample) = read(&p) {
                out.push(&[&name, &partition.to_string()], sample);
            }
        }
    }
}
