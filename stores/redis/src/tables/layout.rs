//! The keys and values of the tables of a job, behind their prefix `rufous-tables:{JOB/INSTANCE}:` (all parts escaped, see `names`).
//!
//! ```text
//! marks/SINK                    hash   SOURCE/PARTITION -> mark (JSON)
//! schemas/SINK                  hash   number -> schema text
//! rows/SINK/SOURCE/PARTITION    hash   offset (8 bytes, big-endian), number of the record (8) -> 0x01, schema's number (LEB128),
//!                                      canonical bytes
//! ids/SINK/SOURCE/PARTITION     zset   the fields of that hash, all of score 0: ascending by bytes
//! staged/ID/N                   list   pieces of a large write that is on its way; they expire
//! ```

use rufous_algebra::codec::{put_varint, take_varint};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::table::TableMark;
use serde::{Deserialize, Serialize};

/// The version of marks.
pub(super) const FORMAT: u32 = 1;
/// The version of rows.
const VERSION: u8 = 1;

/// A mark, and how many rows are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) format: u32,
    pub(super) rows: u64,
    pub(super) mark: TableMark,
}

impl Kept {
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::bug("a mark cannot be written as JSON").caused_by(e))
    }

    pub(super) fn parse(bytes: &[u8], p: &SourcePartition) -> Result<Self> {
        /// Read first: what another format says besides is not known.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable =
            |e: serde_json::Error| Error::corrupt(format!("the mark of {p} cannot be read: {e}")).caused_by(e);
        let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version.format != FORMAT {
            return Err(Error::invalid(format!(
                "the mark of {p} has format {}, this build reads {FORMAT}: use the build that wrote it",
                version.format
            )));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

/// Where a row stands in its partition.
pub(super) fn id(offset: u64, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    let (high, low) = id.split_at_mut(8);
    high.copy_from_slice(&offset.to_be_bytes());
    low.copy_from_slice(&number.to_be_bytes());
    id
}

/// Offset and number of an id.
pub(super) fn parse_id(bytes: &[u8], p: &SourcePartition) -> Result<(u64, u64)> {
    let read = || {
        let (offset, rest) = bytes.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        rest.is_empty()
            .then(|| (u64::from_be_bytes(*offset), u64::from_be_bytes(*number)))
    };
    read().ok_or_else(|| Error::corrupt(format!("the rows of {p} have an id of {} bytes, not 16", bytes.len())))
}

/// Appends a row's bytes.
pub(super) fn put_row(schema: u32, value: &[u8], out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(u64::from(schema), out);
    out.extend_from_slice(value);
}

/// Schema's number and value of a row.
pub(super) fn row<'a>(id: &dyn std::fmt::Display, bytes: &'a [u8]) -> Result<(u32, &'a [u8])> {
    let mut rest = match bytes.split_first() {
        Some((&VERSION, rest)) => rest,
        Some((v, _)) => {
            return Err(Error::corrupt(format!(
                "row {id} has version {v}, this build reads {VERSION}: use the build that wrote it"
            )));
        }
        None => return Err(Error::corrupt(format!("row {id} is empty"))),
    };
    let schema = take_varint(&mut rest).ok().and_then(|n| u32::try_from(n).ok());
    let schema = schema.ok_or_else(|| Error::corrupt(format!("row {id} names no schema")))?;
    Ok((schema, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rufous_store_api::table::TableFace;

    #[test]
    fn golden() {
        let face = TableFace {
            sink: "s".into(),
            of: "j".into(),
            schema: "text".into(),
        };
        let p = SourcePartition::new("a", 1);
        let kept = Kept {
            format: FORMAT,
            rows: 2,
            mark: TableMark::begun(&face, 5),
        };
        let bytes = kept.bytes().unwrap();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"format":1,"rows":2,"mark":{"of":"j","sink":"s","epoch":0,"mark":5,"start":5,"holes":[]}}"#
        );
        assert_eq!(Kept::parse(&bytes, &p).unwrap(), kept);
        let e = Kept::parse(br#"{"format":2}"#, &p).unwrap_err();
        assert!(e.to_string().contains("has format 2, this build reads 1"), "{e}");
        let mut bytes = Vec::new();
        put_row(300, b"xy", &mut bytes);
        assert_eq!(bytes, [1, 0xac, 2, b'x', b'y']);
        assert_eq!(row(&"r", &bytes).unwrap(), (300, &b"xy"[..]));
        assert_eq!(id(258, 3), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(parse_id(&id(258, 3), &p).unwrap(), (258, 3));
    }

    /// What somebody overwrote is an error, never a panic.
    #[test]
    fn hostile_bytes_are_refused() {
        let p = SourcePartition::new("a", 1);
        for bytes in [
            &b""[..],
            b"{",
            b"{}",
            b"\xff",
            br#"{"format":1}"#,
            br#"{"format":-1,"rows":0}"#,
        ] {
            assert!(Kept::parse(bytes, &p).is_err());
        }
        for bytes in [
            &b""[..],
            b"\0",
            b"\x02a",
            b"\x01",
            b"\x01\xff",
            b"\x01\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(row(&"r", bytes).is_err(), "{}", bytes.escape_ascii());
        }
        for bytes in [&b""[..], b"12345678", &[0; 15], &[0; 17]] {
            assert!(parse_id(bytes, &p).is_err());
        }
    }
}
