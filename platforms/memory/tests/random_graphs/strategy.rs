//! How graphs and inputs are drawn.

use proptest::collection::vec;
use proptest::prelude::*;

use super::spec::{Drawn, Spec};
use super::word::Word;

/// The records of the three sources.
pub(crate) type Inputs = [Vec<i64>; 3];

fn drawn() -> impl Strategy<Value = Drawn> {
    let words = Word::ALL.iter().map(|&word| (word.weight(), Just(word))).collect();
    // Mostly the latest steps, so that chains grow; now and then an old one, so that they fork.
    let back = || prop_oneof![4 => 0..2_usize, 2 => 0..5_usize, 1 => 0..40_usize];
    (proptest::strategy::Union::new_weighted(words), 0..24_u8, back(), back()).prop_map(|(word, f, a, b)| Drawn {
        word,
        f,
        inputs: [a, b],
    })
}

/// Graphs of 2 to about 40 steps.
pub(crate) fn specs() -> impl Strategy<Value = Spec> {
    vec(drawn(), 0..32).prop_map(|drawn| Spec::of(&drawn))
}

pub(crate) fn inputs() -> impl Strategy<Value = Inputs> {
    let source = || prop_oneof![8 => vec(-20..60_i64, 0..12), 1 => vec(-20..60_i64, 0..70)];
    [source(), source(), source()]
}
