//! What a read costs: absent keys, keys outside a run, and what is kept in memory.

mod support;

use rufous_store_api::{GenerationStore, StoreGeneration};
use rufous_store_offline::Generations;
use support::{Pairs, face, key, pairs, scan, write};

const KEYS: u64 = 300_000;

fn absent(n: u64) -> Vec<Vec<u8>> {
    // Between keys that are there, in no order.
    (0..n)
        .map(|i| key(&format!("key-{:07}x", i.wrapping_mul(7_919) % KEYS)))
        .collect()
}

/// A read of an absent key reads no block in 99 of 100 cases, one that is there reads one block.
#[test]
fn absent_keys_read_no_block() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let all = pairs(KEYS, 1);
    let generation = StoreGeneration {
        runs: write(&g, &all).into_iter().collect(),
        ..Default::default()
    };
    let n = 20_000;
    for key in absent(n) {
        assert_eq!(g.get(&face(), &generation, &[key]).unwrap(), [None]);
    }
    let blocks = g.blocks_read();
    println!("{n} absent keys read {blocks} blocks");
    assert!(blocks < n / 100 && blocks > 0, "{blocks}");
    let found: Vec<_> = all.iter().step_by(1_000).collect();
    for (key, value) in &found {
        let got = g.get(&face(), &generation, &[key.to_vec()]).unwrap();
        assert_eq!(got, [Some(value.to_le_bytes().to_vec())]);
    }
    assert_eq!(g.blocks_read(), blocks + found.len() as u64);
}

/// A run whose key range cannot hold what is asked is not even opened: its file need not be there.
#[test]
fn runs_out_of_range_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let named = |prefix: &str| -> Pairs { (0..50).map(|i| (key(&format!("{prefix}-{i}")), i)).collect() };
    let (near, far) = (named("m"), named("x"));
    let generation = StoreGeneration {
        runs: [&near, &far].into_iter().filter_map(|p| write(&g, p)).collect(),
        ..Default::default()
    };
    std::fs::remove_file(dir.path().join("counts").join(&generation.runs[1].path)).unwrap();
    let g = Generations::new(dir.path());
    let asked = [key("m-7"), key("a"), key("q"), key("m-49"), key("z")];
    let got = g.get(&face(), &generation, &asked).unwrap();
    assert_eq!(
        got,
        [Some(7u64), None, None, Some(49), None].map(|v| v.map(|v| v.to_le_bytes().to_vec()))
    );
    assert_eq!(scan(&g, &generation, b"m-").unwrap(), near);
    assert_eq!(scan(&g, &generation, b"y").unwrap(), Pairs::new());
    assert!(g.get(&face(), &generation, &[key("x-1")]).is_err() && scan(&g, &generation, b"").is_err());
}

/// Every answer is right when nothing is kept, when little is, and when all is; many ask at once.
#[test]
fn answers_do_not_depend_on_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<Pairs> = (1..4).map(|step| pairs(KEYS / 3, step)).collect();
    let mut sum = Pairs::new();
    runs.iter()
        .flatten()
        .for_each(|(k, v)| *sum.entry(k.clone()).or_default() += v);
    let writer = Generations::new(dir.path());
    let generation = StoreGeneration {
        runs: runs.iter().filter_map(|p| write(&writer, p)).collect(),
        ..Default::default()
    };
    for kept in [0, 200_000, 64 << 20] {
        let g = Generations::new(dir.path()).cache_bytes(kept);
        std::thread::scope(|s| {
            for t in 0..4 {
                let (g, generation, sum) = (&g, &generation, &sum);
                s.spawn(move || {
                    for (key, value) in sum.iter().skip(t * 11).step_by(997) {
                        let asked = [key.clone(), [&key[..], b"x"].concat()];
                        let got = g.get(&face(), generation, &asked).unwrap();
                        assert_eq!(got, [Some(value.to_le_bytes().to_vec()), None]);
                    }
                });
            }
        });
        assert_eq!(scan(&g, &generation, b"").unwrap(), sum);
    }
}

/// Writing, scanning and point reads. Run with `--release -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    const KEYS: u64 = 5_000_000;
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let timed = |what: &str, n: u64, f: &mut dyn FnMut()| {
        let started = std::time::Instant::now();
        f();
        let each = started.elapsed().as_secs_f64() / n as f64;
        println!("{what}: {:.2} us each, {:.2} M/s", each * 1e6, 1e-6 / each);
    };
    let mut generation = StoreGeneration::default();
    timed("write", KEYS, &mut || {
        let mut run = g.begin_run(&face()).unwrap();
        for i in 0..KEYS {
            run.push(&key(&format!("key-{i:09}")), &i.to_le_bytes()).unwrap();
        }
        generation.runs.extend(run.finish().unwrap());
    });
    println!("{} bytes", generation.runs[0].bytes);
    timed("open", 1, &mut || {
        Generations::new(dir.path()).check("counts", &generation).unwrap();
    });
    let mut seen = 0;
    timed("scan", KEYS, &mut || {
        g.scan(&face(), &generation, &[], &mut |_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
    });
    assert_eq!(seen, KEYS);
    let asked = |suffix: &str, n: u64| key(&format!("key-{:09}{suffix}", n.wrapping_mul(7_919_173) % KEYS));
    for (what, suffix) in [("first reads", ""), ("reads", ""), ("reads of absent keys", "x")] {
        timed(what, 200_000, &mut || {
            for n in 0..200_000 {
                let got = g.get(&face(), &generation, &[asked(suffix, n)]).unwrap();
                assert_eq!(got[0].is_some(), suffix.is_empty());
            }
        });
    }
}
