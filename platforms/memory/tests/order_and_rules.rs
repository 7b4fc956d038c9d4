//! A job in order, whose one record makes more pairs than fit into a chunk, before a fork that ends in one list.

use rufous_core::{InOrder, Job, Rules, Runs, Source, Store};
use rufous_platform_memory::Memory;

const LINES: Source<str> = Source::new("lines");
const LISTS: Store<u64, Vec<u64>> = Store::new("lists");

fn list(rules: Rules) -> Vec<u64> {
    let pairs = LINES
        .read()
        .in_order()
        .keyed(|_, out| (0..3_000_u64).for_each(|i| out.emit(i % 2, i)))
        .flat_map_values(|v, out| out.emit(*v))
        .filter_keys(|k| *k == 0);
    let plain = pairs.clone().map_values(|v| vec![*v]);
    let marked = pairs.map_values(|v| vec![*v + 1_000_000]);
    let job: Job<InOrder> = Job::new("j", plain.merge(marked).sum_by_key(LISTS));
    let memory = Memory::new().rules(rules).source(LINES, ["a"]);
    Runs::<InOrder>::run(&memory, &job).unwrap().get(LISTS, 0_u64).unwrap()
}

/// `Memory::rules`: "the answers do not depend on it". Where the filter stands moves the bounds of the chunks that go to one
/// branch and then to the other.
#[test]
fn rules_keep_the_order_of_a_list() {
    assert!(list(Rules::none()) == list(Rules::all()), "the lists differ");
}
