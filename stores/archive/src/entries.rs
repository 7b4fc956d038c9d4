//! The numbered entries of a partition's index. Numbers have no gaps, so the end is found by doubling and halving; nothing
//! is listed but which partitions there are.

use std::io::Write;

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result};
use rufous_store_api::IndexEntry;

use crate::{ParquetArchive, REPAIR, index};

fn path(partition: u32, number: u64) -> String {
    format!("index/{partition}/{number}.json")
}

/// The partition and number of an entry; `None`: the path is none's.
pub(crate) fn of_path(at: &str) -> Option<(u32, u64)> {
    let (partition, number) = at.strip_prefix("index/")?.strip_suffix(".json")?.split_once('/')?;
    let (partition, number) = (partition.parse().ok()?, number.parse().ok()?);
    // Numbers have one form only.
    (path(partition, number) == at).then_some((partition, number))
}

fn damaged(archive: &ParquetArchive, partition: u32, number: u64, why: &str) -> Error {
    Error::corrupt(format!(
        "{}: index entry {}: {why}; {REPAIR}",
        archive.whose(partition),
        archive.place.show(&path(partition, number))
    ))
}

fn missing(archive: &ParquetArchive, partition: u32, number: u64, later: u64) -> Error {
    let why = format!("it is missing, but entry {later} exists");
    damaged(archive, partition, number, &why)
}

pub(crate) fn partitions(archive: &ParquetArchive) -> Result<Vec<u32>> {
    let place = |e: Error| e.at(format_args!("archive of source `{}`", archive.source));
    let names = archive.place.dirs("index").map_err(place)?;
    let mut partitions = Vec::new();
    for partition in names.iter().filter_map(|n| n.parse::<u32>().ok()) {
        // A directory without entries is what a crash before the first commit leaves.
        if archive.place.exists(&path(partition, 0)).map_err(place)? {
            partitions.push(partition);
        } else {
            check_end(archive, partition, 0)?;
        }
    }
    partitions.sort_unstable();
    partitions.dedup();
    Ok(partitions)
}

fn exists(archive: &ParquetArchive, partition: u32, number: u64) -> Result<bool> {
    archive
        .place
        .exists(&path(partition, number))
        .map_err(|e| e.at(archive.whose(partition)))
}

/// Entries by number, each checked by itself, up to the first that is not there.
fn read(archive: &ParquetArchive, partition: u32, from: u64, count: u64) -> Result<Vec<IndexEntry>> {
    let paths: Vec<_> = (from..from.saturating_add(count)).map(|n| path(partition, n)).collect();
    let found = archive
        .place
        .read_many(&paths)
        .map_err(|e| e.at(archive.whose(partition)))?;
    let present = (from..).zip(found).map_while(|(n, bytes)| Some((n, bytes?)));
    present
        .map(|(n, bytes)| index::parse(&bytes).map_err(|why| damaged(archive, partition, n, &why)))
        .collect()
}

pub(crate) fn entry(archive: &ParquetArchive, partition: u32, number: u64) -> Result<Option<IndexEntry>> {
    Ok(read(archive, partition, number, 1)?.pop())
}

/// An end at `number` is one only if nothing comes behind it: one more look, for numbers have no gaps unless somebody
/// deleted or lost an entry.
fn check_end(archive: &ParquetArchive, partition: u32, number: u64) -> Result<()> {
    let after = number.saturating_add(1);
    // In this order: the entry may have been made, and the next one, since it was looked for.
    if exists(archive, partition, after)? && !exists(archive, partition, number)? {
        return Err(missing(archive, partition, number, after));
    }
    Ok(())
}

/// An index of `len` entries is not all of it when entry `last` exists.
pub(crate) fn check_reaches(archive: &ParquetArchive, partition: u32, len: u64, last: u64) -> Result<()> {
    if last < len {
        return Ok(());
    }
    Err(missing(archive, partition, len, last))
}

pub(crate) fn index(archive: &ParquetArchive, partition: u32, from: u64) -> Result<Vec<IndexEntry>> {
    let before = match from.checked_sub(1) {
        Some(before) => entry(archive, partition, before)?,
        None => None,
    };
    let width = archive.place.width();
    let mut entries: Vec<IndexEntry> = Vec::new();
    loop {
        let number = from.saturating_add(entries.len() as u64);
        let read = read(archive, partition, number, width)?;
        let end = (read.len() as u64) < width;
        for (number, entry) in (number..).zip(read) {
            match (entries.last().or(before.as_ref()), number.checked_sub(1)) {
                (Some(before), _) => {
                    index::follows(before, &entry).map_err(|why| damaged(archive, partition, number, &why))?;
                }
                (None, None) => {}
                (None, Some(before)) => return Err(missing(archive, partition, before, number)),
            }
            entries.push(entry);
        }
        if end {
            check_end(archive, partition, from.saturating_add(entries.len() as u64))?;
            return Ok(entries);
        }
    }
}

/// The last entry, looked for from number `from` up.
pub(crate) fn last(archive: &ParquetArchive, partition: u32, from: u64) -> Result<Option<(u64, IndexEntry)>> {
    if !exists(archive, partition, from)? {
        check_end(archive, partition, from)?;
        return Ok(None);
    }
    let (mut low, mut step) = (from, 1u64);
    let mut high = loop {
        let probe = low.saturating_add(step);
        if !exists(archive, partition, probe)? {
            break probe;
        }
        (low, step) = (probe, step.saturating_mul(2));
    };
    // `low` is there, `high` was not.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if exists(archive, partition, middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    check_end(archive, partition, high)?;
    let entry = entry(archive, partition, low)?.ok_or_else(|| missing(archive, partition, low, high))?;
    Ok(Some((low, entry)))
}

/// The number of the first entry that ends above `offset`; the number after the last one, if there is none.
pub(crate) fn find(archive: &ParquetArchive, partition: u32, offset: u64) -> Result<u64> {
    let Some((last, end)) = last(archive, partition, 0)? else {
        return Ok(0);
    };
    if end.to <= offset {
        return Ok(last + 1);
    }
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = entry(archive, partition, middle)?.ok_or_else(|| missing(archive, partition, middle, last))?;
        if entry.to <= offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// P18: the creation of entry `number` is the commit.
pub(crate) fn commit(archive: &ParquetArchive, partition: u32, number: u64, new: &IndexEntry) -> Result<bool> {
    let bug = |why: &str| {
        Error::bug(format!(
            "{}: entry {number} must not be committed: {why}",
            archive.whose(partition)
        ))
    };
    index::check(new).map_err(|why| bug(&why))?;
    let text = index::text(new).map_err(|e| bug("it has no JSON form").caused_by(e))?;
    if let Some(before) = number.checked_sub(1) {
        let before = entry(archive, partition, before)?.ok_or_else(|| bug("the entry before it does not exist"))?;
        index::follows(&before, new).map_err(|why| bug(&why))?;
    }
    let path = path(partition, number);
    if !kept(Rule::ExclusiveIndex) {
        let mut write = |file: &mut (dyn Write + Send)| {
            file.write_all(text.as_bytes())
                .map_err(|e| Error::try_again("cannot write").caused_by(e))
        };
        return archive.place.put(&path, &mut write).map(|()| true);
    }
    archive
        .place
        .create(&path, text.into_bytes())
        .map_err(|e| e.at(archive.whose(partition)))
}
