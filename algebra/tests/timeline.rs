//! Sums that can be asked as of the last while: laws, merge trees against their definition, bytes.

mod common;

use common::Rng;
use common::bytes::bytes;
use rufous_algebra::laws::{check_codec, check_commutative, check_monoid};
use rufous_algebra::{Last, Monoid, Semigroup, Timeline};

#[test]
fn laws() {
    let samples = [
        Timeline::zero(),
        Timeline::of(5, 0, 1_i64),
        Timeline::of(5, 0, -1),
        Timeline::of(5, 6, 7),
        Timeline::of(9, 5, i64::MAX),
        Timeline::of(i64::MAX, i64::MIN, 3),
        Timeline::of(i64::MIN, i64::MAX, 4),
    ];
    check_monoid(&samples);
    check_commutative(&samples);
    check_codec(&samples);
    let newest = [(3, 3), (3, 9), (8, 4)].map(|(time, floor)| Timeline::of(time, floor, Last::of(time, floor)));
    check_monoid(&newest);
    check_commutative(&newest);
    check_codec(&newest);
}

/// The definition, in quadratic time: the floor is the greatest; as of any time from it on, the sum is that of all values with
/// times below. Any tree of additions gives the same value and the same bytes (exact tier).
#[test]
fn any_tree_tells_the_sum_as_of_any_time_above_the_floor() {
    let mut rng = Rng(7);
    for _ in 0..300 {
        let n = 1 + rng.below(40);
        let all: Vec<(i64, i64, i64)> = (0..n)
            .map(|_| {
                let time = rng.below(60) as i64;
                (time, rng.below(50) as i64, rng.below(9) as i64 - 4)
            })
            .collect();
        let of = |(time, floor, value): &(i64, i64, i64)| Timeline::of(*time, *floor, *value);
        let mut parts: Vec<_> = all.iter().map(of).collect();
        while parts.len() > 1 {
            let one = parts.swap_remove(rng.below(parts.len()));
            let at = rng.below(parts.len());
            parts[at].combine(&one);
        }
        let sum = parts.remove(0);
        let mut in_row = Timeline::zero();
        all.iter().for_each(|x| in_row.combine_owned(of(x)));
        assert_eq!(sum, in_row);
        let floor = all.iter().map(|x| x.1).max().unwrap();
        assert_eq!(sum.floor(), floor);
        for as_of in floor..70 {
            let below: Vec<_> = all.iter().filter(|x| x.0 < as_of).collect();
            let expected = (!below.is_empty()).then(|| below.iter().map(|x| x.2).sum::<i64>());
            assert_eq!(sum.at(as_of), expected, "as of {as_of} of {all:?}");
            assert_eq!(sum.newest_before(as_of), below.iter().map(|x| x.0).max());
        }
        assert_eq!(sum.total(), Some(all.iter().map(|x| x.2).sum()));
    }
}

#[test]
fn format() {
    let mut some = Timeline::of(1_000, 400, 5_i64);
    some.combine(&Timeline::of(300, 0, 7));
    some.combine(&Timeline::of(1_300, 500, -1));
    bytes("timeline")
        .element::<(i64, i64)>()
        .value("nothing", Timeline::zero())
        .value("5 at 1000", Timeline::of(1_000, 0, 5_i64))
        .value("5 at 1000, below the floor", Timeline::of(1_000, 2_000, 5_i64))
        .value("three, one below the floor", some)
        .value("the ends of time", Timeline::of(i64::MAX, i64::MIN, 1))
        .check();
}
