//! What the tests of the whole system share: places of data, plain oracles, ways to run a job. The oracles use plain
//! collections and nothing of the code under test.

pub mod alerts;
pub mod archived;
pub mod data;
pub mod hourly;
pub mod kafka;
pub mod oracle;
pub mod recut;
pub mod run;
pub mod running;
pub mod s3;
pub mod settings;
pub mod subjects;
pub mod torture;
pub mod two_sources;
