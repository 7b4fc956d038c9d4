//! The laws of keys: round trip, order of bytes is order of keys, no key is a prefix of another.

use proptest::prelude::*;

use super::*;
use crate::time::{TimeBucket, Timestamp};

fn law<K: Key + std::fmt::Debug>(a: &K, b: &K) {
    let (x, y) = (to_bytes(a), to_bytes(b));
    assert_eq!(&decode_all::<K>(&x).unwrap(), a);
    let mut again = b.clone();
    again.decode_key_into(&mut x.as_slice()).unwrap();
    assert_eq!(&again, a, "decoded over {b:?}");
    assert_eq!(a.cmp(b), x.cmp(&y), "order of {a:?} and {b:?}");
    assert!(a == b || !y.starts_with(&x), "{a:?} is a prefix of {b:?}");
    assert_eq!(parse_text::<K>(&to_text(a), false).unwrap(), x, "text of {a:?}");
}

proptest! {
    #[test]
    fn text_keys(a: String, b: String) { law(&a, &b) }
    #[test]
    fn low_bytes(a in "[\\x00-\\x03a]{0,6}", b in "[\\x00-\\x03a]{0,6}") { law(&a, &b) }
    #[test]
    fn short_texts(a in "[\\x00-\\x02\\x7fa-c\u{e4}]{0,20}", b in "[\\x00-\\x02\\x7fa-c\u{e4}]{0,20}") { law(&a, &b) }
    /// Against the encoding written out byte by byte.
    #[test]
    fn text_by_definition(a in "[\\x00-\\x02\\x7fa-z\u{e4}]{0,20}") {
        let mut expected = Vec::new();
        for b in a.bytes() {
            if b < 2 { expected.extend([1, b + 1]) } else { expected.push(b) }
        }
        expected.push(0);
        prop_assert_eq!(to_bytes(&a), expected);
    }
    #[test]
    fn pairs(a: (String, i64), b: (String, i64)) { law(&a, &b); law(&(a.1, a.0), &(b.1, b.0)) }
    #[test]
    fn numbers(a: (u8, u16, u32, u64), b: (u8, u16, u32, u64)) { law(&a, &b) }
    #[test]
    fn signed(a: (i8, i16, i32, i64), b: (i8, i16, i32, i64)) { law(&a, &b) }
    #[test]
    fn days(a in -10_000_000_000_000i64..10_000_000_000_000, b in -10_000_000_000_000i64..10_000_000_000_000) {
        law(&("x".to_string(), TimeBucket::day(Timestamp(a))), &("x".to_string(), TimeBucket::day(Timestamp(b))))
    }
    #[test]
    fn hostile_bytes(bytes: Vec<u8>) {
        let _ = decode_all::<String>(&bytes);
        if let Ok(k) = decode_all::<(String, TimeBucket)>(&bytes) { prop_assert_eq!(to_bytes(&k), bytes) }
    }
}

#[test]
fn a_shorter_tuple_is_a_prefix() {
    type K = (String, TimeBucket);
    let whole = to_bytes(&("ATL", TimeBucket::day(Timestamp(0))));
    let mut prefix = Vec::new();
    K::encode_prefix_of(&("ATL",), &mut prefix);
    assert!(whole.starts_with(&prefix));
    assert_eq!(parse_text::<K>("ATL", true).unwrap(), prefix);
    let mut shorter = Vec::new();
    K::encode_prefix_of(&("AT",), &mut shorter);
    assert!(!whole.starts_with(&shorter), "a read of AT must not scan ATL");
    assert_eq!(parse_text::<K>("ATL,1970-01-01", false).unwrap(), whole);
    assert!(parse_text::<K>("ATL", false).is_err() && parse_text::<K>("ATL,1970-01-01,x", false).is_err());
}
