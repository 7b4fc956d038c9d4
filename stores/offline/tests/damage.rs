//! Hostile bytes: every damage is an error that names the file, or the answer is right all the same; never other data.

mod support;

use rufous_algebra::codec::put_varint;
use rufous_core::ErrorKind;
use rufous_store_api::GenerationStore;
use rufous_store_offline::Generations;
use rufous_store_offline::run::{FOOTER, MAGIC};
use support::{One, Pairs, Random, face, key, pairs, scan, write};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// `verify` must notice; a read may answer, and then rightly.
fn must_notice(one: &One, bad: &[u8], what: &str) {
    let g = one.with(bad);
    let e = g.verify(&face(), &one.generation).expect_err(what);
    assert_eq!(e.kind(), ErrorKind::CorruptData, "{what}: {e}");
    assert!(e.to_string().contains(&one.generation.runs[0].path), "{what}: {e}");
    never_wrong(one, &g, what);
}

fn never_wrong(one: &One, g: &Generations, what: &str) {
    if let Ok(seen) = scan(g, &one.generation, &[]) {
        assert_eq!(seen, one.pairs, "{what}");
    }
    let keys: Vec<Vec<u8>> = one.pairs.keys().cloned().step_by(1 + one.pairs.len() / 20).collect();
    if let Ok(got) = g.get(&face(), &one.generation, &keys) {
        let want: Vec<_> = keys
            .iter()
            .map(|k| one.pairs.get(k).map(|v| v.to_le_bytes().to_vec()))
            .collect();
        assert_eq!(got, want, "{what}");
    }
}

#[test]
fn every_bit_counts() {
    let one = One::new(pairs(3, 1));
    for at in 0..one.bytes.len() {
        for bit in 0..8 {
            let mut bad = one.bytes.clone();
            bad[at] ^= 1 << bit;
            must_notice(&one, &bad, &format!("bit {bit} of byte {at}"));
        }
    }
    one.with(&one.bytes).verify(&face(), &one.generation).unwrap();
}

/// A wrong index or filter would answer "absent" for keys that are there: no read goes past one.
#[test]
fn every_read_checks_the_index() {
    let one = One::new(pairs(3_000, 1));
    // All entries are of one length: the blocks end here, and behind them all belongs to indexes, filter and footer.
    let entry = 1 + key("key-0000000").len() + 1 + 8;
    let blocks = (3_000 * entry).div_ceil((16usize << 10).div_ceil(entry) * entry);
    let index_at = 8 + 3_000 * entry + 8 * blocks;
    assert!(blocks > 3 && one.bytes.len() - FOOTER - index_at > 3_000 * 10 / 8);
    for at in (0..8).chain(index_at..one.bytes.len()) {
        for flip in [1, 0x80] {
            let mut bad = one.bytes.clone();
            bad[at] ^= flip;
            let e = one
                .with(&bad)
                .get(&face(), &one.generation, &[key("key-0000007")])
                .expect_err("a damaged index");
            assert_eq!(e.kind(), ErrorKind::CorruptData, "byte {at}: {e}");
        }
    }
}

/// Of two partitions with as many keys, index and filter of one are put in the place of the other's: their checksums fit.
#[test]
fn swapped_indexes_are_noticed() {
    let one = One::new(pairs(200_000, 1));
    let entry = 1 + key("key-0000000").len() + 1 + 8;
    let per_block = (16usize << 10).div_ceil(entry);
    let block = per_block * entry + 8;
    let blocks = (1usize << 20).div_ceil(block);
    // An index entry has a varint of three bytes for the length of a block of 16 KiB.
    let index = blocks * (1 + key("key-0000000").len() + 3) + 8;
    let filter = (blocks * per_block * 10).div_ceil(64) * 8 + 8;
    let partition = blocks * block + index + filter;
    let at = [8 + blocks * block, 8 + partition + blocks * block];
    for (from, len, why) in [
        (0, index + filter, "index"),
        (index, filter, "filter"),
        (0, index, "filter"),
    ] {
        let mut bad = one.bytes.clone();
        bad[at[0] + from..][..len].copy_from_slice(&one.bytes[at[1] + from..][..len]);
        bad[at[1] + from..][..len].copy_from_slice(&one.bytes[at[0] + from..][..len]);
        must_notice(&one, &bad, why);
        let e = one
            .with(&bad)
            .get(&face(), &one.generation, &[key("key-0000001")])
            .unwrap_err();
        assert!(e.kind() == ErrorKind::CorruptData && e.to_string().contains(why), "{e}");
    }
}

#[test]
fn random_damage_is_never_data() {
    let one = One::new(pairs(3_000, 3));
    let mut random = Random(7);
    for round in 0..400 {
        let mut bad = one.bytes.clone();
        let (at, n) = (random.below(bad.len()), 1 + random.below(40));
        let end = (at + n).min(bad.len());
        match round % 5 {
            0 => bad[at..end].iter_mut().for_each(|b| *b = random.below(256) as u8),
            1 => bad[at..end].fill(0),
            2 => bad.truncate(at),
            3 => drop(bad.drain(at..end)),
            _ => {
                let from = random.below(bad.len() - (end - at));
                bad.copy_within(from..from + (end - at), at);
            }
        }
        if bad != one.bytes {
            must_notice(&one, &bad, &format!("round {round}, bytes {at}..{end}"));
        }
    }
    for len in [0, 7, 8, FOOTER, FOOTER + 7, FOOTER + 8, one.bytes.len() - 1] {
        must_notice(&one, &one.bytes[..len], &format!("cut to {len} bytes"));
    }
    must_notice(&one, &[&one.bytes[..], &[0]].concat(), "a byte too many");
}

/// The checksum of a block fits wherever the block lies: its first key tells that it lies in the wrong place.
#[test]
fn swapped_blocks_are_noticed() {
    let one = One::new(pairs(5_000, 1));
    // All entries are of one length, so all blocks but the last are.
    let entry = 1 + key("key-0000000").len() + 1 + 8;
    let block = (16usize << 10).div_ceil(entry) * entry + 8;
    let mut bad = one.bytes.clone();
    let (first, second) = (8..8 + block, 8 + block..8 + 2 * block);
    bad[first.clone()].copy_from_slice(&one.bytes[second.clone()]);
    bad[second].copy_from_slice(&one.bytes[first]);
    must_notice(&one, &bad, "swapped");
    let e = one
        .with(&bad)
        .get(&face(), &one.generation, &[key("key-0000001")])
        .unwrap_err();
    assert!(
        e.kind() == ErrorKind::CorruptData && e.to_string().contains("byte 8 that belongs elsewhere"),
        "{e}"
    );
}

/// A run of the same length and as many keys in the place of another.
#[test]
fn another_run_is_noticed() {
    let one = One::new(pairs(100, 1));
    let changed: Pairs = one.pairs.iter().map(|(k, v)| (k.clone(), v + 1)).collect();
    let other = One::new(changed);
    assert_eq!(other.bytes.len(), one.bytes.len());
    let e = one.with(&other.bytes).verify(&face(), &one.generation).unwrap_err();
    assert!(
        e.kind() == ErrorKind::CorruptData && e.to_string().contains("checksum"),
        "{e}"
    );
    // Even while the right one is open: `verify` looks at what is there now.
    let g = one.with(&one.bytes);
    g.verify(&face(), &one.generation).unwrap();
    assert_eq!(scan(&g, &one.generation, &[]).unwrap(), one.pairs);
    std::fs::remove_file(&one.path).unwrap();
    std::fs::write(&one.path, &other.bytes).unwrap();
    assert!(g.verify(&face(), &one.generation).is_err());
}

/// Files whose checksums all fit, made of nonsense: decoding is bounded by what is there.
#[test]
fn forged_files_do_not_panic() {
    let one = One::new(pairs(3, 1));
    let mut random = Random(11);
    let mut forged = Vec::new();
    for round in 0..3_000 {
        let number =
            |r: &mut Random| [0, 1, 8, 9, 16, 1 << 14, u64::from(u32::MAX), u64::MAX - 7, u64::MAX][r.below(9)];
        let mut file = MAGIC.to_vec();
        let entries: Vec<u8> = if random.below(3) == 0 {
            let mut e = Vec::new();
            put_varint(number(&mut random), &mut e);
            e
        } else {
            (0..random.below(30)).map(|_| random.below(20) as u8).collect()
        };
        file.extend_from_slice(&entries);
        file.extend_from_slice(&xxh3_64(&entries).to_le_bytes());
        let first: &[u8] = entries
            .get(1..1 + entries.first().map_or(0, |n| *n as usize))
            .unwrap_or(b"k");
        // Now and then a number is another than it should be.
        let put = |n: usize, r: &mut Random, out: &mut Vec<u8>| {
            put_varint(if r.below(8) > 0 { n as u64 } else { number(r) }, out);
        };
        let mut index = Vec::new();
        for _ in 0..1 + random.below(8) / 7 {
            put(first.len(), &mut random, &mut index);
            index.extend_from_slice(first);
            put(entries.len(), &mut random, &mut index);
        }
        let (index_at, filter) = (file.len(), vec![0xff; [8, 8, 8, 0, 5][random.below(5)]]);
        file.extend_from_slice(&index);
        file.extend_from_slice(&xxh3_64(&index).to_le_bytes());
        file.extend_from_slice(&filter);
        file.extend_from_slice(&xxh3_64_with_seed(&filter, xxh3_64(&index)).to_le_bytes());
        let (at, mut top) = (file.len() as u64, Vec::new());
        put(first.len(), &mut random, &mut top);
        top.extend_from_slice(first);
        put(first.len(), &mut random, &mut top);
        top.extend_from_slice(first);
        for n in [index_at, index.len(), filter.len()] {
            put(n, &mut random, &mut top);
        }
        file.extend_from_slice(&top);
        let index = top;
        let mut footer = Vec::new();
        let lie = random.below(8) == 0;
        for n in [
            if lie { number(&mut random) } else { at },
            index.len() as u64,
            xxh3_64(&index),
            1,
        ] {
            footer.extend_from_slice(&n.to_le_bytes());
        }
        footer.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        file.extend_from_slice(&footer);
        forged.push((round, file, entries));
    }
    let mut opened = 0;
    for (round, file, entries) in forged {
        let mut generation = one.generation.clone();
        let first = entries
            .get(1..1 + entries.first().map_or(0, |n| *n as usize))
            .unwrap_or(b"k");
        let run = &mut generation.runs[0];
        (run.bytes, run.keys) = (file.len() as u64, 1);
        run.first_key = first.iter().map(|b| format!("{b:02x}")).collect();
        run.last_key = run.first_key.clone();
        run.checksum = format!("{:016x}", xxh3_64(&file));
        let g = one.with(&file);
        for e in [
            g.verify(&face(), &generation).err(),
            g.scan(&face(), &generation, &[], &mut |_, _| Ok(())).err(),
            g.get(
                &face(),
                &generation,
                &[vec![], first.to_vec(), first.to_vec(), vec![255; 4]],
            )
            .err(),
        ] {
            opened += usize::from(e.is_none());
            assert!(e.is_none_or(|e| e.kind() == ErrorKind::CorruptData), "round {round}");
        }
    }
    assert!(opened > 100, "some forgeries reach the blocks: {opened}");
}

#[test]
fn a_missing_run_is_not_corrupt() {
    let one = One::new(pairs(10, 1));
    std::fs::remove_file(&one.path).unwrap();
    let g = Generations::new(one.dir.path());
    // P25: a newer manifest may have replaced it.
    for e in [
        g.verify(&face(), &one.generation).unwrap_err(),
        scan(&g, &one.generation, &[]).unwrap_err(),
        g.get(&face(), &one.generation, &[key("key-0000001")]).unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::TryAgain);
        assert!(e.to_string().contains(&one.generation.runs[0].path), "{e}");
    }
}

/// Who opened a run before it was deleted reads on; `verify` says that it is gone. The delta is verified too.
#[test]
fn open_runs_outlive_their_names() {
    let one = One::new(pairs(1_000, 1));
    let g = Generations::new(one.dir.path());
    assert_eq!(scan(&g, &one.generation, &[]).unwrap(), one.pairs);
    let mut with_delta = one.generation.clone();
    with_delta.delta.extend(write(&g, &pairs(2, 5)));
    g.verify(&face(), &with_delta).unwrap();
    let delta = one.dir.path().join("counts").join(&with_delta.delta[0].path);
    std::fs::write(delta, b"short").unwrap();
    assert_eq!(
        g.verify(&face(), &with_delta).unwrap_err().kind(),
        ErrorKind::CorruptData
    );
    std::fs::remove_file(&one.path).unwrap();
    assert_eq!(scan(&g, &one.generation, &[]).unwrap(), one.pairs);
    assert_eq!(
        g.verify(&face(), &one.generation).unwrap_err().kind(),
        ErrorKind::TryAgain
    );
}

#[test]
fn a_run_is_a_name_in_its_directory() {
    let one = One::new(pairs(10, 1));
    let g = Generations::new(one.dir.path());
    for name in ["", ".", "..", "../counts/x", "/etc/passwd", "a\\b", "a\0b", ".tmp-1"] {
        let mut generation = one.generation.clone();
        generation.runs[0].path = name.into();
        assert_eq!(
            scan(&g, &generation, &[]).unwrap_err().kind(),
            ErrorKind::CorruptData,
            "{name:?}"
        );
    }
}
