//! Who may know whom: the allowed edges between our packages against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Package -> what it may depend on outside its tests.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let store = &["rufous-algebra", "rufous-core", "rufous-store-api"];
    let placed = &["rufous-algebra", "rufous-core", "rufous-store-api", "rufous-place"];
    let edges: &[(&str, &[&str])] = &[
        ("rufous-algebra", &[]),
        ("rufous-core", &["rufous-algebra"]),
        ("rufous-derive", &[]),
        ("rufous-store-api", &["rufous-algebra", "rufous-core"]),
        ("rufous-store-memory", store),
        ("rufous-store-rocksdb", store),
        ("rufous-store-postgres", store),
        ("rufous-store-redis", store),
        ("rufous-test-servers", &[]),
        ("rufous-place", store),
        ("rufous-store-offline", placed),
        ("rufous-store-archive", placed),
        ("rufous-client", store),
        ("rufous-platform-memory", &["rufous-algebra", "rufous-core"]),
        (
            "rufous-server",
            &["rufous-algebra", "rufous-core", "rufous-store-api", "rufous-client"],
        ),
        ("rufous-realtime", store),
        (
            "rufous-platform-local",
            &["rufous-algebra", "rufous-core", "rufous-store-api", "rufous-realtime"],
        ),
        (
            "rufous-platform-kafka",
            &["rufous-algebra", "rufous-core", "rufous-store-api", "rufous-realtime"],
        ),
        (
            "rufous-platform-parquet",
            &[
                "rufous-algebra",
                "rufous-core",
                "rufous-place",
                "rufous-store-api",
                "rufous-store-archive",
            ],
        ),
    ];
    edges
        .iter()
        .map(|(name, deps)| (*name, deps.iter().copied().collect()))
        .collect()
}

#[test]
fn packages_know_only_whom_they_may() {
    let metadata = MetadataCommand::new()
        .manifest_path("../Cargo.toml")
        .no_deps()
        .exec()
        .unwrap();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let allowed = allowed();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal && ours.contains(d.name.as_str()))
        {
            let fine = match allowed.get(name) {
                Some(may) => may.contains(dependency.name.as_str()),
                // Facade, examples and tests may know all; nothing knows examples or tests.
                None => matches!(name, "rufous" | "rufous-examples" | "rufous-integration-tests"),
            };
            let nobody = dependency.name == "rufous-integration-tests"
                || (dependency.name == "rufous-examples" && name != "rufous-integration-tests");
            if !fine || nobody {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that blueprint section 2 does not allow: {wrong:?}"
    );
    for name in allowed.keys() {
        assert!(ours.contains(name), "{name} is gone: mend this list");
    }
}
