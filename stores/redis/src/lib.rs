//! Realtime state and tables in Redis: cells, progress and epoch in one script.
//!
//! - [`RedisRealtime`]: a namespace of realtime state, which several processes write at once, each its own partitions;
//! - [`RedisTables`]: tables of written records;
//! - [`RedisStore`]: a plain store of the kit;
//! - [`RedisOptions`]: how a server is reached; [`clock`]: what time it is there.
//!
//! What is durable when, and where everything lies: `stores/redis/LAYOUT.md`.
#![forbid(unsafe_code)]

mod clock;
mod kit;
mod names;
mod options;
mod promises;
mod realtime;
mod server;
mod staged;
mod tables;

pub use clock::clock;
pub use kit::RedisStore;
pub use options::{RedisOptions, shown};
pub use realtime::{RedisReader, RedisRealtime};
pub use tables::RedisTables;
