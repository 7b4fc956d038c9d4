//! The same behaviour in every kind of place.

use std::io::Write;
use std::path::Path;

use rufous_place::{FILE_STEPS, Filled, Local, Place};

fn places(dir: &Path) -> Vec<Box<dyn Place>> {
    let mut all: Vec<Box<dyn Place>> = vec![Box::new(Local::new(dir.join("a/local")))];
    #[cfg(feature = "remote")]
    {
        use rufous_place::Remote;
        use rufous_place::object_store::{local::LocalFileSystem, memory::InMemory};
        use std::sync::Arc;
        let files = LocalFileSystem::new_with_prefix(dir).unwrap();
        for remote in [
            Remote::new(Arc::new(InMemory::new()), "test://memory", "p/q"),
            Remote::new(Arc::new(files), "test://files", "remote"),
        ] {
            all.push(Box::new(remote.unwrap().spool_in(dir.join("spool"))));
        }
    }
    all
}

fn write(place: &dyn Place, path: &str, bytes: &[u8]) {
    let mut file = place.begin(path, &FILE_STEPS).unwrap();
    file.write_all(bytes).unwrap();
    file.finish().unwrap();
}

/// A file has its name when it is finished, never before; one that is dropped leaves nothing, in the spool neither.
#[test]
fn files_are_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    for place in places(dir.path()) {
        let mut file = place.begin("x/y", &FILE_STEPS).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!place.exists("x/y").unwrap());
        drop(file);
        assert!(place.list("").unwrap().is_empty() && place.size("x/y").unwrap().is_none());
        // More than is sent at once.
        let long: Vec<u8> = (0..20_000_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for bytes in [&[][..], b"short", &long] {
            write(&*place, "x/y", bytes);
            assert!(place.read("x/y").unwrap().unwrap() == bytes, "{place:?}");
            assert_eq!(place.size("x/y").unwrap(), Some(bytes.len() as u64));
        }
        let listed = place.list("x").unwrap();
        assert!(listed.len() == 1 && listed[0].path == "x/y" && listed[0].bytes == long.len() as u64);
        assert!(place.delete("x/y").unwrap() && !place.exists("x/y").unwrap());
        assert!(place.is_far() || !place.delete("x/y").unwrap());
        let spool = std::fs::read_dir(dir.path().join("spool"));
        assert!(spool.is_ok_and(|mut s| s.next().is_none()) || !place.is_far());
    }
}

/// Ranges: whole, beyond the end, of a file that is gone; a file that is open outlives its name, or says that it is gone.
#[test]
fn ranges_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for place in places(dir.path()) {
        write(&*place, "f", b"0123456789");
        for (range, expected) in [
            (0..10, "0123456789"),
            (3..5, "34"),
            (8..20, "89"),
            (4..4, ""),
            (12..14, ""),
        ] {
            assert_eq!(
                place.read_range("f", range.clone()).unwrap().unwrap(),
                expected,
                "{range:?}"
            );
        }
        assert!(place.read_range("g", 0..1).unwrap().is_none() && place.open("g").unwrap().is_none());
        let file = place.open("f").unwrap().unwrap();
        let mut two = [0; 2];
        assert!(file.size() == 10 && file.read_at(&mut two, 8).unwrap() == Filled::Whole && two == *b"89");
        for at in [9, 10, 11, u64::MAX] {
            assert_eq!(file.read_at(&mut two, at).unwrap(), Filled::Short, "{at}");
        }
        assert!(!file.is_deleted());
        place.delete("f").unwrap();
        let filled = file.read_at(&mut two, 0).unwrap();
        assert!(if place.is_far() {
            filled == Filled::Gone
        } else {
            filled == Filled::Whole && file.is_deleted()
        });
    }
}

/// A directory whose upper ones are missing too, and a path that is relative.
#[test]
fn missing_directories_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let place = Local::new(dir.path().join("a/b/c"));
    assert!(place.list("").unwrap().is_empty() && place.dirs("").unwrap().is_empty());
    assert!(place.create("d/e/0", b"x".to_vec()).unwrap() && !place.create("d/e/0", b"y".to_vec()).unwrap());
    assert_eq!(place.read("d/e/0").unwrap().unwrap(), "x");
    assert_eq!(place.dirs("d").unwrap(), ["e"]);
    let e = Local::open(&dir.path().join("a/b/c/d/e/0")).unwrap_err();
    assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
}
