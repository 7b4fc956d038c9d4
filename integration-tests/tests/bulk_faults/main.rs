//! Bulk runs on disks that are full, forbidden, or hold something else than they should (row 12; issue 7, item 8). Each
//! fails before it publishes and names the file; what was published is served, nothing half-written is left, and with
//! the cause mended the same command ends well.

mod world;

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rufous_integration_tests::run::assert_same;
use world::{JOB, World};

/// So many words need more than the maps of a small budget hold.
const MANY: u64 = 150_000;

/// Row 12: a disk with room for any number of bytes less than a run needs, while it spills, while it writes runs, when
/// it publishes.
#[test]
fn a_disk_of_any_size() -> Result<()> {
    for spills in [false, true] {
        let mut w = World::new()?;
        w.add("a.txt", 2_000)?;
        w.succeeds(&w.batch(spills))?;
        let before = w.answers()?;
        w.add("b.txt", MANY)?;
        w.small_disk()?;
        let used = w.path("used");
        w.set("RUFOUS_DISK_USED", used.display());
        // How much a run takes, in a copy of the place.
        let copied = Command::new("cp")
            .args(["-r", "data", "copy"])
            .current_dir(w.path(""))
            .status()?;
        ensure!(copied.success());
        w.succeeds(&w.batch(spills))?;
        w.is_whole("with room")?;
        let need: u64 = fs::read_to_string(&used)?.parse()?;
        let manifest = fs::metadata(w.path(&format!("{JOB}/manifests/1.json")))?.len();
        fs::remove_dir_all(w.path("data"))?;
        fs::rename(w.path("copy"), w.path("data"))?;
        let files = w.files()?;
        let rooms = (0..8).map(|n| n * need / 8);
        // Threads that meet in another order need a little more or less, when they spill.
        let last = [manifest + 8, manifest - 8, 8].map(|n| need - if spills { need / 3 } else { n });
        let mut places = Vec::new();
        for room in rooms.chain([1]).chain(last) {
            w.set("RUFOUS_DISK_ROOM", room);
            let ended = w.run(&w.batch(spills))?;
            ensure!(
                ended.code == 3 && ended.said.contains("No space left on device"),
                "room {room} of {need}: {}: {}",
                ended.code,
                ended.said
            );
            let all = ["data/main/tmp", "word-count/offline", "word-count/manifests"];
            let place = all.into_iter().find(|place| ended.said.contains(place));
            places.push(place.with_context(|| format!("room {room}: no file is named: {}", ended.said))?);
            assert_same("the old generation", &w.answers()?, &before);
            w.only_orphans(
                &format!("room {room} of {need}, failed in {}", places[places.len() - 1]),
                &files,
            )?;
        }
        println!(
            "spills: {spills}: {need} bytes are needed, {} sizes of the disk",
            places.len()
        );
        let wanted = if spills {
            &["data/main/tmp", "word-count/offline"]
        } else {
            &["word-count/offline", "word-count/manifests"]
        };
        for place in wanted {
            ensure!(places.contains(place), "nothing failed in {place}: {places:?}");
        }
        w.set("RUFOUS_DISK_ROOM", need * 2);
        ensure!(w.succeeds(&w.batch(spills))?.contains("generation 1:"));
        w.is_whole("with room again")?;
        // Commands that only publish.
        let files = w.files()?;
        w.set("RUFOUS_DISK_ROOM", 100);
        let ended = w.run(&["rollback"])?;
        ensure!(
            ended.code == 3 && ended.said.contains("No space left") && ended.said.contains("/manifests/"),
            "{}",
            ended.said
        );
        ensure!(w.files()? == files, "left behind by a rollback");
        w.is_whole("after a rollback that failed")?;
        w.clear();
        w.succeeds(&["rollback"])?;
        assert_same("rolled back", &w.answers()?, &before);
    }
    Ok(())
}

struct Mounted(PathBuf);

impl Mounted {
    /// `None`: who runs the tests may not.
    fn new(at: PathBuf, size: &str) -> Result<Option<Self>> {
        let mut c = Command::new("mount");
        c.args(["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "none"])
            .arg(&at);
        Ok(c.status()?.success().then(|| Self(at)))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Row 12 on a real file system, where whoever runs the tests may mount one; `a_disk_of_any_size` needs no such right.
#[test]
fn a_real_disk_that_is_full() -> Result<()> {
    let mut w = World::new()?;
    let Some(disk) = Mounted::new(w.path("data"), "32m")? else {
        eprintln!("no small disk can be mounted: this test passes by");
        return Ok(());
    };
    w.add("a.txt", 2_000)?;
    w.succeeds(&w.batch(false))?;
    let before = w.answers()?;
    w.add("b.txt", MANY)?;
    for spills in [true, false] {
        let filler = w.path("data/filler");
        let mut file = fs::File::options().create(true).append(true).open(&filler)?;
        // All but this much: the first page of a list, half of it, half a run.
        for free in [0, 200_000, 1_000_000] {
            file.set_len(0)?;
            let mut size = 1 << 20;
            while size > 0 {
                if file.write_all(&vec![1; size]).is_err() {
                    size /= 2;
                }
            }
            let full = file.metadata()?.len();
            file.set_len(full - free)?;
            let ended = w.run(&w.batch(spills))?;
            ensure!(
                ended.code == 3 && ended.said.contains("No space left on device") && ended.said.contains("data/main/"),
                "{free} bytes free: {}: {}",
                ended.code,
                ended.said
            );
            assert_same("on a full disk", &w.answers()?, &before);
        }
        drop(file);
        fs::remove_file(&filler)?;
    }
    w.succeeds(&w.batch(true))?;
    w.is_whole("with room")?;
    drop(disk);
    Ok(())
}

/// Directories that may be read and not written: each is named, the old generation is served, and nothing is left in
/// the others.
#[test]
fn directories_that_are_read_only() -> Result<()> {
    let mut w = World::new()?;
    w.add("a.txt", 2_000)?;
    w.succeeds(&w.batch(true))?;
    let before = w.answers()?;
    w.add("b.txt", MANY)?;
    fs::create_dir_all(w.path("data/main/tmp"))?;
    w.give_away()?;
    let files = w.files()?;
    let manifests = format!("{JOB}/manifests");
    let (runs, counts) = (format!("{JOB}/offline"), format!("{JOB}/offline/counts"));
    let forbidden = |dirs: &[&str], mode| -> Result<()> {
        for dir in dirs {
            fs::set_permissions(w.path(dir), Permissions::from_mode(mode))?;
        }
        Ok(())
    };
    for (dirs, spills) in [
        (&[manifests.as_str()][..], false),
        (&[&manifests], true),
        (&["data/main/tmp"], true),
        (&[&runs], false),
        (&[&counts], false),
    ] {
        forbidden(dirs, 0o555)?;
        let ended = w.run_plainly(&w.batch(spills))?;
        ensure!(
            ended.code == 1 && ended.said.contains("ermission denied") && ended.said.contains(dirs[0]),
            "{dirs:?}: {}: {}",
            ended.code,
            ended.said
        );
        w.only_orphans(dirs[0], &files)?;
        assert_same(dirs[0], &w.answers()?, &before);
        forbidden(dirs, 0o755)?;
    }
    // What publishes only, and what deletes.
    forbidden(&[&manifests], 0o555)?;
    let ended = w.run_plainly(&["gc", "--keep", "0", "--grace-minutes", "0"])?;
    ensure!(ended.code == 0, "there is nothing to delete: {}", ended.said);
    forbidden(&[&manifests], 0o755)?;
    let ended = w.run_plainly(&w.batch(true))?;
    ensure!(ended.code == 0, "{}", ended.said);
    w.is_whole("with all rights")?;
    forbidden(&[&manifests], 0o555)?;
    for command in [&["rollback"][..], &["gc", "--keep", "0", "--grace-minutes", "0"]] {
        let ended = w.run_plainly(command)?;
        ensure!(
            ended.code == 1 && ended.said.contains("ermission denied") && ended.said.contains(&manifests),
            "{command:?}: {}: {}",
            ended.code,
            ended.said
        );
        w.is_whole("after a command that failed")?;
    }
    forbidden(&[&manifests], 0o755)?;
    let ended = w.run_plainly(&["rollback"])?;
    ensure!(ended.code == 0, "{}", ended.said);
    assert_same("rolled back", &w.answers()?, &before);
    Ok(())
}

/// A directory where a file should be, and a file where a directory should be.
#[test]
fn something_else_in_its_place() -> Result<()> {
    let mut w = World::new()?;
    w.add("a.txt", 2_000)?;
    w.succeeds(&w.batch(false))?;
    let before = w.answers()?;
    w.add("b.txt", MANY)?;
    // The spill directory, and that of a store that was not there before.
    fs::write(w.path("data/main/tmp"), "x")?;
    let fails = |w: &World, spills, name: &str| -> Result<()> {
        let ended = w.run(&w.batch(spills))?;
        ensure!(
            ended.code != 0 && ended.code != 101 && ended.said.contains(name),
            "{name}: {}: {}",
            ended.code,
            ended.said
        );
        Ok(())
    };
    fails(&w, true, "data/main/tmp")?;
    assert_same("a file for the sums", &w.answers()?, &before);
    fs::remove_file(w.path("data/main/tmp"))?;
    // The next manifest: it is damage, for readers as well, and says where.
    let next = w.path(&format!("{JOB}/manifests/1.json"));
    fs::create_dir(&next)?;
    fails(&w, true, "manifests/1.json")?;
    let e = w.answers().err().map(|e| e.to_string()).unwrap_or_default();
    ensure!(e.contains("manifests/1.json"), "{e}");
    fs::remove_dir(&next)?;
    assert_same("and gone", &w.answers()?, &before);
    // A run.
    let mut runs = fs::read_dir(w.path(&format!("{JOB}/offline/counts")))?;
    let run = runs.next().expect("a run")?.path();
    let aside = w.path("run");
    fs::rename(&run, &aside)?;
    fs::create_dir(&run)?;
    let e = w.answers().err().map(|e| e.to_string()).unwrap_or_default();
    let name = run.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    ensure!(e.contains(name), "{name}: {e}");
    fs::remove_dir(&run)?;
    fs::rename(&aside, &run)?;
    assert_same("and back", &w.answers()?, &before);
    // The directory of the runs.
    let (dir, moved) = (w.path(&format!("{JOB}/offline")), w.path("offline"));
    fs::rename(&dir, &moved)?;
    fs::write(&dir, "x")?;
    fails(&w, false, &format!("{JOB}/offline"))?;
    let e = w.answers().err().map(|e| e.to_string()).unwrap_or_default();
    ensure!(e.contains("offline"), "{e}");
    fs::remove_file(&dir)?;
    fs::rename(&moved, &dir)?;
    w.succeeds(&w.batch(false))?;
    w.is_whole("all in its place")
}
