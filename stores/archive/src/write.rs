//! Writing one file: what is in it. Where it goes and how it becomes durable is up to the place.

use std::io::{self, Write};
use std::ops::Range;

use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rufous_core::{BatchId, Error, RecordBatch, Result};
use rufous_store_api::ArchivedFile;
use rufous_store_api::exclusive::unique_name;
use xxhash_rust::xxh3::Xxh3;

use crate::ParquetArchive;
use crate::columns::{Builders, OFFSET, TIMESTAMP, schema};
use crate::index::hex;

/// The version of the files' form.
pub(crate) const FILE_FORMAT: u32 = 1;

/// How many records go to the encoder at once, and about how many bytes.
const CHUNK: (usize, usize) = (8192, 8 << 20);
/// The size of a row group: a reader holds one in memory, and its byte columns must stay below 2 GiB.
const GROUP: (usize, usize) = (65_536, 64 << 20);

/// Hashes and counts what is written to a file.
struct Hashed<'a> {
    file: &'a mut (dyn Write + Send),
    hash: Xxh3,
    bytes: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(bytes.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(crate) fn write(
    archive: &ParquetArchive,
    partition: u32,
    batch: BatchId,
    range: Range<u64>,
    records: &[(&RecordBatch, Range<usize>)],
) -> Result<ArchivedFile> {
    let path = format!(
        "files/{partition}/batch={}/{}-{}-{}.parquet",
        batch.0,
        range.start,
        range.end,
        unique_name()
    );
    let of = [
        ("format", FILE_FORMAT.to_string()),
        ("source", archive.source.clone()),
        ("partition", partition.to_string()),
        ("batch", batch.0.to_string()),
        ("from", range.start.to_string()),
        ("to", range.end.to_string()),
    ];
    let (mut rows, mut bytes, mut checksum) = (0, 0, 0);
    archive.place.put(&path, &mut |file| {
        let name = archive.place.show(&path);
        (rows, bytes, checksum) = encode(file, &name, &of, range.clone(), records)?;
        Ok(())
    })?;
    Ok(ArchivedFile {
        path,
        batch,
        from: range.start,
        to: range.end,
        rows,
        bytes,
        checksum: hex(checksum),
    })
}

/// Writes the file; returns its records, its length and its checksum.
fn encode(
    file: &mut (dyn Write + Send),
    name: &str,
    of: &[(&str, String)],
    range: Range<u64>,
    records: &[(&RecordBatch, Range<usize>)],
) -> Result<(u64, u64, u64)> {
    let fail = |e: ParquetError| match e {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => Error::io("cannot write", name.as_ref(), *e),
            Err(e) => Error::try_again(format!("cannot write {name}: {e}")),
        },
        e => Error::try_again(format!("cannot write {name}: {e}")).caused_by(e),
    };
    let schema = schema();
    let options = ArrowWriterOptions::new()
        .with_properties(properties(of).map_err(fail)?)
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(
        Hashed {
            file,
            hash: Xxh3::new(),
            bytes: 0,
        },
        schema.clone(),
        options,
    )
    .map_err(fail)?;
    let (mut builders, mut left, mut rows, mut group) = (Builders::default(), range.clone(), 0u64, (0, 0));
    for (records, of) in records {
        let entries = records.entries.get(of.clone()).ok_or_else(|| {
            Error::bug(format!(
                "records {}..{} of a batch of {} were to be archived",
                of.start,
                of.end,
                records.entries.len()
            ))
        })?;
        for e in entries {
            if !left.contains(&e.offset) {
                let Range { start, end } = left;
                return Err(Error::bug(format!(
                    "offset {} is not in {start}..{end}, so it must not be archived there",
                    e.offset
                )));
            }
            left.start = e.offset + 1;
            rows += 1;
            builders.push(records, e);
            if builders.rows >= CHUNK.0 || builders.bytes >= CHUNK.1 {
                group = (group.0 + builders.rows, group.1 + builders.bytes);
                builders
                    .finish(&schema)
                    .map_err(ParquetError::from)
                    .and_then(|a| writer.write(&a))
                    .map_err(fail)?;
                if group.0 >= GROUP.0 || group.1 >= GROUP.1 {
                    writer.flush().map_err(fail)?;
                    group = (0, 0);
                }
            }
        }
    }
    builders
        .finish(&schema)
        .map_err(ParquetError::from)
        .and_then(|a| writer.write(&a))
        .map_err(fail)?;
    let written = writer.into_inner().map_err(fail)?;
    Ok((rows, written.bytes, written.hash.digest()))
}

/// Offsets and times are nearly arithmetic series; values seldom repeat as a whole, keys and headers do.
fn properties(of: &[(&str, String)]) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_created_by("rufous".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(2 * GROUP.0))
        .set_column_dictionary_enabled(ColumnPath::from("value"), false)
        .set_key_value_metadata(Some(
            of.iter()
                .map(|(k, v)| KeyValue::new(format!("rufous.{k}"), v.clone()))
                .collect(),
        ));
    for column in [OFFSET, TIMESTAMP] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(column), false)
            .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(ColumnPath::from(column), EnabledStatistics::Chunk);
    }
    Ok(properties.build())
}
