//! What every realtime store, every place of tables and every plain store must pass, as functions that a store's own tests call. They
//! panic where a store fails, and name the rule. What is expected is kept apart, in a plain map that shares no code with any store.
//! Plain stores: [`kit`].
//!
//! ```ignore
//! rufous_store_api::conformance::realtime(&|namespace, stores| Arc::new(MyStore::new(namespace, stores)));
//! ```

mod bed;
mod commits;
pub mod kit;
mod reads;
mod shards;
mod tables;

use std::sync::Arc;

use rufous_core::StoreFace;

use crate::realtime::RealtimeStore;

pub use tables::MakeTables;

/// Makes an empty namespace of this name with these stores; every call another one.
pub type Make<'a> = &'a dyn Fn(&str, &[StoreFace]) -> Arc<dyn RealtimeStore>;

/// All checks.
///
/// # Panics
/// Where the store fails one.
pub fn realtime(make: Make<'_>) {
    run(CHECKS.iter().chain(&[WHOLE]), make);
}

/// The checks of a store of [`Guarantee::AtLeastOnce`](crate::Guarantee::AtLeastOnce): all but the one that a failed commit
/// leaves nothing behind.
///
/// # Panics
/// Where the store fails one.
pub fn at_least_once(make: Make<'_>) {
    run(CHECKS.iter(), make);
}

/// All checks of a place of tables.
///
/// # Panics
/// Where the place fails one.
pub fn tables(make: MakeTables<'_>) {
    for (name, check) in tables::CHECKS {
        eprintln!("conformance: {name}");
        check(make);
    }
}

fn run<'a>(checks: impl Iterator<Item = &'a Check>, make: Make<'_>) {
    for (name, check) in checks {
        eprintln!("conformance: {name}");
        check(make);
    }
}

/// A check, and what it is called.
type Check = (&'static str, fn(Make<'_>));

const CHECKS: &[Check] = &[
    ("P10a: every acquire raises the epoch", shards::the_epoch_rises),
    (
        "P10a: a repair that fails writes nothing",
        shards::a_failed_repair_writes_nothing,
    ),
    (
        "P11: a commit moves rows and adds cells of all stores",
        commits::a_commit_is_seen_whole,
    ),
    (
        "P11, P13: a refused commit changes nothing",
        commits::a_refused_commit_changes_nothing,
    ),
    (
        "section 8: a snapshot does not see later writes",
        reads::a_snapshot_stands_still,
    ),
    (
        "section 8: cells are filtered by frontier, each partition by its own",
        reads::frontiers_filter_each_partition,
    ),
    (
        "section 3: a key does not meet longer keys, a prefix meets all",
        reads::keys_and_prefixes,
    ),
    (
        "P26: dropping raises retained_from and hides cells",
        shards::dropping_hides,
    ),
    (
        "P32: replacing deletes the partition's cells only",
        shards::replacing_forgets_one_partition,
    ),
    (
        "P10a: a released row is kept and shown",
        shards::a_released_row_is_shown,
    ),
    ("hostile keys, large values, many partitions", reads::hostile_sizes),
    ("random histories against a plain map", commits::random_histories),
];

const WHOLE: Check = (
    "P11: a commit that fails half-way changes nothing",
    commits::a_failed_commit_changes_nothing,
);
