//! What runs, and whether it is well.

use super::{NONE, family};
use crate::app::metrics::{Family, Kind};

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_job_info",
        Kind::Gauge,
        &["name", "instance", "fingerprint", "version"],
        "1; what runs is in the labels",
        |s, out| {
            let v = s.view;
            out.push(&[&v.job, &v.instance, &v.fingerprint, env!("CARGO_PKG_VERSION")], 1_u64);
        },
    ),
    family(
        "rufous_healthy",
        Kind::Gauge,
        NONE,
        "1 when every loop comes round, as /healthz",
        |s, out| {
            out.push(&[], s.view.stalled().is_empty());
        },
    ),
    family(
        "rufous_ready",
        Kind::Gauge,
        NONE,
        "1 when answers are fresh, as /readyz",
        |s, out| {
            out.push(&[], s.view.unready().is_empty());
        },
    ),
];
