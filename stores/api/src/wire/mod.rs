//! Reading a namespace through its owner: a small protocol over any pair of byte streams, a Unix socket for instance.
//!
//! A connection holds one [`Snapshot`](crate::Snapshot) at a time, from the hello on: everything that is read through it is from one
//! point in time. The reader ends it and may take another one over the same connection (version 2; a connection of version 1 is
//! one snapshot, and both sides still speak it). Both sides send frames: the length of the rest (4 bytes, little-endian), a type byte, and a
//! body. Numbers are little-endian, byte strings carry their length in 4 bytes, rows and frontiers are JSON.
//!
//! A reader need not wait for an answer before it sends the next question: a read sends *next*, *partitions* and *cells* at once, so it waits
//! for the owner once. Since version 3 both ends remember the rows and the frontier that went over the connection last: an empty frontier is
//! the one before, and *same* stands for the rows before.
//!
//! | frame | from | body |
//! |---|---|---|
//! | `H` hello | client | the magic number, the version, the namespace |
//! | `F` finish | client | the snapshot is ended; no answer |
//! | `N` next | client | a new snapshot, whether or not there was one |
//! | `P` partitions | client | store |
//! | `C` cells | client | store, frontier, keys |
//! | `S` scan | client | store, prefix, frontier |
//! | `G` ranges (version 3) | client | store, frontier, then per range its start and its end |
//! | `O` done | owner | the answer is complete: to hello, next, cells, scan, ranges |
//! | `R` rows | owner | the progress rows: the whole answer to partitions |
//! | `K` same (version 3) | owner | the same, where they are those that were sent for this store before |
//! | `V` values | owner | a part of an answer, many: to cells (place of the key, partition, batch, value), to scan (key, partition, batch, value), to ranges (place of the range, key, partition, batch, value) |
//! | `E` error | owner | kind, message; the session goes on unless it was the answer to hello |
//!
//! Frames from the other side are never trusted: a length above the limit, a body that is too short or too long, an unknown
//! type are errors, and memory is taken only for bytes that have arrived.

mod buffered;
mod client;
mod frame;
mod line;
mod server;
#[cfg(test)]
mod tests;

pub use client::RemoteReader;
pub use line::Stream;
pub use server::{refuse_connection, serve_connection, serve_sessions};
