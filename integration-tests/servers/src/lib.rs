//! Real servers for tests: each in a directory of its own, on a free loopback port, ended by the process that started it.

pub mod certificates;
pub mod postgres;
mod process;
pub mod redis;

pub use process::free_port;
