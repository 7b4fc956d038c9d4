//! Deleting what nobody reads (P19).

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use rufous_core::Result;
use rufous_place::{Listed, PROBE, TEMPORARY};
use rufous_store_api::Archive;

use crate::{ParquetArchive, entries};

/// A file of the archive that no index entry names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Orphan {
    /// Where it lies: a path, or a URL.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
}

/// Files are listed before the index is read: a file that is committed in between is then found to be named. Entries that
/// were listed and lie behind the end of the index prove that others are lost, with the names of their files.
fn find(archive: &ParquetArchive, older_than: Duration) -> Result<Vec<Listed>> {
    let at = |e: rufous_core::Error| e.at(format_args!("archive of source `{}`", archive.source));
    let now = SystemTime::now();
    let mut found = archive.place.list("").map_err(at)?;
    let mut listed: BTreeMap<u32, u64> = BTreeMap::new();
    for (partition, number) in found.iter().filter_map(|file| entries::of_path(&file.path)) {
        let last = listed.entry(partition).or_default();
        *last = number.max(*last);
    }
    found.retain(|file| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let ours = if file.path.starts_with("files/") {
            name.ends_with(".parquet") || name.starts_with(TEMPORARY)
        } else if file.path.starts_with("index/") {
            name.starts_with(TEMPORARY)
        } else {
            file.path.starts_with(PROBE)
        };
        // A file from the future is young.
        ours && now.duration_since(file.changed).is_ok_and(|age| age >= older_than)
    });
    if found.is_empty() {
        return Ok(found);
    }
    let mut named = HashSet::new();
    for partition in archive.partitions()? {
        listed.entry(partition).or_default();
    }
    for (partition, last) in listed {
        let index = archive.index(partition, 0)?;
        entries::check_reaches(archive, partition, index.len() as u64, last)?;
        for file in index.iter().flat_map(|e| &e.files) {
            named.insert(archive.file_path(partition, file)?.to_string());
        }
    }
    found.retain(|file| !named.contains(&file.path));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn orphan(archive: &ParquetArchive, file: &Listed) -> Orphan {
    Orphan {
        name: archive.place.show(&file.path),
        bytes: file.bytes,
    }
}

pub(crate) fn orphans(archive: &ParquetArchive, older_than: Duration) -> Result<Vec<Orphan>> {
    Ok(find(archive, older_than)?.iter().map(|f| orphan(archive, f)).collect())
}

pub(crate) fn sweep(archive: &ParquetArchive, older_than: Duration) -> Result<Vec<Orphan>> {
    let mut swept = Vec::new();
    for file in find(archive, older_than)? {
        // Somebody may sweep too.
        if archive
            .place
            .delete(&file.path)
            .map_err(|e| e.at(format_args!("archive of source `{}`", archive.source)))?
        {
            swept.push(orphan(archive, &file));
        }
    }
    Ok(swept)
}
