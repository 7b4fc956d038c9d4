//! The archivers and their partitions.

use std::sync::atomic::Ordering::Relaxed;

use super::{PARTITION, SOURCE, age, archived, archives, count, family};
use crate::app::metrics::{Family, Kind, Sample};

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_archive_records_total",
        Kind::Counter,
        SOURCE,
        "records read for the archive",
        |s, out| archives(s, out, |x| count(&x.records)),
    ),
    family(
        "rufous_archive_bytes_total",
        Kind::Counter,
        SOURCE,
        "bytes of records read for the archive",
        |s, out| archives(s, out, |x| count(&x.bytes)),
    ),
    family(
        "rufous_archive_entries_total",
        Kind::Counter,
        SOURCE,
        "index entries written",
        |s, out| archives(s, out, |x| count(&x.entries)),
    ),
    family(
        "rufous_archive_pauses_total",
        Kind::Counter,
        SOURCE,
        "how often the archive could not be written",
        |s, out| archives(s, out, |x| count(&x.pauses)),
    ),
    family(
        "rufous_archive_paused",
        Kind::Gauge,
        SOURCE,
        "1 while the archive cannot be written",
        |s, out| {
            archives(s, out, |x| Some(x.paused.load(Relaxed).into()));
        },
    ),
    family(
        "rufous_archive_loop_age_seconds",
        Kind::Gauge,
        SOURCE,
        "time since the archiver's loop came round",
        |s, out| {
            archives(s, out, |x| age(x.heartbeat.age()));
        },
    ),
    family(
        "rufous_archive_position_offset",
        Kind::Gauge,
        PARTITION,
        "offset after what was read",
        |s, out| archived(s, out, |p| count(&p.next)),
    ),
    family(
        "rufous_archive_committed_offset",
        Kind::Gauge,
        PARTITION,
        "offset after what is in the index",
        |s, out| archived(s, out, |p| count(&p.committed)),
    ),
    family(
        "rufous_archive_lag_records",
        Kind::Gauge,
        PARTITION,
        "offsets between what is in the index and the log's end",
        |s, out| {
            archived(s, out, |p| Some(p.lag().into()));
        },
    ),
    family(
        "rufous_archive_seal_lag_seconds",
        Kind::Gauge,
        PARTITION,
        "how far the end of the last sealed batch in the index is behind the greatest time read",
        |s, out| {
            archived(s, out, |p| Some(Sample::Float(p.seal_lag_ms()? as f64 / 1e3)));
        },
    ),
    family(
        "rufous_archive_lost_ranges",
        Kind::Gauge,
        PARTITION,
        "ranges that the log lost before they were archived, met since the start",
        |s, out| archived(s, out, |p| count(&p.holes)),
    ),
];
