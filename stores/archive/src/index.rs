//! One entry of the index: its text, and what must hold of it.
//!
//! The text is one line of JSON, then `xxh3 ` and the XXH3-64 of that line (with its end) as 16 hexadecimal digits.

use rufous_store_api::IndexEntry;
use rufous_store_api::archive::INDEX_FORMAT;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

/// 16 hexadecimal digits.
pub(crate) fn hex(checksum: u64) -> String {
    format!("{checksum:016x}")
}

/// The text of an entry.
pub(crate) fn text(entry: &IndexEntry) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(entry)?;
    text.push('\n');
    let checksum = hex(xxh3_64(text.as_bytes()));
    Ok(format!("{text}xxh3 {checksum}\n"))
}

/// The entry of a text; an error says what is wrong.
pub(crate) fn parse(bytes: &[u8]) -> Result<IndexEntry, String> {
    /// What every format has, so that a newer one is recognized as such.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let end = bytes.iter().position(|b| *b == b'\n').ok_or("it is cut off")?;
    let (line, tail) = bytes.split_at(end + 1);
    let checksum = hex(xxh3_64(line));
    if tail != format!("xxh3 {checksum}\n").as_bytes() {
        return Err(format!(
            "it is damaged: its checksum is {checksum}, it says `{}`",
            String::from_utf8_lossy(tail).trim_end()
        ));
    }
    let head: Head = serde_json::from_slice(line).map_err(|e| format!("it is no index entry ({e})"))?;
    if head.format != INDEX_FORMAT {
        return Err(format!(
            "it has format {}, this build reads format {INDEX_FORMAT}: use the build that wrote it",
            head.format
        ));
    }
    let entry: IndexEntry = serde_json::from_slice(line).map_err(|e| format!("it is no index entry ({e})"))?;
    check(&entry)?;
    Ok(entry)
}

/// What must hold of one entry: cuts and files lie in its range, both ascend, and every file has the one batch of its
/// range.
pub(crate) fn check(e: &IndexEntry) -> Result<(), String> {
    if e.format != INDEX_FORMAT {
        return Err(format!("it has format {}, not {INDEX_FORMAT}", e.format));
    }
    if e.from > e.to {
        return Err(format!("it ends at offset {} before it begins at {}", e.to, e.from));
    }
    let (mut batch, mut offset) = (e.batch_before, None);
    for (b, o) in &e.cuts {
        if *b <= batch || offset.is_some_and(|last| *o <= last) || !(e.from..e.to).contains(o) {
            return Err(format!(
                "{} cannot begin at offset {o} of offsets {}..{}, after {}",
                b.show(),
                e.from,
                e.to,
                batch.show()
            ));
        }
        (batch, offset) = (*b, Some(*o));
    }
    let mut from = e.from;
    for f in &e.files {
        if f.from < from || f.from >= f.to || f.to > e.to {
            return Err(format!(
                "file {} holds offsets {}..{}, but {from}..{} are left for it",
                f.path, f.from, f.to, e.to
            ));
        }
        let inside = e.cuts.partition_point(|(_, o)| *o <= f.from);
        let batch = inside
            .checked_sub(1)
            .and_then(|i| e.cuts.get(i))
            .map_or(e.batch_before, |(b, _)| *b);
        if f.batch != batch || e.cuts.get(inside).is_some_and(|(_, o)| *o < f.to) {
            let (from, to) = (f.from, f.to);
            return Err(format!(
                "file {} holds {}, but offsets {from}..{to} begin in {} or cross a cut",
                f.path,
                f.batch.show(),
                batch.show()
            ));
        }
        if f.rows > f.to - f.from {
            return Err(format!(
                "file {} holds {} records in offsets {}..{}",
                f.path, f.rows, f.from, f.to
            ));
        }
        from = f.to;
    }
    Ok(())
}

/// What must hold of two entries in a row: they tile, and the running batch goes on.
pub(crate) fn follows(before: &IndexEntry, entry: &IndexEntry) -> Result<(), String> {
    if entry.from != before.to {
        return Err(format!(
            "it begins at offset {}, but the entry before it ends at {}",
            entry.from, before.to
        ));
    }
    let running = before.batch_after().batch;
    if entry.batch_before != running {
        let at = entry.from;
        return Err(format!(
            "it continues {} at offset {at}, but the entry before it ends in {}",
            entry.batch_before.show(),
            running.show()
        ));
    }
    Ok(())
}
