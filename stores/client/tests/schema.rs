//! A port asks a store for the types that it holds, or for nothing.

mod support;

use rufous_core::{ErrorKind, Store, StoreFace};
use support::*;

const WRONG: Store<String, i64> = Store::new("counts");
const OTHER: Store<String, u64> = Store::new("other");

#[test]
fn another_schema_is_refused_with_both_texts() {
    let w = World::default();
    let client = w.client();
    let early = client.store(WRONG).expect("nothing to compare with yet");
    w.publish(manifest(1, None, &[]), &[("a", 1)]);
    let (right, wrong) = (StoreFace::of(COUNTS).schema(), StoreFace::of(WRONG).schema());
    for e in [
        client.store(WRONG).unwrap_err(),
        early.get("a").unwrap_err(),
        client.raw(StoreFace::of(WRONG)).get(&key("a")).unwrap_err(),
        client.raw(StoreFace::of(WRONG)).get_partial(&key("a")).unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        assert!(e.to_string().contains(&right) && e.to_string().contains(&wrong), "{e}");
    }
    assert_eq!(client.store(COUNTS).unwrap().get("a").unwrap().value, Some(1));
    assert_eq!(
        client.store(OTHER).unwrap().get("a").unwrap().value,
        None,
        "a store that no generation names is empty"
    );
}
