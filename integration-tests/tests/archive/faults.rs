//! Rows 12, 13: what fails and passes makes the archiver pause and nothing else: no record is lost or doubled, and the stream
//! goes on meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rufous_examples::flights::flights;
use rufous_integration_tests::run::answers_on_disk;
use rufous_integration_tests::s3::{SECRET, Server};

use crate::world::{PROGRAM, Place, World};

/// What the tests of this directory rest on: the server honours `If-None-Match: *`.
#[test]
fn the_server_creates_conditionally() -> Result<()> {
    let server = Server::start("raw")?;
    let put = |body: &str| server.request("PUT", "/raw/object", &[("If-None-Match", "*")], body);
    ensure!((put("first")?, put("second")?) == (200, 412), "it is overwritten");
    ensure!(server.get("/raw/object")? == Some(b"first".to_vec()));
    Ok(())
}

/// Fails requests, archives, and gives back what was said.
fn archive_through(times: u32, part: &str, applied: bool) -> Result<String> {
    let mut w = World::s3(600)?;
    w.append(200)?;
    w.archive_all()?;
    w.append(400)?;
    w.server()?.fail(times, "PUT", part, applied)?;
    let out = w.run("archive", &["--until-end"])?;
    w.check(&format!("{times} failures of {part}"), true)?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    // At level debug, and with requests that fail.
    ensure!(!said.contains(SECRET), "a secret is shown: {said}");
    Ok(said)
}

#[test]
fn files_that_cannot_be_put_for_a_while() -> Result<()> {
    let said = archive_through(6, "/files/", false)?;
    ensure!(
        said.contains("archiving pauses") && said.contains("archiving goes on"),
        "{said}"
    );
    ensure!(said.contains("503"), "the reason is named: {said}");
    Ok(())
}

#[test]
fn entries_that_cannot_be_put_for_a_while() -> Result<()> {
    let said = archive_through(6, "/index/", false)?;
    ensure!(said.contains("archiving pauses"), "{said}");
    Ok(())
}

/// P12 for the archive: the entry was created, and nobody heard of it. It counts once.
#[test]
fn entries_whose_answer_is_lost() -> Result<()> {
    archive_through(1, "/index/", true)?;
    let said = archive_through(5, "/index/", true)?;
    ensure!(said.contains("archiving pauses"), "{said}");
    Ok(())
}

#[test]
fn a_probe_whose_answer_is_lost() -> Result<()> {
    archive_through(1, "/.probe", true).map(drop)
}

/// The stream does not wait for the archive.
#[test]
fn the_stream_goes_on_while_the_archive_cannot_be_written() -> Result<()> {
    let mut w = World::s3(2_000)?;
    w.append(2_000)?;
    w.server()?.fail(1_000_000, "PUT", "/", false)?;
    let mut child = w
        .command("stream")
        .args(["--until-end", "--commit-ms", "10"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The answers of a stream without archive over the same files.
    let plan = flights().plan()?;
    let start = Instant::now();
    let out = Command::new(PROGRAM)
        .args(["stream", "--until-end", "--no-archive", "--data"])
        .arg(w.path("other"))
        .args(["--source", &format!("flights=dir:{}+jsonl", w.path("in").display())])
        .current_dir(w.path("in"))
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let expected = answers_on_disk(&plan, &w.path("other"))?;
    ensure!(expected.len() > 100, "{} keys", expected.len());
    while answers_on_disk(&plan, &w.path("data")).ok().as_ref() != Some(&expected) {
        ensure!(child.try_wait()?.is_none(), "the stream ended before all was archived");
        ensure!(start.elapsed() < Duration::from_secs(60), "the stream does not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(w.found(0)?.entries == 0, "nothing could be archived");
    w.server()?.fail(0, "PUT", "/", false)?;
    let status = child.wait()?;
    ensure!(status.success(), "{status}");
    w.check("after the pause", true)
}

/// Row 12: a full disk. The archiver waits for space, and leaves no partial entry and no heap of orphans.
#[test]
fn a_full_disk() -> Result<()> {
    let mut w = World::new(Place::Dir, 3_000)?;
    w.append(3_000)?;
    std::fs::write(w.path("rufous.toml"), "[archive]\nlocation = 'disk'\n")?;
    std::fs::create_dir(w.path("disk"))?;
    // A disk of the child's own, in a mount namespace of its own; nothing of it outlives the child.
    let script = r#"
        set -e
        mount -t tmpfs -o size=1m rufous-test disk
        # One page is left: enough for a directory, not for a file.
        head -c 1044480 /dev/zero >disk/filler || true
        "$@" & job=$!
        read -r go
        test "$go" = go
        rm disk/filler
        wait $job
        cp -r disk/. saved
    "#;
    let job = w.command("archive");
    let mut child = Command::new("unshare")
        .args(["-Urm", "bash", "-c", script, "bash", PROGRAM])
        .args(job.get_args())
        .arg("--until-end")
        .env("RUFOUS_LOG", "info")
        .current_dir(w.dir.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("unshare (util-linux) gives the test a small disk")?;
    let (mut said, mut paused) = (String::new(), 0);
    let mut stderr = BufReader::new(child.stderr.take().context("its messages")?);
    // Several attempts fail.
    while paused < 3 {
        let before = said.len();
        ensure!(
            stderr.read_line(&mut said)? > 0,
            "it ended (this test needs user namespaces): {said}"
        );
        paused += usize::from(said[before..].contains("archiving pauses"));
    }
    ensure!(said.contains("No space left"), "{said}");
    use std::io::Write;
    child.stdin.take().context("its input")?.write_all(b"go\n")?;
    std::io::Read::read_to_string(&mut stderr, &mut said)?;
    let status = child.wait()?;
    ensure!(status.success(), "{status}: {said}");
    ensure!(said.contains("archiving goes on"), "{said}");
    std::fs::create_dir_all(w.path("data/main/archive"))?;
    std::fs::rename(w.path("saved/main/flights"), w.archive())?;
    w.check("after the full disk", true)?;
    let named: usize = (0..2).map(|p| Ok(w.found(p)?.files.len())).sum::<Result<usize>>()?;
    ensure!(w.files().len() == named, "orphans: {:?}", w.files());
    Ok(())
}

/// A place that must not be written to is no pause: it is said at once.
#[test]
fn a_bucket_that_is_missing() -> Result<()> {
    let w = World::s3(100)?;
    let settings = std::fs::read_to_string(w.path("rufous.toml"))?;
    std::fs::write(
        w.path("rufous.toml"),
        settings.replace(crate::world::BUCKET, "no-such-bucket"),
    )?;
    std::fs::write(w.path("in/part-0.jsonl"), "")?;
    let out = w.command("archive").arg("--until-end").output()?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(1), "{} {said}", out.status);
    ensure!(
        said.contains("archive of source `flights`") && said.contains("no-such-bucket"),
        "{said}"
    );
    ensure!(!said.contains(SECRET), "{said}");
    Ok(())
}
