//! Format 1 of runs, and formats 1 to 3 of manifests, are written and read for ever as these files have them.

mod support;

use std::collections::BTreeMap;

use rufous_core::{BatchId, Cut, Frontier, SourcePartition, Timestamp};
use rufous_store_api::{
    GenerationStore, Hole, InputRange, Manifest, ManifestLog, Published, RecordFile, RunFile, SinkGeneration,
    SourceHole, StoreGeneration, Window,
};
use rufous_store_offline::{Generations, Manifests};
use support::{One, Pairs, face, pairs, scan};

/// Of `golden/records-1.hex`.
const GOLDEN_BYTES: u64 = 284;
const GOLDEN_CHECKSUM: &str = "9e25e3883753d79d";

fn hex(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes().chunks(2);
    digits
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_small_run() {
    let golden = hex(include_str!("golden/run-1.hex"));
    let one = One::new(Pairs::from([(b"a\0".to_vec(), 1), (b"b\0".to_vec(), 515)]));
    assert_eq!(one.bytes, golden, "what is written");
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("counts")).unwrap();
    std::fs::write(dir.path().join("counts/run-golden.rrun"), &golden).unwrap();
    let run = RunFile {
        path: "run-golden.rrun".into(),
        bytes: 125,
        checksum: one.generation.runs[0].checksum.clone(),
        keys: 2,
        first_key: "6100".into(),
        last_key: "6200".into(),
    };
    assert_eq!(run.bytes, golden.len() as u64);
    let generation = StoreGeneration {
        runs: vec![run],
        ..Default::default()
    };
    let g = Generations::new(dir.path());
    g.verify(&face(), &generation).unwrap();
    assert_eq!(scan(&g, &generation, &[]).unwrap(), one.pairs, "what is read");
}

/// Many blocks: by length and checksum only.
#[test]
fn a_large_run() {
    let one = One::new(pairs(20_000, 3));
    let run = &one.generation.runs[0];
    let said = format!(
        "{} {} {} {} {}",
        run.bytes, run.checksum, run.keys, run.first_key, run.last_key
    );
    assert_eq!(said, include_str!("golden/run-1-large.txt").trim());
}

#[test]
fn a_manifest_of_a_window() {
    let p = SourcePartition::new("sales", 3);
    let cut = Cut {
        batch: BatchId::MAX,
        cut: 100,
        batch_before: BatchId::MAX,
    };
    let manifest = Manifest {
        format: 1,
        number: 0,
        job: "sales".into(),
        line: "f-0..1000".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: None,
        stores: BTreeMap::new(),
        frontier: Frontier(BTreeMap::from([(p.clone(), cut)])),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: vec![InputRange {
            partition: p,
            from: 0,
            to: 100,
            files: vec![("s3://b/a.parquet".into(), "95-ff".into())],
            read_as: "parquet".into(),
        }],
        created_at: Timestamp(1_700_000_000_000),
        covered_until: "the end of the input".into(),
        window: Some(Window {
            since: Some(Timestamp(0)),
            until: None,
        }),
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    };
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path().join("written"));
    assert_eq!(log.publish(&manifest).unwrap(), Published::Done);
    let golden = include_str!("golden/manifest-1-window.json");
    let written = std::fs::read_to_string(dir.path().join("written/0.json")).unwrap();
    assert_eq!(written, golden, "what is written");
    std::fs::write(dir.path().join("0.json"), golden).unwrap();
    let read = Manifests::new(dir.path()).newest(0).unwrap();
    assert_eq!(read, Some(manifest), "what is read");
}

/// A manifest, byte for byte; it has nothing that was added since.
#[test]
fn a_manifest() {
    let p = SourcePartition::new("clicks", 3);
    let frontier = |batch, cut| {
        let cut = Cut {
            batch: BatchId(batch),
            cut,
            batch_before: BatchId(batch - 1),
        };
        Frontier(BTreeMap::from([(p.clone(), cut)]))
    };
    let run = RunFile {
        path: "run-1.rrun".into(),
        bytes: 95,
        checksum: "00000000000000ff".into(),
        keys: 2,
        first_key: "6100".into(),
        last_key: "6200".into(),
    };
    let counts = StoreGeneration {
        schema: "text -> u64".into(),
        runs: vec![run.clone()],
        delta: vec![run],
        ..Default::default()
    };
    let manifest = Manifest {
        format: 1,
        number: 0,
        job: "words".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::from([("clicks".into(), "log hours(1)".into())]),
        realtime_namespace: Some("n".into()),
        stores: BTreeMap::from([("counts".into(), counts), ("empty".into(), StoreGeneration::default())]),
        frontier: frontier(9, 100),
        drop_before: BTreeMap::from([("n".into(), frontier(i64::MIN + 1, 0))]),
        holes: vec![SourceHole {
            partition: p.clone(),
            hole: Hole {
                from: 3,
                to: 5,
                reason: "retention".into(),
            },
        }],
        input: vec![InputRange {
            partition: p,
            from: 0,
            to: 100,
            files: vec![("a.parquet".into(), "ff".into())],
            read_as: String::new(),
        }],
        created_at: Timestamp(1_700_000_000_000),
        covered_until: "2023-11-14T22".into(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    };
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path().join("written"));
    assert_eq!(log.publish(&manifest).unwrap(), Published::Done);
    let golden = include_str!("golden/manifest-1.json");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("written/0.json")).unwrap(),
        golden,
        "what is written"
    );
    std::fs::write(dir.path().join("0.json"), golden).unwrap();
    assert_eq!(
        Manifests::new(dir.path()).newest(0).unwrap(),
        Some(manifest),
        "what is read"
    );
}

/// Format 2: what of a windowed store is dropped. Without it the same manifest has format 1, as before.
#[test]
fn a_manifest_that_says_what_is_dropped() {
    let views = StoreGeneration {
        schema: "(text,hop) in hops 5m,1h,1d -> u64".into(),
        dropped: BTreeMap::from([
            ("1h".to_string(), Timestamp(1_699_999_200_000)),
            ("5m".to_string(), Timestamp(1_699_827_200_000)),
        ]),
        ..Default::default()
    };
    let mut manifest = Manifest {
        format: 2,
        number: 0,
        job: "views".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: Some("n".into()),
        stores: BTreeMap::from([
            ("views".to_string(), views),
            ("words".to_string(), StoreGeneration::default()),
        ]),
        frontier: Frontier::default(),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(1_700_000_000_000),
        covered_until: "2023-11-14T22".into(),
        window: None,
        not_repeatable: vec!["rates".into()],
        sinks: BTreeMap::new(),
    };
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path().join("written"));
    assert_eq!(log.publish(&manifest).unwrap(), Published::Done);
    let golden = include_str!("golden/manifest-2.json");
    let written = std::fs::read_to_string(dir.path().join("written/0.json")).unwrap();
    assert_eq!(written, golden, "what is written");
    std::fs::write(dir.path().join("0.json"), golden).unwrap();
    let log = Manifests::new(dir.path());
    assert_eq!(log.newest(0).unwrap().as_ref(), Some(&manifest), "what is read");
    // The number is that of what is said: an older program stops at what it does not know, and at nothing else.
    for (from, to, why) in [
        (
            "\"format\": 2",
            "\"format\": 1",
            "has format 1, and what it says is of format 2",
        ),
        (
            "\"format\": 2",
            "\"format\": 4",
            "has format 4, this program knows 1 to 3",
        ),
        (
            "\"5m\"",
            "\"300s\"",
            "`300s` are dropped in store `views`, which is no size",
        ),
        (
            "\"5m\"",
            "\"soon\"",
            "`soon` are dropped in store `views`, which is no size",
        ),
    ] {
        let (body, _) = golden.rsplit_once("xxh3 ").unwrap();
        let body = body.replacen(from, to, 1);
        let sum = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
        std::fs::write(dir.path().join("0.json"), format!("{body}xxh3 {sum:016x}\n")).unwrap();
        let e = log.newest(0).unwrap_err().to_string();
        assert!(e.contains(why) && e.contains("0.json"), "{e}");
    }
    manifest.format = 1;
    assert!(Manifests::new(dir.path().join("other")).publish(&manifest).is_err());
    manifest.stores.get_mut("views").unwrap().dropped.clear();
    manifest.not_repeatable.clear();
    assert_eq!(
        Manifests::new(dir.path().join("other")).publish(&manifest).unwrap(),
        Published::Done
    );
}

/// Format 3: what the generation has of sinks. A program of before stops at its number.
#[test]
fn a_manifest_that_has_sinks() {
    let file = RecordFile {
        file: RunFile {
            path: "run-golden.rrun".into(),
            bytes: GOLDEN_BYTES,
            checksum: GOLDEN_CHECKSUM.into(),
            keys: 1,
            first_key: "726566756e6473000000000000000000000000000000000000000000".into(),
            last_key: "726566756e6473000000000000000000000000000000000000000000".into(),
        },
        records: 4,
        first_id: "payments/0/3/0".into(),
    };
    let overdrawn = SinkGeneration {
        schema: "i64".into(),
        files: vec![file],
    };
    let none = SinkGeneration {
        schema: "text".into(),
        files: Vec::new(),
    };
    let mut manifest = Manifest {
        format: 3,
        number: 0,
        job: "alerts".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: Some("n".into()),
        stores: BTreeMap::from([("running".to_string(), StoreGeneration::default())]),
        frontier: Frontier::default(),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(1_700_000_000_000),
        covered_until: "2023-11-14T22".into(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::from([("copies".to_string(), none), ("overdrawn".to_string(), overdrawn)]),
    };
    let dir = tempfile::tempdir().unwrap();
    let log = Manifests::new(dir.path().join("written"));
    assert_eq!(log.publish(&manifest).unwrap(), Published::Done);
    let golden = include_str!("golden/manifest-3.json");
    let written = std::fs::read_to_string(dir.path().join("written/0.json")).unwrap();
    assert_eq!(written, golden, "what is written");
    std::fs::write(dir.path().join("0.json"), golden).unwrap();
    let log = Manifests::new(dir.path());
    assert_eq!(log.newest(0).unwrap().as_ref(), Some(&manifest), "what is read");
    for (from, to, why) in [
        (
            "\"format\": 3",
            "\"format\": 2",
            "has format 2, and what it says is of format 3",
        ),
        ("\"records\": 4", "\"records\": 4, \"more\": 1", "cannot be read"),
    ] {
        let (body, _) = golden.rsplit_once("xxh3 ").unwrap();
        let body = body.replacen(from, to, 1);
        let sum = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
        std::fs::write(dir.path().join("0.json"), format!("{body}xxh3 {sum:016x}\n")).unwrap();
        let e = log.newest(0).unwrap_err().to_string();
        assert!(e.contains(why) && e.contains("0.json"), "{e}");
    }
    manifest.format = 2;
    assert!(Manifests::new(dir.path().join("other")).publish(&manifest).is_err());
}
