//! Joins with tables of versions (O19). The expected answers are the definition, in quadratic time: of all rows of a key that
//! are not after the record, the last.

use super::super::case::Case;
use super::super::random::Random;
use super::super::records::Sale;
use super::plain::{sales_of, tally};
use crate::batch::Clock;
use crate::job::Job;
use crate::port::{Service, Source, Store};
use crate::service::{Version, versions};
use crate::time::{MINUTE_MS, Timestamp};

/// The event clock cuts: then no record is looked up as of the end of its batch in one layer and as of its time in a bounded
/// input, which has no batches.
const BY_EVENT: Source<Sale> = Source::new("sales").timed_by(|s: &Sale| s.at).batch_clock(Clock::Event);
const PRICES: Service<u32, i64> = Service::new("prices");
const OWNERS: Service<String, String> = Service::new("owners");
const WORTH: Store<(u32, i64), i64> = Store::new("worth");
const BY_OWNER: Store<String, u64> = Store::new("by-owner");
const NONE: i64 = -1;

pub(super) fn cases() -> Vec<Case> {
    vec![left_join(), join_and_lookup()]
}

/// (key, from, value), in the order in which they are given.
type Rows<K, V> = Vec<(K, Timestamp, Option<V>)>;

fn rows<K: Clone, V>(seed: u64, keys: &[K], sales: &[Sale], value: impl Fn(u64) -> V) -> Rows<K, V> {
    let mut random = Random::new(seed);
    let mut rows = Vec::new();
    for i in 0..keys.len() as u64 * 6 {
        let key = &keys[random.below(keys.len() as u64) as usize];
        let near = sales[random.below(sales.len() as u64) as usize].at.0;
        // At the very instant of a record, or about it.
        let from = match random.below(3) {
            0 => near,
            _ => near + random.below(60 * MINUTE_MS) as i64 - 30 * MINUTE_MS as i64,
        };
        let deleted = random.one_in(5);
        rows.push((key.clone(), Timestamp(from), (!deleted).then(|| value(i))));
        if random.one_in(8) {
            // Written again at the same instant: the last counts.
            rows.push((key.clone(), Timestamp(from), Some(value(i + 1_000))));
        }
    }
    rows
}

/// The definition.
fn as_of<'a, K: PartialEq, V>(rows: &'a Rows<K, V>, key: &K, at: Timestamp) -> Option<&'a V> {
    let before = rows.iter().filter(|(k, from, _)| k == key && *from <= at);
    before.max_by_key(|(_, from, _)| *from)?.2.as_ref()
}

fn table<K: crate::Key, V: Clone>(rows: &Rows<K, V>) -> crate::service::Versions<K, V> {
    let row = |(key, from, value): &(K, Timestamp, Option<V>)| Version {
        key: key.clone(),
        from: *from,
        value: value.clone(),
    };
    versions(rows.iter().map(row), Timestamp(i64::MAX - 1))
}

fn left_join() -> Case {
    let (sales, input) = sales_of(BY_EVENT, 151);
    let items: Vec<u32> = (0..40).collect();
    let rows = rows(152, &items, &sales, |i| i as i64);
    let worth = BY_EVENT
        .read()
        .flat_map(|s, out| (0..1 + s.item % 2).for_each(|i| out.emit((s.item, s.cents + i64::from(i)))))
        .keyed(|&(item, cents), out| out.emit(item, cents))
        .left_join(PRICES)
        .filter_keys(|item| item % 7 != 3)
        .keyed_pairs(|&item, &(cents, price), out| out.emit((item, price.unwrap_or(NONE)), cents));
    let expected = sales.iter().filter(|s| s.item % 7 != 3).flat_map(|s| {
        let price = as_of(&rows, &s.item, s.at).copied().unwrap_or(NONE);
        (0..1 + s.item % 2).map(move |i| ((s.item, price), s.cents + i64::from(i)))
    });
    Case::new(
        "a left join as of event time: versions at the instants of records, deletes, rows written again, late records",
        Job::new("left-join", worth.sum_by_key(WORTH)),
        input,
    )
    .store(WORTH, tally(expected))
    .service(PRICES, table(&rows))
}

fn join_and_lookup() -> Case {
    let (sales, input) = sales_of(BY_EVENT, 153);
    let mut shops: Vec<String> = sales.iter().map(|s| s.shop.clone()).collect();
    shops.sort();
    shops.dedup();
    let rows = rows(154, &shops, &sales, |i| format!("owner-{}", i % 9));
    let found = BY_EVENT.read().key_by(|s| s.shop.clone()).join(OWNERS);
    let owners = found.keyed_pairs(|_, (_, owner), out| out.emit(owner.clone(), 1_u64));
    let looked_up = BY_EVENT.read().map(|s| s.shop.clone()).lookup(OWNERS);
    let missing = looked_up.keyed(|(shop, owner), out| {
        if owner.is_none() {
            out.emit(format!("nobody at {shop}"), 1);
        }
    });
    let expected = sales.iter().map(|s| match as_of(&rows, &s.shop, s.at) {
        Some(owner) => (owner.clone(), 1),
        None => (format!("nobody at {}", s.shop), 1),
    });
    Case::new(
        "an inner join and a look-up of one service behind a fork",
        Job::new("join-and-lookup", owners.merge(missing).sum_by_key(BY_OWNER)),
        input,
    )
    .store(BY_OWNER, tally(expected))
    .service(OWNERS, table(&rows))
}
