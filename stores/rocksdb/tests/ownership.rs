//! One owner, and readers of other processes: with an owner, without one, and while it changes.

mod bed;

use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bed::*;
use rufous_core::ErrorKind;
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

#[test]
fn a_killed_owner_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for epoch in 1..4 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "commits_until_killed"])
            .env("RUFOUS_TEST_DIR", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Killed(command.spawn().unwrap());
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
