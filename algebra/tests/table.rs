//! The table on the crate's first page says what is true: which laws each type has is asked of the compiler, and its bytes are
//! measured. `UPDATE_GOLDEN=1` writes it.
#![cfg(feature = "datasketches")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::marker::PhantomData;

use rufous_algebra::apache::{Cpc, Kll, Req, TDigest, Theta, Tuple};
use rufous_algebra::tier::Tier;
use rufous_algebra::{
    Absorb, Affine, Any, Bloom, Codec, Commutative, Count, CountMin, Covariance, DecayedCount, DecayedMoments,
    DecayedSum, Elementwise, ExactSum, First, FloatMean, FloatMoments, FloatSum, Group, HeavyHitters, Hll, Idempotent,
    Kmv, Last, Latest, Leftmost, Max, Mean, Min, MinHash, Moments, Monoid, Quantiles, Reset, Sample, Tiered, TopK,
    WeightedMean, WeightedSample, Xor,
};

/// An inherent constant hides that of a trait, where its bound holds: so the compiler can be asked.
macro_rules! has {
    ($t:ty: $law:path) => {{
        #[allow(dead_code, reason = "one of both is hidden")]
        trait Not {
            const HAS: bool = false;
        }
        struct Probe<T>(#[allow(dead_code, reason = "a type only")] PhantomData<T>);
        impl<T> Not for Probe<T> {}
        #[allow(dead_code, reason = "one of both is hidden")]
        impl<T: $law> Probe<T> {
            const HAS: bool = true;
        }
        if <Probe<$t>>::HAS { "yes" } else { "no" }
    }};
}
macro_rules! tier {
    ($t:ty) => {{
        #[allow(dead_code, reason = "one of both is hidden")]
        trait Not {
            const TIER: &'static str = "none";
        }
        struct Probe<T>(#[allow(dead_code, reason = "a type only")] PhantomData<T>);
        impl<T> Not for Probe<T> {}
        #[allow(dead_code, reason = "one of both is hidden")]
        impl<T: Tiered> Probe<T> {
            const TIER: &'static str = <T::Tier as Tier>::NAME;
        }
        <Probe<$t>>::TIER
    }};
}

/// Bytes of a state that absorbed so many items.
fn absorbed<S: Absorb<T> + Codec, T>(n: u64, item: impl Fn(u64) -> T) -> usize {
    let mut state = S::zero();
    (0..n).for_each(|i| state.absorb(&item(i)));
    state.to_bytes().len()
}

/// Bytes of a sum of so many values.
fn summed<S: Monoid + Codec>(n: u64, value: impl Fn(u64) -> S) -> usize {
    let mut sum = S::zero();
    (0..n).for_each(|i| sum.combine_owned(value(i)));
    sum.to_bytes().len()
}

#[test]
fn the_table_is_true() {
    let mut table = String::from(
        "//! | type | zero | commutative | idempotent | inverse | tier | bytes at 1, 10, 1e6 |\n//! |---|---|---|---|---|---|---|\n",
    );
    macro_rules! rows {
        ($($t:ty => $bytes:expr;)+) => {$(
            let bytes: fn(u64) -> usize = $bytes;
            let name = stringify!($t).replace(' ', "").replace(',', ", ");
            writeln!(
                table,
                "//! | `{name}` | {} | {} | {} | {} | {} | {}, {}, {} |",
                has!($t: Monoid),
                has!($t: Commutative),
                has!($t: Idempotent),
                has!($t: Group),
                tier!($t),
                bytes(1),
                bytes(10),
                bytes(1_000_000)
            )
            .unwrap();
        )+};
    }
    rows! {
        u64 => |n| summed(n, |i| i);
        i64 => |n| summed(n, |i| i as i64);
        Count => |n| absorbed::<Count, u64>(n, |i| i);
        ExactSum => |n| absorbed::<ExactSum, f64>(n, |i| i as f64);
        FloatSum => |n| absorbed::<FloatSum, f64>(n, |i| i as f64);
        Mean => |n| absorbed::<Mean, i64>(n, |i| i as i64);
        FloatMean => |n| absorbed::<FloatMean, f64>(n, |i| i as f64);
        WeightedMean => |n| absorbed::<WeightedMean, (f64, f64)>(n, |i| (i as f64, 1.0));
        Moments => |n| absorbed::<Moments, i64>(n, |i| i as i64);
        FloatMoments => |n| absorbed::<FloatMoments, f64>(n, |i| i as f64);
        Covariance => |n| absorbed::<Covariance, (i64, i64)>(n, |i| (i as i64, i as i64));
        DecayedCount<3600> => |n| absorbed::<DecayedCount<3600>, i64>(n, |i| i as i64);
        DecayedSum<3600> => |n| absorbed::<DecayedSum<3600>, (i64, f64)>(n, |i| (i as i64, 1.0));
        DecayedMoments<3600> => |n| absorbed::<DecayedMoments<3600>, (i64, f64)>(n, |i| (i as i64, 1.0));
        Max<i64> => |n| absorbed::<Max<i64>, i64>(n, |i| i as i64);
        Min<i64> => |n| absorbed::<Min<i64>, i64>(n, |i| i as i64);
        First<i64, u64> => |n| absorbed::<First<i64, u64>, (i64, u64)>(n, |i| (i as i64, i));
        Last<i64, u64> => |n| absorbed::<Last<i64, u64>, (i64, u64)>(n, |i| (i as i64, i));
        Any<u64> => |n| summed(n, Any);
        Xor<u64> => |n| summed(n, Xor);
        Option<u64> => |n| summed(n, Some);
        (u64, Max<i64>) => |n| summed(n, |i| (i, Max::of(i as i64)));
        [u64; 4] => |n| summed(n, |i| [i; 4]);
        Elementwise<u64> => |n| absorbed::<Elementwise<u64>, Vec<u64>>(n, |i| vec![i; 4]);
        BTreeSet<u64> => |n| absorbed::<BTreeSet<u64>, u64>(n, |i| i);
        BTreeMap<u64, u64> => |n| summed(n, |i| BTreeMap::from([(i, 1u64)]));
        Vec<u64> => |n| summed(n, |i| vec![i]);
        Leftmost<u64> => |n| absorbed::<Leftmost<u64>, u64>(n, |i| i);
        Reset<u64> => |n| absorbed::<Reset<u64>, u64>(n, |i| i);
        Affine<1_000_003> => |n| summed(n, |i| Affine::<1_000_003>::new(i, 1));
        Hll<14> => |n| absorbed::<Hll<14>, u64>(n, |i| i);
        Kmv<1024> => |n| absorbed::<Kmv<1024>, u64>(n, |i| i);
        CountMin<5, 2719> => |n| absorbed::<CountMin<5, 2719>, u64>(n, |i| i);
        HeavyHitters<u64, 100> => |n| absorbed::<HeavyHitters<u64, 100>, u64>(n, |i| i);
        Bloom<95_872, 7> => |n| absorbed::<Bloom<95_872, 7>, u64>(n, |i| i);
        Quantiles => |n| absorbed::<Quantiles, i64>(n, |i| i as i64);
        MinHash<256> => |n| absorbed::<MinHash<256>, u64>(n, |i| i);
        TopK<u64, 100> => |n| absorbed::<TopK<u64, 100>, u64>(n, |i| i);
        Latest<u64, 100> => |n| absorbed::<Latest<u64, 100>, (i64, u64, u64)>(n, |i| (i as i64, i, i));
        Sample<u64, 100> => |n| absorbed::<Sample<u64, 100>, (u64, u64)>(n, |i| (i, i));
        WeightedSample<u64, 100> => |n| absorbed::<WeightedSample<u64, 100>, (u64, u64, u64)>(n, |i| (i, 1 + i % 9, i));
        Theta<12> => |n| absorbed::<Theta<12>, u64>(n, |i| i);
        Tuple<12, u64> => |n| absorbed::<Tuple<12, u64>, (u64, u64)>(n, |i| (i, 1));
        Cpc<11> => |n| absorbed::<Cpc<11>, u64>(n, |i| i);
        Kll<200> => |n| absorbed::<Kll<200>, f64>(n, |i| i as f64);
        Req<12> => |n| absorbed::<Req<12>, f64>(n, |i| i as f64);
        TDigest<200> => |n| absorbed::<TDigest<200>, f64>(n, |i| i as f64);
    }
    let path = "src/lib.rs";
    let page = std::fs::read_to_string(path).unwrap();
    let begin = "//! <!-- table: written by tests/table.rs -->\n";
    let (before, rest) = page.split_once(begin).unwrap();
    let (kept, after) = rest.split_once("//! <!-- end of table -->").unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}{begin}{table}//! <!-- end of table -->{after}")).unwrap();
    } else {
        for (kept, found) in kept.lines().zip(table.lines()) {
            assert_eq!(kept, found, "the table of src/lib.rs");
        }
        assert_eq!(kept.lines().count(), table.lines().count());
    }
}
