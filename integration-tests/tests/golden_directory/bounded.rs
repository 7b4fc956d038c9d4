//! `tests/golden/format-1-bounded`: a generation of files that were taken whole, without a live part (P8a).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rufous::core::BatchId;
use rufous::store_api::ManifestLog;

use crate::oracle::fold;
use crate::topic::{LOST, PARTITIONS, record};
use crate::world::{World, copy, events};
use crate::{golden, in_bytes};

fn bounded() -> PathBuf {
    golden().with_file_name("format-1-bounded")
}

/// The input: a file a partition, without the records that the log lost.
fn write_input(dir: &Path, end: u64) -> Result<Vec<PathBuf>> {
    let lost = |p: u32, offset: u64| p == LOST.0 && (LOST.1..LOST.2).contains(&offset);
    let mut files = Vec::new();
    for p in 0..PARTITIONS {
        let texts = (0..end)
            .filter(|offset| !lost(p, *offset))
            .filter_map(|offset| record(p, offset))
            .map(|(_, _, text)| text + "\n");
        let path = dir.join(format!("{p}.txt"));
        fs::write(&path, texts.collect::<String>())?;
        files.push(path);
    }
    Ok(files)
}

/// It is read, and the next run over more input goes on above it.
#[test]
fn files_taken_whole() -> Result<()> {
    let dir = tempfile::tempdir()?;
    copy(&bounded(), dir.path(), &|_| true)?;
    let w = World::new(dir.path())?;
    let m = w.manifests.newest(0)?.context("a manifest")?;
    ensure!(m.number == 0 && m.realtime_namespace.is_none() && m.cut_specs.is_empty() && m.drop_before.is_empty());
    ensure!(m.input.len() == 3 && m.input.iter().all(|i| i.from == 0 && i.files.len() == 1));
    for (p, input) in (0..PARTITIONS).zip(&m.input) {
        let cut = m.frontier.of(&events(p));
        ensure!(
            cut.batch == BatchId::MAX && cut.cut == input.to && input.partition == events(p),
            "{cut:?}"
        );
    }
    ensure!(w.offline(&m)? == in_bytes(&fold(|_| 30)));
    let input = tempfile::tempdir()?;
    let files = write_input(input.path(), 40)?;
    let next = w.bounded(&files)?.context("nothing new")?;
    ensure!(next.number == 1 && w.offline(&next)? == in_bytes(&fold(|_| 40)));
    ensure!(w.bounded(&files)?.is_none(), "the same again is nothing new");
    ensure!(w.roll_back(0)?.number == 2 && w.offline(&m)? == in_bytes(&fold(|_| 30)));
    Ok(())
}

/// Writes the fixture. Never to be run again for format 1.
#[test]
#[ignore = "makes the fixture"]
fn make_bounded() -> Result<()> {
    ensure!(!bounded().exists(), "the fixture exists");
    let (dir, input) = (tempfile::tempdir()?, Path::new("golden-input"));
    fs::create_dir(input)?;
    let done = write_input(input, 30).and_then(|files| World::new(dir.path())?.bounded(&files));
    fs::remove_dir_all(input)?;
    ensure!(done?.is_some());
    copy(dir.path(), &bounded(), &|_| true)
}
