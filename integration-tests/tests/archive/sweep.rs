//! P19: `sweep` shows or deletes what no index names, in a directory and in a bucket, and leaves the rest.

use anyhow::{Result, ensure};
use rufous_store_api::points::VARIABLE;

use crate::world::{Place, World};

fn orphans_go(mut w: World, point: &str) -> Result<()> {
    w.append(200)?;
    w.archive_all()?;
    w.append(200)?;
    let out = w.command("archive").arg("--until-end").env(VARIABLE, point).output()?;
    ensure!(!out.status.success(), "{point} is not reached");
    let sweep =
        |args: &[&str]| -> Result<String> { Ok(String::from_utf8_lossy(&w.run("sweep", args)?.stdout).into_owned()) };
    let young = sweep(&[])?;
    ensure!(young.starts_with("0 files"), "younger than a day: {young}");
    let shown = sweep(&["--older-than-hours", "0", "--dry-run"])?;
    ensure!(
        shown.contains("1 files") && shown.contains("would be deleted"),
        "{shown}"
    );
    let again = sweep(&["--older-than-hours", "0", "--dry-run"])?;
    ensure!(again == shown, "a dry run changes nothing: {again}");
    let gone = sweep(&["--older-than-hours", "0"])?;
    ensure!(gone.lines().next() == shown.lines().next(), "{gone} is not {shown}");
    let none = sweep(&["--older-than-hours", "0"])?;
    ensure!(none.starts_with("0 files"), "{none}");
    w.check("after the sweep", false)?;
    w.archive_all()?;
    w.check("and archived on", true)
}

#[test]
fn a_file_without_entry_in_a_directory() -> Result<()> {
    orphans_go(World::new(Place::Dir, 500)?, "file.durable")
}

#[test]
fn a_temporary_file() -> Result<()> {
    orphans_go(World::new(Place::Dir, 500)?, "file.written")
}

#[test]
fn a_temporary_entry() -> Result<()> {
    orphans_go(World::new(Place::Dir, 500)?, "entry.linked")
}

#[test]
fn a_file_without_entry_in_a_bucket() -> Result<()> {
    orphans_go(World::s3(500)?, "object.put")
}
