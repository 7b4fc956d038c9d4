//! What the derives write: the laws of the fields become the laws of the struct, bytes and schema texts are as documented.

use rufous_algebra::codec::schema_reads;
use rufous_algebra::{
    Absorb, Approximate, Codec, Commutative, ExactLaws, HeavyHitters, Hll, Idempotent, Max, Min, Monoid, Quantiles,
    Semigroup as _, Tiered, laws, ways,
};
use rufous_core::key::{parse_text, to_bytes};
use rufous_core::{Key, Record, Timestamp};
use rufous_derive::{Codec, Group, Key, Monoid, Record, Semigroup};

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Sums {
    r#type: u64,
    pair: (i64, i128),
    delays: Quantiles,
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Sketches {
    seen: Hll<4>,
    last: Max<i64>,
    first: Min<String>,
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Ordered(u64, Max<i64>, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Semigroup)]
struct Half<T>(T, Option<u64>);

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Generic<T>
where
    T: Send,
{
    a: T,
    b: Option<T>,
}

macro_rules! made_by_a_macro {
    ($name:ident, $ty:ty) => {
        #[derive(Clone, Debug, PartialEq, Monoid, Codec)]
        struct $name {
            a: $ty,
            b: i64,
        }
    };
}
made_by_a_macro!(Made, u64);

fn sums(count: u64, delay: i64) -> Sums {
    let mut delays = Quantiles::zero();
    delays.absorb(&delay);
    Sums {
        r#type: count,
        pair: (delay, 5),
        delays,
    }
}

fn commutative<T: Commutative>() {}
fn idempotent<T: Idempotent>() {}

/// A struct of groups is a group, with every law below that.
#[test]
fn a_struct_of_groups_is_a_group() {
    let samples = [Sums::zero(), sums(1, 2), sums(u64::MAX, -2)];
    laws::check_group(&samples);
    laws::check(samples);
    laws::check_group(&[
        Made { a: 1, b: 2 },
        Made {
            a: u64::MAX,
            b: i64::MIN,
        },
    ]);
}

/// A struct of idempotent fields is idempotent.
#[test]
fn a_struct_of_idempotent_fields_is_idempotent() {
    let mut some = Sketches::zero();
    some.seen.insert("a");
    some.last.absorb(&2);
    let samples = [Sketches::zero(), some];
    laws::check_idempotent(&samples);
    laws::check(samples);
}

/// One field that lacks a law takes it from the struct, and only that one.
#[test]
fn a_field_without_a_law_leaves_the_others() {
    let samples = [
        Ordered::zero(),
        Ordered(1, Max::of(2), vec![3]),
        Ordered(0, Max::default(), vec![4]),
    ];
    laws::check_monoid(&samples);
    laws::check_codec(&samples);
}

/// Type parameters carry the laws of their arguments.
#[test]
fn parameters_carry_laws() {
    commutative::<Half<u64>>();
    idempotent::<Generic<Max<u8>>>();
    laws::check_semigroup(&[Half(1u64, None), Half(2, Some(3))]);
    laws::check([Generic::zero(), Generic { a: 1u64, b: Some(0) }]);
}

/// Schema texts name struct and fields; JSON is an object of the fields, an array of a tuple struct.
#[test]
fn schema_and_json() {
    assert_eq!(Sums::schema(), "Sums{type:u64,pair:(i64,i128),delays:log-histogram/6}");
    assert_eq!(Ordered::schema(), "Ordered(u64,max<i64>,list<u8>)");
    assert_eq!(Made { a: 1, b: 2 }.json().to_string(), r#"{"a":1,"b":2}"#);
    assert_eq!(Ordered(1, Max::of(2), vec![3]).json().to_string(), "[1,2,[3]]");
    assert_eq!(Made { a: 7, b: 9 }.magnitude(), 7.0);
    assert_eq!(Made { a: 1, b: -1 }.to_bytes(), (1u64, -1i64).to_bytes());
}

#[derive(Clone, Debug, PartialEq, Group, Codec)]
struct Retractable {
    count: u64,
    delays: Quantiles,
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Watermarks {
    #[algebra(with = ways::Max)]
    high: i64,
    #[algebra(with = ways::Min)]
    low: i64,
    #[algebra(with = ways::Saturating)]
    seen: u8,
    #[algebra(with = ways::Any)]
    late: bool,
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Peaks(#[algebra(with = ways::Max)] i64, Max<u8>);

/// `derive(Group)` gives the group and all below it.
#[test]
fn a_derived_group() {
    let delays = |d| {
        let mut delays = Quantiles::zero();
        delays.absorb(&d);
        delays
    };
    let samples = [
        Retractable::zero(),
        Retractable {
            count: 1,
            delays: delays(7),
        },
        Retractable {
            count: u64::MAX,
            delays: delays(-7),
        },
    ];
    laws::check_group(&samples);
    laws::check(samples);
}

/// `with` sums a field another way than its type does, and the struct has the laws of that way.
#[test]
fn fields_with_another_way() {
    let watermarks = |high, low, seen, late| Watermarks { high, low, seen, late };
    laws::check([
        Watermarks::zero(),
        watermarks(3, -3, 200, true),
        watermarks(-9, 9, 100, false),
    ]);
    laws::check([Peaks::zero(), Peaks(4, Max::of(2)), Peaks(-4, Max::of(3))]);
    laws::check_idempotent(&[Peaks(4, Max::of(2))]);
    // Bytes of such fields cannot be added as their type's.
    const { assert!(!Watermarks::BY_PARTS && Made::BY_PARTS) }
}

mod before {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Monoid, Codec)]
    pub(super) struct Visits {
        pub(super) count: u64,
    }
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Visits {
    count: u64,
    #[algebra(default)]
    users: Hll<4>,
    #[algebra(default, with = ways::Max)]
    peak: i64,
}

#[derive(Clone, Debug, PartialEq, Codec)]
struct Settings {
    limit: u64,
    #[algebra(default = 7)]
    days: u64,
}

/// Bytes from before a field was added read as its default, and are what such a value is written as; also nested, and in
/// lists. The schema text says so, and any other change of it is refused.
#[test]
fn added_fields() {
    let old = before::Visits { count: 3 };
    let mut new = Visits {
        count: 3,
        ..Visits::zero()
    };
    assert_eq!(Visits::decode(&old.to_bytes()).as_ref(), Ok(&new));
    assert_eq!(new.to_bytes(), old.to_bytes());
    let nested = (vec![old.clone(), old.clone()], 5u8);
    assert_eq!(
        <(Vec<Visits>, u8)>::decode(&nested.to_bytes()),
        Ok((vec![new.clone(), new.clone()], 5))
    );
    new.users.insert("a");
    let peak = Visits {
        count: 0,
        peak: 9,
        ..Visits::zero()
    };
    laws::check([Visits::zero(), new, peak]);
    laws::check_codec(&[Settings { limit: 1, days: 7 }, Settings { limit: 1, days: 8 }]);
    assert_eq!(Settings::decode(&5u64.to_bytes()), Ok(Settings { limit: 5, days: 7 }));
    let explicit = [5u64.to_bytes(), 7u64.to_bytes()].concat();
    assert_eq!(
        Settings::decode(&explicit).unwrap_err().to_string(),
        "Settings: the last field written has its default"
    );
    assert!(schema_reads(
        &<(Visits, u8)>::schema(),
        &<(before::Visits, u8)>::schema()
    ));
    assert!(!schema_reads(&before::Visits::schema(), &Visits::schema()));
}

#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
struct Column {
    rows: u64,
    common: HeavyHitters<String, 10>,
}

/// The weakest tier of the fields is that of the struct: one approximate field makes it approximate.
#[test]
fn tiers() {
    fn approximate<T: Tiered<Tier = Approximate> + Commutative>() {}
    approximate::<Column>();
    let column = |words: &[&str]| {
        let mut column = Column::zero();
        for word in words {
            column.rows += 1;
            column.common.absorb(*word);
        }
        column
    };
    let samples = [column(&[]), column(&["a"]), column(&["b", "a", "a"])];
    laws::check_codec(&samples);
    laws::check_merge(&samples);
    laws::check_commutative(&samples);
    assert!(samples[2].heap_bytes() > 0, "buffers see what the fields own");
    fn exact<T: ExactLaws>() {}
    exact::<Sums>();
    exact::<Sketches>();
    exact::<Watermarks>();
    exact::<Generic<Max<u8>>>();
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
struct Route {
    from: String,
    flight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
struct Id(u32);

/// A struct key has the bytes, the schema and the prefixes of a tuple; of one field, those of the field.
#[test]
fn struct_keys_are_tuples() {
    let route = Route {
        from: "ATL".into(),
        flight: 7,
    };
    assert_eq!(to_bytes(&route), to_bytes(&("ATL", 7u32)));
    assert_eq!(Route::schema(), "(text,u32)");
    assert_eq!(parse_text::<Route>("ATL,7", false).unwrap(), to_bytes(&route));
    assert_eq!(parse_text::<Route>("ATL", true).unwrap(), to_bytes(&("ATL",)));
    assert!(parse_text::<Route>("ATL", false).is_err());
    assert_eq!(rufous_core::key::decode_all::<Route>(&to_bytes(&route)), Ok(route));
    assert_eq!((Id::schema().as_str(), to_bytes(&Id(7))), ("u32", to_bytes(&7u32)));
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Flight {
    #[record(name = "DEP_DELAY")]
    delay: Option<i64>,
    r#type: String,
    day: Timestamp,
    #[record(rename = "older")]
    word: Option<bool>,
    #[record(name = "carrier.name")]
    carrier: String,
    #[record(name = r"carrier.a\.b\\")]
    odd: Option<String>,
}

/// Fields are read by name, or by the name they are given.
#[test]
fn records_name_their_fields() {
    let fields: Vec<_> = Flight::FIELDS.iter().map(|f| (f.name, f.optional)).collect();
    let expected = [
        ("DEP_DELAY", true),
        ("type", false),
        ("day", false),
        ("older", true),
        ("carrier.name", false),
        (r"carrier.a\.b\\", true),
    ];
    assert_eq!(fields, expected);
}

#[derive(Clone, Debug, PartialEq, Record)]
struct Kinds {
    i: i64,
    small: u8,
    wide: u64,
    x: f64,
    b: bool,
    t: Timestamp,
    s: String,
    short: rufous_core::Text,
    maybe: Option<i32>,
    none: Option<String>,
}

/// Whole columns become what their rows become one by one: every kind of field from every kind of column, with nulls and
/// without; where one row cannot be read, the columns refuse.
#[test]
fn columns_are_read_as_their_rows() {
    use rufous_core::{Column, ColumnBatch, ColumnData as D, Format};
    let whole = |data| Column { data, valid: None };
    let texts = |texts: [&str; 3]| {
        let ends = texts.iter().scan(0, |end, t| {
            *end += t.len();
            Some(*end)
        });
        whole(D::Text {
            ends: ends.collect(),
            text: texts.concat(),
        })
    };
    let good = || ColumnBatch {
        columns: vec![
            whole(D::Integer(vec![i64::MIN, 0, i64::MAX])),
            whole(D::Integer(vec![0, 7, 255])),
            whole(D::Unsigned(vec![u64::MAX, 0, 1])),
            whole(D::Float(vec![f64::MIN, -0.0, 0.5])),
            whole(D::Bool(vec![true, false, true])),
            whole(D::Time(vec![-1, 0, 1])),
            texts(["", "a\u{e9}", "b"]),
            texts(["long enough to lie on the heap, surely", "", "x"]),
            Column {
                data: D::Integer(vec![1, 2, 3]),
                valid: Some(vec![true, false, true]),
            },
            whole(D::Missing),
        ],
        rows: 3,
    };
    let record = |i: usize| Kinds {
        i: [i64::MIN, 0, i64::MAX][i],
        small: [0, 7, 255][i],
        wide: [u64::MAX, 0, 1][i],
        x: [f64::MIN, -0.0, 0.5][i],
        b: i != 1,
        t: Timestamp(i as i64 - 1),
        s: ["", "a\u{e9}", "b"][i].into(),
        short: ["long enough to lie on the heap, surely", "", "x"][i].into(),
        maybe: [Some(1), None, Some(3)][i],
        none: None,
    };
    let decode = |columns: &ColumnBatch| {
        let mut decoder = <Kinds as rufous_core::SourceRecord>::decoder(Format::JsonLines, None).unwrap();
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        decoder.decode_columns(columns, &mut times, &mut bad).unwrap();
        assert_eq!(times.len(), columns.rows);
        let records = decoder
            .chunk(0..columns.rows)
            .downcast_ref::<Vec<Kinds>>()
            .unwrap()
            .clone();
        (
            records,
            bad.iter().map(|b| (b.entry, b.reason.clone())).collect::<Vec<_>>(),
        )
    };
    assert_eq!(decode(&good()), ((0..3).map(record).collect(), vec![]));
    let mut whole_columns = Vec::new();
    assert!(Kinds::from_columns(&good(), &mut whole_columns), "no row by row here");
    assert_eq!(whole_columns, (0..3).map(record).collect::<Vec<_>>());

    // Other columns for the same fields: integers as floats and times, texts as times, unsigned numbers as integers.
    let mut other = good();
    other.columns[0] = whole(D::Unsigned(vec![1, 2, 3]));
    other.columns[2] = whole(D::Integer(vec![4, 5, 6]));
    other.columns[3] = whole(D::Integer(vec![1, -1, 0]));
    other.columns[5] = whole(D::Integer(vec![10, 20, 30]));
    other.columns[8] = whole(D::Missing);
    other.columns[9] = texts(["p", "q", "r"]);
    let expected = (0..3).map(|i| Kinds {
        i: i as i64 + 1,
        wide: i as u64 + 4,
        x: [1.0, -1.0, 0.0][i],
        t: Timestamp(10 * (i as i64 + 1)),
        maybe: None,
        none: Some(["p", "q", "r"][i].into()),
        ..record(i)
    });
    assert_eq!(decode(&other), (expected.collect(), vec![]));
    let mut dates = good();
    dates.columns[5] = texts(["1970-01-01", "1970-01-02", "1970-01-03"]);
    let days = (0..3).map(|i| Kinds {
        t: Timestamp(86_400_000 * i as i64),
        ..record(i)
    });
    assert_eq!(decode(&dates), (days.collect(), vec![]));

    // One row that cannot be read: the others can.
    for (column, data, why) in [
        (
            1,
            whole(D::Integer(vec![0, 256, 1])),
            "field `small` is 256, not integer",
        ),
        (1, whole(D::Integer(vec![0, -1, 1])), "field `small` is -1, not integer"),
        (
            8,
            whole(D::Integer(vec![0, 1 << 40, 1])),
            "field `maybe` is 1099511627776, not integer",
        ),
        (
            0,
            Column {
                data: D::Integer(vec![1, 2, 3]),
                valid: Some(vec![true, false, true]),
            },
            "field `i` is missing",
        ),
        (
            5,
            texts(["1970-01-01", "no day", "1970-01-03"]),
            "field `t` is \"no day\", not timestamp",
        ),
    ] {
        let mut columns = good();
        columns.columns[column] = data;
        assert!(!Kinds::from_columns(&columns, &mut Vec::new()), "{why}");
        let (records, bad) = decode(&columns);
        assert_eq!((records.len(), bad), (2, vec![(1, why.to_string())]));
    }
}

/// Dots in a name lead into nested fields, unless a backslash makes them a part of it.
#[test]
fn names_are_paths() {
    let paths: Vec<_> = Flight::FIELDS.iter().map(|f| f.path()).collect();
    assert_eq!(paths[0], ["DEP_DELAY"]);
    assert_eq!(paths[4], ["carrier", "name"]);
    assert_eq!(paths[5], ["carrier", r"a.b\"]);
}

/// Nested fields are read from a source as a job sees them, and an error names the field by its path.
#[test]
fn nested_records_are_decoded() {
    let mut records = rufous_core::RecordBatch::default();
    for line in [
        r#"{"type":"x","day":"2001-01-01","carrier":{"id":1,"name":"AA","a.b\\":"odd"},"other":{"carrier":[{"name":2}]}}"#,
        r#"{"type":"x","day":"2001-01-01","carrier":null}"#,
        r#"{"type":"x","day":"2001-01-01","carrier":{"name":7}}"#,
    ] {
        let span = records.push_bytes(line.as_bytes());
        records.entries.push(rufous_core::Entry::plain(0, span));
    }
    let mut decoder = <Flight as rufous_core::SourceRecord>::decoder(rufous_core::Format::JsonLines, None).unwrap();
    let mut bad = Vec::new();
    decoder.decode(&records, &mut Vec::new(), &mut bad);
    let flights = decoder.chunk(0..3).downcast_ref::<Vec<Flight>>().unwrap();
    assert_eq!((flights.len(), flights[0].carrier.as_str()), (1, "AA"));
    assert_eq!(flights[0].odd.as_deref(), Some("odd"));
    let reasons: Vec<_> = bad.iter().map(|b| b.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["field `carrier.name` is missing", "field `carrier.name` is 7, not text"]
    );
}
