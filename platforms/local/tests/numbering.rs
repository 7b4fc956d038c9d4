//! The registry: one numbering for all processes of an instance, for ever.

mod util;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Barrier;

use rufous_core::ErrorKind;
use rufous_realtime::Log;
use util::{Bed, drain, from_start, lines};

#[test]
fn files_are_numbered_in_order_of_name_and_of_appearance() {
    let bed = Bed::new();
    for name in ["c", "a", "b"] {
        bed.write(name, format!("{name}\n"));
    }
    bed.open().unwrap();
    bed.write("0", "0\n");
    let got = drain(&mut from_start(bed.open().unwrap())).unwrap();
    let order: Vec<_> = got.values().map(|r| r[0].1[0]).collect();
    assert_eq!(order, *b"abc0");
    let entry: serde_json::Value = serde_json::from_slice(&fs::read(bed.registry().join("3.json")).unwrap()).unwrap();
    assert_eq!(
        (&entry["format"], &entry["partition"], &entry["path"]),
        (&1.into(), &3.into(), &"0".into())
    );
    assert_eq!(
        (&entry["head_len"], entry["head_hash"].as_str().unwrap().len()),
        (&2.into(), 16)
    );
}

#[test]
fn racing_processes_find_one_numbering() {
    for _ in 0..10 {
        let bed = Bed::new();
        let barrier = Barrier::new(4);
        let seen: BTreeSet<Vec<(u32, String)>> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..4)
                .map(|t| {
                    let (bed, barrier) = (&bed, &barrier);
                    s.spawn(move || {
                        barrier.wait();
                        for i in 0..5 {
                            bed.write(&format!("{i}-{t}"), format!("{t} {i}\n"));
                        }
                        barrier.wait();
                        let found = bed.open().unwrap().partitions().unwrap();
                        found.into_iter().map(|p| (p.partition, p.topic_id)).collect()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(seen.len(), 1);
        let ids: BTreeSet<_> = seen.iter().flatten().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), 20, "each file has one number");
    }
}

/// The first bytes are those of the first look: the identity does not change while the file grows.
#[test]
fn an_identity_is_for_ever() {
    let bed = Bed::new();
    bed.write("a", "unfinished");
    let id = bed.open().unwrap().partitions().unwrap()[0].topic_id.clone();
    assert!(id.starts_with("file:") && id.split(':').nth(3) == Some("0"), "{id}");
    // A writer may begin an unfinished line anew.
    bed.write("a", "finished\n");
    bed.append("a", vec![b'\n'; 5000]);
    assert_eq!(bed.open().unwrap().partitions().unwrap()[0].topic_id, id);
    bed.write("b", vec![b'\n'; 5000]);
    let b = bed.open().unwrap().partitions().unwrap()[1].topic_id.clone();
    assert_eq!(b.split(':').nth(3), Some("1024"));
}

#[test]
fn a_damaged_registry_is_refused() {
    let bed = Bed::new();
    bed.write("a", "one\n");
    bed.write("b", "two\n");
    let got = drain(&mut from_start(bed.open().unwrap())).unwrap();
    assert_eq!(got[&1], lines(b"two\n", false));
    let first = bed.registry().join("0.json");
    let kept = fs::read(&first).unwrap();
    let damage: [&dyn Fn(); 3] = [
        &|| fs::write(&first, &kept[..10]).unwrap(),
        &|| {
            fs::write(
                &first,
                String::from_utf8_lossy(&kept).replace("\"format\":1", "\"format\":9"),
            )
            .unwrap()
        },
        &|| fs::remove_file(&first).unwrap(),
    ];
    for harm in damage {
        harm();
        let e = bed.open().err().unwrap();
        assert!(
            e.kind() == ErrorKind::CorruptData && e.to_string().contains("0.json"),
            "{e}"
        );
    }
    fs::write(&first, kept).unwrap();
    bed.open().unwrap();
}
