//! The footer of a file: what it holds, and where.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use rufous_core::Result;

use super::thrift::{Stop, walk};
use super::{damaged, guarded};
use crate::input::OpenFile;

/// Its length, and `PAR1`.
const TAIL: u64 = 8;

/// Reads the footer; all sizes are checked before anything of them is allocated.
///
/// # Errors
/// `CorruptData` that names the file, when it has none.
pub(super) fn read(file: &OpenFile) -> Result<ParquetMetaData> {
    let bytes = file.bytes();
    let none = |why: &str| file.blame(damaged(&file.name, format!("it is no Parquet file: {why}")));
    if bytes == 0 {
        return Err(none("it is empty"));
    }
    if bytes < TAIL + 4 {
        return Err(none(&format!("it has {bytes} bytes only")));
    }
    let mut tail = [0; TAIL as usize];
    file.read_range(bytes - TAIL, &mut tail)?;
    let (length, magic) = tail.split_at(4);
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err(none("its footer is encrypted, which cannot be read")),
        _ => {
            return Err(none(
                "it does not end in PAR1; it may be cut off, or still being written",
            ));
        }
    }
    let length = length.try_into().map_or(0, u32::from_le_bytes);
    if u64::from(length) > bytes - TAIL {
        return Err(none(&format!("its footer of {length} bytes is longer than the file")));
    }
    let mut footer = vec![0; length as usize];
    file.read_range(bytes - TAIL - u64::from(length), &mut footer)?;
    walk(&footer, &mut |_, _| {}).map_err(|stop| {
        let why = match stop {
            Stop::Cut => "it ends in the middle",
            Stop::Malformed(why) => why,
        };
        file.blame(damaged(&file.name, format!("its footer is malformed: {why}")))
    })?;
    guarded(file, || ParquetMetaDataReader::decode_metadata(&footer)).map_err(|e| file.blame(e))
}
