//! What must come out, from the definitions alone: records one after the other, plain maps.

use std::collections::BTreeMap;

use crate::topic::Produced;

/// All that was ever produced, whatever became of it in the log.
#[derive(Default)]
pub(crate) struct History(pub(crate) Vec<Vec<Produced>>);

/// What the job's stores hold, keys and values for people.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    /// Totals per key.
    pub(crate) running: BTreeMap<String, i64>,
    /// How often a key had a total after a record.
    pub(crate) trace: BTreeMap<(String, i64), i64>,
    /// How many keys have occurred how often.
    pub(crate) with: BTreeMap<u64, i64>,
}

impl History {
    /// Over the records below `to`, partition by partition, without lost ranges.
    pub(crate) fn fold(&self, to: &BTreeMap<u32, u64>, lost: &[(u32, u64, u64)]) -> Expected {
        let mut expected = Expected::default();
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for (p, records) in (0..).zip(&self.0) {
            let to = to.get(&p).copied().unwrap_or_default();
            for record in records {
                let is_lost = |(q, from, to): &(u32, u64, u64)| *q == p && (*from..*to).contains(&record.offset);
                let text = record.payload.as_deref().and_then(|t| std::str::from_utf8(t).ok());
                let Some((key, value)) = text.and_then(|t| t.split_once(' ')) else {
                    continue;
                };
                if record.offset >= to || lost.iter().any(is_lost) {
                    continue;
                }
                let value: i64 = value.parse().unwrap_or_default();
                let total = expected.running.entry(key.into()).or_default();
                *total += value;
                *expected.trace.entry((key.into(), *total)).or_default() += 1;
                *times.entry(key.into()).or_default() += 1;
            }
        }
        for n in times.into_values() {
            *expected.with.entry(n).or_default() += 1;
        }
        expected
    }
}
