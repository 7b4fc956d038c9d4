//! Reading one file: its checksum first, then its records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use rufous_core::{Error, RecordBatch, Result};
use rufous_store_api::ArchivedFile;
use xxhash_rust::xxh3::xxh3_64;

use crate::columns::{NAMES, records};
use crate::index::hex;
use crate::write::FILE_FORMAT;
use crate::{ParquetArchive, REPAIR};

/// At most this many records are handed out at once, and about this many bytes.
const CHUNK: (usize, i64) = (4096, 4 << 20);

pub(crate) fn read(
    archive: &ParquetArchive,
    partition: u32,
    file: &ArchivedFile,
    f: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let path = archive.file_path(partition, file)?;
    let damaged = |why: String| {
        let (whose, path, from, to) = (archive.whose(partition), archive.place.show(path), file.from, file.to);
        Error::corrupt(format!("{whose}: file {path} of offsets {from}..{to}: {why}; {REPAIR}"))
    };
    let bytes = archive.place.read(path).map_err(|e| e.at(archive.whose(partition)))?;
    let bytes = bytes.ok_or_else(|| damaged("the index names it, but it is missing".into()))?;
    let checksum = hex(xxh3_64(&bytes));
    if checksum != file.checksum {
        let len = bytes.len();
        return Err(damaged(format!(
            "it is damaged: its {len} bytes have checksum {checksum}, the index says {}",
            file.checksum
        )));
    }
    // Opened without the page index: files are read whole, in order.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = guarded(|| ArrowReaderMetadata::load(&bytes, options)).map_err(damaged)?;
    identify(archive, partition, file, &metadata).map_err(damaged)?;
    let mut out = RecordBatch {
        partition,
        ..RecordBatch::default()
    };
    let (mut left, mut rows) = (file.from..file.to, 0u64);
    for group in 0..metadata.metadata().num_row_groups() {
        let mut reader = guarded(|| {
            let of = metadata.metadata().row_group(group);
            let row = of.total_byte_size() / of.num_rows().max(1);
            let chunk = usize::try_from(CHUNK.1 / row.max(1)).unwrap_or(0).clamp(16, CHUNK.0);
            ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata.clone())
                .with_projection(ProjectionMask::columns(metadata.parquet_schema(), NAMES))
                .with_row_groups(vec![group])
                .with_batch_size(chunk)
                .build()
        })
        .map_err(damaged)?;
        while let Some(arrays) = guarded(|| reader.next().transpose()).map_err(damaged)? {
            guarded(|| records(&arrays, &mut left, &mut out)).map_err(damaged)?;
            rows += out.entries.len() as u64;
            if rows > file.rows {
                break;
            }
            if rows == file.rows {
                // Offsets may have gaps: after the last record comes the end of the range.
                out.next = file.to;
            }
            f(&out)?;
        }
    }
    if rows != file.rows {
        return Err(damaged(format!(
            "it holds {rows} records or more, the index says {}",
            file.rows
        )));
    }
    Ok(())
}

/// The file must be what the index says it is: a right checksum does not tell a file in a wrong place.
fn identify(
    archive: &ParquetArchive,
    partition: u32,
    file: &ArchivedFile,
    metadata: &ArrowReaderMetadata,
) -> Result<(), String> {
    let of = metadata.metadata().file_metadata();
    let expected = [
        ("rufous.format", FILE_FORMAT.to_string()),
        ("rufous.source", archive.source.clone()),
        ("rufous.partition", partition.to_string()),
        ("rufous.batch", file.batch.0.to_string()),
        ("rufous.from", file.from.to_string()),
        ("rufous.to", file.to.to_string()),
    ];
    for (key, expected) in expected {
        let found = of
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|kv| kv.key == key)
            .and_then(|kv| kv.value.as_deref());
        if found != Some(&expected) {
            return Err(format!(
                "its `{key}` is `{}`, not `{expected}`",
                found.unwrap_or("missing")
            ));
        }
    }
    match u64::try_from(of.num_rows()) {
        Ok(rows) if rows == file.rows => Ok(()),
        _ => Err(format!(
            "it holds {} records, the index says {}",
            of.num_rows(),
            file.rows
        )),
    }
}

/// The last guard: the Parquet decoder may panic on hostile bytes that have the right checksum.
fn guarded<T, E: std::fmt::Display>(f: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("its Parquet data is malformed (the decoder panicked)".into()),
    }
}
