//! A real server passes what every store must pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rufous_store_api::conformance::kit::{self, Samples};
use rufous_store_api::{NamespaceOf, conformance};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime, PostgresStore, PostgresTables};
use rufous_test_servers::postgres;

#[test]
fn namespaces_conform() {
    let url = postgres::shared().database("conformance").unwrap();
    let number = AtomicU32::new(0);
    conformance::realtime(&|namespace, stores| {
        // Another instance each time: the same name, and nothing in it.
        let instance = format!("instance-{}", number.fetch_add(1, Relaxed));
        let options = PostgresOptions::default();
        Arc::new(
            PostgresRealtime::open(
                &url,
                &options,
                NamespaceOf::new("conformance", &instance, namespace),
                stores,
            )
            .unwrap(),
        )
    });
}

#[test]
fn tables_conform() {
    let url = postgres::shared().database("tables").unwrap();
    conformance::tables(&|place| {
        Arc::new(PostgresTables::open(&url, &PostgresOptions::default(), place, "main").unwrap())
    });
}

#[test]
fn plain_stores_conform() {
    let url = postgres::shared().database("kit").unwrap();
    let number = AtomicU32::new(0);
    let make = || {
        let name = format!("store-{}", number.fetch_add(1, Relaxed));
        PostgresStore::<String, u64>::open(&url, &PostgresOptions::default(), &name).unwrap()
    };
    kit::writable(make, &Samples::texts());
    kit::mergeable(make, &Samples::texts());
    kit::full(make, &Samples::texts());
}
