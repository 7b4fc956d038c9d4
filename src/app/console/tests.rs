//! How often a place far away is asked by who looks at generations and drift, and that what is told is what lies there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use rufous_place::{Encode, Listed, Local, Open, Pending, Place, Steps};
use rufous_store_offline::{Generations, Manifests};

use super::*;
use crate::app::reports::Reports;
use crate::app::settings::Settings;
use crate::core::{Error, Frontier, Job, Plan, Source, Store, Timestamp};
use crate::store_api::{GenerationStore, ManifestLog, Published, RunFile, StoreGeneration};

#[cfg(feature = "parquet")]
mod unreached;

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");
/// As it is said in `known` and in `checked`.
const AT_ONCE: usize = 8;

/// A directory that counts what it is asked, and is far away if that is said.
#[derive(Debug)]
struct Asked {
    inner: Local,
    far: bool,
    listed: AtomicUsize,
    /// Rounds of reads, and the files of them.
    rounds: AtomicUsize,
    read: AtomicUsize,
    opened: AtomicUsize,
    /// Files that are asked for at this moment, and the most that ever were.
    now: AtomicUsize,
    most: AtomicUsize,
    /// It does not answer.
    fails: AtomicBool,
}

impl Asked {
    /// Asked since the last time: lists, rounds of reads, files read, files opened.
    fn asked(&self) -> [usize; 4] {
        [&self.listed, &self.rounds, &self.read, &self.opened].map(|n| n.swap(0, Relaxed))
    }
    fn question<R>(&self, files: usize, answer: impl FnOnce() -> R) -> R {
        let under_way = self.now.fetch_add(files, Relaxed) + files;
        self.most.fetch_max(under_way, Relaxed);
        if self.far {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.now.fetch_sub(files, Relaxed);
        answer()
    }
}

impl Place for Asked {
    fn show(&self, path: &str) -> String {
        self.inner.show(path)
    }
    fn is_far(&self) -> bool {
        self.far
    }
    fn check(&self) -> Result<()> {
        self.inner.check()
    }
    fn read(&self, path: &str) -> Result<Option<Bytes>> {
        Ok(self.read_many(&[path.into()])?.pop().flatten())
    }
    fn read_many(&self, paths: &[String]) -> Result<Vec<Option<Bytes>>> {
        self.rounds.fetch_add(1, Relaxed);
        self.read.fetch_add(paths.len(), Relaxed);
        self.question(paths.len(), || self.inner.read_many(paths))
    }
    fn open(&self, path: &str) -> Result<Option<Box<dyn Open>>> {
        self.opened.fetch_add(1, Relaxed);
        self.question(1, || self.inner.open(path))
    }
    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        self.inner.read_range(path, range)
    }
    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.inner.size(path)
    }
    fn begin(&self, path: &str, steps: &'static Steps) -> Result<Box<dyn Pending>> {
        self.inner.begin(path, steps)
    }
    fn put(&self, path: &str, encode: Encode<'_>) -> Result<()> {
        self.inner.put(path, encode)
    }
    fn create(&self, path: &str, bytes: Vec<u8>) -> Result<bool> {
        self.inner.create(path, bytes)
    }
    fn dirs(&self, dir: &str) -> Result<Vec<String>> {
        self.inner.dirs(dir)
    }
    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        self.listed.fetch_add(1, Relaxed);
        if self.fails.load(Relaxed) {
            return Err(Error::try_again("no generations today"));
        }
        self.inner.list(dir)
    }
    fn delete(&self, path: &str) -> Result<bool> {
        self.inner.delete(path)
    }
}

fn plan() -> Plan {
    let counts = LINES.read().keyed(|line: &str, out| out.emit(line, 1));
    Job::new("j", counts.sum_by_key(COUNTS)).plan().unwrap()
}

fn settings(data: &Path) -> Settings {
    Settings {
        data: data.into(),
        instance: "main".into(),
        ..Settings::default()
    }
}

/// A job whose generations lie in such a place, and nobody but its generations has written there.
struct Bed<'a> {
    context: Context<'a>,
    place: Arc<Asked>,
    root: PathBuf,
    seen: Seen,
}

impl<'a> Bed<'a> {
    fn new(plan: &'a Plan, settings: &'a Settings, far: bool) -> Self {
        let root = settings.data.join("far");
        let place = Arc::new(Asked {
            inner: Local::new(&root),
            far,
            listed: AtomicUsize::default(),
            rounds: AtomicUsize::default(),
            read: AtomicUsize::default(),
            opened: AtomicUsize::default(),
            now: AtomicUsize::default(),
            most: AtomicUsize::default(),
            fails: AtomicBool::default(),
        });
        let mut context = Context::new(plan, settings, "serve", false).unwrap();
        context.offline = place.clone();
        context.manifests = Arc::new(Manifests::on(place.clone(), "manifests"));
        context.generations = Arc::new(Generations::on(place.clone(), "offline"));
        Self {
            context,
            place,
            root,
            seen: Seen::default(),
        }
    }

    /// A generation of one run, of so many keys.
    fn publish(&self, number: u64) -> Manifest {
        let manifest = self.made(number);
        assert_eq!(self.log().publish(&manifest).unwrap(), Published::Done);
        manifest
    }

    fn made(&self, number: u64) -> Manifest {
        let face = self.context.plan.stores()[0];
        // Written by somebody else, who is not counted.
        let generations = Generations::new(self.root.join("offline"));
        let mut run = generations.begin_run(&face).unwrap();
        for key in 0..=number {
            run.push(format!("{key:05}\0").as_bytes(), &1_u64.to_le_bytes())
                .unwrap();
        }
        Manifest {
            format: 1,
            number,
            job: "j".into(),
            line: "l".into(),
            fingerprint: "code".into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: None,
            stores: BTreeMap::from([(
                "counts".into(),
                StoreGeneration {
                    runs: run.finish().unwrap().into_iter().collect(),
                    ..StoreGeneration::default()
                },
            )]),
            frontier: Frontier::default(),
            drop_before: BTreeMap::new(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(number as i64),
            covered_until: format!("{number:05}"),
            window: None,
            not_repeatable: Vec::new(),
            sinks: BTreeMap::new(),
        }
    }

    fn log(&self) -> Manifests {
        Manifests::new(self.root.join("manifests"))
    }

    fn manifest_file(&self, number: u64) -> PathBuf {
        self.root.join(format!("manifests/{number}.json"))
    }

    fn run_file(&self, manifest: &Manifest) -> PathBuf {
        let run: &RunFile = &manifest.stores["counts"].runs[0];
        self.root.join("offline/counts").join(&run.path)
    }

    /// Of each: number, rows, until when it covers, whether a rollback reaches it.
    fn generations(&self) -> Vec<(u64, u64, String, bool)> {
        let found = generations::generations(&self.context, &self.seen.known).unwrap();
        let one = |g: &Value| {
            (
                g["number"].as_u64().unwrap(),
                g["rows"].as_u64().unwrap(),
                g["covered_until"].as_str().unwrap().to_string(),
                g["rollback_allowed"].as_bool().unwrap(),
            )
        };
        found["generations"].as_array().unwrap().iter().map(one).collect()
    }

    fn report(&self, number: u64, batches: &str) {
        let place: Arc<dyn Place> = Arc::new(Local::new(&self.root));
        let report = Report::new(number, batches.into(), Timestamp(5), Vec::new());
        Reports::of(&place).put(&report).unwrap();
    }

    /// Of each: the generation, and its batches.
    fn drift(&self) -> Vec<(u64, String)> {
        let found = drift::drift(&self.context, &self.seen).unwrap();
        let one = |b: &Value| {
            (
                b["generation"].as_u64().unwrap(),
                b["batches"].as_str().unwrap().to_string(),
            )
        };
        found["batches"].as_array().unwrap().iter().map(one).collect()
    }
}

/// What the list must be of generations from `first` to `last`.
fn wanted(first: u64, last: u64) -> Vec<(u64, u64, String, bool)> {
    (first..=last)
        .map(|n| (n, n + 1, format!("{n:05}"), n < last))
        .collect()
}

/// The first look reads every manifest once and opens every file that a rollback needs, several at a time; the next one lists, and reads
/// and opens what has come since.
#[test]
fn generations_far_away_are_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    let bed = Bed::new(&plan, &settings, true);
    assert_eq!(bed.generations(), []);
    for number in 0..40 {
        bed.publish(number);
    }
    bed.place.asked();
    assert_eq!(bed.generations(), wanted(0, 39));
    let [listed, rounds, read, opened] = bed.place.asked();
    // The newest alone, and the others by eights.
    assert_eq!((listed, rounds, read, opened), (2, 6, 40, 39));
    let most = bed.place.most.load(Relaxed);
    assert!((2..=AT_ONCE).contains(&most), "{most} at a time");
    for _ in 0..3 {
        assert_eq!(bed.generations(), wanted(0, 39));
        assert_eq!(bed.place.asked(), [2, 0, 0, 0], "lists, and nothing else");
    }
    bed.publish(40);
    bed.place.asked();
    assert_eq!(bed.generations(), wanted(0, 40));
    assert_eq!(bed.place.asked(), [2, 1, 1, 1]);
    // The hand-over knows the current one from the same look.
    let current = bed.seen.known.newest(&bed.context.manifests).unwrap().unwrap();
    assert_eq!((current.number, bed.place.asked()), (40, [1, 0, 0, 0]));
}

/// What `gc` deleted is not shown any more, what was replaced is shown as it is, and a file that went is missed, though all of them were
/// known.
#[test]
fn what_is_gone_or_replaced_is_not_shown_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    for far in [true, false] {
        let bed = Bed::new(&plan, &settings, far);
        let _ = std::fs::remove_dir_all(&bed.root);
        let all: Vec<Manifest> = (0..20).map(|number| bed.publish(number)).collect();
        assert_eq!(bed.generations(), wanted(0, 19));
        for old in &all[..2] {
            std::fs::remove_file(bed.manifest_file(old.number)).unwrap();
            std::fs::remove_file(bed.run_file(old)).unwrap();
        }
        assert_eq!(bed.generations(), wanted(2, 19), "far: {far}");
        // Another one of the same length under its number.
        std::fs::remove_dir_all(bed.root.join("manifests")).unwrap();
        for m in &all {
            let mut m = m.clone();
            if m.number == 5 {
                m.covered_until = "other".into();
            }
            bed.log().publish(&m).unwrap();
        }
        let mut other = wanted(0, 19);
        other[5].2 = "other".into();
        // The runs of the first two are gone for good.
        (other[0].3, other[1].3) = (false, false);
        assert_eq!(bed.generations(), other, "far: {far}");
        // And so is that of one which was known as reached, and one is another file.
        std::fs::remove_file(bed.run_file(&all[7])).unwrap();
        std::fs::write(bed.run_file(&all[9]), "no run").unwrap();
        (other[7].3, other[9].3) = (false, false);
        assert_eq!(bed.generations(), other, "far: {far}");
        let found = generations::generations(&bed.context, &bed.seen.known).unwrap();
        let why = |n: usize| found["generations"][n]["rollback"].as_str().unwrap();
        for (n, says) in [(1, "is gone"), (7, "is gone"), (9, "has 6 bytes")] {
            assert!(why(n).contains("store `counts`") && why(n).contains(says), "{}", why(n));
        }
        // A number that is missing between others is damage, and said.
        std::fs::remove_file(bed.manifest_file(11)).unwrap();
        let e = generations::generations(&bed.context, &bed.seen.known).unwrap_err();
        assert!(e.to_string().contains("11.json is missing"), "{e}");
    }
}

/// A directory is asked for no more than before there was anything to keep: each manifest once a look at most, each file that a rollback
/// needs once a look.
#[test]
fn what_is_near_is_asked_for_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    let bed = Bed::new(&plan, &settings, false);
    for number in 0..20 {
        bed.publish(number);
    }
    bed.place.asked();
    for look in 0..3 {
        assert_eq!(bed.generations(), wanted(0, 19));
        let [listed, _, read, opened] = bed.place.asked();
        let new = if look == 0 { 20 } else { 0 };
        assert_eq!((listed, read, opened), (1, new, 19));
    }
}

/// Reports are read once, and the manifests of them; a report that is made again is told as it is now, and one that was deleted is not.
#[test]
fn reports_far_away_are_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    let bed = Bed::new(&plan, &settings, true);
    assert_eq!(bed.drift(), []);
    for number in 0..60 {
        bed.publish(number);
        bed.report(number, &format!("of {number}"));
    }
    // The newest fifty.
    let mut wanted: Vec<(u64, String)> = (10..60).rev().map(|n| (n, format!("of {n}"))).collect();
    bed.place.asked();
    assert_eq!(bed.drift(), wanted);
    assert_eq!(bed.place.asked(), [2, 14, 100, 0], "fifty of each, by eights");
    assert!(bed.place.most.load(Relaxed) <= AT_ONCE);
    assert_eq!(bed.drift(), wanted);
    assert_eq!(bed.place.asked(), [2, 0, 0, 0]);
    bed.report(40, "OF 40");
    wanted[19].1 = "OF 40".into();
    assert_eq!(bed.drift(), wanted);
    assert_eq!(bed.place.asked(), [2, 1, 1, 0]);
    std::fs::remove_file(bed.root.join("reconciled/59.json")).unwrap();
    wanted.remove(0);
    wanted.push((9, "of 9".into()));
    assert_eq!(bed.drift(), wanted);
}
