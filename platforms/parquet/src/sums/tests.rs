//! Lists in memory and in files, split or not, against a plain map.

use std::collections::BTreeMap;

use rufous_core::{Result, Store, StoreFace};
use rufous_store_api::{GenerationStore, StoreGeneration};
use rufous_store_memory::MemoryGenerations;

use super::target::ToStore;
use super::write::write_split;
use super::*;

/// A number that looks like chance.
fn mixed(n: u64) -> u64 {
    let n = n
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 29)
}

/// A list of this many keys out of `of`, each up to three times in a row as several sources would bring it.
fn list(seed: u64, keys: u64, of: u64, file: Option<&SpillDir>, all: &mut BTreeMap<Vec<u8>, u64>) -> Result<List> {
    let mut pairs = Vec::new();
    for n in 0..keys {
        let key = mixed(seed * 1_000_003 + n) % of;
        // Some are longer than what the heap compares first, and begin alike.
        let key = match key % 3 {
            0 => format!("{key:07}"),
            1 => format!("a-long-beginning-{key}"),
            _ => format!("a-long-beginning-{key}-and-more"),
        };
        pairs.push((key.into_bytes(), n + 1));
    }
    pairs.sort();
    let mut sorted = Sorted::default();
    let mut writer = file.map(SpillWriter::create).transpose()?;
    for (key, n) in pairs {
        *all.entry(key.clone()).or_default() += n;
        match &mut writer {
            Some(writer) => writer.push(&key, &n.to_le_bytes())?,
            None => sorted.push(&key, &n.to_le_bytes()),
        }
    }
    Ok(match writer {
        Some(writer) => List::File(writer.finish()?),
        None => List::Memory(sorted),
    })
}

fn check(lists: Vec<List>, splits: &[&[u8]], width: usize, dir: &SpillDir, all: &BTreeMap<Vec<u8>, u64>) {
    let store = StoreFace::of(Store::<String, u64>::new("counts"));
    let published = MemoryGenerations::default();
    let runs = write_split(
        lists,
        Some(splits),
        width,
        &ToStore {
            store: &store,
            generations: &published,
        },
        dir,
        3,
    )
    .unwrap()
    .unwrap();
    assert!(runs.len() <= splits.len() + 1);
    assert!(runs.windows(2).all(|w| w[0].last_key < w[1].first_key), "{runs:?}");
    let generation = StoreGeneration {
        runs,
        ..Default::default()
    };
    let mut got = BTreeMap::new();
    published
        .scan(&store, &generation, &[], &mut |key, value| {
            got.insert(key.to_vec(), u64::from_le_bytes(value.try_into().unwrap()));
            Ok(())
        })
        .unwrap();
    assert_eq!(&got, all);
}

/// Equation 2: however sums are spread over lists, files and threads, their sum is the same.
#[test]
fn lists_add_up() {
    let root = tempfile::tempdir().unwrap();
    let dir = SpillDir::below(root.path());
    for seed in 0..20 {
        for (lists, of) in [(0, 10), (1, 10), (2, 50), (7, 3_000), (5, 1_000_000)] {
            for splits in [
                &[][..],
                &[&b"a-long-beginning-5"[..]],
                &[b"0000400", b"a-long-beginning-9", b"z"],
            ] {
                let mut all = BTreeMap::new();
                let lists = (0..lists).map(|l| {
                    let file = mixed(seed + l).is_multiple_of(2).then_some(&dir);
                    list(seed * 100 + l, mixed(seed * 31 + l) % 6_000, of, file, &mut all)
                });
                let lists = lists.collect::<Result<Vec<_>>>().unwrap();
                check(lists, splits, [2, 3, 256][seed as usize % 3], &dir, &all);
            }
        }
    }
}

/// Sums that keep an order: of equal keys the older list comes first, however many lists are added up before.
#[test]
fn older_lists_come_first() {
    let root = tempfile::tempdir().unwrap();
    let dir = SpillDir::below(root.path());
    let store = StoreFace::of(Store::<String, Vec<u64>>::new("seen"));
    for width in [2, 3, 256] {
        let published = MemoryGenerations::default();
        let one = |n: u64, file: bool| {
            let value = rufous_algebra::Codec::to_bytes(&vec![n]);
            if file {
                let mut writer = SpillWriter::create(&dir).unwrap();
                writer.push(b"k\0", &value).unwrap();
                List::File(writer.finish().unwrap())
            } else {
                let mut sorted = Sorted::default();
                sorted.push(b"k\0", &value);
                List::Memory(sorted)
            }
        };
        let lists = (0..11).map(|n| one(n, n % 3 == 0)).collect();
        let runs = write_split(
            lists,
            None,
            width,
            &ToStore {
                store: &store,
                generations: &published,
            },
            &dir,
            2,
        )
        .unwrap()
        .unwrap();
        let generation = StoreGeneration {
            runs,
            ..Default::default()
        };
        let got = published.get(&store, &generation, &[b"k\0".to_vec()]).unwrap();
        let expected = rufous_algebra::Codec::to_bytes(&(0..11).collect::<Vec<u64>>());
        assert_eq!(got, [Some(expected)]);
    }
}

/// O2: a key of two partitions is noticed however many lists are added up before, and lists of one partition are no two.
#[test]
fn partitions_are_kept_apart() {
    let root = tempfile::tempdir().unwrap();
    let dir = SpillDir::below(root.path());
    let store = StoreFace::of(Store::<String, u64>::new("running"));
    let one = |key: &[u8], domain: u32, file: bool| {
        if file {
            let mut writer = SpillWriter::create(&dir).unwrap();
            writer.push(key, &1_u64.to_le_bytes()).unwrap();
            let mut file = writer.finish().unwrap();
            file.domain = Some(domain);
            List::File(file)
        } else {
            let mut sorted = Sorted::default();
            sorted.push(key, &1_u64.to_le_bytes());
            sorted.domain = Some(domain);
            List::Memory(sorted)
        }
    };
    for width in [2, 3, 256] {
        // Nine lists of three partitions: by turns, then a tenth that has a key of another partition.
        let keys: [&[u8]; 3] = [b"a\0", b"b\0", b"c\0"];
        let lists = || {
            (0..9_u32)
                .map(|n| one(keys[n as usize % 3], n % 3, n % 2 == 0))
                .collect::<Vec<_>>()
        };
        let published = MemoryGenerations::default();
        let runs = write_split(
            lists(),
            None,
            width,
            &ToStore {
                store: &store,
                generations: &published,
            },
            &dir,
            2,
        )
        .unwrap()
        .unwrap();
        let generation = StoreGeneration {
            runs,
            ..Default::default()
        };
        let got = published.get(&store, &generation, &keys.map(<[u8]>::to_vec)).unwrap();
        assert_eq!(got, vec![Some(3_u64.to_le_bytes().to_vec()); 3]);
        let mut moved = lists();
        moved.push(one(b"a\0", 2, false));
        let e = write_split(
            moved,
            None,
            width,
            &ToStore {
                store: &store,
                generations: &published,
            },
            &dir,
            2,
        )
        .unwrap()
        .unwrap_err();
        assert!(e.to_string().contains("came from partitions 0 and 2"), "{e}");
    }
}

/// Large lists are parted so that each thread has about as much to do, and small ones are not.
#[test]
fn the_work_is_divided() {
    let root = tempfile::tempdir().unwrap();
    let dir = SpillDir::below(root.path());
    for (keys, file, pieces) in [(1_000, false, 1), (1_000_000, false, 4), (1_000_000, true, 4)] {
        let mut all = BTreeMap::new();
        let list = list(1, keys, u64::MAX, file.then_some(&dir), &mut all).unwrap();
        let splits = super::split::splits(&[&list], 4);
        assert_eq!(splits.len() + 1, pieces);
        let mut counts = vec![0_usize; pieces];
        for key in all.keys() {
            counts[splits.partition_point(|s| s <= key)] += 1;
        }
        let fair = all.len() / pieces;
        assert!(counts.iter().all(|n| *n > fair / 2 && *n < 2 * fair), "{counts:?}");
    }
}

/// A damaged file is an error that names it, never a smaller sum.
#[test]
fn damage_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let dir = SpillDir::below(root.path());
    let mut all = BTreeMap::new();
    let list = list(3, 20_000, u64::MAX, Some(&dir), &mut all).unwrap();
    let spill = std::fs::read_dir(root.path()).unwrap().next().unwrap().unwrap().path();
    let path = spill.join("0.sums");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = StoreFace::of(Store::<String, u64>::new("counts"));
    let e = write(
        vec![list],
        &ToStore {
            store: &store,
            generations: &MemoryGenerations::default(),
        },
        &dir,
        1,
    )
    .unwrap()
    .unwrap_err();
    assert_eq!(e.kind(), rufous_core::ErrorKind::CorruptData);
    assert!(e.to_string().contains("0.sums"), "{e}");
}

/// The directory goes with its run; that of a killed run goes with the next one, that of a living one stays.
#[test]
fn directories_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let names = || std::fs::read_dir(root.path()).unwrap().count();
    let killed = root.path().join("spill-killed");
    std::fs::create_dir(&killed).unwrap();
    std::fs::write(killed.join("lock"), "").unwrap();
    std::fs::write(killed.join("0.sums"), "much").unwrap();
    let living = SpillDir::below(root.path());
    assert_eq!(names(), 1, "nothing is created before it is needed");
    let file = SpillWriter::create(&living).unwrap();
    assert!(!killed.exists());
    let other = SpillDir::below(root.path());
    let theirs = SpillWriter::create(&other).unwrap();
    assert_eq!(names(), 2);
    drop((file, living));
    assert_eq!(names(), 1);
    drop((theirs, other));
    assert_eq!(names(), 0);
}

/// Runs that begin at the same time sweep each other's directories: none takes one that is being made for one that was left.
#[test]
fn who_begins_is_not_swept() -> Result<()> {
    let root = tempfile::tempdir().unwrap();
    std::thread::scope(|s| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                s.spawn(|| -> Result<()> {
                    for _ in 0..300 {
                        let dir = SpillDir::below(root.path());
                        let mut writer = SpillWriter::create(&dir)?;
                        writer.push(b"a", b"1")?;
                        writer.finish()?;
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|t| t.join().unwrap())
    })?;
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0, "nothing is left");
    Ok(())
}
