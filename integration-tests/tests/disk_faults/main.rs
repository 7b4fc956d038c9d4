//! Rows 10-13 of the fault table with the real program: damaged files, a full disk, a disk that fails, and permissions. The
//! answer is always the fold of a whole beginning of the log, or an error; afterwards it is the fold of all of it.

mod world;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use world::{PROGRAM, World};

const WAITS: &str = "the store takes nothing";

/// Row 10: the end of the write-ahead log is torn by a kill, and cut further.
#[test]
fn a_torn_log_is_read_again() -> Result<()> {
    let mut w = World::new(101)?;
    for _ in 0..5 {
        w.append(3_000)?;
        let mut running = w.start(|_| {})?;
        w.wait_until_whole(&mut running)?;
        w.append(3_000)?;
        std::thread::sleep(std::time::Duration::from_millis(w.random.below(60)));
        running.child.kill()?;
        running.child.wait()?;
        let log = w.db_file(|n| n.ends_with(".log"))?;
        let size = fs::metadata(&log)?.len();
        let cut = w.random.below(size.min(5_000));
        OpenOptions::new().write(true).open(&log)?.set_len(size - cut)?;
        w.is_a_beginning().context("read from the files")?;
        w.catch_up()?;
        w.is_whole()?;
    }
    Ok(())
}

/// Rows 10, 11: what no log can mend is refused by every command, with the file and the repair; `rebuild` is the repair.
#[test]
fn damage_is_refused_until_it_is_rebuilt() -> Result<()> {
    let mut w = World::new(102)?;
    type Harm = fn(&World) -> Result<PathBuf>;
    let flip = |path: PathBuf| -> Result<PathBuf> {
        let mut bytes = fs::read(&path)?;
        let at = bytes.len() / 2;
        bytes[at] ^= 4;
        fs::write(&path, bytes)?;
        Ok(path)
    };
    let harms: [(&str, Harm); 4] = [
        ("no table", |w| {
            let path = w.db_file(|n| n.ends_with(".sst"))?;
            fs::remove_file(&path)?;
            Ok(path)
        }),
        ("flipped table", |w| w.db_file(|n| n.ends_with(".sst"))),
        ("flipped list", |w| w.db_file(|n| n.starts_with("MANIFEST"))),
        ("cut list", |w| {
            let path = w.db_file(|n| n.starts_with("MANIFEST"))?;
            OpenOptions::new().write(true).open(&path)?.set_len(40)?;
            Ok(path)
        }),
    ];
    for (what, harm) in harms {
        // Two runs: the second one's start makes tables of the first one's log.
        for _ in 0..2 {
            w.append(2_000)?;
            w.catch_up()?;
        }
        let path = harm(&w)?;
        if what.starts_with("flipped") {
            flip(path.clone())?;
        }
        for (command, args) in [
            ("get", &["a"][..]),
            ("stream", &["--until-end", "--no-archive"]),
            ("get", &["a"]),
            ("stream", &["--until-end", "--no-archive"]),
        ] {
            let out = w.output(command, args)?;
            let said = String::from_utf8_lossy(&out.stderr);
            // A flip in a block that `get` does not need is met by what reads it.
            if out.status.success() && command == "get" && what == "flipped table" {
                w.is_whole().err().context("a damaged table gives an answer")?;
                continue;
            }
            ensure!(out.status.code() == Some(4), "{what}, {command}: {} {said}", out.status);
            ensure!(said.contains("`rebuild`") && said.contains("/db"), "{what}: {said}");
        }
        ensure!(w.namespace()?.join("suspect").exists(), "{what}: marked");
        let out = w.output("rebuild", &if what == "no table" { vec!["--delete"] } else { vec![] })?;
        let said = String::from_utf8_lossy(&out.stdout);
        ensure!(
            out.status.success() && said.contains("it was damaged"),
            "{what}: {said}"
        );
        ensure!(said.contains("lines/0 from offset 0"), "{what}: {said}");
        w.catch_up()?;
        w.is_whole()?;
    }
    let kept = fs::read_dir(w.data().join("main/jobs/word-count/realtime"))?.flatten();
    let kept = kept
        .filter(|e| e.file_name().to_string_lossy().contains(".aside-"))
        .count();
    ensure!(kept == 3, "{kept} are kept, and the first was deleted");
    Ok(())
}

struct Mounted(PathBuf);

impl Mounted {
    fn new(at: PathBuf, size: &str) -> Result<Self> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(&at)
            .status()?;
        ensure!(
            status.success(),
            "a disk that is full needs the right to mount a small one: run as root"
        );
        Ok(Self(at))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes all the room that is left.
fn fill(filler: &Path) -> Result<()> {
    // Open, it would keep its room after it is deleted.
    let mut file = File::options().create(true).append(true).open(filler)?;
    let mut size = 1 << 20;
    while size > 0 {
        if file.write_all(&vec![1; size]).is_err() {
            size /= 2;
        }
    }
    Ok(())
}

/// Row 12: the job waits, answers stay, nothing is committed in part; with room again it goes on by itself.
#[test]
fn a_full_disk_is_waited_for() -> Result<()> {
    let mut w = World::new(103)?;
    let disk = Mounted::new(w.data(), "64m")?;
    w.append(2_000)?;
    let mut running = w.start(|_| {})?;
    w.wait_until_whole(&mut running)?;
    for round in 0..2 {
        let before = w.len();
        let filler = w.data().join("filler");
        let waits = running.said().matches(WAITS).count();
        // What a file has reserved already takes some more, and a database that is opened again deletes what it needs no more.
        for _ in 0..20 {
            fill(&filler)?;
            w.append(10_000)?;
            if running.has_said(WAITS, waits + 2, std::time::Duration::from_secs(5))? {
                break;
            }
        }
        running.wait_for(WAITS, waits + 2)?;
        let n = w.is_a_beginning().context("answers while the disk is full")?;
        ensure!((before..w.len()).contains(&n), "{n} of {before} to {}", w.len());
        fs::remove_file(&filler)?;
        w.wait_until_whole(&mut running)
            .with_context(|| format!("round {round}"))?;
    }
    running.stop()?;
    w.catch_up()?;
    w.is_whole()?;
    drop(disk);
    Ok(())
}

/// Row 13: a disk whose writes and syncs fail. Nothing is acknowledged; the job goes on when it is well again, and is exact after a
/// kill in the middle of it.
#[test]
fn a_failing_disk_stops_acknowledging() -> Result<()> {
    let mut w = World::new(104)?;
    let shim = w.dir.path().join("fail_io.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk_faults/fail_io.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&shim, &source])
        .arg("-ldl")
        .status()?;
    ensure!(built.success(), "cc makes the library that fails");
    let trigger = w.dir.path().join("fails");
    for kill in [false, true, false] {
        // Once these are answered this process has opened its store: one that cannot ends with an error, rightly.
        w.append(2_000)?;
        let mut running = w.start(|c| {
            c.env("LD_PRELOAD", &shim).env("RUFOUS_FAIL_IO", &trigger);
        })?;
        w.wait_until_whole(&mut running)?;
        let before = w.len();
        File::create(&trigger)?;
        w.append(2_000)?;
        running.wait_for(WAITS, 3)?;
        if kill {
            running.child.kill()?;
            running.child.wait()?;
            let n = w.is_a_beginning()?;
            ensure!(n >= before, "{n} of {before}");
            fs::remove_file(&trigger)?;
            w.catch_up()?;
        } else {
            fs::remove_file(&trigger)?;
            w.wait_until_whole(&mut running)?;
            running.stop()?;
        }
        w.is_whole()?;
    }
    Ok(())
}

/// Permissions, which a superuser does not feel: as `nobody`, each error names the path and what is wrong.
#[test]
fn permissions_are_named() -> Result<()> {
    let mut w = World::new(105)?;
    w.append(100)?;
    fs::set_permissions(w.dir.path(), Permissions::from_mode(0o755))?;
    // Where nobody may go.
    let program = w.dir.path().join("job");
    fs::copy(PROGRAM, &program)?;
    let as_nobody = |command: &str, args: &[&str]| -> Result<(Option<i32>, String)> {
        let job = w.command(&program, command);
        let mut c = Command::new("setpriv");
        c.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(job.get_args())
            .args(args)
            .env("RUFOUS_LOG", "warn")
            .current_dir(w.dir.path());
        let out = c.output()?;
        Ok((out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned()))
    };
    let stream = || as_nobody("stream", &["--until-end", "--no-archive"]);
    let refused = |(code, said): (Option<i32>, String), path: &str| -> Result<()> {
        ensure!(code == Some(1), "{code:?}: {said}");
        ensure!(
            said.contains("ermission denied") && said.contains(path),
            "{path}: {said}"
        );
        Ok(())
    };
    refused(stream()?, "/data")?;
    let owned = |path: &Path, owner: &str| -> Result<()> {
        ensure!(
            Command::new("chown").args(["-R", owner]).arg(path).status()?.success(),
            "run as root"
        );
        Ok(())
    };
    owned(&w.data(), "65534")?;
    let (code, said) = stream()?;
    ensure!(code == Some(0), "{said}");
    w.is_whole()?;
    // The database belongs to somebody else.
    let db = w.namespace()?.join("db");
    owned(&db, "0")?;
    for file in fs::read_dir(&db)?.flatten() {
        fs::set_permissions(file.path(), Permissions::from_mode(0o600))?;
    }
    refused(stream()?, "/db")?;
    refused(as_nobody("get", &["a"])?, "/db")?;
    ensure!(!w.namespace()?.join("suspect").exists(), "that is no damage");
    owned(&db, "65534")?;
    // A parent that may not be entered.
    fs::set_permissions(w.data().join("main"), Permissions::from_mode(0o000))?;
    owned(&w.data().join("main"), "0")?;
    refused(stream()?, "/data/main")?;
    fs::set_permissions(w.data().join("main"), Permissions::from_mode(0o755))?;
    owned(&w.data().join("main"), "65534")?;
    let (code, said) = stream()?;
    ensure!(code == Some(0), "{said}");
    w.is_whole()
}
