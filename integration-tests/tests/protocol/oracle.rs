//! What must come out, from the definitions alone: plain lists and maps, nothing of the code under test.

use std::collections::BTreeMap;

use crate::topic::Produced;

/// All that was ever produced, whatever became of it in the log.
#[derive(Default)]
pub(crate) struct History(pub(crate) Vec<Vec<Produced>>);

/// Words and their counts.
pub(crate) type Counts = BTreeMap<String, u64>;

impl History {
    /// The fold of `[0, to[p])` of every partition without the ranges of `holes`. Payloads that are no text do not count.
    pub(crate) fn fold(
        &self,
        to: &BTreeMap<u32, u64>,
        holes: &[(u32, u64, u64)],
        of: impl Fn(&str) -> Vec<String>,
    ) -> Counts {
        let mut counts = Counts::new();
        for (p, records) in (0..).zip(&self.0) {
            let to = to.get(&p).copied().unwrap_or_default();
            for r in records.iter().filter(|r| r.offset < to) {
                if holes
                    .iter()
                    .any(|(q, from, to)| *q == p && (*from..*to).contains(&r.offset))
                {
                    continue;
                }
                let text = r.payload.as_deref().map(std::str::from_utf8);
                if let Some(Ok(text)) = text {
                    for word in of(text) {
                        *counts.entry(word).or_default() += 1;
                    }
                }
            }
        }
        counts
    }
    /// P1, P3: where batches (hours) begin in a partition. A step of more than a week is held back.
    pub(crate) fn cuts(&self, p: u32) -> Vec<(i64, u64)> {
        let mut cuts: Vec<(i64, u64)> = Vec::new();
        for r in &self.0[p as usize] {
            let batch = match cuts.last() {
                None => r.hour,
                Some((running, _)) => r.hour.min(running + 7 * 24),
            };
            if cuts.last().is_none_or(|(running, _)| batch > *running) {
                cuts.push((batch, r.offset));
            }
        }
        cuts
    }
}
