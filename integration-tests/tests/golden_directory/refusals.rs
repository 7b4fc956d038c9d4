//! What is not format 1 is refused with the file's name; so is format 1 that was harmed. Nothing of it is answered,
//! nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rufous::core::ErrorKind;
use rufous::store_api::{Archive, ManifestLog};
use rufous_integration_tests::run::Random;
use xxhash_rust::xxh3::xxh3_64;

use crate::world::World;
use crate::{copied, golden};

/// Everything that is not live: each manifest, each run of each generation whole, each file of the archive.
fn read_all(w: &World) -> Result<()> {
    for log in [&w.manifests, &w.line] {
        for number in log.numbers()? {
            let m = log.get(number)?.context("listed")?;
            w.offline(&m)?;
        }
        log.newest(0)?;
    }
    for p in w.archive.partitions()? {
        for file in w.archive.index(p, 0)?.iter().flat_map(|e| &e.files) {
            w.archive.read(p, file, &mut |_| Ok(()))?;
        }
    }
    Ok(())
}

fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, ending)?);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A reader of its own, for runs that were opened stay open.
fn refused(data: &Path, file: &Path, what: &str) -> Result<String> {
    let w = World::new(data)?;
    let e = read_all(&w)
        .err()
        .with_context(|| format!("{what}: {} is read", file.display()))?;
    let e = e
        .downcast_ref::<rufous::Error>()
        .with_context(|| format!("{what}: {e:#}"))?;
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let text = e.to_string();
    ensure!(e.kind() == ErrorKind::CorruptData, "{what}: {e:?}");
    // Of two index entries that do not follow each other either may be the wrong one.
    let neighbour = what == "another file" && text.contains("/index/");
    ensure!(text.contains(name) || neighbour, "{what}: {name} is not named: {text}");
    Ok(text)
}

/// A text of JSON with other words in it, and the checksum that fits.
fn reworded(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    let (body, _) = text.rsplit_once("xxh3 ").context("a checksum")?;
    ensure!(body.contains(from), "{from} is not in {}", path.display());
    let body = body.replacen(from, to, 1);
    fs::write(path, format!("{body}xxh3 {:016x}\n", xxh3_64(body.as_bytes())))?;
    Ok(())
}

/// Formats 0 and 2, with checksums that fit.
#[test]
fn other_formats_are_refused_by_number() -> Result<()> {
    for number in [0, 2] {
        let job = "main/jobs/golden";
        for file in [
            format!("{job}/manifests/3.json"),
            format!("{job}/lines/staged/manifests/1.json"),
        ] {
            let (dir, _) = copied()?;
            let path = dir.path().join(file);
            reworded(&path, "\"format\": 1", &format!("\"format\": {number}"))?;
            let said = refused(dir.path(), &path, "manifest")?;
            // Format 2 is known, and is of what says more than this one.
            let why = match number {
                2 => "has format 2, and what it says is of format 1".to_string(),
                _ => format!("has format {number}, this program knows 1"),
            };
            ensure!(said.contains(&why), "{said}");
        }
        let (dir, _) = copied()?;
        let path = dir.path().join("main/archive/events/index/1/2.json");
        reworded(&path, "\"format\":1", &format!("\"format\":{number}"))?;
        let said = refused(dir.path(), &path, "index entry")?;
        ensure!(
            said.contains(&format!("has format {number}, this build reads format 1")),
            "{said}"
        );
        // A run says it at its begin and at its end.
        let (dir, w) = copied()?;
        let run = w.manifests.newest(0)?.context("a manifest")?.stores["users"].runs[0]
            .path
            .clone();
        let path = dir.path().join(job).join("offline/users").join(run);
        let mut bytes = fs::read(&path)?;
        let end = bytes.len();
        (bytes[6], bytes[end - 2]) = (number, number);
        fs::write(&path, bytes)?;
        let said = refused(dir.path(), &path, "run")?;
        ensure!(
            said.contains(&format!("has format {number}, this program knows 1")),
            "{said}"
        );
        // A file of the archive says it in its footer; the entry has the checksum.
        let (dir, w) = copied()?;
        let file = w.archive.index(0, 0)?[1].files[0].clone();
        let path = dir.path().join("main/archive/events").join(&file.path);
        let mut bytes = fs::read(&path)?;
        let said = b"rufous.format\x18\x01";
        let at = bytes
            .windows(said.len())
            .position(|w| w == said)
            .context("its format")?;
        bytes[at + said.len()] = b'0' + number;
        fs::write(&path, &bytes)?;
        let entry = dir.path().join("main/archive/events/index/0/1.json");
        reworded(&entry, &file.checksum, &format!("{:016x}", xxh3_64(&bytes)))?;
        let said = refused(dir.path(), &path, "archive file")?;
        ensure!(
            said.contains(&format!("its `rufous.format` is `{number}`, not `1`")),
            "{said}"
        );
    }
    Ok(())
}

/// Each file emptied, cut in half, with one bit changed, with another file of its kind in its place, and as nonsense.
#[test]
fn each_harmed_file_is_named() -> Result<()> {
    let (dir, w) = copied()?;
    read_all(&w)?;
    let mut random = Random(11);
    let mut harmed = 0;
    for ending in ["json", "rrun", "parquet"] {
        let all = files(dir.path(), ending)?;
        // `meta.json` belongs to the live state.
        let all: Vec<_> = all.into_iter().filter(|p| !p.ends_with("meta.json")).collect();
        ensure!(all.len() > 15, "{} files of {ending}", all.len());
        for (i, path) in all.iter().enumerate() {
            let good = fs::read(path)?;
            let mut bit = good.clone();
            bit[random.below(good.len() as u64) as usize] ^= 1 << random.below(8);
            let nonsense: Vec<u8> = (0..good.len()).map(|_| random.number() as u8).collect();
            let other = all
                .iter()
                .cycle()
                .skip(i + 1)
                .take(all.len() - 1)
                .map(fs::read)
                .find(|b| b.as_ref().is_ok_and(|b| *b != good));
            let harms = [
                ("emptied", Vec::new()),
                ("cut in half", good[..good.len() / 2].to_vec()),
                ("one bit", bit),
                ("another file", other.context("another file")??),
                ("nonsense", nonsense),
            ];
            for (what, bytes) in harms {
                fs::write(path, bytes)?;
                refused(dir.path(), path, what)?;
                harmed += 1;
            }
            fs::write(path, good)?;
        }
    }
    read_all(&World::new(dir.path())?)?;
    println!("{harmed} harmed files were refused by name");
    ensure!(golden().exists() && harmed > 300, "{harmed}");
    Ok(())
}
