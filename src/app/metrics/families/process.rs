//! The process, under the names that are usual.

use super::{NONE, family, known};
use crate::app::metrics::{Family, Kind};

pub(super) const FAMILIES: &[Family] = &[
    family(
        "process_resident_memory_bytes",
        Kind::Gauge,
        NONE,
        "resident memory",
        |s, out| known(out, s.process.resident_bytes),
    ),
    family(
        "process_resident_memory_peak_bytes",
        Kind::Gauge,
        NONE,
        "the most that it was",
        |s, out| known(out, s.process.peak_bytes),
    ),
    family(
        "process_cpu_seconds_total",
        Kind::Counter,
        NONE,
        "user and system time",
        |s, out| known(out, s.process.cpu_seconds),
    ),
    family(
        "process_open_fds",
        Kind::Gauge,
        NONE,
        "open files and sockets",
        |s, out| known(out, s.process.open_fds),
    ),
    family("process_threads", Kind::Gauge, NONE, "threads", |s, out| {
        known(out, s.process.threads)
    }),
    family(
        "process_start_time_seconds",
        Kind::Gauge,
        NONE,
        "when it started",
        |s, out| known(out, s.process.started),
    ),
];
