//! Reading a namespace through its owner: a small protocol over any pair of byte streams, a Unix socket for instance.
//!
//! A connection holds one [`Snapshot`](crate::Snapshot) at a time, from the hello on: everything that is read through it is from one
//! point in time. The reader ends it and may take another one over the same connection (version 2; a connection of version 1 is
//! one snapshot, and both sides still speak it). Both sides send frames: the length of the rest (4 bytes, little-endian), a type byte, and a
//! body. Numbers are little-endian, byte strings carry their length in 4 bytes, rows and frontiers are JSON.
//!
//! | frame | from | body |
//! |---|---|---|
//! | `H` hello | client | the magic number, the version, the namespace |
//! | `F` finish | client | the snapshot is ended; no answer |
//! | `N` next | client | a new snapshot, whether or not there was one |
//! | `P` partitions | client | store |
//! | `C` cells | client | store, frontier, keys |
//! | `S` scan | client | store, prefix, frontier |
//! | `O` done | owner | the answer is complete: to hello, next, cells, scan |
//! | `R` rows | owner | the progress rows: the whole answer to partitions |
//! | `V` values | owner | a part of an answer: (place of the key, partition, batch, value) or (key, partition, batch, value), many |
//! | `E` error | owner | kind, message; the session goes on unless it was the answer to hello |
//!
//! Frames from the other side are never trusted: a length above the limit, a body that is too short or too long, an unknown
//! type are errors, and memory is taken only for bytes that have arrived.

mod client;
mod frame;
mod line;
mod server;
#[cfg(test)]
mod tests;

pub use client::RemoteReader;
pub use line::Stream;
pub use server::{refuse_connection, serve_connection, serve_sessions};
