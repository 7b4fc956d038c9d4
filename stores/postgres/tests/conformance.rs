//! A real server passes what every store must pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rufous_store_api::conformance;
use rufous_store_postgres::{PostgresOptions, PostgresRealtime, PostgresTables};
use rufous_test_servers::postgres;

#[test]
fn namespaces_conform() {
    let url = postgres::shared().database("conformance").unwrap();
    let number = AtomicU32::new(0);
    conformance::realtime(&|namespace, stores| {
        // Another instance each time: the same name, and nothing in it.
        let instance = format!("instance-{}", number.fetch_add(1, Relaxed));
        let options = PostgresOptions::default();
        Arc::new(PostgresRealtime::open(&url, &options, "conformance", &instance, namespace, stores).unwrap())
    });
}

#[test]
fn tables_conform() {
    let url = postgres::shared().database("tables").unwrap();
    conformance::tables(&|place| {
        Arc::new(PostgresTables::open(&url, &PostgresOptions::default(), place, "main").unwrap())
    });
}
