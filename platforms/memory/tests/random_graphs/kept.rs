//! Graphs worth keeping: shapes that went wrong in the ancestor or could easily do so here, and what random graphs
//! found. Each runs at several sizes of chunks, on threads, with every rule alone and with all of them.

use rufous_core::Rules;

use super::spec::Spec;
use super::strategy::Inputs;
use super::{How, Which, same_answer};

/// What it is about, and the graph as it is printed.
const KEPT: &[(&str, &str)] = &[
    (
        "a self-merge counts everything twice, also on threads (trap 17)",
        "source/0; merge-records/0 0 0; count-records/0 1; keyed/2 2; sum-by-key/0 3; write/0 2",
    ),
    (
        "four diamonds in a row are sixteen paths, not one (trap 16)",
        "source/0; map/0 0; filter/0 0; merge-records/0 1 2; map/1 3; merge-records/0 3 4; map/2 5; \
         merge-records/0 5 6; filter-map/6 7; merge-records/0 7 8; count-records/1 9; key-by/2 10; sum-by-key/0 11",
    ),
    (
        "a step that two read runs once for both: its counts are single (trap 18)",
        "source/0; flat-map-counting/2 0; key-by/1 1; key-by/6 1; sum-by-key/0 2; sum-by-key/0 3",
    ),
    (
        "one source read twice is one stream; a merge of both is two",
        "source/0; source/0; count-records/0 0; count-records/0 1; merge-records/0 2 3; key-by/1 4; sum-by-key/0 5",
    ),
    (
        "nothing is added before keys are multiplied if what comes out is counted",
        "source/0; key-by/3 0; flat-map-keys/2 1; count-pairs-by/1 2; sum-by-key/0 3",
    ),
    (
        "what joins behind a combiner is not added up yet (found by chance)",
        "source/0; keyed/0 0; flat-map-keys/0 1; merge-pairs/0 2 1; map-keys/0 3; flat-map-keys/0 4; sum-by-key/0 5",
    ),
    (
        "nor if single values are looked at, or the pairs are read by others, too",
        "source/0; key-by/3 0; flat-map-keys/2 1; filter-values/1 2; sum-by-key/0 3; values/0 2; write/0 5",
    ),
    (
        "values are added before the first of two steps that multiply keys, filters between them or not",
        "source/0; key-by/6 0; flat-map-keys/2 1; filter-keys/0 2; flat-map-keys/1 3; map-keys/2 4; sum-by-key/0 5",
    ),
    (
        "a filter by key does not pass a value step that others read",
        "source/0; key-by/3 0; map-values/2 1; filter-keys/1 2; sum-by-key/0 3; sum-by-key/0 2",
    ),
    (
        "nor one that counts",
        "source/0; key-by/3 0; flat-map-values-counting/2 1; filter-keys/1 2; sum-by-key/0 3",
    ),
    (
        "a filter by value does not pass a key step that others read",
        "source/0; key-by/3 0; flat-map-keys/2 1; filter-values/1 2; sum-by-key/0 3; sum-by-key/0 2",
    ),
    (
        "filters pass several steps, each over the type that it then meets",
        "source/0; key-by/4 0; map-values/2 1; flat-map-values/3 2; filter-keys/1 3; map-keys/2 4; flat-map-keys/2 5; \
         filter-values/1 6; sum-by-key/0 7",
    ),
    (
        "a sum of sums of sums, whose first two stores nobody names as tails",
        "source/0; key-by/4 0; sum-by-key/1 1; deltas/0 2; delta-map-keys/2 3; sum-deltas/1 4; deltas/0 5; \
         delta-flat-map-keys/2 6; delta-map-values-by/0 7; sum-deltas/0 8",
    ),
    (
        "deltas of two sums meet, one of them twice",
        "source/0; source/1; key-by/4 0; key-by/5 1; sum-by-key/0 2; sum-by-key/0 3; deltas/0 4; deltas/0 5; \
         merge-deltas/0 6 7; merge-deltas/0 8 6; delta-filter-keys/1 9; sum-deltas/0 10",
    ),
    (
        "what is written goes on, to several readers; the write is single",
        "source/0; write/1 0; write/0 1; key-by/1 1; merge-records/0 1 2; aggregate-by-key/0 3; key-by/2 4; \
         sum-by-key/0 6",
    ),
    (
        "a sum of nothing, and a merge with nothing",
        "source/2; filter/7 0; key-by/0 1; source/0; key-by/1 3; merge-pairs/0 2 4; sum-by-key/0 2; sum-by-key/0 5",
    ),
];

#[test]
fn kept_graphs_stay_right() {
    let inputs: Inputs = [(-20..40).collect(), (0..70).map(|i| i * i % 31).collect(), vec![]];
    for (why, graph) in KEPT {
        let spec = Spec::parse(graph);
        let whiches = (0..Rules::names().len()).map(Which::Only);
        for which in whiches.chain([Which::None, Which::All]) {
            for how in [
                How::Memory(1),
                How::Memory(7),
                How::Memory(1024),
                How::Concurrent(1),
                How::Concurrent(3),
            ] {
                same_answer(&spec, &inputs, how, which).unwrap_or_else(|e| panic!("{why}: {e}"));
            }
        }
    }
}
