//! What every answer is, from plain collections.

use std::collections::{BTreeMap, BTreeSet};

use crate::topic::{LOST, record};

/// The three stores of the job.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) most: BTreeMap<String, u64>,
    pub(crate) users: BTreeMap<(String, u32), BTreeSet<String>>,
}

/// The records below these offsets, by partition, without those that were lost.
pub(crate) fn fold(below: impl Fn(u32) -> u64) -> Sums {
    let mut sums = Sums::default();
    for p in 0..crate::topic::PARTITIONS {
        for offset in 0..below(p) {
            let lost = p == LOST.0 && (LOST.1..LOST.2).contains(&offset);
            let Some((_, _, text)) = record(p, offset).filter(|_| !lost) else {
                continue;
            };
            let parts: Vec<&str> = text.split(' ').collect();
            let (word, user, number) = (parts[0].to_string(), parts[1].to_string(), parts[2].parse().unwrap());
            *sums.counts.entry(word.clone()).or_default() += 1;
            let most = sums.most.entry(word.clone()).or_insert(number);
            *most = number.max(*most);
            sums.users.entry((word, (number % 4) as u32)).or_default().insert(user);
        }
    }
    sums
}

/// Where the last hour of the first `end` offsets begins: what is before it is sealed.
pub(crate) fn sealed(p: u32, end: u64) -> u64 {
    let hour = |offset| record(p, offset).map(|(hour, ..)| hour);
    let last = (0..end).rev().find_map(hour).unwrap();
    (0..end).find(|offset| hour(*offset) == Some(last)).unwrap()
}
