//! The partitions of the stream.

use std::sync::atomic::Ordering::Relaxed;

use super::{PARTITION, count, family, owned, partitions};
use crate::app::metrics::{Family, Kind, Sample};

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_partition_owned",
        Kind::Gauge,
        PARTITION,
        "1 when this process reads the partition",
        |s, out| {
            partitions(s, out, |p| Some(p.owned.load(Relaxed).into()));
        },
    ),
    family(
        "rufous_partition_position_offset",
        Kind::Gauge,
        PARTITION,
        "offset after what was read",
        |s, out| owned(s, out, |p| count(&p.next)),
    ),
    family(
        "rufous_partition_committed_offset",
        Kind::Gauge,
        PARTITION,
        "offset after what is committed",
        |s, out| {
            owned(s, out, |p| count(&p.committed));
        },
    ),
    family(
        "rufous_partition_end_offset",
        Kind::Gauge,
        PARTITION,
        "offset where the log ends, as far as is known",
        |s, out| {
            owned(s, out, |p| count(&p.end));
        },
    ),
    family(
        "rufous_partition_lag_records",
        Kind::Gauge,
        PARTITION,
        "offsets between what is committed and the log's end",
        |s, out| {
            owned(s, out, |p| Some(p.lag().into()));
        },
    ),
    family(
        "rufous_partition_running_batch",
        Kind::Gauge,
        PARTITION,
        "number of the running batch",
        |s, out| {
            owned(s, out, |p| Some(Sample::Float(p.running_batch()? as f64)));
        },
    ),
    family(
        "rufous_partition_running_batch_start_timestamp_seconds",
        Kind::Gauge,
        PARTITION,
        "first instant of the running batch",
        |s, out| {
            owned(s, out, |p| Some(Sample::Float(p.batch_start()?.0 as f64 / 1e3)));
        },
    ),
    family(
        "rufous_partition_applied_timestamp_seconds",
        Kind::Gauge,
        PARTITION,
        "greatest time among the records read",
        |s, out| {
            owned(s, out, |p| Some(Sample::Float(p.last_time()?.0 as f64 / 1e3)));
        },
    ),
    family(
        "rufous_partition_late_records_total",
        Kind::Counter,
        PARTITION,
        "records behind the running batch",
        |s, out| {
            partitions(s, out, |p| count(&p.late));
        },
    ),
    family(
        "rufous_partition_held_records_total",
        Kind::Counter,
        PARTITION,
        "records that raised the batch by the largest step only",
        |s, out| {
            partitions(s, out, |p| count(&p.held));
        },
    ),
    family(
        "rufous_partition_bad_records_total",
        Kind::Counter,
        PARTITION,
        "records that could not be read",
        |s, out| {
            partitions(s, out, |p| count(&p.bad));
        },
    ),
    family(
        "rufous_partition_waiting_for",
        Kind::Gauge,
        PARTITION,
        "records of other partitions that wait until this one has a later record or heartbeat",
        |s, out| {
            owned(s, out, |p| count(&p.waiting_for));
        },
    ),
    family(
        "rufous_partition_lost_ranges",
        Kind::Gauge,
        PARTITION,
        "ranges that the log lost before they were read; answers name them",
        |s, out| {
            owned(s, out, |p| count(&p.holes));
        },
    ),
    family(
        "rufous_partition_lost_offsets",
        Kind::Gauge,
        PARTITION,
        "offsets in those ranges",
        |s, out| owned(s, out, |p| count(&p.lost)),
    ),
    family(
        "rufous_partition_replay_ratio",
        Kind::Gauge,
        PARTITION,
        "how much of what the log held when the partition was acquired was read; 1: all",
        |s, out| {
            owned(s, out, |p| Some(p.replayed().into()));
        },
    ),
];
