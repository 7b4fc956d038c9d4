//! The laws of every instance, one line each: the checks of `rufous_algebra::laws` over samples that are zero, extreme,
//! cancel each other out, or lie on both sides of a change of form.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{absorbed, hll};
use compact_str::CompactString;
use proptest::prelude::{Strategy as _, any};
use rufous_algebra::laws::{
    check_absorb, check_codec, check_commutative, check_group, check_idempotent, check_merge, check_monoid,
    check_semigroup,
};
use rufous_algebra::{
    Absorb, Affine, All, Any, Codec, Count, Covariance, Elementwise, ExactSum, First, FloatMean, Last, Leftmost, Max,
    Mean, Min, Moments, Monoid, Parity, Reset, Rightmost, Saturating, Semigroup, WeightedMean, Xor,
};

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
    saturating_u8: check_monoid check_commutative check_codec check_merge => [0u8, 1, 100, 200, 255].map(Saturating);
    saturating_u64: check_monoid check_commutative check_codec check_merge => [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX].map(Saturating);
    saturating_u128: check_monoid check_commutative check_codec check_merge => [0, 1, u128::MAX / 2, u128::MAX].map(Saturating);
    counts: check_monoid check_commutative check_codec check_merge => [0, 1, u64::MAX / 2, u64::MAX].map(Count::of);
    all_true: check_monoid check_commutative check_idempotent check_codec check_merge => [All(true), All(false)];
    all_bits: check_monoid check_commutative check_idempotent check_codec check_merge => [0u16, 1, 0x0f0f, u16::MAX].map(All);
    any_true: check_monoid check_commutative check_idempotent check_codec check_merge => [Any(true), Any(false)];
    any_bits: check_monoid check_commutative check_idempotent check_codec check_merge => [0u128, 1, 0x0f0f, u128::MAX].map(Any);
    parity: check_group check_commutative check_codec check_merge => [Parity::zero(), Xor(true)];
    xor: check_group check_commutative check_codec check_merge => [0u64, 1, 0x0f0f, u64::MAX].map(Xor);
    sets: check_monoid check_commutative check_idempotent check_codec check_merge => [BTreeSet::new(), BTreeSet::from([1u16]), BTreeSet::from([1, 2, 9]), (5..200).collect()];
    sets_of_text: check_monoid check_commutative check_idempotent check_codec check_merge => [&[][..], &[""], &["a", "b"], &["", "b"]].map(|s| s.iter().map(|s| s.to_string()).collect::<BTreeSet<_>>());
    arrays: check_group check_commutative check_codec check_merge => [[0i64; 3], [1, -1, i64::MIN], [0, 0, 5]];
    arrays_of_max: check_monoid check_commutative check_idempotent check_codec check_merge => [[Max::default(), Max::of(1u8)], [Max::of(0), Max::default()], [Max::default(), Max::default()]];
    arrays_of_lists: check_monoid check_codec check_merge => [[vec![], vec![1u8]], [vec![2], vec![]], [vec![], vec![]]];
    arrays_of_nothing: check_group check_codec check_merge => [[0u8; 0]];
    elementwise: check_group check_commutative check_codec check_merge => [&[][..], &[0, 0], &[1], &[-1, 0, 7], &[0, 0, -7], &[i64::MIN, 5]].map(|v| Elementwise::new(v.to_vec()));
    elementwise_lists: check_monoid check_codec check_merge => [&[][..], &["", "a"], &["b"]].map(|v| Elementwise::new(v.iter().map(|s| s.as_bytes().to_vec()).collect()));
    leftmost: check_monoid check_codec check_merge => [Leftmost::zero(), Leftmost::of(1u8), Leftmost::of(2)];
    rightmost: check_monoid check_codec check_merge => [Rightmost::zero(), Rightmost::of("a".to_string()), Rightmost::of("b".to_string())];
    first: check_monoid check_commutative check_idempotent check_codec check_merge => [First::zero(), First::of(1u64, "b".to_string()), First::of(1, "a".to_string()), First::of(0, "c".to_string())];
    last: check_monoid check_commutative check_idempotent check_codec check_merge => [Last::zero(), Last::of(1u64, 7i64), Last::of(1, 8), Last::of(0, 9)];
    affine_wrapping: check_monoid check_codec check_merge => [Affine::<0>::zero(), Affine::new(0, 0), Affine::new(3, 5), Affine::new(u64::MAX, u64::MAX)];
    affine_modulo: check_monoid check_codec check_merge => [Affine::<1_000_003>::zero(), Affine::new(0, 9), Affine::new(3, 5), Affine::new(u64::MAX, u64::MAX)];
    resets: check_monoid check_codec check_merge => [Reset::plus(0u64), Reset::plus(3), Reset::to(0), Reset::to(u64::MAX)];
    resets_of_lists: check_monoid check_codec check_merge => [Reset::plus(vec![]), Reset::plus(vec![1u8]), Reset::to(vec![]), Reset::to(vec![2])];
    exact_sums: check_group check_commutative check_codec check_merge => [&[][..], &[0.1], &[-0.1], &[f64::MAX, f64::MAX, 5e-324], &[1e100, -1e100, 1.0], &[f64::INFINITY], &[f64::NEG_INFINITY, f64::NAN, 2.5]].map(absorbed::<f64, ExactSum>);
    means: check_group check_commutative check_codec check_merge => [&[][..], &[0], &[5, -5], &[i64::MIN, i64::MIN], &[i64::MAX]].map(absorbed::<i64, Mean>);
    float_means: check_group check_commutative check_codec check_merge => [&[][..], &[0.0], &[0.1, -0.1], &[f64::MAX, f64::NAN], &[5e-324]].map(absorbed::<f64, FloatMean>);
    weighted_means: check_group check_commutative check_codec check_merge => [&[][..], &[(0.0, 0.0)], &[(0.1, 0.3), (-0.1, 0.3)], &[(f64::MAX, 2.0)], &[(1e-200, 1e-200)]].map(absorbed::<(f64, f64), WeightedMean>);
    moments: check_group check_commutative check_codec check_merge => [&[][..], &[0], &[5, -5], &[i64::MIN, i64::MIN, i64::MAX], &[1 << 31, 1 << 32, -3]].map(absorbed::<i64, Moments>);
    covariances: check_group check_commutative check_codec check_merge => [&[][..], &[(0, 0)], &[(5, -5), (1, 2)], &[(i64::MIN, i64::MIN), (i64::MAX, i64::MIN)]].map(absorbed::<(i64, i64), Covariance>);
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
    check_absorb::<u8, Saturating<u8>>(&[3, 0, 200, 100]);
    check_absorb::<&str, Count>(&["a", "a", "b"]);
    check_absorb::<bool, All>(&[true, false, true]);
    check_absorb::<u32, Any<u32>>(&[5, 0, 9]);
    check_absorb::<u32, Xor<u32>>(&[5, 0, 9, 5]);
    check_absorb::<String, BTreeSet<String>>(&["b".into(), "a".into(), "b".into()]);
    check_absorb::<u8, Leftmost<u8>>(&[3, 1]);
    check_absorb::<u8, Rightmost<u8>>(&[3, 1]);
    check_absorb::<(u8, u8), First<u8, u8>>(&[(3, 1), (2, 9), (2, 8), (5, 0)]);
    check_absorb::<(u8, u8), Last<u8, u8>>(&[(3, 1), (2, 9), (3, 8), (1, 0)]);
    check_absorb::<u64, Reset<u64>>(&[3, u64::MAX]);
    check_absorb::<f64, ExactSum>(&[0.1, -0.1, 1e300, f64::NAN, 5e-324]);
    check_absorb::<i64, Mean>(&[3, i64::MIN, -1]);
    check_absorb::<f64, FloatMean>(&[0.1, 1e300, -1e300]);
    check_absorb::<(f64, f64), WeightedMean>(&[(0.1, 0.3), (1e300, 1e300), (0.7, 0.0)]);
    check_absorb::<i64, Moments>(&[3, i64::MIN, -1, 1 << 40]);
    check_absorb::<(i64, i64), Covariance>(&[(3, 4), (i64::MIN, i64::MAX), (0, -1)]);
    let mut totals = Elementwise::new(vec![1i64, 2]);
    totals.absorb(&[1, -2][..]);
    assert_eq!(totals.as_slice(), [2]);
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

/// Canonical maps (Algebird #278): a sum that comes to zero is the empty map, in memory and in bytes, also nested.
#[test]
fn zero_maps_are_absent() {
    type Nested = BTreeMap<u8, BTreeMap<u8, i64>>;
    let plus: Nested = BTreeMap::from([(1, BTreeMap::from([(2, 3)]))]);
    let minus: Nested = BTreeMap::from([(1, BTreeMap::from([(2, -3)]))]);
    let sum = Nested::sum_all([&plus, &minus]).unwrap();
    assert!(sum.is_zero() && sum.to_bytes() == Nested::zero().to_bytes());
}

/// Canonical vectors: zeros at the end neither enter nor stay, zeros before them do.
#[test]
fn zeros_stay_out_of_the_ends_of_vectors() {
    let mut sum = Elementwise::new(vec![0i64, 4, 0, 0]);
    assert_eq!(sum.as_slice(), [0, 4]);
    sum.combine(&Elementwise::new(vec![1, -4]));
    assert_eq!((sum.as_slice(), sum.get(0), sum.get(9)), (&[1][..], 1, 0));
    let half = Elementwise::new(vec![1, i64::MIN]).times(2.try_into().unwrap());
    assert_eq!(half.as_slice(), [2]);
    assert!(Elementwise::<i64>::decode(&[0; 8]).is_err());
}

/// The ancestor's plus of truth values was exclusive or, to the surprise of those who meant "any": here each has its name.
#[test]
fn truth_values_say_how_they_add() {
    let twice = |a: bool| (All(a), Any(a), Xor(a));
    let mut sum = twice(true);
    sum.combine(&twice(true));
    assert_eq!(sum, (All(true), Any(true), Xor(false)));
}

/// The ancestor's golden cases of affine functions: `(a, b) + (c, d) = (a c, b c + d)` modulo p.
#[test]
fn affine_functions_compose() {
    const P: u64 = 1_000_003;
    let mut rng = common::Rng(11);
    for _ in 0..10_000 {
        let [a, b, c, d, x] = [0; 5].map(|_| rng.next() % P);
        let mut sum = Affine::<P>::new(a, b);
        sum.combine(&Affine::new(c, d));
        assert_eq!(sum.parts(), (a * c % P, (b * c + d) % P));
        assert_eq!(
            sum.apply(x),
            Affine::<P>::new(c, d).apply(Affine::<P>::new(a, b).apply(x))
        );
    }
}

/// Not commutative: the order of summing shows, as it must.
#[test]
fn ordered_sums_keep_their_order() {
    let mut there = Affine::<0>::new(2, 1);
    there.combine(&Affine::new(3, 5));
    let mut back = Affine::<0>::new(3, 5);
    back.combine(&Affine::new(2, 1));
    assert_ne!(there, back);
    let sum = Reset::sum_all(&[Reset::plus(5u64), Reset::to(1), Reset::plus(2)]).unwrap();
    assert_eq!(sum, Reset::to(3));
    let sum = Reset::sum_all(&[Reset::plus(5u64), Reset::plus(2), Reset::to(1)]).unwrap();
    assert_eq!(sum, Reset::to(1));
}

/// Random values: the laws of sums that have no chosen samples for every corner.
#[test]
fn laws_of_random_values() {
    use rufous_algebra::laws::{random, rule};
    fn both<T: rufous_algebra::Group + rufous_algebra::Commutative + Codec + PartialEq + std::fmt::Debug>(
        values: &[T],
    ) -> rufous_algebra::laws::Rule {
        rule::group(values)?;
        rule::stored(values)
    }
    let floats = || proptest::collection::vec(any::<f64>(), 0..8);
    let integers = || proptest::collection::vec(any::<i64>(), 0..8);
    random(floats().prop_map(|items| absorbed::<_, ExactSum>(&items)), both);
    random(floats().prop_map(|items| absorbed::<_, FloatMean>(&items)), both);
    random(integers().prop_map(|items| absorbed::<_, Mean>(&items)), both);
    random(integers().prop_map(|items| absorbed::<_, Moments>(&items)), both);
    random(
        proptest::collection::vec(any::<(i64, i64)>(), 0..8).prop_map(|items| absorbed::<_, Covariance>(&items)),
        both,
    );
    random(
        proptest::collection::vec(-2i64..3, 0..5).prop_map(Elementwise::new),
        both,
    );
    random(any::<[i32; 4]>(), both);
    random(any::<u64>().prop_map(Saturating), rule::stored);
    random(proptest::collection::btree_set(any::<u8>(), 0..20), rule::stored);
    random(
        any::<(u64, u64)>().prop_map(|(a, b)| Affine::<97>::new(a, b)),
        rule::monoid,
    );
    random(
        any::<(bool, u64)>().prop_map(|(to, n)| if to { Reset::to(n) } else { Reset::plus(n) }),
        rule::monoid,
    );
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
