//! Records of sinks in files: against plain lists, in the order of ids, and what damaged files say.

use std::collections::BTreeMap;
use std::path::Path;

use rufous_core::{ErrorKind, Result};
use rufous_store_api::records::{RecordFile, RecordWriter, Records, SinkGeneration, verify};
use rufous_store_api::{GenerationStore, WrittenId};
use rufous_store_offline::Generations;

const SINK: &str = "overdrawn";

type Listed = BTreeMap<WrittenId, Vec<u8>>;

fn id(source: &str, partition: u32, offset: u64, number: u64) -> WrittenId {
    WrittenId {
        source: source.into(),
        partition,
        offset,
        number,
    }
}

fn write(g: &dyn GenerationStore, records: &Listed) -> Option<RecordFile> {
    let mut writer = RecordWriter::begin(g, SINK).unwrap();
    for (id, record) in records {
        writer.push(&id.to_bytes(), record).unwrap();
    }
    writer.finish().unwrap()
}

fn of(files: Vec<RecordFile>) -> SinkGeneration {
    SinkGeneration {
        schema: "u64".into(),
        files,
    }
}

fn read(
    g: &dyn GenerationStore,
    generation: &SinkGeneration,
    from: Option<&WrittenId>,
) -> Result<Vec<(WrittenId, Vec<u8>)>> {
    let mut records = Records::open(g, SINK, generation, from)?;
    let mut all = Vec::new();
    while let Some((id, record)) = records.next_record()? {
        all.push((WrittenId::from_bytes(id).unwrap(), record.to_vec()));
    }
    Ok(all)
}

/// Records of two partitions and a second source; every tenth is long.
fn listed(offsets: std::ops::Range<u64>) -> Listed {
    let mut all = Listed::new();
    for offset in offsets {
        for (source, partition) in [("payments", 0), ("payments", 7), ("refunds", 0)] {
            for number in 0..offset % 3 {
                let len = if offset % 10 == 0 { 900 } else { 9 };
                all.insert(id(source, partition, offset, number), vec![offset as u8; len]);
            }
        }
    }
    all
}

/// Runs add files, and a reader finds all records of all of them in one order, from any id on; an empty run adds none.
#[test]
fn files_are_read_as_one_list() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let (mut files, mut all) = (Vec::new(), Listed::new());
    for part in [0..400, 400..401, 401..401, 401..900] {
        let part = listed(part);
        files.extend(write(&g, &part));
        all.extend(part);
    }
    assert_eq!(files.len(), 3 - usize::from(listed(400..401).is_empty()));
    // A reader does not care which came first.
    files.reverse();
    let generation = of(files);
    assert_eq!(generation.records(), all.len() as u64);
    verify(&g, SINK, &generation).unwrap();
    g.check_sink(SINK, &generation).unwrap();
    let plain: Vec<_> = all.into_iter().collect();
    assert_eq!(read(&g, &generation, None).unwrap(), plain);
    for from in [
        id("a", 0, 0, 0),
        id("payments", 0, 401, 1),
        id("payments", 0, 402, 0),
        id("payments", 3, 0, 0),
        id("payments", 7, 650, 9),
        id("refunds", 0, 899, 1),
        id("refunds", 0, 899, 2),
        id("z", 0, 0, 0),
    ] {
        let expected: Vec<_> = plain.iter().filter(|(id, _)| *id >= from).cloned().collect();
        assert_eq!(read(&g, &generation, Some(&from)).unwrap(), expected, "{from}");
    }
    assert_eq!(read(&g, &of(Vec::new()), None).unwrap(), []);
}

/// No file of a generation has an id that another one has: each record is there once.
#[test]
fn an_id_in_two_files_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let one = write(&g, &listed(0..20)).unwrap();
    let two = write(&g, &listed(19..30)).unwrap();
    let e = read(&g, &of(vec![one.clone(), two.clone()]), None).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::CorruptData);
    assert!(
        e.to_string().contains("payments/0/19/0") && e.to_string().contains(SINK),
        "{e}"
    );
    assert!(verify(&g, SINK, &of(vec![one, two])).is_err());
}

/// Ids that do not ascend are refused where they are written.
#[test]
fn ids_ascend() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let mut writer = RecordWriter::begin(&g, SINK).unwrap();
    let second = id("payments", 0, 2, 0).to_bytes();
    writer.push(&second, b"x").unwrap();
    for id in [&second, &id("payments", 0, 1, 9).to_bytes()] {
        let e = writer.push(id, b"y").unwrap_err().to_string();
        assert!(e.contains("payments/0/2/0"), "{e}");
    }
}

fn path(dir: &Path, file: &RecordFile) -> std::path::PathBuf {
    dir.join("sinks").join(SINK).join(&file.file.path)
}

/// Every byte counts: a changed one, and a file that is cut or gone, is an error that names the file, in `verify` and, where it
/// is read, in a read. Nothing panics.
#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let records = listed(0..60);
    let file = write(&Generations::new(dir.path()), &records).unwrap();
    let (path, generation) = (path(dir.path(), &file), of(vec![file.clone()]));
    let good = std::fs::read(&path).unwrap();
    let plain: Vec<_> = records.into_iter().collect();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        std::fs::write(&path, &bad).unwrap();
        let g = Generations::new(dir.path());
        let e = verify(&g, SINK, &generation).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData, "byte {at}: {e}");
        assert!(e.to_string().contains(&file.file.path), "byte {at}: {e}");
        match read(&g, &generation, None) {
            // Filters are not asked by who reads in order.
            Ok(got) => assert_eq!(got, plain, "byte {at}"),
            Err(e) => assert!(e.to_string().contains(&file.file.path), "byte {at}: {e}"),
        }
    }
    for n in [0, 7, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..n]).unwrap();
        assert!(read(&Generations::new(dir.path()), &generation, None).is_err());
    }
    std::fs::remove_file(&path).unwrap();
    let e = read(&Generations::new(dir.path()), &generation, None).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains(&file.file.path), "{e}");
}

/// A whole run with blocks that are none, or not those that the manifest names, is an error all the same: checksums say that
/// bytes are what was written, not that they mean something.
#[test]
fn well_formed_runs_of_other_things_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let g = Generations::new(dir.path());
    let good = write(&g, &listed(1..20)).unwrap();
    let run = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        let mut run = g.begin_records(SINK).unwrap();
        pairs.iter().for_each(|(k, v)| run.push(k, v).unwrap());
        run.finish().unwrap().unwrap()
    };
    let block = {
        let mut entries = g.entries(SINK, &good.file, &[]).unwrap();
        let (key, value) = entries.next_entry().unwrap().unwrap();
        (key.to_vec(), value.to_vec())
    };
    let file = |file, records, first_id: &str| RecordFile {
        file,
        records,
        first_id: first_id.into(),
    };
    let n = good.records;
    let mut cut = block.clone();
    cut.1.truncate(cut.1.len() - 1);
    for (bad, why) in [
        (
            file(run(&[(b"key".to_vec(), b"value".to_vec())]), n, "payments/0/1/0"),
            "format",
        ),
        (
            file(run(&[(block.0.clone(), Vec::new())]), n, "payments/0/1/0"),
            "empty",
        ),
        (file(run(&[cut]), n, "payments/0/1/0"), "block"),
        (
            file(run(&[(b"other".to_vec(), block.1.clone())]), n, "payments/0/1/0"),
            "not the one up to",
        ),
        (file(good.file.clone(), n, "payments/0/0/0"), "begins with record"),
        (file(good.file.clone(), n, "payments/0/1/1"), "begins with record"),
        (file(good.file.clone(), n, "payments/0/1"), "which is no id"),
        (file(good.file.clone(), n, "nonsense//"), "which is no id"),
        (file(good.file.clone(), n + 1, &good.first_id), "in place of"),
    ] {
        let e = verify(&g, SINK, &of(vec![bad.clone()])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
        assert!(
            e.to_string().contains(why) && e.to_string().contains(&bad.file.path),
            "{why}: {e}"
        );
    }
    verify(&g, SINK, &of(vec![good.clone()])).unwrap();
    let mut out = good;
    out.file.path = "../run-1.rrun".into();
    let e = verify(&g, SINK, &of(vec![out])).unwrap_err().to_string();
    assert!(e.contains("no file name") && e.contains("sink `overdrawn`"), "{e}");
}

/// Format 1 of blocks is read for ever; how hard they are packed is free, so what is written is not compared.
#[test]
fn a_golden_file_is_read() {
    let hex = include_str!("golden/records-1.hex").trim();
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let said = include_str!("golden/manifest-3.json");
    std::fs::write(dir.path().join("0.json"), said).unwrap();
    let manifest = rufous_store_api::ManifestLog::newest(&rufous_store_offline::Manifests::new(dir.path()), 0);
    let generation = manifest.unwrap().unwrap().sinks[SINK].clone();
    std::fs::create_dir_all(dir.path().join("sinks").join(SINK)).unwrap();
    std::fs::write(path(dir.path(), &generation.files[0]), bytes).unwrap();
    let g = Generations::new(dir.path());
    verify(&g, SINK, &generation).unwrap();
    let expected: Vec<_> = golden_records().into_iter().collect();
    assert_eq!(read(&g, &generation, None).unwrap(), expected);
}

fn golden_records() -> Listed {
    let record = |n: i64| n.to_le_bytes().to_vec();
    Listed::from([
        (id("payments", 0, 3, 0), record(-50)),
        (id("payments", 0, 3, 1), record(-51)),
        (id("payments", 2, 1 << 40, u64::MAX), record(i64::MIN)),
        (id("refunds", 0, 0, 0), Vec::new()),
    ])
}

/// Prints what is to lie in `golden`, when a format is added: never to change what is there.
#[test]
#[ignore = "makes the fixture"]
fn print_golden() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&Generations::new(dir.path()), &golden_records()).unwrap();
    let bytes = std::fs::read(path(dir.path(), &file)).unwrap();
    println!("{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
    println!("{file:?}");
}
