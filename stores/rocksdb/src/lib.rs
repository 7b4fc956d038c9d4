//! Realtime state in RocksDB: cells, progress and epoch in one atomic write.
//!
//! One database holds one namespace, one column family one store. A namespace has one owner at a time, which writes it and
//! answers readers of the same machine through a Unix socket; with no owner, readers open the files themselves.
//!
//! ```text
//! <dir>/owner       who owns it: JSON, and the file whose lock is the ownership
//! <dir>/read.sock   where the owner answers (in the temporary directory when the path would be too long)
//! <dir>/db/         the database
//! ```
//!
//! Modules in reading order:
//! - [`packed`]: the values of all partitions for one (batch, key), as one byte string that RocksDB merges;
//! - [`layout`]: keys, progress rows, lanes; [`options`]: settings, and what is checked at open;
//! - [`store`]: the owner: acquire, commit, drop; [`session`]: snapshots;
//! - [`owner`]: who may write; [`serve`] and [`read`]: reading from other processes.
#![forbid(unsafe_code)]

pub mod layout;
pub mod options;
pub mod owner;
pub mod packed;
pub mod read;
pub mod serve;
pub mod session;
pub mod store;

pub use options::RocksOptions;
pub use read::RocksReader;
pub use store::RocksStore;

/// A failure of RocksDB as one of ours: damage is damage, everything else may pass.
fn failed(what: impl std::fmt::Display, e: rocksdb::Error) -> rufous_core::Error {
    use rocksdb::ErrorKind as K;
    use rufous_core::ErrorKind;
    let (kind, repair) = match e.kind() {
        K::Corruption => (
            ErrorKind::CorruptData,
            ": if the files are damaged, delete the namespace's directory; it is rebuilt from the log",
        ),
        K::InvalidArgument | K::NotSupported => (ErrorKind::InvalidRequest, ""),
        K::ShutdownInProgress => (ErrorKind::Closed, ""),
        _ => (ErrorKind::TryAgain, ""),
    };
    rufous_core::Error::new(kind, format!("{what}: {e}{repair}")).caused_by(e)
}
