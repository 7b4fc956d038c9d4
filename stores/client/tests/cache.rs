//! Offline values are kept by generation: no answer is another one for it, whatever is published, switched or taken back.

mod support;

use std::collections::BTreeMap;

use support::*;

const KEYS: [&str; 4] = ["a", "ab", "b", "zzz"];

/// Random publishes, rollbacks and cells, asked by two clients: one that keeps nothing, and one that keeps much. The oracle is the
/// map that was published.
#[test]
fn what_is_kept_is_never_of_another_generation() {
    let (mut saved, mut reads) = (0, 0);
    for seed in 1..=150u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let w = World::default();
        let always = std::time::Duration::ZERO;
        let clients = [
            w.client().refresh_after(always).cache_bytes(0),
            w.client().refresh_after(always),
            w.client().refresh_after(always).cache_bytes(20_000),
        ];
        let mut published: Vec<BTreeMap<&str, u64>> = Vec::new();
        for number in 1..12u64 {
            let back = (!published.is_empty() && rng.one_in(3)).then(|| rng.below(published.len() as u64) as usize);
            let frontier = [(0, cut(5, 10))];
            let values = match back {
                // The runs of an older manifest under a new number.
                Some(i) => {
                    let old = w.state().manifests[&(i as u64 + 1)].clone();
                    let mut m = manifest(number, Some("n1"), &frontier);
                    m.stores = old.stores;
                    w.state().manifests.insert(number, m);
                    published[i].clone()
                }
                None => {
                    let mut all = BTreeMap::new();
                    for k in &KEYS[..3] {
                        if !rng.one_in(3) {
                            all.insert(*k, 1 + rng.below(1000));
                        }
                    }
                    let pairs: Vec<_> = all.iter().map(|(k, v)| (*k, *v)).collect();
                    w.publish(manifest(number, Some("n1"), &frontier), &pairs);
                    all
                }
            };
            published.push(values.clone());
            let live = 1 + rng.below(100);
            w.put("n1", 0, shard(row(&[(5, 10)], 14), &[("a", 5, live)]));
            for _ in 0..3 {
                for (n, client) in clients.iter().enumerate() {
                    let before = w.state().keys_read;
                    let counts = client.store(COUNTS).unwrap();
                    let asked: Vec<&str> = KEYS.iter().copied().filter(|_| rng.below(4) > 0).collect();
                    for (k, found) in asked.iter().zip(counts.multi_get(&asked)) {
                        let live = (*k == "a").then_some(live);
                        let sum = values.get(k).copied().into_iter().chain(live).reduce(|a, b| a + b);
                        assert_eq!(found.unwrap().value, sum, "seed {seed}, manifest {number}, key {k}");
                    }
                    let read = w.state().keys_read - before;
                    match n {
                        0 => assert_eq!(read, asked.len()),
                        1 => {
                            saved += asked.len() - read;
                            reads += asked.len();
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    assert!(
        saved * 2 > reads,
        "{saved} of {reads} were kept: the test shows nothing"
    );
}

/// Absence is known as well as a value, and what failed is asked again.
#[test]
fn absence_is_kept_and_failures_are_not() {
    let w = World::default();
    w.publish(manifest(1, None, &[]), &[("a", 1)]);
    let counts = w.client().store(COUNTS).unwrap();
    for _ in 0..3 {
        assert_eq!(
            (counts.get("a").unwrap().value, counts.get("zzz").unwrap().value),
            (Some(1), None)
        );
    }
    assert_eq!(w.state().keys_read, 2);
    let file = w.state().files.remove("counts-1").unwrap();
    assert!(counts.get("b").is_err());
    w.state().files.insert("counts-1".into(), file);
    assert_eq!(counts.get("b").unwrap().value, None);
    assert_eq!(counts.get("a").unwrap().value, Some(1));
}
