//! P25: what nobody can read any more is deleted, and nothing else.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use rufous_client::{Client, ClientParts};
use rufous_core::{ErrorKind, Frontier, Timestamp};
use rufous_place::Local;
use rufous_store_api::{Manifest, ManifestLog, Published, RunFile, StoreGeneration, Until};
use rufous_store_offline::gc::{Deleted, Kind, Lines};
use rufous_store_offline::{Gc, Generations, Manifests};
use support::{COUNTS, Pairs, face, key, write};

const NOW: Gc = Gc {
    keep: 1,
    grace: Duration::ZERO,
    dry_run: false,
};

fn manifest(number: u64, runs: &[RunFile], delta: &[RunFile]) -> Manifest {
    let counts = StoreGeneration {
        schema: face().schema(),
        runs: runs.to_vec(),
        delta: delta.to_vec(),
        ..Default::default()
    };
    Manifest {
        format: 1,
        number,
        job: "j".into(),
        line: "l".into(),
        fingerprint: "f".into(),
        cut_specs: BTreeMap::new(),
        realtime_namespace: None,
        stores: BTreeMap::from([("counts".into(), counts)]),
        frontier: Frontier::default(),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(number as i64),
        covered_until: number.to_string(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

struct World {
    dir: tempfile::TempDir,
    manifests: Manifests,
    runs: Vec<RunFile>,
}

impl World {
    /// Generations 0..n, each with one run of its own.
    fn new(n: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manifests = Manifests::new(dir.path().join("manifests"));
        let mut w = Self {
            dir,
            manifests,
            runs: Vec::new(),
        };
        (0..n).for_each(|_| w.publish());
        w
    }
    fn generations(&self) -> Generations {
        Generations::new(self.path("offline"))
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn run(&self, value: u64) -> RunFile {
        write(&self.generations(), &Pairs::from([(key("a"), value)])).unwrap()
    }
    fn publish(&mut self) {
        let number = self.runs.len() as u64;
        let run = self.run(number);
        let published = self
            .manifests
            .publish(&manifest(number, std::slice::from_ref(&run), &[]));
        assert_eq!(published.unwrap(), Published::Done);
        self.runs.push(run);
    }
    fn collect(&self, gc: &Gc) -> rufous_core::Result<Vec<Deleted>> {
        let lines = Lines {
            place: Arc::new(Local::new(self.dir.path())),
            dir: "lines".into(),
        };
        gc.collect(&self.manifests, Some(&lines), &self.generations())
    }
    /// Which generations' own runs are there.
    fn left(&self) -> Vec<usize> {
        let there = |run: &RunFile| self.path("offline/counts").join(&run.path).exists();
        (0..self.runs.len()).filter(|n| there(&self.runs[*n])).collect()
    }
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

fn age(path: &Path, by: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

/// keep = 0, 1, 3: exactly those generations stay, files and manifests; what is said is what is done.
#[test]
fn the_window_stays() {
    for (keep, left) in [(0, 5..6), (1, 4..6), (3, 2..6), (9, 0..6)] {
        let w = World::new(6);
        let gc = Gc { keep, ..NOW };
        let before = files(w.dir.path());
        let shown = w
            .collect(&Gc {
                dry_run: true,
                ..gc.clone()
            })
            .unwrap();
        assert_eq!(files(w.dir.path()), before, "a dry run deletes nothing");
        let done = w.collect(&gc).unwrap();
        assert_eq!(done, shown);
        let gone: BTreeSet<PathBuf> = done.iter().map(|d| PathBuf::from(&d.name)).collect();
        assert_eq!(&before - &files(w.dir.path()), gone);
        assert!(done.iter().all(|d| d.bytes > 0 && d.kind != Kind::Temporary));
        assert_eq!(w.left(), left.clone().collect::<Vec<_>>(), "keep {keep}");
        assert_eq!(
            w.manifests.numbers().unwrap(),
            left.map(|n| n as u64).collect::<Vec<_>>()
        );
        assert_eq!(w.manifests.newest(0).unwrap().unwrap().number, 5);
        assert_eq!(
            w.manifests.newest(1).unwrap().unwrap().number,
            5,
            "from a number that is gone"
        );
        assert!(w.collect(&gc).unwrap().is_empty(), "once");
    }
}

/// Within the grace nothing goes: neither young files nor the generation that was replaced a moment ago, old as it may be.
#[test]
fn the_grace_protects_readers() {
    let w = World::new(4);
    let hour = Gc {
        grace: Duration::from_secs(3_600),
        keep: 0,
        dry_run: false,
    };
    assert!(w.collect(&hour).unwrap().is_empty());
    // All runs are old, and 0 was replaced long ago; 1, 2 and 3 are of this moment.
    for path in files(&w.path("offline")) {
        age(&path, Duration::from_secs(7_200));
    }
    for n in [0, 1] {
        age(&w.path(&format!("manifests/{n}.json")), Duration::from_secs(7_200));
    }
    assert_eq!(w.collect(&hour).unwrap().len(), 2);
    assert_eq!(
        (w.left(), w.manifests.numbers().unwrap()),
        (vec![1, 2, 3], vec![1, 2, 3])
    );
}

/// A run lies there before its manifest does: while who wrote it is at work, it stays, however short the grace.
#[test]
fn who_writes_keeps_its_runs() {
    let w = World::new(3);
    // Clocks of file systems tick slowly.
    age(&w.path("offline/counts").join(&w.runs[0].path), Duration::from_secs(9));
    let writer = w.generations();
    let mine = write(&writer, &Pairs::from([(key("b"), 7)])).unwrap();
    let path = w.path("offline/counts").join(&mine.path);
    assert!(w.collect(&NOW).unwrap().iter().all(|d| !d.name.contains(&mine.path)));
    assert_eq!(w.left(), [1, 2], "what was there before the writer goes");
    w.manifests.publish(&manifest(3, &[mine], &[])).unwrap();
    drop(writer);
    assert!(!w.collect(&NOW).unwrap().is_empty() && path.exists());
    // One that ended without a word is forgotten after an hour, with its run.
    let dead = w.generations();
    let lost = write(&dead, &Pairs::from([(key("c"), 7)])).unwrap();
    std::mem::forget(dead);
    assert!(w.collect(&NOW).unwrap().is_empty());
    for path in files(&w.path("offline")) {
        age(&path, Duration::from_secs(7_200));
    }
    let gone = w.collect(&NOW).unwrap();
    assert!(
        gone.len() == 2 && gone.iter().any(|d| d.name.contains(&lost.path)),
        "{gone:?}"
    );
}

/// The newest two manifests of a staged line count, and deltas count.
#[test]
fn staged_lines_and_deltas_are_named() {
    let w = World::new(1);
    let staged: Vec<RunFile> = (0..4).map(|n| w.run(100 + n)).collect();
    let delta = w.run(200);
    let line = Manifests::new(w.path("lines/x/manifests"));
    for (n, run) in staged.iter().enumerate() {
        line.publish(&manifest(n as u64, std::slice::from_ref(run), &[]))
            .unwrap();
    }
    w.manifests
        .publish(&manifest(1, &w.runs, std::slice::from_ref(&delta)))
        .unwrap();
    w.collect(&NOW).unwrap();
    let there = |run: &RunFile| w.path("offline/counts").join(&run.path).exists();
    assert_eq!(staged.iter().map(there).collect::<Vec<_>>(), [false, false, true, true]);
    assert!(there(&delta) && w.left() == [0]);
}

/// Of lines of the same code the one begun last counts; one of other code is not touched by it. Within the grace all count, and
/// while somebody writes who may have begun in one of them.
#[test]
fn lines_that_were_replaced_go() {
    let w = World::new(1);
    let of = |name: &str, code: &str, run: &RunFile| {
        let line = Manifests::new(w.path(&format!("lines/{name}/manifests")));
        for n in 0..2 {
            let mut m = manifest(n, std::slice::from_ref(run), &[]);
            m.fingerprint = code.into();
            line.publish(&m).unwrap();
        }
    };
    let writer = w.generations();
    let mine = write(&writer, &Pairs::from([(key("b"), 7)])).unwrap();
    let runs: Vec<RunFile> = (0..4).map(|n| w.run(100 + n)).collect();
    of("f-18a", "f", &runs[0]);
    of("f-18b", "f", &runs[1]);
    of("g-17f", "g", &runs[2]);
    of("f-18c", "f", &runs[3]);
    let there = |run: &RunFile| w.path("offline/counts").join(&run.path).exists();
    let found = |w: &World| -> Vec<bool> {
        let lines = ["f-18a", "f-18b", "g-17f", "f-18c"];
        let manifests = lines.map(|l| w.path(&format!("lines/{l}/manifests/1.json")).exists());
        let runs: Vec<bool> = runs.iter().map(there).collect();
        assert_eq!(runs, manifests);
        runs
    };
    let hour = Gc {
        grace: Duration::from_secs(3_600),
        ..NOW
    };
    for gc in [&NOW, &hour] {
        assert!(w.collect(gc).unwrap().is_empty() && found(&w) == [true; 4]);
    }
    drop(writer);
    for path in files(&w.path("offline")) {
        age(&path, Duration::from_secs(7_200));
    }
    w.collect(&hour).unwrap();
    assert_eq!(found(&w), [true; 4], "the later line is young");
    let gone = w.collect(&NOW).unwrap();
    assert_eq!(gone.iter().filter(|d| d.kind == Kind::Manifest).count(), 4, "{gone:?}");
    assert_eq!(found(&w), [false, false, true, true]);
    assert!(w.left() == [0] && !there(&mine));
}

/// Temporary files of ended processes go, in both directories; what is not ours stays.
#[test]
fn temporary_files_go() {
    let w = World::new(2);
    for name in ["offline/counts/.tmp-1", "manifests/.tmp-2", "offline/counts/.tmp-3"] {
        fs::write(w.path(name), "x").unwrap();
    }
    for name in [
        "offline/counts/notes.txt",
        "offline/README",
        "offline/counts/run-1.rrun.old",
    ] {
        fs::write(w.path(name), "x").unwrap();
        age(&w.path(name), Duration::from_secs(9_000));
    }
    for name in ["offline/counts/.tmp-1", "manifests/.tmp-2"] {
        age(&w.path(name), Duration::from_secs(9_000));
    }
    let done = w.collect(&Gc::default()).unwrap();
    let names: Vec<_> = done.iter().map(|d| d.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, [".tmp-2", ".tmp-1"]);
}

/// P22: who publishes writes under a temporary name first; a gc without any grace does not take it from him.
#[test]
fn a_publish_keeps_its_temporary_name() {
    let w = World::new(2);
    let young = ["offline/.tmp-1", "offline/counts/.tmp-2", "manifests/.tmp-3"].map(|name| w.path(name));
    young.iter().for_each(|path| fs::write(path, "x").unwrap());
    assert!(w.collect(&Gc { keep: 9, ..NOW }).unwrap().is_empty());
    assert!(young.iter().all(|path| path.exists()));
    // Whole publishes beside it, as many as it takes to meet.
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !done.load(SeqCst) {
                w.collect(&Gc { keep: 9_999, ..NOW }).unwrap();
            }
        });
        let publish = |number| w.manifests.publish(&manifest(number, &w.runs, &[]));
        let failed = (2..400).find_map(|number| publish(number).err());
        done.store(true, SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
}

/// What cannot be known is not deleted: no manifest, a torn one in the window, one missing between others.
#[test]
fn damage_stops_it() {
    let w = World::new(5);
    let path = |n: u64| w.path(&format!("manifests/{n}.json"));
    let good = fs::read(path(3)).unwrap();
    fs::write(path(3), &good[..good.len() / 2]).unwrap();
    let e = w.collect(&NOW).unwrap_err();
    assert!(
        e.kind() == ErrorKind::CorruptData && e.to_string().contains("3.json"),
        "{e}"
    );
    fs::remove_file(path(3)).unwrap();
    let e = w.collect(&NOW).unwrap_err();
    assert!(
        e.kind() == ErrorKind::CorruptData && e.to_string().contains("3.json"),
        "{e}"
    );
    let others: Vec<_> = [0, 1, 2, 4].map(|n| (n, fs::read(path(n)).unwrap())).into();
    for (n, _) in &others {
        fs::remove_file(path(*n)).unwrap();
    }
    assert_eq!(w.collect(&NOW).unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!(w.left(), [0, 1, 2, 3, 4]);
    others.iter().for_each(|(n, bytes)| fs::write(path(*n), bytes).unwrap());
    fs::write(path(3), good).unwrap();
    w.collect(&NOW).unwrap();
    assert_eq!(w.left(), [3, 4]);
}

/// Section 13: publishes, reads at full speed and gc at once. Every read is one generation, none older than the one that was
/// current when it began, and none fails.
#[test]
fn reads_race_publishes_and_gc() {
    const LAST: u64 = 250;
    let w = World::new(0);
    let publish = |number: u64| {
        // A process a run, as `batch` is one.
        let g = w.generations();
        let runs: Vec<RunFile> = ["a", "b", "c"]
            .iter()
            .filter_map(|k| write(&g, &Pairs::from([(key(k), number), (key("z"), 1)])))
            .collect();
        assert_eq!(
            w.manifests.publish(&manifest(number, &runs, &[])).unwrap(),
            Published::Done
        );
    };
    publish(0);
    let (current, attempted, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (reads, deleted) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|s| {
        s.spawn(|| {
            for n in 1..=LAST {
                attempted.store(n, SeqCst);
                publish(n);
                current.store(n, SeqCst);
            }
            done.store(true, SeqCst);
        });
        s.spawn(|| {
            // Shorter than any grace in use, and longer than a read.
            let gc = Gc {
                keep: 0,
                grace: Duration::from_millis(100),
                dry_run: false,
            };
            while !done.load(SeqCst) {
                let gone = w.collect(&gc).unwrap();
                deleted.fetch_add(gone.iter().filter(|d| d.kind == Kind::Run).count() as u64, SeqCst);
            }
        });
        for _ in 0..2 {
            s.spawn(|| {
                let client = Client::new(ClientParts {
                    job: "j".into(),
                    manifests: Arc::new(w.manifests.clone()),
                    generations: Arc::new(w.generations()),
                    realtime: Arc::new(|_: &str, _: &Until| Ok(None)),
                });
                let (counts, raw) = (client.store(COUNTS).unwrap(), client.raw(face()));
                while !done.load(SeqCst) {
                    let least = current.load(SeqCst);
                    let seen: Vec<u64> = counts
                        .multi_get(&["a", "b", "c", "z"])
                        .into_iter()
                        .map(|a| a.unwrap().value.unwrap())
                        .collect();
                    assert!(seen[0] == seen[1] && seen[1] == seen[2] && seen[3] == 3, "{seen:?}");
                    assert!((least..=attempted.load(SeqCst)).contains(&seen[0]), "{seen:?}, {least}");
                    let (rows, _) = raw.under(&[]).unwrap();
                    assert!(rows.len() == 4 && rows[0].1 == rows[1].1 && rows[1].1 == rows[2].1);
                    reads.fetch_add(2, SeqCst);
                }
            });
        }
    });
    let (reads, deleted) = (reads.into_inner(), deleted.into_inner());
    println!("{reads} reads, {deleted} runs deleted, {LAST} publishes");
    assert!(deleted > LAST && reads > LAST, "{deleted} {reads}");
}

/// A manifest of a live job: its line, namespace and how far it reaches.
fn live(number: u64, line: &str, namespace: &str, reach: i64, runs: &[RunFile], delta: &[RunFile]) -> Manifest {
    let cut = rufous_core::Cut {
        batch: rufous_core::BatchId(reach),
        cut: reach as u64,
        batch_before: rufous_core::BatchId(reach - 1),
    };
    Manifest {
        line: line.into(),
        realtime_namespace: Some(namespace.into()),
        frontier: Frontier([(rufous_core::SourcePartition::new("s", 0), cut)].into()),
        ..manifest(number, runs, delta)
    }
}

/// P25, P36: generations are kept, not manifests. One that is published again in another form (its runs merged) takes
/// no place in the window; the delta of the run that made it stays with it, though reads need it no more.
#[test]
fn another_form_is_no_other_generation() {
    for (keep, left) in [
        (0, [false, false, true]),
        (1, [false, true, true]),
        (2, [true, true, true]),
    ] {
        let w = World::new(0);
        let runs: Vec<RunFile> = (0..3).map(|n| w.run(n)).collect();
        let merged: Vec<RunFile> = (0..3).map(|n| w.run(10 + n)).collect();
        for n in 0..3_usize {
            let (number, reach) = (2 * n as u64, 5 + n as i64);
            let delta = std::slice::from_ref(&runs[n]);
            w.manifests
                .publish(&live(number, "l", "f", reach, delta, delta))
                .unwrap();
            w.manifests
                .publish(&live(
                    number + 1,
                    "l",
                    "f",
                    reach,
                    std::slice::from_ref(&merged[n]),
                    &[],
                ))
                .unwrap();
        }
        w.collect(&Gc { keep, ..NOW }).unwrap();
        let there = |run: &RunFile| w.path("offline/counts").join(&run.path).exists();
        assert_eq!(runs.iter().map(there).collect::<Vec<_>>(), left, "keep {keep}: deltas");
        assert_eq!(
            merged.iter().map(there).collect::<Vec<_>>(),
            left,
            "keep {keep}: merged runs"
        );
    }
}

/// P40: a line that was current once goes when no rollback reaches it, its manifests before its runs; one that never
/// was current stays. So does the state of code that a manifest names, and no other.
#[test]
fn lines_that_were_current_go() {
    let w = World::new(0);
    let run = |n| w.run(n);
    let (old, new, waits) = (run(1), run(2), run(3));
    let staged = |line: &str| Manifests::new(w.path(&format!("lines/{line}/manifests")));
    let publish = |log: &Manifests, m: &Manifest| assert_eq!(log.publish(m).unwrap(), Published::Done);
    publish(&w.manifests, &live(0, "first", "a", 1, std::slice::from_ref(&old), &[]));
    publish(&staged("second"), &live(0, "second", "b", 1, &[], &[]));
    publish(
        &staged("second"),
        &live(1, "second", "b", 2, std::slice::from_ref(&new), &[]),
    );
    publish(
        &staged("waits"),
        &live(0, "waits", "c", 1, std::slice::from_ref(&waits), &[]),
    );
    let lines = Lines {
        place: Arc::new(Local::new(w.dir.path())),
        dir: "lines".into(),
    };
    let namespaces = || {
        let named = NOW.namespaces(&w.manifests, Some(&lines)).unwrap();
        named.into_iter().collect::<Vec<_>>().join(" ")
    };
    let there = |run: &RunFile| w.path("offline/counts").join(&run.path).exists();
    assert_eq!(namespaces(), "a b c");
    // The switch, two runs in the new line, then other code again.
    publish(
        &w.manifests,
        &live(1, "second", "b", 2, std::slice::from_ref(&new), &[]),
    );
    w.collect(&NOW).unwrap();
    assert_eq!(namespaces(), "a b c");
    publish(
        &w.manifests,
        &live(2, "second", "b", 3, std::slice::from_ref(&new), &[]),
    );
    assert!(w.collect(&NOW).unwrap().iter().any(|d| d.name.contains("manifests/0")) && !there(&old));
    assert_eq!(namespaces(), "b c", "a rollback reaches the first code no more");
    let third = run(4);
    publish(
        &w.manifests,
        &live(3, "third", "d", 3, std::slice::from_ref(&third), &[]),
    );
    w.collect(&NOW).unwrap();
    assert_eq!(namespaces(), "b c d");
    assert!(staged("second").newest(0).unwrap().is_some() && there(&new));
    assert!(lines.retired(&w.manifests).unwrap().is_empty());
    publish(
        &w.manifests,
        &live(4, "third", "d", 4, std::slice::from_ref(&third), &[]),
    );
    let before = files(w.dir.path());
    let shown = w.collect(&Gc { dry_run: true, ..NOW }).unwrap();
    assert_eq!(files(w.dir.path()), before);
    let gone = w.collect(&NOW).unwrap();
    assert_eq!(gone, shown);
    assert!(
        gone.iter().filter(|d| d.name.contains("lines/second/")).count() == 2,
        "{gone:?}"
    );
    assert!(!there(&new) && there(&waits) && there(&third));
    assert_eq!(namespaces(), "c d");
    assert!(!w.path("lines/second/switched").exists());
    assert!(lines.retired(&w.manifests).unwrap().is_empty());
    assert!(w.collect(&NOW).unwrap().is_empty(), "once");
}

/// What came of age since it was said what would go is not deleted with it.
#[test]
fn only_what_was_said_goes() {
    let mut w = World::new(4);
    let said: BTreeSet<String> = { w.collect(&Gc { dry_run: true, ..NOW }).unwrap().into_iter() }
        .map(|d| d.name)
        .collect();
    assert_eq!(w.left(), [0, 1, 2, 3]);
    w.publish();
    let gone = NOW.collect_of(&w.manifests, None, &w.generations(), &|name| said.contains(name));
    let gone: BTreeSet<String> = gone.unwrap().into_iter().map(|d| d.name).collect();
    assert_eq!((gone, w.left()), (said, vec![2, 3, 4]));
    w.collect(&NOW).unwrap();
    assert_eq!(w.left(), [3, 4]);
}

/// Files of sinks go as runs do: what a kept manifest names stays, what none does goes, and what a run is about to name is left alone.
#[test]
fn files_of_sinks_go_with_their_generations() {
    use rufous_store_api::records::{RecordFile, RecordWriter, SinkGeneration, verify};
    let w = World::new(0);
    let file = |g: &Generations, offset: u64| -> RecordFile {
        let mut writer = RecordWriter::begin(g, "overdrawn").unwrap();
        let id = rufous_store_api::WrittenId::parse("", &format!("payments/0/{offset}")).unwrap();
        writer.push(&id.to_bytes(), b"record").unwrap();
        writer.finish().unwrap().unwrap()
    };
    // Generations 0 and 1 extend each other, 2 begins anew; what a killed run left is named by none.
    let all: Vec<RecordFile> = (0..4).map(|n| file(&w.generations(), n)).collect();
    let lists = [&all[..1], &all[..2], &all[2..3]];
    for (number, files) in (0..).zip(lists) {
        let mut m = manifest(number, &[], &[]);
        m.format = 3;
        let sink = SinkGeneration {
            schema: "text".into(),
            files: files.to_vec(),
        };
        m.sinks.insert("overdrawn".into(), sink);
        assert_eq!(w.manifests.publish(&m).unwrap(), Published::Done);
    }
    let left = || -> Vec<usize> {
        let there = |n: &usize| w.path("offline/sinks/overdrawn").join(&all[*n].file.path).exists();
        (0..all.len()).filter(there).collect()
    };
    let writing = w.generations();
    let unnamed = file(&writing, 9);
    w.collect(&Gc { dry_run: true, ..NOW }).unwrap();
    assert_eq!(left(), [0, 1, 2, 3]);
    w.collect(&Gc { keep: 9, ..NOW }).unwrap();
    assert_eq!(left(), [0, 1, 2], "the older generations stay");
    w.collect(&NOW).unwrap();
    assert_eq!(left(), [0, 1, 2], "generation 1 stays, and has both");
    let beside = w.path("offline/sinks/overdrawn").join(&unnamed.file.path);
    assert!(beside.exists(), "its writer is alive");
    w.collect(&Gc { keep: 0, ..NOW }).unwrap();
    assert_eq!(left(), [2]);
    drop(writing);
    let gone = w.collect(&NOW).unwrap();
    assert!(
        !beside.exists()
            && gone
                .iter()
                .any(|d| d.kind == Kind::Run && d.name.contains("sinks/overdrawn"))
    );
    let current = w.manifests.newest(0).unwrap().unwrap();
    verify(&w.generations(), "overdrawn", &current.sinks["overdrawn"]).unwrap();
}
