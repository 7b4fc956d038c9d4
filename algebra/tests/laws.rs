//! The laws of every instance, one line each: the checks of `rufous_algebra::laws` over samples that are zero, extreme,
//! cancel each other out, or lie on both sides of a change of form.

mod common;

use std::collections::BTreeMap;

use common::hll;
use compact_str::CompactString;
use rufous_algebra::laws::{
    check_absorb, check_codec, check_commutative, check_group, check_idempotent, check_merge, check_monoid,
    check_semigroup,
};
use rufous_algebra::{Max, Min, Semigroup};

macro_rules! laws {
    ($($name:ident: $($check:ident)+ => $samples:expr;)+) => {$(
        #[test]
        fn $name() {
            let samples = $samples;
            $($check(&samples);)+
        }
    )+};
}

laws! {
    u32_sums: check_group check_commutative check_codec check_merge => [0, 1, 7, u32::MAX, u32::MAX / 2];
    u64_sums: check_group check_commutative check_codec check_merge => [0, 1, 7, u64::MAX, u64::MAX / 2];
    u128_sums: check_group check_commutative check_codec check_merge => [0, 1, 1 << 64, u128::MAX, u128::MAX / 2];
    i32_sums: check_group check_commutative check_codec check_merge => [0, 1, -1, i32::MIN, i32::MAX];
    i64_sums: check_group check_commutative check_codec check_merge => [0, 1, -1, i64::MIN, i64::MAX];
    i128_sums: check_group check_commutative check_codec check_merge => [0, 1, -1, i128::MIN, i128::MAX];
    option_of_sums: check_monoid check_commutative check_codec check_merge => [None, Some(0u64), Some(3), Some(u64::MAX)];
    option_of_max: check_monoid check_commutative check_idempotent check_codec check_merge => [None, Some(Max::of(1u8)), Some(Max::default())];
    option_of_lists: check_monoid check_codec check_merge => [None, Some(vec![]), Some(vec![1u8]), Some(vec![2])];
    one_tuple: check_group check_commutative check_codec check_merge => [(0u64,), (1,), (u64::MAX,)];
    pairs: check_group check_commutative check_codec check_merge => [(0u64, 0i64), (1, -1), (u64::MAX, i64::MIN)];
    triples: check_monoid check_commutative check_codec check_merge => [(0u64, Max::default(), None), (1, Max::of(2i64), Some(1u32))];
    quadruples: check_monoid check_commutative check_idempotent check_codec check_merge => [(Max::of(1u8), Min::of(1u8), Max::of(true), hll::<4>([])), (Max::of(2), Min::of(2), Max::of(false), hll([1]))];
    quintuples: check_group check_commutative check_codec check_merge => [(0u32, 0u64, 0u128, 0i32, 0i64), (1, 2, 3, -4, -5)];
    sextuples: check_group check_commutative check_codec check_merge => [(0u32, 0u64, 0u128, 0i32, 0i64, 0i128), (1, 2, 3, -4, -5, -6)];
    lists: check_monoid check_codec check_merge => [vec![], vec![1u16], vec![2, 1], vec![1, 2, 3]];
    maps_of_sums: check_group check_commutative check_codec check_merge => [map(&[]), map(&[("a", 1)]), map(&[("a", -1), ("b", 5)]), map(&[("b", i64::MIN)])];
    maps_of_max: check_monoid check_commutative check_idempotent check_codec check_merge => [BTreeMap::new(), BTreeMap::from([(1u8, Max::of(3i64))]), BTreeMap::from([(1, Max::of(4)), (2, Max::of(0))])];
    maps_of_lists: check_monoid check_codec check_merge => [BTreeMap::new(), BTreeMap::from([(1u8, vec![1u8])]), BTreeMap::from([(1, vec![2])])];
    max: check_monoid check_commutative check_idempotent check_codec check_merge => [Max::default(), Max::of(i64::MIN), Max::of(0), Max::of(i64::MAX)];
    max_of_text: check_monoid check_commutative check_idempotent check_codec check_merge => ["", "a", "b"].map(|s| Max::of(s.to_string()));
    min: check_monoid check_commutative check_idempotent check_codec check_merge => [Min::default(), Min::of(i64::MIN), Min::of(0), Min::of(i64::MAX)];
    bytes_of_small_integers: check_codec => [(0u8, 0u16, 0i8, i16::MIN), (u8::MAX, u16::MAX, i8::MIN, i16::MAX)];
    bytes_of_bool: check_codec => [false, true];
    bytes_of_f64: check_codec => [0.0, -0.0, 1.5, f64::MIN, f64::INFINITY, f64::MIN_POSITIVE / 2.0];
    bytes_of_text: check_codec => ["", "a", "ä\u{0}", "a text that is longer than twenty-four bytes"].map(String::from);
    bytes_of_compact_text: check_codec => ["", "a", "ä\u{0}", "a text that is longer than twenty-four bytes"].map(CompactString::from);
}

fn map(entries: &[(&str, i64)]) -> BTreeMap<String, i64> {
    entries.iter().map(|(k, v)| (k.to_string(), *v)).collect()
}

/// Absorb: folding an item in equals combining with a zero that absorbed it, also several times at once.
#[test]
fn absorbing_is_combining_with_one() {
    check_absorb::<u64, u64>(&[1, 0, u64::MAX, 5]);
    check_absorb::<i128, i128>(&[1, -1, i128::MIN]);
    check_absorb::<i64, Max<i64>>(&[3, 1, 7, -2]);
    check_absorb::<String, Min<String>>(&["b".into(), "a".into(), "c".into()]);
}

/// Canonical maps: zeros neither enter nor stay.
#[test]
fn zeros_stay_out_of_maps() {
    let mut sum = map(&[("a", 1), ("b", 2)]);
    sum.combine(&map(&[("a", -1), ("c", 0)]));
    assert_eq!(sum, map(&[("b", 2)]));
    sum.combine_owned(map(&[("b", -2), ("d", 0)]));
    assert_eq!(sum, map(&[]));
    assert_eq!(map(&[("a", i64::MIN)]).times(2.try_into().unwrap()), map(&[]));
}

/// The harness itself: a law that does not hold is found, by name.
#[test]
#[should_panic(expected = "associativity")]
fn a_broken_law_is_found() {
    #[derive(Clone, Debug, PartialEq)]
    struct Difference(i64);
    impl Semigroup for Difference {
        fn combine(&mut self, other: &Self) {
            self.0 -= other.0;
        }
    }
    check_semigroup(&[Difference(1), Difference(2)]);
}
