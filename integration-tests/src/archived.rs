//! What an archive holds, read without the code under test: its index as plain JSON, its files row by row.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde::Deserialize;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// The log's time.
    pub time: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, encoded.
    pub headers: Option<Vec<u8>>,
}

/// One partition of an archive.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its records, in order.
    pub records: Vec<Record>,
    /// Where batches began.
    pub cuts: Vec<(i64, u64)>,
    /// Lost ranges.
    pub holes: Vec<(u64, u64)>,
    /// Offsets `[from, to)` are archived.
    pub range: (u64, u64),
    /// How many entries the index has.
    pub entries: u64,
    /// The files that the index names.
    pub files: BTreeSet<String>,
    /// The leader epoch of the last entry.
    pub leader_epoch: i32,
}

#[derive(Deserialize)]
struct Entry {
    from: u64,
    to: u64,
    batch_before: i64,
    files: Vec<File>,
    cuts: Vec<(i64, u64)>,
    hole: Option<String>,
    leader_epoch: i32,
}

#[derive(Deserialize)]
struct File {
    path: String,
    batch: i64,
    from: u64,
    to: u64,
    rows: u64,
}

/// Reads a partition; `fetch` gives the bytes of a path below the archive. An error when entries do not tile, a file is
/// named twice, or a record is not where it should be.
pub fn read(fetch: &dyn Fn(&str) -> Result<Option<Vec<u8>>>, partition: u32) -> Result<Found> {
    let mut found = Found::default();
    let mut running = None;
    while let Some(bytes) = fetch(&format!("index/{partition}/{}.json", found.entries))? {
        let text = String::from_utf8(bytes)?;
        let e: Entry = serde_json::from_str(text.lines().next().context("an empty entry")?)?;
        if found.entries == 0 {
            found.range = (e.from, e.from);
        }
        ensure!(
            e.from == found.range.1,
            "entry {} begins at {}, not {}",
            found.entries,
            e.from,
            found.range.1
        );
        ensure!(
            running.is_none_or(|r| r == e.batch_before),
            "entry {} goes on in batch {}, not {running:?}",
            found.entries,
            e.batch_before
        );
        for file in &e.files {
            ensure!(found.files.insert(file.path.clone()), "{} is named twice", file.path);
            let bytes = fetch(&file.path)?.with_context(|| format!("{} is missing", file.path))?;
            let records = rows(bytes).with_context(|| file.path.clone())?;
            ensure!(
                records.len() as u64 == file.rows,
                "{}: {} rows",
                file.path,
                records.len()
            );
            for r in records {
                let offset = u64::try_from(r.offset)?;
                ensure!(
                    (file.from..file.to).contains(&offset),
                    "offset {offset} in {}",
                    file.path
                );
                ensure!(
                    (e.from..e.to).contains(&offset),
                    "offset {offset} in entry {}",
                    found.entries
                );
                ensure!(
                    found.records.last().is_none_or(|l| l.offset < r.offset),
                    "offset {offset} comes twice or out of order"
                );
                let cut = e.cuts.iter().rev().find(|(_, o)| *o <= offset);
                ensure!(
                    cut.map_or(e.batch_before, |(b, _)| *b) == file.batch,
                    "offset {offset} in {}",
                    file.path
                );
                found.records.push(r);
            }
        }
        running = Some(e.cuts.last().map_or(e.batch_before, |(b, _)| *b));
        found.cuts.extend(e.cuts);
        if e.hole.is_some() {
            ensure!(e.files.is_empty(), "a hole with files");
            found.holes.push((e.from, e.to));
        }
        found.range.1 = e.to;
        found.leader_epoch = e.leader_epoch;
        found.entries += 1;
    }
    Ok(found)
}

/// The same of a directory.
pub fn read_dir(dir: &Path, partition: u32) -> Result<Found> {
    let fetch = |path: &str| match std::fs::read(dir.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| path.to_string()),
    };
    read(&fetch, partition)
}

/// The rows of a file.
pub fn rows(bytes: Vec<u8>) -> Result<Vec<Record>> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes))?;
    let mut records = Vec::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let column = |name: &str| {
            row.get_column_iter()
                .find(|(n, _)| *n == name)
                .map(|(_, f)| f.clone())
                .with_context(|| format!("no column {name}"))
        };
        let binary = |name: &str| {
            Ok::<_, anyhow::Error>(match column(name)? {
                Field::Bytes(b) => Some(b.data().to_vec()),
                Field::Null => None,
                other => anyhow::bail!("{name}: {other:?}"),
            })
        };
        let (offset, time) = (column("_offset")?, column("_timestamp")?);
        records.push(Record {
            offset: match offset {
                Field::Long(o) => o,
                other => anyhow::bail!("_offset: {other:?}"),
            },
            time: match time {
                Field::TimestampMillis(t) => Some(t),
                Field::Null => None,
                other => anyhow::bail!("_timestamp: {other:?}"),
            },
            key: binary("key")?,
            value: binary("value")?,
            headers: binary("headers")?,
        });
    }
    Ok(records)
}
