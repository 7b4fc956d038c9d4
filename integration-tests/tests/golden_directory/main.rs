//! Row 23 of the fault table: `tests/golden/format-1` is a data directory of a job as the first release wrote it:
//! manifests, an incremental generation, a rollback, a staged line, runs, archive with index, live state, a lost range.
//! Every later program reads it, goes on with it, and writes format 1 the same. A format that is not known is refused
//! by its number, and damage by name.

mod bounded;
mod form;
mod oracle;
mod refusals;
mod topic;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use form::forms;
use oracle::{Sums, fold, sealed};
use rufous::core::key;
use rufous::prelude::*;
use rufous::store_api::{Archive, Manifest, ManifestLog, lines};
use rufous_integration_tests::archived;
use topic::{LOST, PARTITIONS, record};
use world::{LINE, World, copy, events};

fn golden() -> PathBuf {
    // Not the path at compile time: clones that share build output share binaries, too.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("tests/golden/format-1")
}

/// A copy that may be written to.
fn copied() -> Result<(tempfile::TempDir, World)> {
    let dir = tempfile::tempdir()?;
    copy(&golden(), dir.path(), &|_| true)?;
    let world = World::new(dir.path())?;
    Ok((dir, world))
}

/// Keys and values of each store in canonical bytes.
type Generation = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

fn in_bytes(sums: &Sums) -> Generation {
    let counts = sums
        .counts
        .iter()
        .map(|(k, v)| (key::to_bytes(k.as_str()), v.to_bytes()));
    let most = sums
        .most
        .iter()
        .map(|(k, v)| (key::to_bytes(k.as_str()), Max::of(*v).to_bytes()));
    let users = sums
        .users
        .iter()
        .map(|((word, n), v)| (key::to_bytes(&(word.as_str(), *n)), v.to_bytes()));
    let sorted = |mut all: Vec<_>| {
        all.sort();
        all
    };
    BTreeMap::from([
        ("counts".into(), sorted(counts.collect())),
        ("most".into(), sorted(most.collect())),
        ("users".into(), sorted(users.collect())),
    ])
}

/// Live and offline together, every key of every store.
#[test]
fn every_answer() -> Result<()> {
    let (_dir, w) = copied()?;
    let expected = fold(|_| 52);
    ensure!(expected.counts.len() == 6 && expected.users.len() == 12, "{expected:?}");
    ensure!(w.answers()? == expected);
    // Without a word about the lost range nobody is given an answer.
    let e = w
        .client()?
        .store(world::COUNTS)?
        .get("ash")
        .err()
        .context("a whole answer")?;
    ensure!(
        e.to_string().contains("offsets 13..17 of partition 2 of `events`"),
        "{e}"
    );
    Ok(())
}

/// Each generation that was published, and each of the staged line, holds what lies below its frontier.
#[test]
fn every_generation() -> Result<()> {
    let (_dir, w) = copied()?;
    let holds = |m: &Manifest| -> Result<()> {
        let found = w.offline(m)?;
        ensure!(
            found == in_bytes(&fold(|p| m.frontier.of(&events(p)).cut)),
            "line {}, manifest {}",
            m.line,
            m.number
        );
        Ok(())
    };
    // The end of the topic at each; 4 is 2 again, and 5 goes on from there.
    let ends = [None, Some(13), Some(26), Some(39), Some(26), Some(39)];
    ensure!(w.manifests.numbers()? == [0, 1, 2, 3, 4, 5]);
    for (number, end) in (0..).zip(ends) {
        let m = w.manifests.get(number)?.context("listed")?;
        ensure!((m.job.as_str(), m.line.as_str()) == ("golden", w.plan.fingerprint()));
        for p in 0..PARTITIONS {
            let cut = m.frontier.of(&events(p)).cut;
            ensure!(
                cut == end.map_or(0, |end| sealed(p, end)),
                "manifest {number}: {p} is cut at {cut}"
            );
        }
        let holes: Vec<_> = m
            .holes
            .iter()
            .map(|h| (h.partition.partition, h.hole.from, h.hole.to))
            .collect();
        ensure!(
            holes == if end > Some(13) { vec![LOST] } else { vec![] },
            "manifest {number}: {holes:?}"
        );
        holds(&m)?;
    }
    let last = w.line.newest(0)?.context("a staged line")?;
    ensure!(last.number > 1 && last.line == LINE);
    for number in 0..=last.number {
        holds(&w.line.get(number)?.context("staged")?)?;
    }
    for p in 0..PARTITIONS {
        ensure!(last.frontier.of(&events(p)).cut == sealed(p, 39));
    }
    Ok(())
}

/// Every record of the archive, read without the code under test.
#[test]
fn every_record() -> Result<()> {
    let (_dir, w) = copied()?;
    for p in 0..PARTITIONS {
        let found = archived::read_dir(&w.layout.archive("events"), p)?;
        let lost = |offset: u64| p == LOST.0 && (LOST.1..LOST.2).contains(&offset);
        let expected: Vec<_> = (0..52)
            .filter(|offset| !lost(*offset))
            .filter_map(|offset| record(p, offset).map(|(_, millis, text)| (offset as i64, Some(millis), text)))
            .collect();
        let records = found.records.iter().map(|r| {
            let text = r.value.clone().and_then(|v| String::from_utf8(v).ok());
            (r.offset, r.time, text.unwrap_or_default())
        });
        ensure!(records.collect::<Vec<_>>() == expected, "partition {p}");
        ensure!(found.range == (0, 52));
        ensure!(found.holes == if p == LOST.0 { vec![(LOST.1, LOST.2)] } else { vec![] });
        // The same through the archive.
        let mut read = Vec::new();
        for file in w.archive.index(p, 0)?.iter().flat_map(|e| &e.files) {
            w.archive.read(p, file, &mut |batch| {
                read.extend(batch.entries.iter().map(|e| (e.offset as i64, Some(e.time_ms))));
                Ok(())
            })?;
        }
        ensure!(
            read == expected.iter().map(|(o, t, _)| (*o, *t)).collect::<Vec<_>>(),
            "partition {p}"
        );
    }
    Ok(())
}

/// A later program goes on where the first one stopped: it reads on, publishes, compares the layers, rolls back to a
/// generation of then, and switches to the line that was staged then.
#[test]
fn it_goes_on() -> Result<()> {
    let (_dir, w) = copied()?;
    w.stream(65)?;
    let expected = fold(|_| 65);
    ensure!(w.answers()? == expected, "live");
    let m = w.batch(&w.manifests, None)?.context("nothing new")?;
    ensure!(m.number == 6 && w.offline(&m)? == in_bytes(&fold(|p| sealed(p, 65))));
    ensure!(w.answers()? == expected, "published");
    let client = w.client()?;
    for face in w.plan.stores() {
        let found = client.reconcile(face, None)?;
        ensure!(found.agrees() == Some(true), "{found:?}");
    }
    drop(client);
    w.roll_back(5)?;
    ensure!(w.answers()? == expected, "rolled back");
    ensure!(lines::switch(&w.manifests, &w.line)?.number == 8);
    ensure!(w.answers()? == expected, "switched");
    w.stream(78)?;
    ensure!(w.batch(&w.manifests, None)?.context("nothing new")?.line == LINE);
    ensure!(w.answers()? == fold(|_| 78), "and on");
    Ok(())
}

/// The same, written by this program, is the same: manifests and index entries to the letter, runs to the byte, archive
/// files by schema and records, live state by rows and cells.
#[test]
fn it_is_written_the_same() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let new = World::new(dir.path())?;
    new.fill()?;
    let (golden, written) = (forms(&golden())?, forms(dir.path())?);
    ensure!(golden.len() > 70, "{} files", golden.len());
    ensure!(
        golden.keys().eq(written.keys()),
        "{:?}\n{:?}",
        golden.keys(),
        written.keys()
    );
    for (name, form) in golden {
        let found = &written[&name];
        let same = form.iter().zip(found).take_while(|(a, b)| a == b).count();
        let from = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[same.saturating_sub(200)..(same + 200).min(bytes.len())]).into_owned()
        };
        ensure!(
            form == *found,
            "{name}, byte {same}:\n{}\nwritten now:\n{}",
            from(&form),
            from(found)
        );
    }
    let (_dir, old) = copied()?;
    ensure!(old.live()? == new.live()?);
    Ok(())
}

/// Writes the fixture. Never to be run again for format 1: another format gets a directory of its own.
#[test]
#[ignore = "makes the fixture"]
fn make() -> Result<()> {
    ensure!(!golden().exists(), "the fixture exists");
    let dir = tempfile::tempdir()?;
    World::new(dir.path())?.fill()?;
    // What a database writes for people, and what belongs to a process.
    let mine = |name: &str| {
        !["LOG", "OPTIONS", "LOCK", "owner", "read.sock"]
            .iter()
            .any(|n| name.starts_with(n))
    };
    copy(dir.path(), &golden(), &mine)
}
