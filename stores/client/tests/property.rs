//! The promise: random logs, random frontiers, random damage; an answer is the plain fold or an error that names what is
//! missing, never another number.

mod support;

use std::collections::BTreeMap;

use rufous_algebra::Codec;
use rufous_client::Missing;
use rufous_core::{BatchId, Cut, StoreFace};
use rufous_store_api::Hole;
use support::*;

const KEYS: [&str; 3] = ["a", "ab", "b"];

#[derive(Clone)]
struct Rec {
    offset: u64,
    batch: i64,
    key: usize,
    value: u64,
}

fn random_log(rng: &mut Rng) -> Vec<Rec> {
    let (mut offset, mut batch) = (0, 3);
    let mut log = Vec::new();
    for _ in 0..rng.below(25) {
        offset += 1 + rng.below(3) / 2; // Offsets have gaps.
        if rng.one_in(3) {
            batch += 1 + rng.below(2) as i64;
        }
        log.push(Rec {
            offset: offset - 1,
            batch,
            key: rng.below(3) as usize,
            value: 1 << rng.below(20),
        });
    }
    log
}

fn fold(log: &[Rec], key: usize, in_it: impl Fn(u64) -> bool) -> u64 {
    log.iter()
        .filter(|r| r.key == key && in_it(r.offset))
        .map(|r| r.value)
        .sum()
}

/// A batch of the log and where it begins; the beginning now and then.
fn random_cut(rng: &mut Rng, log: &[Rec], at_least: Cut) -> Cut {
    if log.is_empty() || rng.one_in(4) {
        return at_least;
    }
    let batch = log[rng.below(log.len() as u64) as usize].batch - rng.below(2) as i64;
    let cut = log.iter().find(|r| r.batch >= batch).map_or(0, |r| r.offset);
    let before = log
        .iter()
        .rev()
        .find(|r| r.offset < cut)
        .map_or(BatchId::MIN, |r| BatchId(r.batch));
    let found = Cut {
        batch: BatchId(batch),
        cut,
        batch_before: before,
    };
    if found.batch < at_least.batch { at_least } else { found }
}

/// What a realtime process makes of the log: it reads to `next`, without the hole; `skew` cuts batches in another way.
fn read_log(log: &[Rec], next: u64, hole: Option<&Hole>, skew: i64, retained_from: BatchId) -> Shard {
    let mut r = row(&[], next);
    let mut cells: BTreeMap<(Vec<u8>, BatchId), u64> = BTreeMap::new();
    for rec in log
        .iter()
        .filter(|r| r.offset < next && !hole.is_some_and(|h| (h.from..h.to).contains(&r.offset)))
    {
        let batch = BatchId(if skew > 1 { rec.batch / skew * skew } else { rec.batch });
        if batch > r.batch {
            r.batch = batch;
            r.cuts.push((batch, rec.offset));
        }
        *cells.entry((key(KEYS[rec.key]), batch)).or_default() += rec.value;
    }
    r.holes.extend(hole.cloned());
    r.retained_from = retained_from;
    r.cuts.retain(|(b, _)| *b >= retained_from);
    cells.retain(|(_, b), _| *b >= retained_from);
    Shard {
        row: r,
        cells: cells.into_iter().map(|(k, v)| (k, v.to_bytes())).collect(),
    }
}

fn publish(w: &World, number: u64, frontier: &[Cut], logs: &[Vec<Rec>]) {
    let named: Vec<_> = (0..)
        .zip(frontier.iter().copied())
        .filter(|(_, c)| *c != Cut::ORIGIN)
        .collect();
    let values = KEYS.iter().enumerate().filter_map(|(k, name)| {
        let sums = logs.iter().zip(frontier).map(|(log, f)| {
            let any = log.iter().any(|r| r.key == k && r.offset < f.cut);
            any.then(|| fold(log, k, |o| o < f.cut))
        });
        let found: Vec<u64> = sums.flatten().collect();
        (!found.is_empty()).then(|| (key(name), found.iter().sum::<u64>().to_bytes()))
    });
    w.publish_store(
        manifest(number, Some("n1"), &named),
        &StoreFace::of(COUNTS),
        values.collect(),
    );
}

#[test]
fn the_plain_fold_or_an_error_never_another_number() {
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for seed in 1..=4_000u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let w = World::default();
        let logs: Vec<_> = (0..=rng.below(3)).map(|_| random_log(&mut rng)).collect();
        let old: Vec<_> = logs.iter().map(|log| random_cut(&mut rng, log, Cut::ORIGIN)).collect();
        let new: Vec<_> = logs
            .iter()
            .zip(&old)
            .map(|(log, f)| random_cut(&mut rng, log, *f))
            .collect();
        publish(&w, 1, &old, &logs);
        let counts = w.client().store(COUNTS).unwrap(); // Caches manifest 1.
        publish(&w, 2, &new, &logs);

        let (mut damaged, mut next) = (false, Vec::new());
        for (n, (log, f)) in (0..).zip(logs.iter().zip(&new)) {
            let end = log.last().map_or(0, |r| r.offset + 1);
            let hole = rng.one_in(6).then(|| {
                let from = rng.below(end.max(1));
                Hole {
                    from,
                    to: (from + 1 + rng.below(4)).min(end.max(from + 1)),
                    reason: "retention".into(),
                }
            });
            let mut reached = rng.below(end + 1);
            if let Some(h) = &hole {
                reached = reached.max(h.to); // A shard knows of a hole because it stands behind it.
            }
            let skew = if rng.one_in(8) { 2 } else { 1 };
            // Usually what manifest 2 permits; now and then a foreign hand drops more.
            let foreign = rng.one_in(8);
            let retained = if foreign {
                random_cut(&mut rng, log, *f).batch
            } else if rng.one_in(2) {
                f.batch
            } else {
                BatchId::MIN
            };
            damaged |= hole.is_some() || skew > 1 || foreign;
            next.push(reached);
            if rng.one_in(10) && hole.is_none() {
                next[n as usize] = 0; // No shard at all.
                continue;
            }
            w.put("n1", n, read_log(log, reached, hole.as_ref(), skew, retained));
        }
        let silent = rng.one_in(12);
        w.state().silent = silent;

        for (k, name) in KEYS.iter().enumerate() {
            let partial = counts.get_partial(*name).unwrap();
            match counts.get(*name) {
                Ok(a) => {
                    *outcomes.entry("answers").or_default() += 1;
                    assert!(!silent, "seed {seed}: an answer without its owner");
                    let mut want = 0;
                    for (n, log) in (0..).zip(&logs) {
                        let applied = a.coverage.applied(&p(n));
                        let cut = a.coverage.partitions().get(&p(n)).map_or(0, |c| c.frontier.cut);
                        assert_eq!(
                            applied,
                            next[n as usize].max(cut),
                            "seed {seed}: partition {n} claims what it has"
                        );
                        want += fold(log, k, |o| o < applied);
                    }
                    assert_eq!(a.value.unwrap_or(0), want, "seed {seed}: key {name}");
                    assert!(partial.is_whole() && partial.so_far == a.value, "seed {seed}");
                }
                Err(e) => {
                    *outcomes.entry("errors").or_default() += 1;
                    assert!(damaged || silent, "seed {seed}: sound state was refused: {e}");
                    assert!(!partial.is_whole(), "seed {seed}");
                    for m in &partial.missing {
                        *outcomes
                            .entry(match m {
                                Missing::Gap { .. } => "gaps",
                                Missing::Misaligned { .. } => "misaligned",
                                Missing::Hole { .. } => "holes",
                                _ => "silent",
                            })
                            .or_default() += 1;
                        assert!(
                            e.to_string().contains(&m.to_string()),
                            "seed {seed}: {e} does not name {m}"
                        );
                    }
                }
            }
            // Even a partial sum is what it says: per partition a prefix of the log, less the holes that it lists.
            let listed = |n: u32, o: u64| {
                partial.missing.iter().any(|m| matches!(m, Missing::Hole { partition, from, to, .. } if *partition == p(n) && (*from..*to).contains(&o)))
            };
            let so_far: u64 = (0..)
                .zip(&logs)
                .map(|(n, log)| {
                    let cut = partial.coverage.partitions().get(&p(n)).map_or(0, |c| c.frontier.cut);
                    fold(log, k, |o| {
                        o < cut || (o < partial.coverage.applied(&p(n)) && !listed(n, o))
                    })
                })
                .sum();
            assert_eq!(partial.so_far.unwrap_or(0), so_far, "seed {seed}: partial of {name}");
        }
    }
    for kind in ["answers", "errors", "gaps", "misaligned", "holes", "silent"] {
        assert!(
            outcomes.get(kind).is_some_and(|n| *n > 100),
            "{kind} is hardly exercised: {outcomes:?}"
        );
    }
}
