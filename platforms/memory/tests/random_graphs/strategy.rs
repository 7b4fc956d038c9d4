//! How graphs and inputs are drawn.

use proptest::collection::vec;
use proptest::prelude::*;

use super::spec::{Drawn, Spec};
use super::word::{Kind, Word};

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

/// Graphs of 2 to 62 steps.
pub(crate) fn specs() -> impl Strategy<Value = Spec> {
    vec(drawn(), 0..30).prop_map(|drawn| Spec::of(&drawn))
}

/// Graphs whose words are offered in order as well: every one but aggregates and deltas. There is a sum in each.
pub(crate) fn specs_in_order() -> impl Strategy<Value = Spec> {
    let deltas = |word: Word| word.output() == Kind::Deltas || word.inputs().contains(&Kind::Deltas);
    vec(drawn(), 0..28).prop_map(move |mut drawn| {
        drawn.retain(|drawn| drawn.word != Word::Aggregate && !deltas(drawn.word));
        drawn.extend([Word::KeyBy, Word::SumByKey].map(|word| Drawn {
            word,
            f: 1,
            inputs: [0, 0],
        }));
        Spec::of(&drawn)
    })
}

pub(crate) fn inputs() -> impl Strategy<Value = Inputs> {
    let source = || prop_oneof![8 => vec(-20..60_i64, 0..12), 1 => vec(-20..60_i64, 0..70)];
    [source(), source(), source()]
}

/// More records than go through the steps at once, of more keys than leave a sum at once.
pub(crate) fn many_inputs() -> impl Strategy<Value = Inputs> {
    let source = || prop_oneof![3 => vec(-5000..5000_i64, 1000..3500), 1 => vec(-5000..5000_i64, 0..3)];
    [source(), source(), source()]
}
