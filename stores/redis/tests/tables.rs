//! Tables of written records in Redis.

use std::sync::Arc;

use rufous_store_api::conformance;
use rufous_store_redis::{RedisOptions, RedisTables};
use rufous_test_servers::redis::RedisSetup;

#[test]
fn redis_conforms() {
    let server = RedisSetup::durable("everysec").start().unwrap();
    conformance::tables(&|place| {
        Arc::new(RedisTables::open(&server.url(), &RedisOptions::default(), place, "main").unwrap())
    });
}
