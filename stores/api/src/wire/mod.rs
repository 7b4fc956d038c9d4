//! Reading a namespace through its owner: a small protocol over any pair of byte streams, a Unix socket for instance.
//!
//! A connection is a session, and a session holds one [`Snapshot`](crate::Snapshot): everything that is read through it is
//! from one point in time. Both sides send frames: the length of the rest (4 bytes, little-endian), a type byte, and a
//! body. Numbers are little-endian, byte strings carry their length in 4 bytes, rows and frontiers are JSON.
//!
//! | frame | from | body |
//! |---|---|---|
//! | `H` hello | client | the magic number, the version, the namespace |
//! | `P` partitions | client | store |
//! | `C` cells | client | store, frontier, keys |
//! | `S` scan | client | store, prefix, frontier |
//! | `O` done | owner | the answer is complete: to hello, cells, scan |
//! | `R` rows | owner | the progress rows: the whole answer to partitions |
//! | `V` values | owner | a part of an answer: (place of the key, partition, batch, value) or (key, partition, batch, value), many |
//! | `E` error | owner | kind, message; the session goes on unless it was the answer to hello |
//!
//! Frames from the other side are never trusted: a length above the limit, a body that is too short or too long, an unknown
//! type are errors, and memory is taken only for bytes that have arrived.

mod client;
mod frame;
mod server;
#[cfg(test)]
mod tests;

pub use client::{RemoteReader, Stream};
pub use server::{refuse_connection, serve_connection};
