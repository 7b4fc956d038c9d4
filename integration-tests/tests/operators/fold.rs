//! What must come out, from the definitions alone: records one after the other, plain maps.

use std::collections::BTreeMap;

use crate::topic::Produced;
use crate::world::REMEMBERED;

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
    /// How often a record found a total of its key, as of its time.
    pub(crate) was: BTreeMap<(String, i64), i64>,
    /// How many records of a key were no repetition.
    pub(crate) once: BTreeMap<String, i64>,
}

/// A record that was read: when it is logged, the running batch, its text.
struct Read<'a> {
    hour: i64,
    batch: i64,
    text: &'a str,
}

impl History {
    /// Over the records below `to`, partition by partition, without lost ranges.
    pub(crate) fn fold(&self, to: &BTreeMap<u32, u64>, lost: &[(u32, u64, u64)]) -> Expected {
        let mut expected = Expected::default();
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for (p, records) in (0..).zip(&self.0) {
            let to = to.get(&p).copied().unwrap_or_default();
            let mut read: Vec<Read<'_>> = Vec::new();
            for record in records {
                let is_lost = |(q, from, to): &(u32, u64, u64)| *q == p && (*from..*to).contains(&record.offset);
                let text = record.payload.as_deref().and_then(|t| std::str::from_utf8(t).ok());
                let Some((key, value)) = text.and_then(|t| t.split_once(' ')) else {
                    continue;
                };
                if record.offset >= to || lost.iter().any(is_lost) {
                    continue;
                }
                expected.look_back(&mut read, record.hour, key, text.unwrap_or_default());
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

impl Expected {
    /// O17 and O21 from their definitions, over all records before in the partition.
    fn look_back<'a>(&mut self, read: &mut Vec<Read<'a>>, hour: i64, key: &str, text: &'a str) {
        let batch = read.last().map_or(hour, |last| last.batch.max(hour));
        let as_of = hour.max(batch - 1);
        let of_key = read
            .iter()
            .filter(|r| r.text.split_once(' ').is_some_and(|(k, _)| k == key));
        let before: Vec<i64> = of_key
            .filter(|r| r.hour < as_of)
            .filter_map(|r| r.text.split_once(' ')?.1.parse().ok())
            .collect();
        let was = if before.is_empty() {
            i64::MIN
        } else {
            before.iter().sum()
        };
        *self.was.entry((key.into(), was)).or_default() += 1;
        let again = read.iter().filter(|r| r.text == text);
        if !again.into_iter().any(|r| r.batch >= batch - i64::from(REMEMBERED)) {
            *self.once.entry(key.into()).or_default() += 1;
        }
        read.push(Read { hour, batch, text });
    }
}
