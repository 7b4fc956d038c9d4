//! A plain store as a service of a job (O19): what it has is joined, what it lacks is none, and a failure stops the run.

use rufous_core::{Error, ErrorKind, Job, Service, Source, Store};
use rufous_platform_memory::Memory;
use rufous_store_api::kit::{MapStore, MemoryCache, StoreExt, function};

const CLICKS: Source<str> = Source::new("clicks");
const NAMES: Service<String, String> = Service::new("names");
const SEEN: Store<String, u64> = Store::new("seen");

fn job() -> Job {
    let named = CLICKS.read().keyed(|line, out| out.emit(line, 1_u64)).left_join(NAMES);
    let seen = named.keyed_pairs(|_, (n, name), out| out.emit(name.as_deref().unwrap_or("nobody"), *n));
    Job::new("clicks", seen.sum_by_key(SEEN))
}

#[test]
fn a_store_is_looked_up() {
    let names: MapStore<String, String> = [("1", "ann"), ("2", "bob")]
        .map(|(k, v)| (k.into(), v.into()))
        .into_iter()
        .collect();
    let names = names
        .read_through(MemoryCache::of_entries(10))
        .into_service()
        .not_repeatable();
    let memory = Memory::new().source(CLICKS, ["1", "2", "1", "3"]).service(NAMES, names);
    let run = job().run_on(&memory).unwrap();
    assert_eq!(
        ["ann", "bob", "nobody"].map(|name| run.get(SEEN, name)),
        [Some(2), Some(1), Some(1)]
    );
}

#[test]
fn a_failure_is_not_absence() {
    let broken = function(|key: &String| match key.as_str() {
        "2" => Err(Error::try_again("the server does not answer")),
        _ => Ok(Some(key.clone())),
    });
    let memory = Memory::new()
        .source(CLICKS, ["1", "2"])
        .service(NAMES, broken.into_service());
    let e = job().run_on(&memory).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::TryAgain);
    assert!(e.to_string().contains("does not answer"), "{e}");
}
