//! Realtime state in RocksDB: cells, progress and epoch in one atomic write.
//!
//! One database holds one namespace, one column family one store. A namespace has one owner at a time, which writes it and
//! answers readers of the same machine through a Unix socket; with no owner, readers open the files themselves.
//!
//! ```text
//! <dir>/owner       who owns it: JSON, and the file whose lock is the ownership
//! <dir>/read.sock   where the owner answers (in the temporary directory when the path would be too long)
//! <dir>/meta.json   format, namespace, stores
//! <dir>/suspect     damage was seen: nobody opens it any more
//! <dir>/db/         the database
//! ```
//!
//! Modules in reading order:
//! - [`packed`]: the values of all partitions for one (batch, key), as one byte string that RocksDB merges;
//! - [`layout`]: keys, progress rows, lanes; [`options`]: settings and opening; `meta`: what is checked then;
//! - [`store`]: the owner: acquire, commit, drop; `database`: its handle, opened again after a write that failed;
//! - [`session`]: snapshots; `stats`: what is seen from outside; `chain`: whether all that was written is there; [`damage`]: the mark of a damaged namespace;
//! - [`owner`]: who may write; [`serve`] and [`read`]: reading from other processes;
//! - [`table`]: tables of written records, in a database of their own.
#![forbid(unsafe_code)]

mod chain;
pub mod damage;
mod database;
pub mod discard;
pub mod layout;
mod meta;
pub mod options;
pub mod owner;
pub mod packed;
pub mod read;
pub mod serve;
pub mod session;
mod stats;
pub mod store;
pub mod table;

pub use options::RocksOptions;
pub use read::RocksReader;
pub use store::RocksStore;
pub use table::{RocksTables, RocksTablesReader};
