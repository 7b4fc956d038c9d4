//! The files of a bounded input: where they are, what is in a directory of them, and their bytes.
//!
//! Modules in reading order:
//! - [`storage`]: what an input's files may lie in; [`local`]: the file system; [`objects`]: object stores;
//! - [`listing`]: the files of a directory, with the values that its names give to columns (`dt=2024-01-01`); [`endings`]: what
//!   names say of formats;
//! - `stream`: a file's bytes in order, unpacked; `split`: bytes into records; `lines`: files of lines, read by several threads.
//!
//! What one thread holds for reading, beside what a chunk decodes to: of Parquet, one footer, at most 32 MiB of column bytes,
//! and of each column that is read its dictionary and two pages (one as it is in the file, one unpacked; writers make pages of
//! about 1 MiB); of lines, a block
//! of 256 KiB, or the longest line (64 MiB at most), and what a decompressor looks back on (32 KiB for gzip, 8 MiB as a rule
//! and 128 MiB at most for zstd). An object that is read in one go is asked for up to 4 MiB ahead.

pub mod endings;
mod file;
pub(crate) mod lines;
pub mod listing;
pub mod local;
pub mod objects;
mod split;
pub mod storage;
mod stream;
#[cfg(test)]
mod tests;

pub use file::InputFile;
pub(crate) use file::OpenFile;
