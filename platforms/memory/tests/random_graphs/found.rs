//! Graphs that once failed, each with what was wrong: they run at every size of chunks, with every rule.

use rufous_core::Rules;

use super::spec::Spec;
use super::strategy::Inputs;
use super::{How, Which, same_answer};

/// The graph as printed, the records of the three sources, and what was wrong.
const FOUND: &[(&str, [&[i64]; 3], &str)] = &[];

#[test]
fn found_graphs_stay_right() {
    for (graph, inputs, why) in FOUND {
        let spec = Spec::parse(graph);
        let inputs: Inputs = inputs.map(<[i64]>::to_vec);
        let whiches = (0..Rules::names().len())
            .map(Which::Only)
            .chain([Which::None, Which::All]);
        for which in whiches {
            for how in [How::Memory(1), How::Memory(3), How::Memory(1024), How::Concurrent(2)] {
                same_answer(&spec, &inputs, how, which).unwrap_or_else(|e| panic!("{why}: {e}"));
            }
        }
    }
}
