//! Many runs slow reads down: those that are small beside what is older are merged.

use rufous_core::panics::catch;
use rufous_core::{Result, StoreFace};
use rufous_store_api::{RunFile, StoreGeneration, merge_runs};

use crate::options::BatchRun;
use crate::worker::nobody;

/// A key may lie in so many runs.
const DEPTH: usize = 8;

impl BatchRun<'_> {
    /// Merges the newest runs when a key may lie in more than [`DEPTH`]: as many that what stays is larger than what was
    /// merged. So a run of a small delta costs little, and each pair is written again about once each time the store doubles.
    pub(crate) fn compact(&self, face: &StoreFace, generation: &mut StoreGeneration) -> Result<()> {
        if depth(&generation.runs) <= DEPTH {
            return Ok(());
        }
        let kept = kept(&generation.runs);
        let newest = StoreGeneration {
            schema: generation.schema.clone(),
            runs: generation.runs.split_off(kept),
            delta: Vec::new(),
        };
        let merged = catch(|| merge_runs(self.generations, face, &newest))
            .map_err(|panicked| nobody(self.plan.job(), &panicked).at(format_args!("store `{}`", face.name)))??;
        generation.runs.extend(merged);
        Ok(())
    }
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
