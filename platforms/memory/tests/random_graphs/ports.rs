//! The ports of random jobs. An end has the name of its step's place.

use rufous_algebra::{Codec, Mean};
use rufous_core::{Counter, Sink, Store};

use super::answer::counter_of;
use super::functions::Rec;

const NAMES: [&str; 64] = {
    // Names of ports are constants: `p0` to `p63`, one for each step.
    const fn name(i: usize) -> &'static str {
        const DIGITS: &str = "p0p1p2p3p4p5p6p7p8p9p10p11p12p13p14p15p16p17p18p19p20p21p22p23p24p25p26p27p28p29p30\
                              p31p32p33p34p35p36p37p38p39p40p41p42p43p44p45p46p47p48p49p50p51p52p53p54p55p56p57p58\
                              p59p60p61p62p63";
        let from = if i < 10 { 2 * i } else { 20 + 3 * (i - 10) };
        DIGITS.split_at(from).1.split_at(if i < 10 { 2 } else { 3 }).0
    }
    let mut names = [""; 64];
    let mut i = 0;
    while i < 64 {
        names[i] = name(i);
        i += 1;
    }
    names
};

pub(crate) fn counter(f: u8) -> Counter {
    [Counter::new("one"), Counter::new("two"), Counter::new("three")][counter_of(f)]
}
pub(crate) fn sums<V: Codec>(step: usize) -> Store<i64, V> {
    Store::new(NAMES[step])
}
pub(crate) fn aggregates(step: usize) -> Store<i64, Mean> {
    Store::new(NAMES[step])
}
pub(crate) fn sink(step: usize) -> Sink<Rec> {
    Sink::new(NAMES[step])
}
/// The name of a step that names: unique, and known to tests.
pub(crate) fn name_of(step: usize) -> String {
    format!("name-{step}")
}
