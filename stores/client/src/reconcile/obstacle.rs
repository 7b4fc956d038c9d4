//! Why a run cannot be compared (P36): one partition for which a condition does not hold is enough.

use std::fmt;

use rufous_core::SourcePartition;
use rufous_core::rules::{Rule, kept};
use rufous_store_api::{Manifest, Progress};
use serde::{Deserialize, Serialize};

/// What stands in the way of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Obstacle {
    /// Nothing was read live into a partition yet.
    NoState,
    /// The live part has not read what the run covers.
    Behind,
    /// Another process keeps the state of a partition.
    Elsewhere,
    /// The layers divide a partition at different offsets: the live part is rebuilt when it next acquires it.
    Misaligned,
    /// Cells of the run are dropped: another generation came since, and the one before this run need not stay.
    Dropped,
    /// Offsets are lost to one of the layers.
    Hole,
    /// The cells were written by other code.
    OtherCode,
    /// What the run was built on is deleted.
    NoBase,
    /// It is no run: the beginning, a rollback, or a switch to another line.
    NoRun,
    /// A bounded input has no live part.
    Bounded,
}

impl Obstacle {
    /// A word for labels and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoState => "no-state",
            Self::Behind => "behind",
            Self::Elsewhere => "elsewhere",
            Self::Misaligned => "misaligned",
            Self::Dropped => "dropped",
            Self::Hole => "hole",
            Self::OtherCode => "other-code",
            Self::NoBase => "no-base",
            Self::NoRun => "no-run",
            Self::Bounded => "bounded",
        }
    }
    /// Whether it passes by itself while the job runs on: a later comparison of the same run may know more.
    pub fn passes(self) -> bool {
        matches!(self, Self::NoState | Self::Behind | Self::Elsewhere | Self::Misaligned)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An obstacle and a sentence with names and offsets.
pub(super) type Why = (Obstacle, String);

/// Why the run from `base` to `m` cannot be compared with these rows.
pub(super) fn unstable(rows: &[(SourcePartition, Progress)], base: &Manifest, m: &Manifest) -> Option<Why> {
    m.frontier
        .0
        .iter()
        .filter(|(p, to)| base.frontier.of(p) != **to)
        .find_map(|(p, _)| unstable_partition(p, rows, base, m))
}

fn unstable_partition(
    p: &SourcePartition,
    rows: &[(SourcePartition, Progress)],
    base: &Manifest,
    m: &Manifest,
) -> Option<Why> {
    let (from, to) = (base.frontier.of(p), m.frontier.of(p));
    let Some((_, row)) = rows.iter().find(|(known, _)| known == p) else {
        return Some((Obstacle::NoState, format!("{p} has no realtime state")));
    };
    if row.released {
        return Some((
            Obstacle::Elsewhere,
            format!("{p} is read by another process, which keeps its state elsewhere"),
        ));
    }
    if row.fingerprint != m.fingerprint {
        return Some((
            Obstacle::OtherCode,
            format!("the cells of {p} were written by other code ({})", row.fingerprint),
        ));
    }
    if row.next < to.cut && kept(Rule::ReconcileStable) {
        return Some((
            Obstacle::Behind,
            format!(
                "{p} was read live up to offset {}, the run reaches {}: try again later",
                row.next, to.cut
            ),
        ));
    }
    if row.retained_from > from.batch {
        return Some((
            Obstacle::Dropped,
            format!(
                "cells of {p} below {} are dropped, the run begins at {}",
                row.retained_from.show(),
                from.batch.show()
            ),
        ));
    }
    for frontier in [from, to] {
        if let Err(found) = row.aligned(frontier) {
            return Some((
                Obstacle::Misaligned,
                format!(
                    "{p} is divided at offset {} offline and {:?} live, at {}",
                    found.offline_cut,
                    found.realtime_cut,
                    found.batch.show()
                ),
            ));
        }
    }
    let overlaps = |a: u64, b: u64| a < to.cut && b > from.cut;
    let lost = row.holes.iter().find(|h| overlaps(h.from, h.to));
    let lost = lost.or_else(|| {
        let ours = m.holes.iter().filter(|h| h.partition == *p).map(|h| &h.hole);
        ours.into_iter().find(|h| overlaps(h.from, h.to))
    });
    lost.map(|hole| {
        (
            Obstacle::Hole,
            format!("offsets {}..{} of {p} are lost to one layer", hole.from, hole.to),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are labels of metrics and words of stored reports: they stay.
    #[test]
    fn names_are_those_of_files() {
        for obstacle in [
            Obstacle::NoState,
            Obstacle::Behind,
            Obstacle::Elsewhere,
            Obstacle::Misaligned,
            Obstacle::Dropped,
            Obstacle::Hole,
            Obstacle::OtherCode,
            Obstacle::NoBase,
            Obstacle::NoRun,
            Obstacle::Bounded,
        ] {
            assert_eq!(serde_json::to_value(obstacle).unwrap(), obstacle.name());
        }
    }
}
