//! Golden bytes: what was written once is read for ever.
//!
//! Each file under `golden/` holds named encodings in hexadecimal. The test encodes the same values again, and decodes the
//! bytes of the file. After a *new* value: `UPDATE_GOLDEN=1 cargo test -p rufous-algebra --test golden`, and read the diff:
//! a changed line is a new format version, which readers of the old one must survive, never a new literal.

mod common;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::path::Path;

use common::{hll, max_tokens, quantiles};
use compact_str::CompactString;
use rufous_algebra::{Codec, Group, HashBytes, Hll, Max, Min, Quantiles};

/// Bytes in a line of a file.
const WIDTH: usize = 64;

/// Collects what a file should hold.
struct Golden {
    name: &'static str,
    text: String,
}

impl Golden {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            text: String::new(),
        }
    }

    /// A line with the name, then the bytes.
    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        writeln!(self.text, "{name}").unwrap();
        for line in bytes.chunks(WIDTH) {
            let hex: String = line.iter().map(|b| format!("{b:02x}")).collect();
            writeln!(self.text, "  {hex}").unwrap();
        }
    }

    fn value<T: Codec + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        self.bytes(name, &value.to_bytes());
        assert_eq!(T::decode_all(&value.to_bytes()).as_ref(), Ok(value), "{name}");
    }

    fn compare(self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(self.name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = || kept.lines().zip(self.text.lines()).position(|(a, b)| a != b);
        assert!(
            kept == self.text,
            "{} differs from line {:?} on",
            path.display(),
            differs().map(|i| i + 1)
        );
    }
}

/// Hashes are fixed for ever: the bytes of every `HashBytes` type, through XXH3-64 with seed 0.
#[test]
fn hashes() {
    fn line<T: HashBytes + Debug + ?Sized>(golden: &mut Golden, ty: &str, item: &T) {
        let mut bytes = Vec::new();
        item.write(&mut bytes);
        golden.bytes(&format!("{item:?} {ty} {:016x}", item.hash64()), &bytes);
    }
    let mut golden = Golden::new("hash.hex");
    let g = &mut golden;
    for text in ["", "a", "Grüße", "longer than the sixteen bytes of the short path"] {
        line(g, "str", text);
    }
    line(g, "String", &String::from("a"));
    line(g, "CompactString", &CompactString::from("a"));
    line(g, "[u8]", &[0u8, 1, 2, 3, 4, 5, 6, 7][..]);
    line(g, "bool", &true);
    line(g, "u8", &200u8);
    line(g, "u16", &258u16);
    line(g, "u32", &258u32);
    line(g, "u64", &0x0706_0504_0302_0100u64);
    line(g, "u128", &(1u128 << 100));
    line(g, "i8", &-2i8);
    line(g, "i16", &-2i16);
    line(g, "i32", &-2i32);
    line(g, "i64", &-2i64);
    line(g, "i128", &-2i128);
    line(g, "f64", &1.5);
    line(g, "f64", &-0.0);
    line(g, "(str, u32)", &("a", 7u32));
    line(g, "(str, (u8, u8))", &("", (1u8, 2u8)));
    golden.compare();
}

/// The bytes of sketches at every form and around its change.
#[test]
fn distinct_counts() {
    fn file<const P: u8>(name: &'static str) {
        let mut golden = Golden::new(name);
        let limit = max_tokens(P);
        for n in [0, 1, 2, 10, limit - 1, limit, limit + 1, 100_000] {
            golden.value(&format!("{} of 0..{n}", Hll::<P>::schema()), &hll::<P>(0..n));
        }
        golden.compare();
    }
    file::<12>("hll-12.hex");
    file::<14>("hll-14.hex");
}

/// Estimates of dense sketches need only `+ * sqrt`: they are the same to the bit on every machine.
#[test]
fn estimates() {
    let estimate = |n| hll::<12>(0..n).estimate().value;
    assert_eq!(
        format!("{:?}", [769, 100_000].map(estimate)),
        "[760.6596809507585, 101368.1537942009]"
    );
}

/// Small states are small: most keys of a store have a few items.
#[test]
fn small_states_are_small() {
    assert_eq!([0, 1, 2, 10].map(|n| hll::<14>(0..n).to_bytes().len()), [1, 5, 10, 42]);
    assert_eq!([0, 1, 10].map(|n| quantiles(1..=n).to_bytes().len()), [2, 6, 24]);
}

/// The bytes of log-histograms: empty, one value, both signs, large counts, counts taken away, special values.
#[test]
fn histograms() {
    let mut golden = Golden::new("quantiles.hex");
    golden.value("nothing", &quantiles([]));
    golden.value("0", &quantiles([0]));
    golden.value("38", &quantiles([38]));
    golden.value("delays", &quantiles([-1_116, -5, 0, 1, 1, 38, 137, 1_688]));
    golden.value("extremes", &quantiles([i64::MIN, i64::MAX]));
    golden.value("cubes", &quantiles((-60..60).map(|x| x * x * x)));
    let mut large = Quantiles::default();
    large.insert_times(7, 1_000_000.try_into().unwrap());
    golden.value("a million sevens", &large);
    large.negate();
    golden.value("a million sevens taken away", &large);
    let mut special = Quantiles::default();
    [
        f64::NEG_INFINITY,
        f64::MIN,
        -0.5,
        f64::MIN_POSITIVE / 2.0,
        f64::MIN_POSITIVE,
        0.1,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ]
    .iter()
    .for_each(|v| special.insert_f64(*v));
    golden.value("special values", &special);
    golden.compare();
}

/// The bytes of numbers, text and containers.
#[test]
fn plain() {
    let mut golden = Golden::new("plain.hex");
    let g = &mut golden;
    g.value("u8 200", &200u8);
    g.value("u16 258", &258u16);
    g.value("u32 258", &258u32);
    g.value("u64 258", &258u64);
    g.value("u128 258", &258u128);
    g.value("i8 -2", &-2i8);
    g.value("i16 -2", &-2i16);
    g.value("i32 -2", &-2i32);
    g.value("i64 -2", &-2i64);
    g.value("i128 -2", &-2i128);
    g.value("bool true", &true);
    g.value("f64 1.5", &1.5);
    g.value("f64 -0.0", &-0.0);
    g.value("text Grüße", &"Grüße".to_string());
    g.value("compact text Grüße", &CompactString::from("Grüße"));
    g.value("option none", &None::<u32>);
    g.value("option 7", &Some(7u32));
    g.value("list 1 2", &vec![1u8, 2]);
    g.value("list of 130 bytes", &vec![9u8; 130]);
    g.value("tuple (258, true)", &(258u16, true));
    g.value(
        "map a=1 b=-1",
        &BTreeMap::from([("a".to_string(), 1i64), ("b".to_string(), -1)]),
    );
    g.value("max 3", &Max::of(3i64));
    g.value("min of nothing", &Min::<i64>::default());
    golden.compare();
}

/// Schema texts are compared when a store opens: they are golden, too.
#[test]
fn schemas() {
    type Nested = BTreeMap<String, (Option<Vec<u16>>, f64, bool, Max<CompactString>, Min<i128>)>;
    assert_eq!(
        Nested::schema(),
        "map<text,(option<list<u16>>,f64,bool,max<text>,min<i128>)>"
    );
    assert_eq!(<(Hll<12>, Quantiles)>::schema(), "(hll/12/xxh3,log-histogram/6)");
}
