//! The archive in full (P17-P19): killed between any two writes, raced for, in a directory and in an S3-compatible store, on
//! full disks, over a real Kafka. The oracle reads the archive by itself (`archived`) and compares it with the log.

mod faults;
mod kafka;
mod kills;
mod mutations;
mod races;
mod sweep;
mod world;
