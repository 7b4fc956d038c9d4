//! The conditions of the theorem, as a pure function of a manifest and the progress rows of one snapshot.

use std::collections::BTreeMap;

use rufous_core::rules::{Rule, kept};
use rufous_core::{SourcePartition, Timestamp};
use rufous_store_api::{Hole, Manifest, Progress, SourceHole};

use crate::answer::{Basis, Coverage, PartitionCoverage};
use crate::missing::Missing;
use crate::token::Token;

/// Why a released row answers nothing.
const RELEASED: &str = "the consumer group gave it to another process, which keeps its state elsewhere";

/// What the check of one manifest against one snapshot found.
pub(crate) struct Checked {
    /// What a whole answer would lack; empty when it lacks nothing.
    pub(crate) bad: Vec<Missing>,
    /// Per row, in the order of the rows: whether its cells take part.
    pub(crate) counted: Vec<bool>,
    /// What the answer rests on.
    pub(crate) basis: Basis,
}

/// The loop of section 8 over `partitions(m) + partitions(s)`. `silent`: why the owner does not answer, if it does not.
///
/// A partition that is silent, gapped or misaligned takes part with its offline part alone, so that even a partial sum counts
/// no record twice: per partition it is the fold of a prefix of the log.
pub(crate) fn check(
    m: &Manifest,
    rows: &[(SourcePartition, Progress)],
    silent: Option<&str>,
    accept_holes: bool,
) -> Checked {
    let mut all: BTreeMap<&SourcePartition, Option<usize>> = m.frontier.0.keys().map(|p| (p, None)).collect();
    all.extend(rows.iter().enumerate().map(|(i, (p, _))| (p, Some(i))));

    let mut bad = Vec::new();
    let mut holes: Vec<SourceHole> = Vec::new();
    let mut counted = vec![false; rows.len()];
    let mut partitions = BTreeMap::new();
    let mut freshness: Option<Timestamp> = None;
    for (p, row) in all {
        let f = m.frontier.of(p);
        let mut applied = f.cut;
        let row = row.and_then(|i| rows.get(i).map(|(_, r)| (i, r)));
        if let Some(reason) = silent {
            bad.push(Missing::Unavailable {
                partition: Some(p.clone()),
                reason: reason.into(),
            });
        } else if let Some((i, r)) = row {
            if r.released {
                bad.push(Missing::Unavailable {
                    partition: Some(p.clone()),
                    reason: RELEASED.into(),
                });
            } else if r.retained_from > f.batch && kept(Rule::CompareRetained) {
                bad.push(Missing::Gap {
                    partition: p.clone(),
                    from: f.batch,
                    to: r.retained_from,
                });
            } else if let Some(found) = r.aligned(f).err().filter(|_| kept(Rule::CompareCuts)) {
                bad.push(Missing::misaligned(p.clone(), found));
            } else {
                counted[i] = true;
                applied = applied.max(r.next);
                freshness = match (freshness, r.last_time) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                // What of a hole lies below the frontier is in the offline part: only the rest is missing.
                let above = r.holes.iter().filter(|h| h.to > f.cut && kept(Rule::ShowHoles));
                holes.extend(above.map(|h| SourceHole {
                    partition: p.clone(),
                    hole: Hole {
                        from: h.from.max(f.cut),
                        ..h.clone()
                    },
                }));
            }
        } // No row: an empty shard. Its next offset, 0, is not above the cut: aligned, and the offline part answers.
        partitions.insert(p.clone(), PartitionCoverage { frontier: f, applied });
    }
    if let (Some(reason), true) = (silent, bad.is_empty()) {
        bad.push(Missing::Unavailable {
            partition: None,
            reason: reason.into(),
        });
    }
    for h in &m.holes {
        let known = |o: &SourceHole| o.partition == h.partition && (o.hole.from, o.hole.to) == (h.hole.from, h.hole.to);
        if !holes.iter().any(known) {
            holes.push(h.clone());
        }
    }
    if !accept_holes {
        bad.extend(holes.drain(..).map(|h| Missing::Hole {
            partition: h.partition,
            from: h.hole.from,
            to: h.hole.to,
            reason: h.hole.reason,
        }));
    }
    let token = Token::new(m.number, m.fingerprint.clone(), &partitions);
    let basis = Basis {
        coverage: Coverage::new(m.covered_until.clone(), partitions, holes, m.not_repeatable.clone()),
        freshness,
        token,
    };
    Checked { bad, counted, basis }
}
