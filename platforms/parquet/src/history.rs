//! What runs before this one read is compared with what the archive's index says now. The index is only appended to, and its
//! entries are created exclusively (P18): a file that an older run read and that is another one now was changed by a foreign
//! hand, and what was summed out of it is not what a whole new sum would give.

use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::{Archive, IndexEntry, InputRange, Manifest, ManifestLog};

/// So many manifests are looked at: those that `gc` leaves by default, and more.
const MOST: usize = 16;

/// What the base and the manifests before it read, as far as they were kept, with the number of the manifest that says so.
pub(crate) fn read_before(manifests: &dyn ManifestLog, base: &Manifest) -> Vec<(u64, InputRange)> {
    let all = |m: &Manifest| -> Vec<_> { m.input.iter().map(|range| (m.number, range.clone())).collect() };
    let mut read = all(base);
    let mut number = base.number;
    for _ in 1..MOST {
        let Some(before) = number.checked_sub(1) else { break };
        match manifests.get(before) {
            Ok(Some(m)) if m.line == base.line => read.extend(all(&m)),
            // Of another line, which may have been summed out of what somebody repaired since. Or deleted by `gc`; or
            // damaged, and then whoever needs it is told.
            Ok(_) | Err(_) => break,
        }
        number = before;
    }
    read
}

/// Compares them with an archive.
///
/// # Errors
/// `CorruptData` that names batch, partition and file of the first difference.
pub(crate) fn check(read: &[(u64, InputRange)], archive: &dyn Archive) -> Result<()> {
    let source = archive.source();
    let mut ranges: Vec<_> = read.iter().filter(|(_, r)| r.partition.source == source).collect();
    ranges.sort_by_key(|(number, r)| (r.partition.partition, r.from, *number));
    for same in ranges.chunk_by(|(_, a), (_, b)| a.partition == b.partition) {
        let Some((_, first)) = same.first() else { continue };
        let partition = first.partition.partition;
        let index = archive.index(partition, archive.find(partition, first.from)?)?;
        same.iter()
            .try_for_each(|(number, range)| check_range(*number, range, &index))?;
    }
    Ok(())
}

fn check_range(number: u64, range: &InputRange, index: &[IndexEntry]) -> Result<()> {
    let p = &range.partition;
    let reaches = index.last().map_or(0, |e| e.to);
    if range.from < range.to && (index.first().is_none_or(|e| e.from > range.from) || reaches < range.to) {
        return Err(Error::corrupt(format!(
            "the archive of {p} does not hold offsets {}..{} any more, which generation {number} was summed out of: restore it, or \
             begin with another --instance",
            range.from, range.to
        )));
    }
    let inside = |e: &IndexEntry| e.to > range.from && e.from < range.to;
    let files = index.iter().filter(|e| inside(e)).flat_map(|e| &e.files);
    let now: Vec<_> = files.filter(|f| f.from >= range.from && f.to <= range.to).collect();
    for (path, checksum) in &range.files {
        match now.iter().find(|f| f.path == *path) {
            Some(f) if f.checksum == *checksum => {}
            Some(f) => {
                let why = format!("has checksum {} in its index now, and had {checksum}", f.checksum);
                return Err(differs(p, number, &format!("batch {}", f.batch.0), path, &why));
            }
            None => {
                let batches = (now.first().map(|f| f.batch.0), now.last().map(|f| f.batch.0));
                let batch = match batches {
                    (Some(a), Some(b)) if a != b => format!("one of the batches {a} to {b}"),
                    (Some(a), _) => format!("batch {a}"),
                    (None, _) => "a batch".into(),
                };
                return Err(differs(p, number, &batch, path, "is in its index no more"));
            }
        }
    }
    match now
        .iter()
        .find(|f| !range.files.iter().any(|(path, _)| f.path == *path))
    {
        Some(f) => {
            let why = "is in its index now, and was not when that was summed";
            Err(differs(p, number, &format!("batch {}", f.batch.0), &f.path, why))
        }
        None => Ok(()),
    }
}

fn differs(p: &SourcePartition, number: u64, batch: &str, path: &str, why: &str) -> Error {
    Error::corrupt(format!(
        "the archive of {p} was changed below what generation {number} covers: file {path} of {batch} {why}; an index is only \
         appended to, so restore the archive as it was, or compute history anew from it: `backfill --new`, then `switch`"
    ))
}

#[cfg(test)]
mod tests {
    use rufous_core::BatchId;
    use rufous_store_api::ArchivedFile;

    use super::*;

    fn entry(from: u64, to: u64, files: &[(&str, u64, u64)]) -> IndexEntry {
        let file = |(path, from, to): &(&str, u64, u64)| ArchivedFile {
            path: (*path).into(),
            batch: BatchId(*from as i64 / 10),
            from: *from,
            to: *to,
            rows: to - from,
            bytes: 1,
            checksum: format!("of {path}"),
        };
        IndexEntry {
            format: 1,
            from,
            to,
            batch_before: BatchId::MIN,
            files: files.iter().map(file).collect(),
            cuts: Vec::new(),
            hole: None,
            topic_id: String::new(),
            leader_epoch: -1,
            cut_spec: String::new(),
        }
    }

    fn range(from: u64, to: u64, files: &[&str]) -> InputRange {
        InputRange {
            partition: SourcePartition::new("s", 7),
            from,
            to,
            files: files.iter().map(|f| (f.to_string(), format!("of {f}"))).collect(),
            read_as: String::new(),
        }
    }

    /// Issue 7, item 4: a changed, a vanished and an added file below the base are named with batch, partition and file.
    #[test]
    fn every_difference_is_named() {
        let index = [
            entry(0, 30, &[("a", 0, 10), ("b", 10, 20), ("c", 20, 30)]),
            entry(30, 40, &[("d", 30, 40)]),
        ];
        let said = |r: &InputRange, index: &[IndexEntry]| check_range(3, r, index).unwrap_err().to_string();
        let good = range(10, 40, &["b", "c", "d"]);
        check_range(3, &good, &index).unwrap();
        check_range(3, &range(5, 5, &[]), &index).unwrap();

        let mut changed = index.clone();
        changed[0].files[1].checksum = "other".into();
        let e = said(&good, &changed);
        for words in ["s/7", "generation 3", "file b of batch 1", "checksum other", "had of b"] {
            assert!(e.contains(words), "{e}");
        }
        let e = said(&range(10, 40, &["b", "x", "c", "d"]), &index);
        assert!(
            e.contains("file x of one of the batches 1 to 3 is in its index no more"),
            "{e}"
        );
        let e = said(&range(10, 40, &["b", "d"]), &index);
        assert!(e.contains("file c of batch 2 is in its index now"), "{e}");
        for index in [&index[..1], &index[1..], &[]] {
            let e = said(&good, index);
            assert!(e.contains("does not hold offsets 10..40 any more"), "{e}");
        }
    }
}
