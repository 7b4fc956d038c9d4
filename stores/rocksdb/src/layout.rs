//! The keys of a store's column family, and the progress rows.
//!
//! ```text
//! 0x00, partition's name, 0x00, partition's number (4 bytes, big-endian)   -> a progress row: 0x01, JSON
//! 0x01, batch (8 bytes, order-preserving), the user's key                  -> a packed value
//! 0x02, 0x00 or 0x01                                                       -> how many writes there were: see `chain`
//! ```
//!
//! Rows share the family with the cells: in one of their own they would never fill it and pin the write-ahead log.
//!
//! **Lanes.** A row says which lane of the packed values is its partition's. Lanes are given out ascending, and never
//! twice within a store: the highest is always in some row. A partition that is replaced (P32) gets a new lane, and what
//! the old one holds is no longer anybody's: readers skip lanes that no row names, and the batch's end removes them.

use rufous_core::{BatchId, Error, Result, SourcePartition};
use rufous_store_api::Progress;
use serde::{Deserialize, Serialize};

/// The first byte of a progress row's key.
pub const ROW: u8 = 0;
/// The first byte of a cell's key.
pub const CELL: u8 = 1;
/// How long a cell's key is before the user's key begins.
pub const CELL_PREFIX: usize = 9;
/// The version of the rows' form.
pub const ROW_VERSION: u8 = 1;

/// A progress row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The lane of the partition's values.
    pub lane: u64,
    /// How far it is.
    pub progress: Progress,
}

/// The key of a partition's row. They sort as [`SourcePartition`] does: names of ports have no 0 in them.
pub fn row_key(p: &SourcePartition) -> Vec<u8> {
    let mut key = vec![ROW];
    key.extend_from_slice(p.source.as_bytes());
    key.push(0);
    key.extend_from_slice(&p.partition.to_be_bytes());
    key
}

/// The partition of a row's key.
///
/// # Errors
/// `CorruptData` when it is no such key.
pub fn row_partition(key: &[u8]) -> Result<SourcePartition> {
    let parse = || {
        let (name, number) = key.strip_prefix(&[ROW])?.split_last_chunk::<4>()?;
        let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
        Some(SourcePartition::new(name, u32::from_be_bytes(*number)))
    };
    parse().ok_or_else(|| Error::corrupt(format!("the key {} is no partition's", key.escape_ascii())))
}

/// A row's bytes.
///
/// # Errors
/// A bug of ours.
pub fn row_bytes(row: &Row) -> Result<Vec<u8>> {
    let mut bytes = vec![ROW_VERSION];
    serde_json::to_writer(&mut bytes, row)
        .map_err(|e| Error::bug("a progress row cannot be written as JSON").caused_by(e))?;
    Ok(bytes)
}

/// Reads a row.
///
/// # Errors
/// `CorruptData` when the bytes are no row of this version.
pub fn row(p: &SourcePartition, bytes: &[u8]) -> Result<Row> {
    match bytes.split_first() {
        Some((&ROW_VERSION, json)) => serde_json::from_slice(json)
            .map_err(|e| Error::corrupt(format!("the progress row of {p} cannot be read: {e}")).caused_by(e)),
        Some((v, _)) => Err(Error::corrupt(format!(
            "the progress row of {p} has version {v}, this build reads {ROW_VERSION}: use the build that wrote it"
        ))),
        None => Err(Error::corrupt(format!("the progress row of {p} is empty"))),
    }
}

/// Where a batch's cells begin: batches sort as numbers do.
pub fn batch_key(batch: BatchId) -> [u8; CELL_PREFIX] {
    let mut key = [CELL; CELL_PREFIX];
    key[1..].copy_from_slice(&((batch.0 as u64) ^ (1 << 63)).to_be_bytes());
    key
}

/// Appends a cell's key.
pub fn cell_key(batch: BatchId, user: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&batch_key(batch));
    out.extend_from_slice(user);
}

/// Takes a cell's key apart; `None`: it is none.
pub fn cell_parts(key: &[u8]) -> Option<(BatchId, &[u8])> {
    let (batch, user) = key.strip_prefix(&[CELL])?.split_first_chunk::<8>()?;
    Some((BatchId((u64::from_be_bytes(*batch) ^ (1 << 63)) as i64), user))
}

/// The first key after all that begin with `prefix`; `None`: there is none.
pub fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let n = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut key = prefix[..=n].to_vec();
    key[n] += 1;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: the bytes are on disks.
    #[test]
    fn the_bytes_are_pinned() {
        let p = SourcePartition::new("wiki", 258);
        assert_eq!(row_key(&p), b"\x00wiki\x00\x00\x00\x01\x02");
        assert_eq!(row_partition(&row_key(&p)).unwrap(), p);
        let mut key = Vec::new();
        cell_key(BatchId(3), b"k\0", &mut key);
        assert_eq!(key, b"\x01\x80\x00\x00\x00\x00\x00\x00\x03k\x00");
        assert_eq!(cell_parts(&key), Some((BatchId(3), &b"k\0"[..])));
        assert_eq!(batch_key(BatchId(-1)), *b"\x01\x7f\xff\xff\xff\xff\xff\xff\xff");
        let progress = Progress::standing_at(rufous_core::Cut::ORIGIN, "t".into(), "c".into(), "f".into());
        let text = "\x01{\"lane\":7,\"progress\":{\"epoch\":0,\"next\":0,\"batch\":-9223372036854775808,\"retained_from\":-9223372036854775808,\"cuts\":[[-9223372036854775808,0]],\"holes\":[],\"topic_id\":\"t\",\"leader_epoch\":-1,\"last_time\":null,\"cut_spec\":\"c\",\"fingerprint\":\"f\"}}";
        let stored = Row { lane: 7, progress };
        assert_eq!(String::from_utf8(row_bytes(&stored).unwrap()).unwrap(), text);
        assert_eq!(row(&p, text.as_bytes()).unwrap(), stored);
        // A row that was given up says so; the rows of before the field stay as they are.
        let released = Row {
            progress: Progress {
                released: true,
                ..stored.progress
            },
            ..stored
        };
        let text = text.replace("\"f\"}}", "\"f\",\"released\":true}}");
        assert_eq!(String::from_utf8(row_bytes(&released).unwrap()).unwrap(), text);
        assert_eq!(row(&p, text.as_bytes()).unwrap(), released);
        // The running time stands in rows of partitions that have an order with others (O3).
        let ordered = Row {
            progress: Progress {
                released: false,
                running: Some(rufous_core::Timestamp(-5)),
                ..released.progress
            },
            ..released
        };
        let text = text.replace("\"released\":true", "\"running\":-5");
        assert_eq!(String::from_utf8(row_bytes(&ordered).unwrap()).unwrap(), text);
        assert_eq!(row(&p, text.as_bytes()).unwrap(), ordered);
    }

    #[test]
    fn keys_sort_as_what_they_stand_for() {
        let batches = [i64::MIN, -300, -1, 0, 1, 255, 256, i64::MAX].map(|b| batch_key(BatchId(b)));
        assert!(batches.is_sorted());
        let mut partitions = ["a", "ab", "a-b", "b"]
            .iter()
            .flat_map(|s| [0, 9, 256].map(|n| SourcePartition::new(*s, n)))
            .collect::<Vec<_>>();
        partitions.sort();
        assert!(partitions.iter().map(row_key).is_sorted());
        assert_eq!(after(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(after(b"\xff"), None);
        for bad in [
            &b""[..],
            b"\x01wiki",
            b"\x00\x00\x00",
            b"\x00wiki\x00\x00\x00\x01",
            b"\x00\xff\x00\x00\x00\x00\x00",
        ] {
            assert!(row_partition(bad).is_err());
        }
        assert_eq!(
            row(&SourcePartition::new("wiki", 0), b"\x02{}").unwrap_err().kind(),
            rufous_core::ErrorKind::CorruptData
        );
    }
}
