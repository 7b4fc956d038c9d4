//! One owner, and readers of other processes: with an owner, without one, and while it changes.

mod bed;

use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bed::*;
use rufous_core::{BatchId, ErrorKind};
use rufous_store_api::{RealtimeReader, RealtimeStore, Until};
use rufous_store_rocksdb::owner::{Owner, Ownership, look};
use rufous_store_rocksdb::{RocksOptions, RocksReader, RocksStore};

#[test]
fn a_second_owner_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let path = dir.path().to_path_buf();
    let options = RocksOptions {
        lock_wait_ms: 50,
        ..RocksOptions::default()
    };
    let e = std::thread::spawn(move || RocksStore::open(&path, "n1", &faces(), options).err().unwrap())
        .join()
        .unwrap();
    assert_eq!(e.kind(), ErrorKind::Closed);
    let text = format!(
        "{} is owned by process {} since 20",
        dir.path().display(),
        std::process::id()
    );
    assert!(
        e.to_string().starts_with(&text) && e.to_string().ends_with("; stop it, or use another --data"),
        "{e}"
    );
    drop(store);
    open(dir.path());
}

#[test]
fn nothing_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        RocksReader::open(&dir.path().join("nowhere"), "n1", &faces())
            .unwrap()
            .is_none()
    );
    assert!(RocksReader::open(dir.path(), "n1", &faces()).unwrap().is_none());
    // An owner that died before it made the database.
    drop(Owner::take(dir.path(), Duration::ZERO).unwrap());
    assert!(RocksReader::open(dir.path(), "n1", &faces()).unwrap().is_none());
}

#[test]
fn a_reader_outlives_owners() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    add(&store, &part(0), 1, &["x"]);
    let reader = reader(dir.path());
    let old = reader.snapshot().unwrap();
    add(&store, &part(0), 1, &["x"]);
    // Through the owner, each snapshot by itself.
    assert_eq!((total(&*old, "x"), total(&*reader.snapshot().unwrap(), "x")), (1, 2));
    assert_eq!(total(&*old, "x"), 1);
    drop(store);
    assert_eq!(
        old.partitions("counts").unwrap_err().kind(),
        ErrorKind::TryAgain,
        "the owner is gone, and its snapshot"
    );
    // From the files: nothing was flushed, so this is the write-ahead log.
    let files = reader.snapshot().unwrap();
    assert_eq!(total(&*files, "x"), 2);
    // Files that are being read do not hinder an owner, and are read anew after it.
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    add(&store, &part(0), 2, &["x", "x"]);
    assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 4);
    drop(store);
    assert_eq!((total(&*reader.snapshot().unwrap(), "x"), total(&*files, "x")), (4, 2));
    assert!(
        RocksReader::open(dir.path(), "n2", &faces())
            .err()
            .unwrap()
            .to_string()
            .contains("namespace n1, not n2")
    );
}

/// Every snapshot through the socket is one point in time: rows and cells agree while the owner commits.
#[test]
fn readers_see_whole_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    std::thread::scope(|s| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                s.spawn(|| {
                    let reader = reader(dir.path());
                    let mut last = 0;
                    while last < 900 {
                        let snapshot = reader.snapshot().unwrap();
                        let next = snapshot.partitions("counts").unwrap()[0].1.next;
                        assert_eq!(
                            (total(&*snapshot, "x"), total(&*snapshot, "y")),
                            (next / 3, next / 3 * 2)
                        );
                        assert!(next >= last);
                        last = next;
                    }
                })
            })
            .collect();
        for i in 0..300 {
            add(&store, &part(0), i / 100, &["x", "y", "y"]);
        }
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
}

/// What snapshots of one state share is of that state: one that is older, or was read after a newer one, shows its own rows and cells.
#[test]
fn snapshots_share_what_they_have_in_common() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    acquire(&store, &part(0));
    let snapshots = || (0..2).map(|_| store.snapshot().unwrap()).collect::<Vec<_>>();
    let mut held = vec![snapshots()];
    for batch in 1..6 {
        add(&store, &part(0), batch, &["x", "y"]);
        if batch == 3 {
            store.drop_below(&part(0), BatchId(2)).unwrap();
        }
        held.push(snapshots());
        // A snapshot asks for the first time after others have asked of a newer state.
        if batch % 2 == 0 {
            assert_eq!(
                total(&*held[batch as usize][0], "x"),
                if batch < 3 { batch } else { batch - 1 } as u64
            );
        }
    }
    for (n, pair) in held.iter().enumerate().rev() {
        let rows: Vec<_> = pair.iter().map(|s| s.partitions("counts").unwrap()).collect();
        assert_eq!(rows[0][0].1.next, 2 * n as u64);
        assert_eq!(rows[0], rows[1]);
        let left = if n < 3 { n } else { n - 1 } as u64;
        for snapshot in pair {
            assert_eq!(
                (total(&**snapshot, "x"), total(&**snapshot, "y")),
                (left, left),
                "state {n}"
            );
        }
    }
    let now = snapshots();
    let [first, second] = [0, 1].map(|i| now[i].partitions("counts").unwrap());
    assert!(Arc::ptr_eq(&first, &second), "the rows of one state are read once");
}

#[test]
fn a_silent_owner_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let owner = Owner::take(dir.path(), Duration::ZERO).unwrap();
    let silent = |dir: &std::path::Path| {
        let since = Instant::now();
        let e = RocksReader::open(dir, "n1", &faces()).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::TryAgain);
        assert!(
            e.to_string().contains(&format!(
                "process {}, the owner of {}",
                std::process::id(),
                dir.display()
            )),
            "{e}"
        );
        assert!(since.elapsed() > Duration::from_millis(1900) && since.elapsed() < Duration::from_secs(6));
    };
    silent(dir.path());
    // It listens and does not answer.
    let _listener = UnixListener::bind(&owner.note.socket).unwrap();
    silent(dir.path());
}

/// Long paths do not fit into a socket's address.
#[test]
fn deep_directories_work() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    let store = open(&deep);
    store.serve().unwrap();
    acquire(&store, &part(0));
    add(&store, &part(0), 1, &["x"]);
    let Ownership::Held(Some(note)) = look(&deep).unwrap() else {
        panic!()
    };
    assert!(note.socket.as_os_str().len() < 100, "{}", note.socket.display());
    assert_eq!(total(&*reader(&deep).snapshot().unwrap(), "x"), 1);
    drop(store);
    assert!(!note.socket.exists());
    let _ = std::fs::remove_dir(note.socket.parent().unwrap());
}

/// The other process of the next test: commits for ever.
#[test]
#[ignore = "run by `a_killed_owner_loses_nothing`"]
fn commits_until_killed() {
    let dir = std::env::var("RUFOUS_TEST_DIR").unwrap();
    let store = open(dir.as_ref());
    store.serve().unwrap();
    acquire(&store, &part(0));
    for i in 0.. {
        add(&store, &part(0), i / 50, &["x", "y", "y"]);
    }
}

struct Killed(Child);
impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    /// Waits until each of its threads was stopped: a signal reaches them one after the other.
    fn stands(&self) {
        let tasks = format!("/proc/{}/task", self.0.id());
        let moves = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| !rest.starts_with(['T', 't']))
        };
        while std::fs::read_dir(&tasks).unwrap().any(moves) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.0.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }
}

fn owner_in_a_child(dir: &std::path::Path) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "commits_until_killed"])
        .env("RUFOUS_TEST_DIR", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Killed(command.spawn().unwrap())
}

#[test]
fn a_killed_owner_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for epoch in 1..4 {
        let child = owner_in_a_child(dir.path());
        let until = Instant::now() + Duration::from_secs(20);
        let want = seen + 300;
        while seen < want {
            assert!(Instant::now() < until, "the other process does not get on");
            if let Ok(Some(reader)) = RocksReader::open(dir.path(), "n1", &faces())
                && let Ok(snapshot) = reader.snapshot()
                && let Ok(rows) = snapshot.partitions("counts")
                && let Some((_, row)) = rows.first()
            {
                assert!(row.next >= seen, "acknowledged to a reader, then lost");
                seen = row.next;
            }
        }
        drop(child);
        // What a reader was shown is there, whole commits, in the files that nobody closed.
        let snapshot = reader(dir.path()).snapshot().unwrap();
        let row = &snapshot.partitions("counts").unwrap()[0].1;
        assert!(row.next >= seen);
        assert_eq!(row.epoch, epoch);
        assert_eq!(
            (total(&*snapshot, "x"), total(&*snapshot, "y")),
            (row.next / 3, row.next / 3 * 2)
        );
        seen = row.next;
    }
}

/// One reader for many snapshots: it dials its owner once, notices the next one, and looks for no one while it is answered.
#[test]
fn a_reader_keeps_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let found = || RocksReader::find(dir.path(), "n1", &faces()).unwrap();
    assert!(found().is_none());
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    let reader = found().unwrap();
    for n in 1..=50 {
        add(&store, &part(0), 1, &["x"]);
        let snapshot = reader.snapshot().unwrap();
        assert_eq!(total(&*snapshot, "x"), n);
    }
    // The note is gone, the connection is not: whoever answers on it is the owner.
    let note = dir.path().join("owner");
    std::fs::rename(&note, dir.path().join("aside")).unwrap();
    assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 50);
    std::fs::rename(dir.path().join("aside"), &note).unwrap();
    // The owner ends: the files; another one comes: the new one.
    drop(store);
    assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 50);
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    add(&store, &part(0), 1, &["x"]);
    assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 51);
    drop(store);
    // Deleted under it: said, not taken for an empty state.
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(reader.snapshot().err().unwrap().kind(), ErrorKind::Closed);
}

/// Many readers may keep connections: those that rest make way for one that reads.
#[test]
fn a_connection_that_rests_makes_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.serve().unwrap();
    acquire(&store, &part(0));
    add(&store, &part(0), 1, &["x"]);
    let readers: Vec<_> = (0..256).map(|_| reader(dir.path())).collect();
    for reader in &readers {
        assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 1);
    }
    // All rest now; every further one is served, and so are those that were closed for it.
    let more: Vec<_> = (0..40).map(|_| reader(dir.path())).collect();
    let held: Vec<_> = more.iter().map(|reader| reader.snapshot().unwrap()).collect();
    held.iter().for_each(|snapshot| assert_eq!(total(&**snapshot, "x"), 1));
    for reader in &readers {
        assert_eq!(total(&*reader.snapshot().unwrap(), "x"), 1);
    }
}

/// SIGSTOP: whoever has 100 ms is told after 100 ms, with a connection that is kept and with a new one.
#[test]
fn a_stopped_owner_is_left_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let child = owner_in_a_child(dir.path());
    let until = Instant::now() + Duration::from_secs(20);
    let kept = loop {
        match RocksReader::open(dir.path(), "n1", &faces()) {
            Ok(Some(reader)) if Ownership::Never != look(dir.path()).unwrap() => break reader,
            _ => assert!(Instant::now() < until, "the other process does not begin"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    child.signal("STOP");
    child.stands();
    let ask = |reader: &dyn RealtimeReader, what: &str| {
        let began = Instant::now();
        let e = reader
            .snapshot_until(&Until::from(began + Duration::from_millis(100)))
            .err()
            .unwrap();
        let took = began.elapsed();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{what}: {e}");
        assert!(took < Duration::from_millis(1500), "{what} took {took:?}");
    };
    ask(&*kept, "a kept connection");
    ask(
        &RocksReader::find(dir.path(), "n1", &faces()).unwrap().unwrap(),
        "a new connection",
    );
    child.signal("CONT");
    assert!(kept.snapshot().is_ok());
}

/// SIGSTOP: who goes away after 100 ms is not waited for in his place, with a connection that is kept and with a new one, in the middle of
/// a snapshot and before it.
#[test]
fn a_stopped_owner_is_left_when_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let child = owner_in_a_child(dir.path());
    let until = Instant::now() + Duration::from_secs(20);
    let kept = loop {
        match RocksReader::open(dir.path(), "n1", &faces()) {
            Ok(Some(reader)) if Ownership::Never != look(dir.path()).unwrap() => break reader,
            _ => assert!(Instant::now() < until, "the other process does not begin"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut held = kept.snapshot().unwrap();
    child.signal("STOP");
    child.stands();
    let left = |what: &str, ask: &mut dyn FnMut(&Until) -> Option<rufous_core::Error>| {
        let began = Instant::now();
        let gone = move || began.elapsed() >= Duration::from_millis(100);
        let until = Until::from(began + Duration::from_secs(30)).unless(Some(std::sync::Arc::new(gone)));
        let e = ask(&until).unwrap();
        let took = began.elapsed();
        assert_eq!(e.kind(), ErrorKind::TryAgain, "{what}: {e}");
        assert!((90..1_000).contains(&took.as_millis()), "{what} took {took:?}");
    };
    left("a snapshot that is held", &mut |until| {
        held.set_until(until);
        held.partitions("counts").err()
    });
    left("a kept connection", &mut |until| kept.snapshot_until(until).err());
    left("a new connection", &mut |until| {
        let reader = RocksReader::find(dir.path(), "n1", &faces()).unwrap().unwrap();
        reader.snapshot_until(until).err()
    });
    child.signal("CONT");
    assert!(kept.snapshot().is_ok());
}

/// So many have dialled an owner that accepts nobody that not even a connection is made: that has a deadline, too, and an end
/// without one.
#[test]
fn a_full_queue_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let owner = Owner::take(dir.path(), Duration::ZERO).unwrap();
    let socket = || socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let address = socket2::SockAddr::unix(&owner.note.socket).unwrap();
    let listener = socket();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let dials = || {
        let stream = socket();
        stream.set_nonblocking(true).unwrap();
        stream.connect(&address).ok().map(|()| stream)
    };
    let waiting: Vec<_> = (0..50).map_while(|_| dials()).collect();
    assert!(waiting.len() < 50, "the queue was never full");
    let reader = RocksReader::find(dir.path(), "n1", &faces()).unwrap().unwrap();
    for (deadline, least, most) in [(Some(100), 90, 1500), (None, 1900, 6000)] {
        let began = Instant::now();
        let deadline = deadline.map(|ms| began + Duration::from_millis(ms));
        let e = reader.snapshot_until(&deadline.into()).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::TryAgain);
        assert!(e.to_string().contains("no answer at"), "{e}");
        let took = began.elapsed().as_millis();
        assert!((least..most).contains(&took), "{took} ms");
    }
}
