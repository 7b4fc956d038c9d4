//! The keys and values of a table's column family.
//!
//! ```text
//! 0x00, partition's name, 0x00, number (4 bytes, big-endian)             -> the mark: 0x01, JSON
//! 0x01, schema's number (4 bytes, big-endian)                            -> 0x01, schema text
//! 0x02, 0x00 or 0x01                                                     -> how many writes there were: see `chain`
//! 0x03, name, 0x00, number (4), offset (8), number of the record (8)     -> 0x01, schema's number (LEB128), canonical bytes
//! ```
//!
//! Rows of a partition stand in the order of their ids. A row names its schema by number, so that rows of older code stay what
//! they were.

use rufous_algebra::codec::{put_varint, take_varint};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::WrittenId;
use rufous_store_api::table::TableMark;

use crate::layout::{row_key, row_partition};

/// The first byte of a mark's key.
pub const MARK: u8 = crate::layout::ROW;
/// The first byte of a schema's key.
pub const SCHEMA: u8 = 1;
/// The first byte of a row's key.
pub const ROW: u8 = 3;
/// The version of all values.
pub const VERSION: u8 = 1;

/// The key of a partition's mark. They sort as partitions do.
pub fn mark_key(p: &SourcePartition) -> Vec<u8> {
    row_key(p)
}

/// The partition of a mark's key.
///
/// # Errors
/// `CorruptData` when it is no such key.
pub fn mark_partition(key: &[u8]) -> Result<SourcePartition> {
    row_partition(key)
}

/// A mark's bytes.
///
/// # Errors
/// A bug of ours.
pub fn mark_bytes(mark: &TableMark) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, mark).map_err(|e| Error::bug("a mark cannot be written as JSON").caused_by(e))?;
    Ok(bytes)
}

/// What is behind the version of a value.
fn of_version<'a>(what: &dyn std::fmt::Display, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((v, _)) => Err(Error::corrupt(format!(
            "{what} has version {v}, this build reads {VERSION}: use the build that wrote it"
        ))),
        None => Err(Error::corrupt(format!("{what} is empty"))),
    }
}

/// Reads a mark.
///
/// # Errors
/// `CorruptData` when the bytes are none of this version.
pub fn mark(p: &SourcePartition, bytes: &[u8]) -> Result<TableMark> {
    let json = of_version(&format_args!("the mark of {p}"), bytes)?;
    serde_json::from_slice(json)
        .map_err(|e| Error::corrupt(format!("the mark of {p} cannot be read: {e}")).caused_by(e))
}

/// The key of a schema.
pub fn schema_key(number: u32) -> [u8; 5] {
    let mut key = [SCHEMA; 5];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// A schema's bytes.
pub fn schema_bytes(text: &str) -> Vec<u8> {
    [&[VERSION], text.as_bytes()].concat()
}

/// Reads a schema's number and text.
///
/// # Errors
/// `CorruptData` when they are none.
pub fn schema(key: &[u8], bytes: &[u8]) -> Result<(u32, String)> {
    let what = format!("the schema {}", key.escape_ascii());
    let number = key.strip_prefix(&[SCHEMA]).and_then(|n| n.try_into().ok());
    let text = std::str::from_utf8(of_version(&what, bytes)?).ok();
    match (number, text) {
        (Some(number), Some(text)) => Ok((u32::from_be_bytes(number), text.to_string())),
        _ => Err(Error::corrupt(format!("{what} cannot be read"))),
    }
}

/// Appends the key of a row.
pub fn put_row_key(p: &SourcePartition, offset: u64, number: u64, out: &mut Vec<u8>) {
    out.push(ROW);
    WrittenId::put(&p.source, p.partition, offset, number, out);
}

/// The row of a key.
///
/// # Errors
/// `CorruptData` when it is no such key.
pub fn row_id(key: &[u8]) -> Result<WrittenId> {
    let id = key.strip_prefix(&[ROW]).and_then(WrittenId::from_bytes);
    id.ok_or_else(|| Error::corrupt(format!("the key {} is no row's", key.escape_ascii())))
}

/// Appends a row's value.
pub fn put_row(schema: u32, value: &[u8], out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(u64::from(schema), out);
    out.extend_from_slice(value);
}

/// The number of a row's schema, and its canonical bytes.
///
/// # Errors
/// `CorruptData` when the bytes are no row of this version.
pub fn row<'a>(id: &WrittenId, bytes: &'a [u8]) -> Result<(u32, &'a [u8])> {
    let what = format!("row {id}");
    let mut rest = of_version(&what, bytes)?;
    let schema = take_varint(&mut rest)
        .ok()
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| Error::corrupt(format!("{what} names no schema")))?;
    Ok((schema, rest))
}

#[cfg(test)]
mod tests {
    use rufous_core::ErrorKind;
    use rufous_store_api::Hole;

    use super::*;

    /// Golden: the bytes are on disks.
    #[test]
    fn the_bytes_are_pinned() {
        let p = SourcePartition::new("wiki", 258);
        let mut key = Vec::new();
        put_row_key(&p, 259, 1, &mut key);
        assert_eq!(
            key,
            b"\x03wiki\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x01\x03\x00\x00\x00\x00\x00\x00\x00\x01"
        );
        let id = WrittenId::of(&p, 259, 1);
        assert_eq!(row_id(&key).unwrap(), id);
        let mut value = Vec::new();
        put_row(300, b"abc", &mut value);
        assert_eq!(value, b"\x01\xac\x02abc");
        assert_eq!(row(&id, &value).unwrap(), (300, &b"abc"[..]));
        assert_eq!(schema_key(258), *b"\x01\x00\x00\x01\x02");
        assert_eq!(schema_bytes("u64"), b"\x01u64");
        assert_eq!(schema(&schema_key(258), b"\x01u64").unwrap(), (258, "u64".into()));
        assert_eq!(mark_key(&p), b"\x00wiki\x00\x00\x00\x01\x02");
        let of = TableMark {
            of: "job a, instance main".into(),
            sink: "alerts".into(),
            epoch: 3,
            mark: 9,
            start: 5,
            holes: vec![Hole {
                from: 6,
                to: 7,
                reason: "lost".into(),
            }],
        };
        let text = "\x01{\"of\":\"job a, instance main\",\"sink\":\"alerts\",\"epoch\":3,\"mark\":9,\"start\":5,\
                    \"holes\":[{\"from\":6,\"to\":7,\"reason\":\"lost\"}]}";
        assert_eq!(String::from_utf8(mark_bytes(&of).unwrap()).unwrap(), text);
        assert_eq!(mark(&p, text.as_bytes()).unwrap(), of);
    }

    /// Whatever lies there, reading it is an error that says what, and no panic.
    #[test]
    fn hostile_bytes_are_errors() {
        let p = SourcePartition::new("wiki", 0);
        let id = WrittenId::of(&p, 1, 2);
        let corrupt = |e: Error, what: &str| {
            assert_eq!(e.kind(), ErrorKind::CorruptData, "{e}");
            assert!(e.to_string().contains(what), "{e}");
        };
        for bad in [
            &b""[..],
            b"\x02\x00x",
            b"\x01",
            b"\x01\xff",
            b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            corrupt(row(&id, bad).unwrap_err(), "wiki/0/1/2");
        }
        for bad in [&b""[..], b"\x02{}", b"\x01", b"\x01{}", b"\x01{\"of\":1}"] {
            corrupt(mark(&p, bad).unwrap_err(), "wiki/0");
        }
        let mut key = Vec::new();
        put_row_key(&p, 1, 2, &mut key);
        for n in 0..key.len() {
            assert!(row_id(&key[..n]).is_err(), "{n} bytes");
        }
        corrupt(row_id(b"\x03\xff\x00aaaaAAAAAAAABBBBBBBB").unwrap_err(), "is no row's");
        for (key, value) in [
            (&b"\x01\x00\x00"[..], &b"\x01u64"[..]),
            (b"\x01\x00\x00\x00\x00", b"\x01\xff"),
            (b"\x01\x00\x00\x00\x00", b""),
        ] {
            corrupt(schema(key, value).unwrap_err(), "the schema");
        }
    }
}
