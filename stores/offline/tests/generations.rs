//! Runs against a plain map: what is written is read, and the sum over runs is the sum.

mod support;

use rufous_algebra::{Codec, DecodeError, Max};
use rufous_core::{BatchId, Error, ErrorKind, Forgets, Reach, Result, Store, StoreFace};
use rufous_store_api::merge_runs;
use rufous_store_api::{GenerationStore, RunFile, StoreGeneration};
use rufous_store_offline::Generations;
use support::{Pairs, Random, face, key, pairs, scan, write};

fn check(g: &Generations, generation: &StoreGeneration, expected: &Pairs, random: &mut Random) {
    g.verify(&face(), generation).unwrap();
    assert_eq!(&scan(g, generation, &[]).unwrap(), expected);
    let keys: Vec<&Vec<u8>> = expected.keys().collect();
    for _ in 0..4 {
        // A prefix of a key that is there, its successor's, and one of nothing.
        let mut prefix = keys
            .get(random.below(keys.len()))
            .map_or_else(|| b"x".to_vec(), |k| k.to_vec());
        prefix.truncate(random.below(prefix.len() + 1));
        let under: Pairs = expected
            .iter()
            .filter(|(k, _)| k.starts_with(&prefix))
            .map(|(k, v)| (k.clone(), *v))
            .collect();
        assert_eq!(scan(g, generation, &prefix).unwrap(), under);
    }
    // Ranges beside each other, with gaps between them, up to all.
    let mut bounds: Vec<Vec<u8>> = (0..random.below(7))
        .filter_map(|_| keys.get(random.below(keys.len())).map(|k| k.to_vec()))
        .chain([key("b"), vec![0xff], Vec::new()])
        .collect();
    bounds.sort();
    bounds.dedup();
    for step in [1, 2, bounds.len() - 1] {
        let ranges: Vec<_> = bounds
            .windows(step + 1)
            .step_by(2)
            .map(|b| b[0].clone()..b[1].clone())
            .collect();
        let mut found = Vec::new();
        let each = &mut |place: usize, key: &[u8], value: &[u8]| {
            found.push((place, key.to_vec(), value.to_vec()));
            Ok(())
        };
        g.ranges(&face(), generation, &ranges, each).unwrap();
        let mut want = Vec::new();
        for (place, range) in ranges.iter().enumerate() {
            let inside = expected.iter().filter(|(k, _)| range.contains(*k));
            want.extend(inside.map(|(k, v)| (place, k.clone(), v.to_le_bytes().to_vec())));
        }
        assert_eq!(found, want);
    }
    // Unsorted, repeated, absent keys: every key asked is answered in its place.
    let step = 1 + keys.len() / 500;
    let mut asked: Vec<Vec<u8>> = keys.iter().rev().step_by(step).map(|k| k.to_vec()).collect();
    asked.extend([key(""), key("zzz"), key("key-0000000"), vec![], vec![0xff; 9]]);
    asked.extend(keys.iter().step_by(step * 3).map(|k| [k, &b"~"[..]].concat()));
    asked.extend(asked.first().cloned());
    let got = g.get(&face(), generation, &asked).unwrap();
    let want: Vec<_> = asked
        .iter()
        .map(|k| expected.get(k).map(|v| v.to_le_bytes().to_vec()))
        .collect();
    assert_eq!(got, want);
}

fn sum(runs: &[Pairs]) -> Pairs {
    let mut sum = Pairs::new();
    for (k, v) in runs.iter().flatten() {
        *sum.entry(k.clone()).or_default() += v;
    }
    sum
}

#[test]
fn runs_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    for sizes in [
        vec![],
        vec![0],
        vec![1],
        vec![1, 1],
        vec![100_000],
        vec![5_000, 20_000, 7],
        vec![1; 12],
    ] {
        let runs: Vec<Pairs> = sizes.iter().enumerate().map(|(i, n)| pairs(*n, i as u64 + 1)).collect();
        let mut generation = StoreGeneration::default();
        generation.runs.extend(runs.iter().filter_map(|pairs| write(&g, pairs)));
        check(&g, &generation, &sum(&runs), &mut Random(1));
        // The runs merged into one say the same; the old files stay for those who read them.
        let merged = merge_runs(&g, &face(), &generation, &Reach::default()).unwrap();
        assert_eq!(merged.runs.is_empty(), generation.runs.is_empty());
        assert_eq!(merged.forgotten, 0);
        let one = StoreGeneration {
            runs: merged.runs,
            ..Default::default()
        };
        check(&g, &one, &sum(&runs), &mut Random(2));
        check(&g, &generation, &sum(&runs), &mut Random(3));
    }
}

/// Rows that have no meaning any more are left out of a merge; what is of use has the same value, also where a part of it was
/// forgotten before.
#[test]
fn a_merge_forgets() {
    fn last(_: &[u8], value: &[u8]) -> Result<BatchId, DecodeError> {
        Ok(BatchId(i64::decode(value)?))
    }
    const SEEN: Store<String, Max<i64>> = Store::new("seen");
    let seen = StoreFace {
        forgets: Some(Forgets::behind(2, last)),
        ..StoreFace::of(SEEN)
    };
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    // Per run and key the last batch.
    let runs: [&[(&str, i64)]; 4] = [
        &[("a", 1), ("b", 2), ("c", 3)],
        &[("a", 4), ("d", 4)],
        &[("b", 6), ("c", 7)],
        &[("e", 9)],
    ];
    let mut written = Vec::new();
    for run in runs {
        let mut writer = g.begin_run(&seen).unwrap();
        for (k, batch) in run {
            writer.push(&key(k), &batch.to_le_bytes()).unwrap();
        }
        written.extend(writer.finish().unwrap());
    }
    let of = |runs: &[RunFile]| StoreGeneration {
        runs: runs.to_vec(),
        ..Default::default()
    };
    let all = ["a", "b", "c", "d", "e"].map(key);
    for batch in 0..14 {
        let reach = Reach {
            batch: Some(BatchId(batch)),
            dropped: Vec::new(),
        };
        // All at once, and in every order of two merges.
        let mut forms = vec![(merge_runs(&g, &seen, &of(&written), &reach).unwrap().runs, true)];
        for at in 1..written.len() {
            let (older, newer) = written.split_at(at);
            let merge = |runs: &[RunFile]| merge_runs(&g, &seen, &of(runs), &reach).unwrap().runs;
            forms.push(([older, &merge(newer)].concat(), false));
            forms.push(([&merge(older), newer].concat(), false));
        }
        for (runs, whole) in forms {
            let found = g.get(&seen, &of(&runs), &all).unwrap();
            for (found, last) in found.into_iter().zip([4, 6, 7, 4, 9]) {
                let is_of_use = last >= batch - 2;
                let found = found.map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
                if is_of_use {
                    assert_eq!(found, Some(last), "at {batch}");
                } else {
                    assert!(found.is_none_or(|found| found < batch - 2), "{found:?} at {batch}");
                    assert!(!whole || found.is_none(), "{found:?} at {batch}");
                }
            }
        }
    }
    let reach = Reach {
        batch: Some(BatchId(9)),
        dropped: Vec::new(),
    };
    assert_eq!(merge_runs(&g, &seen, &of(&written), &reach).unwrap().forgotten, 3);
}

/// Texts of few letters, so that runs share keys and keys are prefixes of each other; some values fill many blocks.
#[test]
fn random_runs_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    for seed in 0..60 {
        let mut random = Random(seed);
        let runs: Vec<Pairs> = (0..random.below(6))
            .map(|_| {
                let text = |r: &mut Random| {
                    (0..r.below(7))
                        .map(|_| ["a", "b", "\0", "é"][r.below(4)])
                        .collect::<String>()
                };
                (0..random.below(2_000))
                    .map(|_| (key(&text(&mut random)), random.below(1_000_000) as u64))
                    .collect()
            })
            .collect();
        let mut generation = StoreGeneration::default();
        generation.runs.extend(runs.iter().filter_map(|pairs| write(&g, pairs)));
        check(&g, &generation, &sum(&runs), &mut random);
    }
}

/// Values that do not commute, some larger than a block: the oldest run comes first.
#[test]
fn values_are_added_oldest_first() {
    const LISTS: Store<u64, Vec<String>> = Store::new("lists");
    let (dir, face) = (tempfile::tempdir().unwrap(), StoreFace::of(LISTS));
    let g = Generations::new(dir.path());
    let mut generation = StoreGeneration::default();
    for part in ["old", &"x".repeat(70_000), "new"] {
        let mut w = g.begin_run(&face).unwrap();
        for k in 0..5u64 {
            let value = vec![part.to_string()].to_bytes();
            w.push(&k.to_be_bytes(), &value).unwrap();
        }
        generation.runs.extend(w.finish().unwrap());
    }
    let expected = format!("[\"old\",\"{}\",\"new\"]", "x".repeat(70_000));
    let got = g.get(&face, &generation, &[3u64.to_be_bytes().to_vec()]).unwrap();
    assert_eq!(face.value.json(got[0].as_ref().unwrap()).unwrap().to_string(), expected);
    let mut seen = 0;
    g.scan(&face, &generation, &[], &mut |_, v| {
        assert_eq!(face.value.json(v).unwrap().to_string(), expected);
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 5);
}

#[test]
fn an_unfinished_run_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path().join("jobs/j/offline"));
    let files = || {
        std::fs::read_dir(dir.path().join("jobs/j/offline/counts"))
            .unwrap()
            .count()
    };
    let mut w = g.begin_run(&face()).unwrap();
    w.push(b"b", &[0; 40_000]).unwrap();
    assert_eq!(files(), 1);
    for key in [b"b", b"a"] {
        let e = w.push(key, b"1").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Bug);
        assert!(e.to_string().contains(&format!("{:02x} came after 62", key[0])), "{e}");
    }
    drop(w);
    assert_eq!(files(), 0);
    assert!(
        g.begin_run(&face()).unwrap().finish().unwrap().is_none(),
        "an empty run has no file"
    );
    assert_eq!(files(), 0);
    // Neither does a merge that fails half way.
    let mut generation = StoreGeneration::default();
    generation
        .runs
        .extend([pairs(3, 1), pairs(3, 2)].iter().filter_map(|p| write(&g, p)));
    let last = dir.path().join("jobs/j/offline/counts").join(&generation.runs[1].path);
    std::fs::remove_file(last).unwrap();
    let g = Generations::new(dir.path().join("jobs/j/offline"));
    assert_eq!(
        merge_runs(&g, &face(), &generation, &Reach::default())
            .unwrap_err()
            .kind(),
        ErrorKind::TryAgain
    );
    assert_eq!(files(), 1);
}

#[test]
fn a_scan_ends_with_the_error_of_its_caller() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let generation = StoreGeneration {
        runs: write(&g, &pairs(10, 1)).into_iter().collect(),
        ..Default::default()
    };
    let mut calls = 0;
    let e = g
        .scan(&face(), &generation, &[], &mut |_, _| {
            calls += 1;
            if calls == 3 {
                Err(Error::closed("enough"))
            } else {
                Ok(())
            }
        })
        .unwrap_err();
    assert_eq!((e.kind(), calls), (ErrorKind::Closed, 3));
}

/// The writer gives a run its final name only when it is whole: whoever sees the name sees the run.
#[test]
fn many_write_and_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    std::thread::scope(|s| {
        for i in 1..5 {
            let g = &g;
            s.spawn(move || {
                let pairs = pairs(3_000, i);
                let generation = StoreGeneration {
                    runs: write(g, &pairs).into_iter().collect(),
                    ..Default::default()
                };
                check(g, &generation, &pairs, &mut Random(i));
            });
        }
    });
    let names: Vec<_> = std::fs::read_dir(dir.path().join("counts"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 4);
    assert!(names.iter().all(|n| {
        n.to_str()
            .is_some_and(|n| n.starts_with("run-") && n.ends_with(".rrun"))
    }));
}
