//! The command line as people and programs meet it: the program itself is run, over a directory of generations that is made here, without
//! a live part. The oracles are lists.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod bed;
#[cfg(all(feature = "server", feature = "rocksdb", feature = "parquet"))]
mod console;
mod doctor;
mod errors;
mod json;
mod lists;
#[cfg(all(feature = "rocksdb", feature = "parquet"))]
mod live;
mod secrets;
mod settings;
#[path = "../program/words.rs"]
mod words;
