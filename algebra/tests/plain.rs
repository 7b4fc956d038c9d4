//! The bytes of numbers, text and containers, and their schema texts.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::absorbed;
use common::bytes::bytes;
use compact_str::CompactString;
use rufous_algebra::{
    Affine, All, Any, Codec, Count, Covariance, DecayedCount, DecayedMoments, DecayedSum, Elementwise, ExactSum, First,
    FloatMean, FloatMoments, FloatSum, Hll, Last, Leftmost, Max, Mean, Min, Moments, Parity, Quantiles, Reset,
    Rightmost, Saturating, WeightedMean,
};
use serde_json::json;

type Nested = BTreeMap<String, (Option<Vec<u16>>, i64, Max<bool>, Max<String>)>;

/// Bytes of numbers: fixed width, little-endian; floats in canonical bits.
#[test]
fn numbers() {
    bytes("u8").value("200", 200u8).check();
    bytes("u16").value("258", 258u16).check();
    bytes("u32").value("258", 258u32).check();
    bytes("u64")
        .value("258", 258u64)
        .value("0", 0)
        .value("max", u64::MAX)
        .check();
    bytes("u128").value("258", 258u128).check();
    bytes("i8").value("-2", -2i8).check();
    bytes("i16").value("-2", -2i16).check();
    bytes("i32").value("-2", -2i32).check();
    bytes("i64").value("-2", -2i64).check();
    bytes("i128").value("-2", -2i128).check();
    bytes("bool").value("true", true).value("false", false).check();
    bytes("f64")
        .value("1.5", 1.5)
        .value("-0.0", -0.0)
        .value("infinity", f64::INFINITY)
        .check();
}

/// Bytes of text, options, tuples, lists and maps.
#[test]
fn containers() {
    bytes("text")
        .value("Grüße", "Grüße".to_string())
        .value("", String::new())
        .check();
    bytes("option-u32").value("none", None).value("7", Some(7u32)).check();
    bytes("option-text")
        .value("none", None)
        .value("", Some(String::new()))
        .value("a", Some("a".to_string()))
        .check();
    bytes("list-u8")
        .value("1 2", vec![1u8, 2])
        .value("130 nines", vec![9; 130])
        .any_bytes()
        .check();
    bytes("list-text")
        .value("empty", vec![])
        .value("two", vec!["a".to_string(), String::new()])
        .value("long", vec!["x".repeat(200)])
        .element::<String>()
        .check();
    bytes("tuple")
        .value("zeros", (0u16, false, None))
        .value("some", (258, true, Some("a".to_string())))
        .check();
    bytes("map")
        .value("empty", BTreeMap::new())
        .value(
            "a=1 b=-1",
            BTreeMap::from([("a".to_string(), 1i64), ("b".to_string(), -1)]),
        )
        .element::<(String, i64)>()
        .check();
    bytes("max")
        .value("nothing", Max::default())
        .value("3", Max::of(3i64))
        .check();
    bytes("min")
        .value("nothing", Min::default())
        .value("b", Min::of("b".to_string()))
        .check();
    bytes::<Nested>("nested")
        .value(
            "two",
            BTreeMap::from([
                ("a".into(), (Some(vec![1, 2]), 1, Max::of(true), Max::of("x".into()))),
                ("b".into(), (None, -1, Max::default(), Max::default())),
            ]),
        )
        .element::<(String, (Option<Vec<u16>>, i64, Max<bool>, Max<String>))>()
        .check();
}

/// Schema texts are compared when a store opens: they are golden, too.
#[test]
fn schemas() {
    type Nested = BTreeMap<String, (Option<Vec<u16>>, i64, Max<bool>, Max<CompactString>, Min<i128>)>;
    assert_eq!(
        Nested::schema(),
        "map<text,(option<list<u16>>,i64,max<bool>,max<text>,min<i128>)>"
    );
    assert_eq!(<(Hll<12>, Quantiles)>::schema(), "(hll/12/xxh3,log-histogram/6)");
    type Sums = (
        Saturating<u8>,
        Count,
        ExactSum,
        FloatSum,
        Mean,
        FloatMean,
        WeightedMean,
        Moments,
        FloatMoments,
        Covariance,
    );
    assert_eq!(
        Sums::schema(),
        "(saturating<u8>,count,exact-sum,float-sum,mean,float-mean,weighted-mean,moments/4,float-moments/4,covariance)"
    );
    type Decayed = (DecayedCount<60>, DecayedSum<60>, DecayedMoments<3600>);
    assert_eq!(
        Decayed::schema(),
        "(decayed-count/60,decayed-sum/60,decayed-moments/3600)"
    );
    type Ordered = (
        First<i64, String>,
        Last<u8, u8>,
        Leftmost<u8>,
        Rightmost<u8>,
        Affine<97>,
        Reset<u64>,
    );
    assert_eq!(
        Ordered::schema(),
        "(first<i64,text>,last<u8,u8>,leftmost<u8>,rightmost<u8>,affine/97,reset<u64>)"
    );
    type Containers = (BTreeSet<u8>, [i64; 3], Elementwise<i64>, All, Any<u16>, Parity);
    assert_eq!(
        Containers::schema(),
        "(set<u8>,array<i64,3>,elementwise<i64>,all<bool>,any<u16>,xor<bool>)"
    );
}

/// People are shown results with their bounds, never the state.
#[test]
fn shown() {
    let moments = absorbed::<i64, Moments>(&[1, 3]);
    let json = json!({"count": 2, "mean": 2.0, "variance": 1.0, "skewness": 0.0, "kurtosis": 1.0});
    assert_eq!(moments.json(), json);
    let nothing = json!({"count": 0, "mean": null});
    assert_eq!(absorbed::<i64, Mean>(&[]).json(), nothing);
    assert_eq!(absorbed::<f64, ExactSum>(&[0.1, 0.2]).json(), 0.30000000000000004);
    assert_eq!(absorbed::<f64, FloatSum>(&[0.5]).json()["high"], 0.5);
    assert_eq!(absorbed::<f64, ExactSum>(&[f64::NAN]).json(), "NaN");
    assert_eq!(absorbed::<i64, DecayedCount<60>>(&[5, 7]).json(), 2);
    assert_eq!(absorbed::<f64, FloatMoments>(&[2.0]).json()["mean"]["value"], 2.0);
}
