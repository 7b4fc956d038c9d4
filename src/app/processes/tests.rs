//! Those who live are told of and asked; the dead leave nothing; and no file, socket or question harms anybody.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asked::ask_in;
use super::note::{Held, living};
use super::status::Status;
use super::told::Told;

/// Longer than a busy machine needs.
const LONG: Duration = Duration::from_secs(20);

fn ask(dir: &Path, question: Value) -> Vec<(u32, Result<Value, String>)> {
    ask_within(LONG, dir, question)
}

fn ask_within(limit: Duration, dir: &Path, question: Value) -> Vec<(u32, Result<Value, String>)> {
    let asked = ask_in(dir, limit, |_| question.clone());
    asked.into_iter().map(|p| (p.note.pid, p.found)).collect()
}

fn told(dir: &Path) -> Told {
    Told::begin(dir, Status::nothing("stream")).unwrap()
}

/// A process is asked while it lives, and leaves nothing.
#[test]
fn who_lives_answers() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("processes");
    assert!(living(&at).is_empty(), "nobody ever ran");
    let one = told(&at);
    let two = told(&at);
    let found = ask(&at, json!({ "ask": "status" }));
    assert_eq!(found.len(), 2);
    for (pid, found) in found {
        let found = found.unwrap();
        assert_eq!((pid, &found["kind"]), (std::process::id(), &json!("stream")));
    }
    drop(one);
    assert_eq!(living(&at).len(), 1);
    drop(two);
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "nothing is left");
}

/// A process that was killed leaves note and socket: who looks takes them away. A socket that a note names elsewhere is not touched.
#[test]
fn the_dead_are_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("processes");
    let held = Held::take(&at, "stream").unwrap();
    let listener = UnixListener::bind(&held.note.socket).unwrap();
    let (note, text) = (held.note.clone(), serde_json::to_string(&held.note).unwrap());
    drop((held, listener));
    // As it would be after a kill: the lock is gone, the files are there.
    std::fs::write(at.join("stream-1-x.json"), text).unwrap();
    drop(UnixListener::bind(&note.socket).unwrap());
    let precious = dir.path().join("precious.sock");
    std::fs::write(&precious, "mine").unwrap();
    let hostile = json!({ "kind": "stream", "pid": 1, "started_ms": 0, "socket": precious });
    std::fs::write(at.join("stream-2-x.json"), hostile.to_string()).unwrap();
    assert!(living(&at).is_empty());
    assert!(!note.socket.exists());
    assert!(precious.exists(), "what is not of this directory is nobody's to delete");
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
}

/// A note that names a socket elsewhere is told of: whoever listens there is not asked.
#[test]
fn a_socket_elsewhere_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("processes");
    let _kept = told(&at);
    let elsewhere = dir.path().join("elsewhere.sock");
    let listener = UnixListener::bind(&elsewhere).unwrap();
    listener.set_nonblocking(true).unwrap();
    let note = json!({ "kind": "stream", "pid": 1, "started_ms": 0, "socket": elsewhere });
    std::fs::write(at.join("stream-1-x.json"), note.to_string()).unwrap();
    let held = std::fs::File::open(at.join("stream-1-x.json")).unwrap();
    held.lock().unwrap();
    let found = ask(&at, json!({ "ask": "status" }));
    assert_eq!(found.iter().filter(|(_, found)| found.is_ok()).count(), 1, "{found:?}");
    let (_, refused) = found.iter().find(|(pid, _)| *pid == 1).unwrap();
    assert!(
        refused
            .as_ref()
            .unwrap_err()
            .contains("not where sockets of this job are"),
        "{found:?}"
    );
    assert!(listener.accept().is_err(), "somebody came");
}

/// Files that are no notes are no processes, whatever is in them.
#[test]
fn what_is_no_note_is_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let kept = told(at);
    let mut locked = Vec::new();
    for (name, bytes) in [
        ("a.json", b"{".to_vec()),
        ("b.json", vec![0xff; 1 << 20]),
        ("c.json", br#"{"kind":7}"#.to_vec()),
        ("d.json", Vec::new()),
    ] {
        std::fs::write(at.join(name), bytes).unwrap();
        let file = std::fs::File::open(at.join(name)).unwrap();
        file.lock().unwrap();
        locked.push(file);
    }
    std::fs::create_dir(at.join("e.json")).unwrap();
    std::fs::write(at.join("notes.txt"), "mine").unwrap();
    assert_eq!(living(at).len(), 1);
    assert!(at.join("notes.txt").exists());
    drop(kept);
}

/// A process that is stopped, or says nothing, or says what is no answer, is told of with why, soon, and the others answer.
#[test]
fn who_hangs_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let _kept = told(at);
    let mut others = Vec::new();
    for says in [
        "",
        "{\"version\":1,\"found\":7}",
        "nonsense",
        "{\"version\":1,\"error\":\"not now\"}",
    ] {
        let held = Held::take(at, "batch").unwrap();
        let listener = UnixListener::bind(&held.note.socket).unwrap();
        if !says.is_empty() {
            let listener = listener.try_clone().unwrap();
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let _ = stream.read(&mut [0; 100]);
                    let _ = stream.write_all(says.as_bytes());
                }
            });
        }
        others.push((held, listener));
    }
    // Nobody listens at all.
    let gone = Held::take(at, "batch").unwrap();
    let begun = Instant::now();
    // A backlog is full some time: then it is refused, and not waited for.
    for _ in 0..3 {
        let found = ask_within(Duration::from_secs(2), at, json!({ "ask": "status" }));
        let why: Vec<String> = found.iter().filter_map(|(_, f)| f.as_ref().err().cloned()).collect();
        assert_eq!((found.len(), why.len()), (6, 5), "{why:?}");
        for says in [
            "did not answer within",
            "is no answer",
            "cannot be read",
            "not now",
            "cannot be asked",
        ] {
            assert!(why.iter().any(|w| w.contains(says)), "{says}: {why:?}");
        }
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    drop(gone);
}

/// Whatever is asked is answered by an object that says what is wrong, and the next one is answered as ever.
#[test]
fn hostile_questions_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let _kept = told(at);
    let socket = living(at).remove(0).socket;
    let say = |bytes: &[u8]| -> String {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // One that is told no may be gone before all was said.
        let _ = stream.write_all(bytes);
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        said
    };
    let line = |question: Value| format!("{question}\n").into_bytes();
    for (bytes, says) in [
        (b"\n".to_vec(), "cannot be read"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "cannot be read"),
        (vec![b'x'; 4_096], "ends with a line break"),
        (b"\xff\xfe\n".to_vec(), "cannot be read"),
        (line(json!({ "version": 2, "ask": "status" })), "speaks version 2"),
        (line(json!({ "version": 1, "ask": "stop" })), "cannot be read"),
        (
            line(json!({ "version": 1, "ask": "log", "after": -1, "limit": 1 })),
            "cannot be read",
        ),
    ] {
        let said = say(&bytes);
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert!(said["error"].as_str().is_some_and(|e| e.contains(says)), "{said}");
    }
    // One that says nothing is not waited for long.
    let silent = UnixStream::connect(&socket).unwrap();
    let begun = Instant::now();
    let found = ask(at, json!({ "ask": "log", "after": 0, "limit": 1_000_000 }));
    assert!(found[0].1.is_ok(), "{found:?}");
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    drop(silent);
    assert!(
        say(&line(
            json!({ "version": 1, "ask": "samples", "late": true, "limit": 5 })
        ))
        .contains("samples")
    );
}

/// Who asks byte by byte holds up neither the next one nor the end of the process.
#[test]
fn who_dribbles_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let kept = told(dir.path());
    let socket = living(dir.path()).remove(0).socket;
    let dribble = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(b"x").unwrap();
        // Until nobody listens any more.
        std::thread::spawn(move || {
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let begun = Instant::now();
    let first = dribble();
    assert!(ask(dir.path(), json!({ "ask": "status" })).remove(0).1.is_ok());
    let second = dribble();
    drop(kept);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    first.join().unwrap();
    second.join().unwrap();
}

/// Where the path of a socket would be too long it is elsewhere, found by the note, and taken away with it.
#[test]
fn long_paths_have_short_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("long".repeat(40)).join("processes");
    let kept = told(&at);
    let socket = living(&at).remove(0).socket;
    assert!(
        !socket.starts_with(dir.path()) && socket.exists(),
        "{}",
        socket.display()
    );
    assert!(ask(&at, json!({ "ask": "status" })).remove(0).1.is_ok());
    // Nobody else comes in, and a directory that somebody else may have made is not used.
    let far = socket.parent().unwrap().to_path_buf();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(&far)), (0o600, 0o700));
    // Nor is anybody asked there who may be somebody else.
    std::fs::set_permissions(&far, Permissions::from_mode(0o711)).unwrap();
    let found = ask(&at, json!({ "ask": "status" })).remove(0).1.unwrap_err();
    assert!(
        found.contains("not asked") && found.contains("closed to all others"),
        "{found}"
    );
    std::fs::set_permissions(&far, Permissions::from_mode(0o700)).unwrap();
    assert!(ask(&at, json!({ "ask": "status" })).remove(0).1.is_ok());
    drop(kept);
    assert!(!socket.exists());
    let refused = || Told::begin(&at, Status::nothing("stream")).err().unwrap().to_string();
    std::fs::set_permissions(&far, Permissions::from_mode(0o755)).unwrap();
    assert!(refused().contains("closed to all others"), "{}", refused());
    std::fs::remove_dir(&far).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &far).unwrap();
    assert!(refused().contains("closed to all others"), "{}", refused());
    std::fs::remove_file(&far).unwrap();
    // Of one that was killed as well.
    let held = Held::take(&at, "stream").unwrap();
    let note = held.note.clone();
    drop(held);
    std::fs::write(at.join("stream-1-x.json"), serde_json::to_string(&note).unwrap()).unwrap();
    drop(UnixListener::bind(&note.socket).unwrap());
    assert!(living(&at).is_empty() && !note.socket.exists());
    let _ = std::fs::remove_dir(note.socket.parent().unwrap());
}
