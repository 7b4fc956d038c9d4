//! Which realtime cells a publish permits to drop (P23): those that no generation needs any more that must stay
//! available.

use std::cmp::Reverse;

use rufous_core::{Cut, Frontier, Result};
use rufous_store_api::{Manifest, ManifestLog};

/// The permission of a manifest on top of `base`, when `keep` generations before it must stay available for a
/// rollback and for comparisons: per partition the least frontier of them, and never below what `base` permits
/// already. Manifests of other namespaces count as generations, but need no cells of this one. With `keep` 0 it is
/// the manifest's own frontier.
///
/// # Errors
/// When a manifest of the window cannot be read.
pub(crate) fn permission(
    manifests: &dyn ManifestLog,
    base: &Manifest,
    frontier: &Frontier,
    keep: u64,
) -> Result<Frontier> {
    let mut least = frontier.clone();
    let mut at = Some(base.clone());
    let mut counted = 0;
    while let Some(m) = at.filter(|_| counted < keep) {
        if m.realtime_namespace == base.realtime_namespace {
            for (p, cut) in &mut least.0 {
                let its = m.frontier.of(p);
                if its.batch < cut.batch {
                    *cut = its;
                }
            }
        }
        let before = match m.number.checked_sub(1) {
            Some(before) => manifests.get(before)?,
            None => None,
        };
        // Another form of one generation is no other generation.
        if !before.as_ref().is_some_and(|before| m.is_form_of(before)) {
            counted += 1;
        }
        at = before;
    }
    let nothing = Frontier::default();
    let permitted = base
        .realtime_namespace
        .as_ref()
        .and_then(|n| base.drop_before.get(n))
        .unwrap_or(&nothing);
    for (p, cut) in &permitted.0 {
        let ours = least.0.entry(p.clone()).or_insert(*cut);
        *ours = std::cmp::min_by_key(*ours, *cut, |c| Reverse(c.batch));
    }
    // What stands at its origin need not be named, but what is named stays so: format 1 is written as it always was.
    least
        .0
        .retain(|p, cut| *cut != Cut::ORIGIN || permitted.0.contains_key(p));
    Ok(least)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use rufous_core::{BatchId, SourcePartition, Timestamp};
    use rufous_store_api::Published;
    use rufous_store_api::manifest::MANIFEST_FORMAT;

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<BTreeMap<u64, Manifest>>);

    impl ManifestLog for Log {
        fn get(&self, number: u64) -> Result<Option<Manifest>> {
            Ok(self.0.lock().unwrap().get(&number).cloned())
        }
        fn newest(&self, _: u64) -> Result<Option<Manifest>> {
            Ok(self.0.lock().unwrap().values().next_back().cloned())
        }
        fn publish(&self, m: &Manifest) -> Result<Published> {
            self.0.lock().unwrap().insert(m.number, m.clone());
            Ok(Published::Done)
        }
    }

    fn frontier(batches: &[i64]) -> Frontier {
        let cut = |b: i64| Cut {
            batch: BatchId(b),
            cut: b as u64 * 10,
            batch_before: BatchId(b - 1),
        };
        let all = (0..).zip(batches);
        Frontier(all.map(|(n, b)| (SourcePartition::new("s", n), cut(*b))).collect())
    }

    fn manifest(number: u64, namespace: &str, batches: &[i64], drop: &[i64]) -> Manifest {
        Manifest {
            format: MANIFEST_FORMAT,
            number,
            job: "j".into(),
            line: namespace.into(),
            fingerprint: namespace.into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: Some(namespace.into()),
            stores: BTreeMap::new(),
            frontier: frontier(batches),
            drop_before: BTreeMap::from([(namespace.to_string(), frontier(drop))]),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(0),
            covered_until: String::new(),
            window: None,
            not_repeatable: Vec::new(),
            sinks: BTreeMap::new(),
        }
    }

    /// What a publish that reaches `to` permits on top of the last of these manifests.
    fn permits(all: &[Manifest], to: &[i64], keep: u64) -> Frontier {
        let log = Log(Mutex::new(all.iter().map(|m| (m.number, m.clone())).collect()));
        permission(&log, all.last().unwrap(), &frontier(to), keep).unwrap()
    }

    /// P23: the frontier of the oldest generation that must stay; `keep` 0 is legal, and more than there are is all.
    #[test]
    fn the_oldest_that_stays_says() {
        let all = [
            manifest(0, "n", &[1, 1], &[1, 1]),
            manifest(1, "n", &[4, 3], &[1, 1]),
            manifest(2, "n", &[6, 3], &[1, 1]),
            manifest(3, "n", &[8, 5], &[1, 1]),
        ];
        for (keep, expected) in [
            (0, [9, 9]),
            (1, [8, 5]),
            (2, [6, 3]),
            (3, [4, 3]),
            (4, [1, 1]),
            (u64::MAX, [1, 1]),
        ] {
            assert_eq!(permits(&all, &[9, 9], keep), frontier(&expected), "keep {keep}");
        }
    }

    /// P23: it never goes down, also when more is to be kept than before; of deleted manifests nothing is kept.
    #[test]
    fn it_never_goes_down() {
        let all = [
            manifest(1, "n", &[4], &[1]),
            manifest(2, "n", &[6], &[4]),
            manifest(3, "n", &[8], &[6]),
        ];
        assert_eq!(permits(&all, &[9], 3), frontier(&[6]));
        assert_eq!(permits(&all[2..], &[9], 3), frontier(&[8]));
    }

    /// P24: after a rollback both what is current and what it took back stay available, as they were.
    #[test]
    fn a_rollback_counts() {
        let all = [
            manifest(1, "n", &[4], &[1]),
            manifest(2, "n", &[6], &[4]),
            manifest(3, "n", &[8], &[4]),
            manifest(4, "n", &[6], &[4]),
        ];
        assert_eq!(permits(&all, &[9], 1), frontier(&[6]));
        assert_eq!(
            permits(&all, &[9], 2),
            frontier(&[6]),
            "the one that was taken back reaches further"
        );
        assert_eq!(permits(&all, &[9], 4), frontier(&[4]));
        // Up to less than what was taken back.
        assert_eq!(permits(&all[..3], &[9], 1), frontier(&[8]));
    }

    /// Another form of a generation is no other generation, a generation of other code is one, without cells of this.
    #[test]
    fn generations_are_counted_not_manifests() {
        let mut all = vec![
            manifest(1, "n", &[4], &[1]),
            manifest(2, "n", &[6], &[1]),
            manifest(3, "n", &[6], &[1]),
            manifest(4, "n", &[8], &[1]),
            manifest(5, "n", &[8], &[1]),
        ];
        assert_eq!(permits(&all, &[9], 1), frontier(&[8]));
        assert_eq!(permits(&all, &[9], 2), frontier(&[6]));
        assert_eq!(permits(&all, &[9], 3), frontier(&[4]));
        all[3] = manifest(4, "other", &[2], &[2]);
        assert_eq!(permits(&all, &[9], 2), frontier(&[8]));
        assert_eq!(permits(&all, &[9], 3), frontier(&[6]));
    }

    /// A partition that an older generation does not name stands at its origin: nothing of it may go.
    #[test]
    fn new_partitions_begin_at_the_origin() {
        let all = [manifest(1, "n", &[4], &[1]), manifest(2, "n", &[6, 2], &[4])];
        assert_eq!(permits(&all, &[9, 9], 1), frontier(&[6, 2]));
        assert_eq!(permits(&all, &[9, 9], 2), frontier(&[4]));
        assert_eq!(permits(&all, &[9, 9, 1], 1), frontier(&[6, 2]));
        // The first one after genesis names what genesis named.
        let mut genesis = manifest(0, "n", &[1], &[1]);
        let origin = Frontier(BTreeMap::from([(SourcePartition::new("s", 0), Cut::ORIGIN)]));
        genesis.frontier.clone_from(&origin);
        genesis.drop_before.insert("n".into(), origin.clone());
        assert_eq!(permits(&[genesis], &[4, 4], 1), origin);
    }
}
