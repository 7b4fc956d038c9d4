//! The stream and its sources.

use super::{NONE, SOURCE, age, count, family, stream, streams};
use crate::app::metrics::{Family, Kind, Sample};

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_stream_records_total",
        Kind::Counter,
        SOURCE,
        "records read",
        |s, out| {
            streams(s, out, |x| count(&x.records));
        },
    ),
    family(
        "rufous_stream_bytes_total",
        Kind::Counter,
        SOURCE,
        "bytes of records read",
        |s, out| {
            streams(s, out, |x| count(&x.bytes));
        },
    ),
    family(
        "rufous_stream_bad_records_total",
        Kind::Counter,
        SOURCE,
        "records that could not be read",
        |s, out| {
            streams(s, out, |x| count(&x.bad));
        },
    ),
    family(
        "rufous_stream_dead_letters_total",
        Kind::Counter,
        SOURCE,
        "bad records handed to the dead-letter topic or file",
        |s, out| {
            streams(s, out, |x| count(&x.dead_letters));
        },
    ),
    family(
        "rufous_stream_late_records_total",
        Kind::Counter,
        SOURCE,
        "records behind the running batch; they are in the answer",
        |s, out| {
            streams(s, out, |x| count(&x.late));
        },
    ),
    family(
        "rufous_stream_held_records_total",
        Kind::Counter,
        SOURCE,
        "records so far ahead that they raised the batch by the largest step only",
        |s, out| {
            streams(s, out, |x| count(&x.held));
        },
    ),
    family(
        "rufous_stream_lateness_seconds",
        Kind::Histogram,
        SOURCE,
        "by how much late records were late",
        |s, out| {
            streams(s, out, |x| {
                let (buckets, sum) = x.lateness.read();
                Some(Sample::Histogram(buckets, sum))
            });
        },
    ),
    family(
        "rufous_stream_silence_seconds",
        Kind::Gauge,
        SOURCE,
        "time since the log gave a sign of life",
        |s, out| {
            streams(s, out, |x| age(x.heard.age()));
        },
    ),
    family(
        "rufous_stream_loop_age_seconds",
        Kind::Gauge,
        NONE,
        "time since the loop came round",
        |s, out| {
            stream(s, out, |m| age(m.heartbeat.age()));
        },
    ),
    family(
        "rufous_stream_record_age_seconds",
        Kind::Gauge,
        NONE,
        "time since records came",
        |s, out| {
            stream(s, out, |m| age(m.received.age()));
        },
    ),
    family(
        "rufous_stream_commit_age_seconds",
        Kind::Gauge,
        NONE,
        "time since a commit was done",
        |s, out| {
            stream(s, out, |m| age(m.committed.age()));
        },
    ),
    family(
        "rufous_stream_commits_total",
        Kind::Counter,
        NONE,
        "commits done",
        |s, out| stream(s, out, |m| count(&m.commits)),
    ),
    family(
        "rufous_stream_failed_commits_total",
        Kind::Counter,
        NONE,
        "commits that failed; their records were read again",
        |s, out| {
            stream(s, out, |m| count(&m.failed_commits));
        },
    ),
    family(
        "rufous_commit_seconds",
        Kind::Histogram,
        NONE,
        "how long the store took for a commit",
        |s, out| {
            stream(s, out, |m| {
                let (buckets, sum) = m.commit_seconds.read();
                Some(Sample::Histogram(buckets, sum))
            });
        },
    ),
    family(
        "rufous_stream_cells_total",
        Kind::Counter,
        NONE,
        "cells (key, partition, batch) that commits wrote",
        |s, out| {
            stream(s, out, |m| count(&m.cells));
        },
    ),
    family(
        "rufous_stream_map_bytes",
        Kind::Gauge,
        NONE,
        "bytes in the combining maps when the last commit began",
        |s, out| {
            stream(s, out, |m| count(&m.map_bytes));
        },
    ),
    family(
        "rufous_step_records_total",
        Kind::Counter,
        &["step"],
        "records that came out of a named step, at the last commit",
        |s, out| {
            for (step, n) in s.view.stream.iter().flat_map(|m| m.steps()) {
                out.push(&[&step], n);
            }
        },
    ),
];
