//! The file of a sorted run, format 1. Numbers are little-endian; `varint` is unsigned LEB128 in its shortest form.
//!
//! ```text
//! "RUFRUN" 01 00                                               8 bytes: magic, version, reserved
//! block*     entry*: varint key length, key, varint value length, value; keys ascend strictly
//!            then u64 XXH3-64 of the entries
//! index      per block: varint first key length, first key, varint offset, varint length of the entries
//! footer     u64 offset of the index, u64 its length, u64 XXH3-64 of it, u64 number of keys,
//!            u64 XXH3-64 of the 32 bytes before, "RUFRUN" 01 00
//! ```
//!
//! A block ends with the entry that fills 16 KiB. Blocks follow each other without gaps from byte 8 to the index, and the
//! index ends where the footer (48 bytes) begins, so every byte of the file is under a checksum or compared with the magic.
//! A block's checksum does not say where the block belongs: its first key is compared with the index each time it is read.
//! The manifest holds the length, the XXH3-64 of the whole file, the number of keys, and the first and last key.
//!
//! Files are written to `.tmp-<unique>`, synced, renamed to `run-<unique>.rrun`, and their directory is synced; only then
//! may a manifest name them.

mod entry;
mod reader;
mod scan;
mod verify;
mod writer;

pub use reader::Reader;
pub use scan::Scan;
pub use writer::Writer;

/// The first and the last bytes of a run; the seventh is the version.
pub const MAGIC: [u8; 8] = *b"RUFRUN\x01\x00";
/// The length of the footer.
pub const FOOTER: usize = 48;
/// Entries of about this many bytes make a block.
pub(crate) const BLOCK: usize = 16 << 10;
/// The length of a checksum.
pub(crate) const SUM: usize = 8;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
