//! The file of a sorted run, format 1, which is frozen. Numbers are little-endian; `varint` is unsigned LEB128 in its
//! shortest form.
//!
//! ```text
//! "RUFRUN" 01 00                                               8 bytes: magic, version, reserved
//! partition*
//!   block*   entry*: varint key length, key, varint value length, value; keys ascend strictly
//!            then u64 XXH3-64 of the entries
//!   index    per block: varint first key length, first key, varint length of the entries
//!            then u64 XXH3-64 of the index
//!   filter   a Bloom filter of the keys (module `filter`)
//!            then u64 XXH3-64 of the filter, with the index's checksum as its seed
//! top        varint last key length, last key
//!            per partition: varint first key length, first key, varint offset of its index, varint length of the index,
//!            varint length of the filter
//! footer     u64 offset of the top, u64 its length, u64 XXH3-64 of it, u64 number of keys,
//!            u64 XXH3-64 of the 32 bytes before, "RUFRUN" 01 00
//! ```
//!
//! A block ends with the entry that fills 16 KiB, a partition with the block that fills 1 MiB. Only the footer and the top are
//! read when a run is opened. A key is looked for in the top, then in the filter and the index of its partition, which are
//! kept in memory within a limit, then in one block. An absent key reads no block but once in 100 times or less.
//!
//! Blocks, indexes and filters follow each other without gaps from byte 8 to the top, and the top ends where the footer (48
//! bytes) begins, so every byte of the file is under a checksum or compared with the magic. The checksum of a block or index
//! does not say where it belongs: its first key is compared with what points to it each time it is read; a filter's seed
//! binds it to its index. The manifest holds the length, the XXH3-64 of the whole file, the number of keys, and the first and
//! last key.
//!
//! Files get the name `run-<unique>.rrun` when they are whole and durable; only then may a manifest name them.

mod cache;
mod entry;
mod filter;
mod meta;
mod reader;
mod scan;
mod verify;
mod writer;

pub(crate) use cache::Cache;
pub(crate) use reader::Reader;
pub(crate) use scan::Scan;
pub(crate) use writer::Writer;

/// The version of the file's form.
pub const FORMAT: u8 = 1;
/// The first and the last bytes of a run; the seventh is [`FORMAT`].
pub const MAGIC: [u8; 8] = [b'R', b'U', b'F', b'R', b'U', b'N', FORMAT, 0];
/// The length of the footer.
pub const FOOTER: usize = 48;
/// Entries of about this many bytes make a block.
pub(crate) const BLOCK: usize = 16 << 10;
/// Blocks of about this many bytes make a partition.
pub(crate) const PARTITION: usize = 1 << 20;
/// The length of a checksum.
pub(crate) const SUM: usize = 8;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
