//! Whether the layers agree where both hold the same records (P36).

use super::family;
use crate::app::follow::Compared;
use crate::app::metrics::{Family, Kind, Rows, Sample, Shot};

/// One series a store: a new run takes the place of the one before it.
const RUN: &[&str] = &["store", "batches"];

fn compared(s: &Shot<'_>, out: &mut Rows, read: impl Fn(&Compared) -> Sample) {
    for (store, found) in s.view.reconciled.get().compared {
        out.push(&[&store, &found.batches], read(&found));
    }
}

pub(super) const FAMILIES: &[Family] = &[
    family(
        "rufous_reconcile_compared_keys",
        Kind::Gauge,
        RUN,
        "keys of the newest run that could be compared with the live part, over its batches",
        |s, out| compared(s, out, |c| c.keys.into()),
    ),
    family(
        "rufous_reconcile_drifted_keys",
        Kind::Gauge,
        RUN,
        "keys of them whose sums differ; 0 when the layers agree",
        |s, out| compared(s, out, |c| c.drifted.into()),
    ),
    family(
        "rufous_reconcile_timestamp_seconds",
        Kind::Gauge,
        RUN,
        "when they were compared",
        |s, out| compared(s, out, |c| (c.at.0 as f64 / 1000.0).into()),
    ),
    family(
        "rufous_reconcile_not_comparable",
        Kind::Gauge,
        &["store", "reason"],
        "1 while the newest run cannot be compared, and why in a word; its drift is not known",
        |s, out| {
            for (store, obstacle) in s.view.reconciled.get().obstacles {
                out.push(&[&store, obstacle.name()], 1_u64);
            }
        },
    ),
];
