//! Many runs slow reads down: those that are small beside what is older are merged, behind the publish that added one
//! too many. The generation is then published once more in its new form: the same records, the same frontier, the
//! same permission to drop (P22, P23). It is no generation of its own: it takes no place in the keep window, and no
//! rollback goes to it alone.

use rufous_core::panics::catch;
use rufous_core::{Error, Reach, Result, StoreFace};
use rufous_store_api::{Manifest, Published, RunFile, StoreGeneration, merge_runs};

use crate::options::BatchRun;
use crate::progress::Phase;
use crate::run::MAX_CONFLICTS;
use crate::survey::now;
use crate::worker::nobody;

/// A key may lie in so many runs.
const DEPTH: usize = 8;

/// Runs of a store that follow each other, and what they are merged into.
struct Merged {
    store: &'static str,
    from: Vec<RunFile>,
    to: Vec<RunFile>,
    /// What the merge forgot has no meaning from here on.
    reach: Reach,
}

impl BatchRun<'_> {
    /// Merges the newest runs of the current generation when a key may lie in more than 8: as many that what stays is
    /// larger than what was merged. So a run of a small delta costs little, and each pair is written again about once
    /// each time the store doubles. Returns the manifest that names the merged runs; `None`: there was nothing to
    /// merge, or others published meanwhile what does not have these runs, and the next run merges.
    ///
    /// # Errors
    /// When a run cannot be read or written. What is published stays as it is.
    pub fn merge(&self) -> Result<Option<Manifest>> {
        let Some(mut base) = self.manifests.newest(0)? else {
            return Ok(None);
        };
        // Other code has other sums.
        if base.fingerprint != self.plan.fingerprint() {
            return Ok(None);
        }
        let mut all = Vec::new();
        for face in self.plan.stores() {
            if let Some(generation) = base.stores.get(face.name) {
                let reach = base.reach(face.name);
                all.extend(self.merge_store(face, generation, reach)?);
            }
        }
        if all.is_empty() {
            return Ok(None);
        }
        self.options.progress.enter(Phase::Publishing);
        for _ in 0..MAX_CONFLICTS {
            let Some(next) = other_form(&base, &all) else {
                return Ok(None);
            };
            next.check_follows(&base)
                .map_err(|why| Error::bug(format!("another form of a generation: {why}")))?;
            if self.manifests.publish(&next)? == Published::Done {
                return Ok(Some(next));
            }
            match self.manifests.newest(0)? {
                Some(newest) => base = newest,
                None => break,
            }
        }
        Ok(None)
    }

    fn merge_store(&self, face: &StoreFace, generation: &StoreGeneration, reach: Reach) -> Result<Option<Merged>> {
        if depth(&generation.runs) <= DEPTH {
            return Ok(None);
        }
        self.options.progress.enter(Phase::Merging);
        let newest = StoreGeneration {
            schema: generation.schema.clone(),
            runs: generation
                .runs
                .get(kept(&generation.runs)..)
                .unwrap_or_default()
                .to_vec(),
            ..StoreGeneration::default()
        };
        let merged = catch(|| merge_runs(self.generations, face, &newest, &reach))
            .map_err(|panicked| nobody(self.plan.job(), &panicked).at(format_args!("store `{}`", face.name)))??;
        if merged.forgotten > 0 {
            tracing::info!(
                store = face.name,
                keys = merged.forgotten,
                "keys that have no meaning any more were left out of merged runs"
            );
        }
        Ok(Some(Merged {
            store: face.name,
            from: newest.runs,
            to: merged.runs,
            reach,
        }))
    }
}

/// The manifest on top of `base` in which merged runs take the place of theirs; `None`: it does not have them, or went back since
/// to where what they lack had a meaning.
fn other_form(base: &Manifest, all: &[Merged]) -> Option<Manifest> {
    let mut next = base.clone();
    next.number += 1;
    next.created_at = now();
    for generation in next.stores.values_mut() {
        // It adds nothing. The run's own manifest keeps its delta (P36).
        generation.delta.clear();
    }
    for merged in all {
        if !base.reach(merged.store).covers(&merged.reach) {
            return None;
        }
        let runs = &mut next.stores.get_mut(merged.store)?.runs;
        let at = runs.windows(merged.from.len()).position(|some| some == merged.from)?;
        runs.splice(at..at + merged.from.len(), merged.to.iter().cloned());
    }
    Some(next)
}

/// In how many runs a key may lie at most.
fn depth(runs: &[RunFile]) -> usize {
    let over = |run: &RunFile| {
        let holds = |r: &&RunFile| r.first_key <= run.first_key && run.first_key <= r.last_key;
        runs.iter().filter(holds).count()
    };
    runs.iter().map(over).max().unwrap_or(0)
}

/// How many of the oldest runs stay: the more, the larger they are beside all that is newer.
fn kept(runs: &[RunFile]) -> usize {
    let mut newer = 0;
    let mut kept = runs.len();
    for (i, run) in runs.iter().enumerate().rev() {
        let enough = runs.len() - i > 2 && depth(runs.get(..=i).unwrap_or_default()) < DEPTH;
        if enough && run.bytes > newer {
            break;
        }
        newer += run.bytes;
        kept = i;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: u64, first: &str, last: &str) -> RunFile {
        RunFile {
            path: String::new(),
            bytes,
            checksum: String::new(),
            keys: 1,
            first_key: first.into(),
            last_key: last.into(),
        }
    }

    /// P22: merged runs take the place of theirs also in what others published meanwhile; where those are gone, in
    /// none.
    #[test]
    fn another_form_of_what_is_current() {
        let named = |name: &str| RunFile {
            path: name.into(),
            ..run(1, "00", "ff")
        };
        let runs = |names: &str| names.split(' ').map(named).collect::<Vec<_>>();
        let base = |names: &str| Manifest {
            format: 1,
            number: 7,
            job: "j".into(),
            line: "l".into(),
            fingerprint: "f".into(),
            cut_specs: Default::default(),
            realtime_namespace: Some("f".into()),
            stores: [(
                "s".to_string(),
                StoreGeneration {
                    schema: String::new(),
                    runs: runs(names),
                    delta: runs("d"),
                    ..StoreGeneration::default()
                },
            )]
            .into(),
            frontier: Default::default(),
            drop_before: Default::default(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: rufous_core::Timestamp(0),
            covered_until: "c".into(),
            window: None,
            not_repeatable: Vec::new(),
            sinks: std::collections::BTreeMap::new(),
        };
        let merged = || {
            [Merged {
                store: "s",
                from: runs("b c"),
                to: runs("m"),
                reach: Reach::default(),
            }]
        };
        for (before, after) in [("a b c", "a m"), ("a b c d", "a m d"), ("b c", "m")] {
            let (base, next) = (base(before), other_form(&base(before), &merged()).unwrap());
            assert_eq!(next.stores["s"].runs, runs(after));
            assert!(next.is_form_of(&base) && next.check_follows(&base).is_ok());
            assert!(next.stores["s"].delta.is_empty());
        }
        for before in ["a", "a b", "a c b", "a b x c"] {
            assert_eq!(other_form(&base(before), &merged()), None, "{before}");
        }
    }

    /// Runs that share no key count as one.
    #[test]
    fn depth_is_that_of_one_key() {
        assert_eq!(depth(&[]), 0);
        let apart: Vec<_> = (10..40).map(|i| run(1, &format!("{i}0"), &format!("{i}9"))).collect();
        assert_eq!(depth(&apart), 1);
        let over = [run(1, "00", "50"), run(1, "40", "90"), run(1, "45", "46")];
        assert_eq!(depth(&over), 3);
    }

    /// A thousand small deltas on a large base: reads stay shallow, and all merging together writes a small multiple of
    /// what came in. (Merging all runs each time would write the base a hundred times.)
    #[test]
    fn merging_is_paid_for_by_what_came_in() {
        let mut runs = vec![run(10_000, "00", "ff")];
        let (mut written, mut came) = (0, 0);
        for _ in 0..1_000 {
            runs.push(run(10, "00", "ff"));
            came += 10;
            if depth(&runs) > DEPTH {
                let merged: u64 = runs.split_off(kept(&runs)).iter().map(|r| r.bytes).sum();
                written += merged;
                runs.push(run(merged, "00", "ff"));
            }
            assert!(depth(&runs) <= DEPTH, "{runs:?}");
        }
        assert_eq!(runs.iter().map(|r| r.bytes).sum::<u64>(), 10_000 + came);
        assert!(written < 8 * came, "{written} bytes were written for {came}");
    }
}
