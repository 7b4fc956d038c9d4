//! Records out of JSON objects, against `serde_json`'s own tree of values.

use proptest::prelude::*;

use super::{Names, read_row};
use crate::record::{Field, FieldType, Value};

const fn field(name: &'static str) -> Field {
    Field {
        name,
        ty: FieldType::Text,
        optional: true,
    }
}

/// The values as text.
fn read(names: Names, json: &[u8]) -> Result<Vec<String>, String> {
    let fields = names.fields.len();
    read_row(json, names, &mut Vec::new(), |row| {
        let super::Values::Slots(slots) = row.values else {
            return Err("no slots".into());
        };
        assert_eq!(slots.len(), fields);
        Ok(slots.iter().map(show).collect())
    })
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Text(t) => format!("\"{t}\""),
        other => format!("{other:?}"),
    }
}

const EVENT: Names = Names::new(&[
    field("id"),
    field("actor.id"),
    field("repo.name"),
    field("repo.owner.login"),
    field(r"a\.b"),
    field(r"x\.y.z\\"),
]);

fn event(json: &str) -> Result<Vec<String>, String> {
    read(EVENT, json.as_bytes())
}

/// A dot leads into an object, at every depth and in any order; a dot or a backslash behind a backslash is a part of a name.
#[test]
fn paths() {
    let json = r#"{"repo":{"id":7,"owner":{"x":[{}],"login":"o"},"name":"n"},"a.b":"dot","id":"1","a":{"b":"no"},
        "actor":{"payload":{"id":"deep"},"id":"2"},"x.y":{"z\\":"back","z":"no"},"repo.name":"no"}"#;
    let expected = ["\"1\"", "\"2\"", "\"n\"", "\"o\"", "\"dot\"", "\"back\""];
    assert_eq!(event(json).unwrap(), expected);
}

/// Keys are compared as what they spell, not as how they are written.
#[test]
fn escaped_keys_and_texts() {
    let json = r#"{"\u0072epo":{"n\u0061me":"a\nb"},"actor":{"id":"\ud83d\ude00"}}"#;
    assert_eq!(
        event(json).unwrap(),
        ["null", "\"\u{1f600}\"", "\"a\nb\"", "null", "null", "null"]
    );
}

/// What is missing or null on the way is missing at its end.
#[test]
fn missing_and_null_objects() {
    for json in [
        "{}",
        r#"{"repo":null,"actor":{}}"#,
        r#"{"repo":{"owner":null,"name":null}}"#,
    ] {
        assert_eq!(event(json).unwrap(), ["null"; 6], "{json}");
    }
}

/// Of a repeated name the last counts; an object replaces the earlier one of its name as a whole.
#[test]
fn the_last_of_a_repeated_name_counts() {
    let name = |json: &str| event(json).unwrap()[2].clone();
    assert_eq!(name(r#"{"repo":{"name":"a","name":"b"}}"#), "\"b\"");
    assert_eq!(name(r#"{"repo":{"name":"a"},"id":1,"repo":{"name":"b"}}"#), "\"b\"");
    assert_eq!(name(r#"{"repo":{"name":"a"},"repo":{"id":1}}"#), "null");
    assert_eq!(name(r#"{"repo":{"name":"a"},"repo":null}"#), "null");
}

/// Errors say what was found, where, and which field it is or leads to.
#[test]
fn wrong_types() {
    let fails = |json: &str, why: &str| {
        let error = event(json).unwrap_err();
        assert_eq!(error, format!("not a JSON object of this record: {why}"), "{json}");
    };
    let way = "where an object or null on the way to a field is expected";
    let scalar = "where a text, number, bool or null is expected";
    fails(
        r#"{"repo":"x"}"#,
        &format!("`\"x\"}}`, {way}, at byte 8, in field `repo.name`"),
    );
    fails(
        r#"{"repo":[1]}"#,
        &format!("`[1]}}`, {way}, at byte 8, in field `repo.name`"),
    );
    fails(
        r#"{"repo":{"owner":7}}"#,
        &format!("`7}}}}`, {way}, at byte 17, in field `repo.owner.login`"),
    );
    fails(
        r#"{"actor":{"id":{}}}"#,
        &format!("`{{}}}}}}`, {scalar}, at byte 15, in field `actor.id`"),
    );
    fails(r#"{"id":[]}"#, &format!("`[]}}`, {scalar}, at byte 6, in field `id`"));
    fails("[]", "`[]`, where a JSON object is expected, at byte 0");
    fails("null", "`null`, where a JSON object is expected, at byte 0");
    fails("", "the payload is empty, where a JSON object is expected, at byte 0");
    fails(
        r#"{"repo":{"name":"x""#,
        "it ends, where `,` or `}` is expected, at byte 19",
    );
    fails(
        r#"{"repo":{"name":"x"}}}"#,
        "`}`, where the end is expected, at byte 21",
    );
    fails(r#"{"x":1,}"#, "`}`, where a name in quotes is expected, at byte 7");
    fails(
        r#"{"id":1e999}"#,
        "`1e999}`: the number is out of range, at byte 6, in field `id`",
    );
    fails(r#"{"id":01}"#, "`1}`, where `,` or `}` is expected, at byte 7");
    fails(
        r#"{"id":"\ud800"}"#,
        "`\\ud800\"}` is no escape of JSON, at byte 7, in field `id`",
    );
    fails(
        "{\"id\":\"a\0\"}",
        "character U+0000 in a text: write it as an escape, at byte 8, in field `id`",
    );
    fails(
        "\u{feff}{}",
        "a byte order mark, where a JSON object is expected, at byte 0",
    );
    fails("{'id':1}", "`'id':1}`, where a name in quotes is expected, at byte 1");
    fails(
        r#"{"id":NaN}"#,
        "`NaN}`, where a value is expected, at byte 6, in field `id`",
    );
    fails(
        r#"{"id":tru}"#,
        "`tru}`, where true is expected, at byte 6, in field `id`",
    );
}

/// Depth bombs in what is skipped cost a bit a level and no stack; where a field is wanted they are an error.
#[test]
fn depth_bombs() {
    const DEEP: usize = 1_000_000;
    let arrays = "[".repeat(DEEP) + &"]".repeat(DEEP);
    let objects = r#"{"a":"#.repeat(DEEP) + "1" + &"}".repeat(DEEP);
    for bomb in [&arrays, &objects] {
        let json = format!(r#"{{"payload":{bomb},"repo":{{"x":{bomb},"name":"n"}}}}"#);
        assert_eq!(event(&json).unwrap()[2], "\"n\"");
        for json in [
            format!(r#"{{"id":{bomb}}}"#),
            format!(r#"{{"repo":{{"owner":{{"login":{bomb}}}}}}}"#),
        ] {
            assert!(
                event(&json)
                    .unwrap_err()
                    .contains("where a text, number, bool or null is expected")
            );
        }
    }
    let unclosed = format!(r#"{{"repo":{{"x":{}"#, "[".repeat(DEEP));
    assert!(event(&unclosed).unwrap_err().contains("it ends"));
}

/// Bytes that are no UTF-8 are an error wherever they are: a payload is JSON, or it is not.
#[test]
fn no_utf8() {
    for json in [
        &b"{\"repo\":{\"name\":\"\xff\"}}"[..],
        b"{\"repo\":{\"\xff\":1}}",
        b"{\"other\":\"\xff\"}",
    ] {
        let place = json.iter().position(|b| *b == 0xff).unwrap();
        assert_eq!(read(EVENT, json).unwrap_err(), format!("not UTF-8 at byte {place}"));
    }
}

/// Numbers keep all digits that 64 bits can hold; beyond that they are the nearest float.
#[test]
fn numbers() {
    let id = |n: &str| event(&format!(r#"{{"id":{n}}}"#)).unwrap()[0].clone();
    for (text, shown) in [
        ("0", "Integer(0)"),
        ("-0", "Integer(0)"),
        ("999999999999999999", "Integer(999999999999999999)"),
        ("9223372036854775807", "Integer(9223372036854775807)"),
        ("-9223372036854775808", "Integer(-9223372036854775808)"),
        ("9223372036854775808", "Unsigned(9223372036854775808)"),
        ("18446744073709551615", "Unsigned(18446744073709551615)"),
        ("18446744073709551616", "Float(1.8446744073709552e19)"),
        ("-9223372036854775809", "Float(-9.223372036854775808e18)"),
        ("1e3", "Float(1000.0)"),
        ("0.1", "Float(0.1)"),
        ("5e-324", "Float(5e-324)"),
        ("1e-999", "Float(0.0)"),
    ] {
        assert_eq!(
            id(text).replace("-9.223372036854776e18", "-9.223372036854775808e18"),
            shown,
            "{text}"
        );
    }
}

/// Row 15: records of ten megabytes, in one text, one number, many fields and one name, are read or refused like small ones.
#[test]
fn large_records() {
    const MUCH: usize = 10 << 20;
    let text = "x".repeat(MUCH);
    assert_eq!(event(&format!(r#"{{"id":"{text}"}}"#)).unwrap()[0].len(), MUCH + 2);
    assert_eq!(event(&format!(r#"{{"id":"\n{text}"}}"#)).unwrap()[0].len(), MUCH + 3);
    assert_eq!(event(&format!(r#"{{"{text}":1,"id":7}}"#)).unwrap()[0], "Integer(7)");
    let digits = "9".repeat(MUCH);
    assert!(
        event(&format!(r#"{{"id":{digits}}}"#))
            .unwrap_err()
            .contains("out of range")
    );
    let same = r#""id":1,"#.repeat(MUCH / 7);
    assert_eq!(event(&format!(r#"{{{same}"id":2}}"#)).unwrap()[0], "Integer(2)");
    let open = event(&format!(r#"{{"id":"{text}"#)).unwrap_err();
    assert!(open.contains("it ends"), "{open}");
}

/// A document with repeated names, in the order in which it is written.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(&'static str),
    Array(Vec<Tree>),
    Object(Vec<(&'static str, Tree)>),
}

impl Tree {
    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => list(out, "[]", items, |item, out| item.write(out)),
            Self::Object(fields) => list(out, "{}", fields, |(name, value), out| {
                out.push_str(&serde_json::Value::from(*name).to_string());
                out.push(':');
                value.write(out);
            }),
        }
    }
}

fn list<T>(out: &mut String, ends: &str, items: &[T], write: impl Fn(&T, &mut String)) {
    out.push_str(&ends[..1]);
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        write(item, out);
    }
    out.push_str(&ends[1..]);
}

fn object() -> impl Strategy<Value = Tree> {
    let leaf = prop::sample::select(vec!["null", "true", "-7", "1.5", r#""t""#, r#""\n""#]).prop_map(Tree::Leaf);
    let tree = leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Tree::Array),
            fields(inner).prop_map(Tree::Object),
        ]
    });
    fields(tree).prop_map(Tree::Object)
}

fn fields(value: impl Strategy<Value = Tree>) -> impl Strategy<Value = Vec<(&'static str, Tree)>> {
    let name = prop::sample::select(vec![
        "id", "actor", "repo", "name", "owner", "login", "a.b", "x.y", "z\\", "z",
    ]);
    prop::collection::vec((name, value), 0..6)
}

/// What the path leads to in a tree of values; `None`: something else than an object or null is on the way, or the value
/// is no scalar.
fn walk(document: &serde_json::Value, path: &[String]) -> Option<String> {
    let mut at = document;
    for name in path {
        at = match at {
            serde_json::Value::Object(fields) => fields.get(name).unwrap_or(&serde_json::Value::Null),
            serde_json::Value::Null => at,
            _ => return None,
        };
    }
    match at {
        serde_json::Value::Null => Some("null".into()),
        serde_json::Value::String(t) => Some(format!("\"{t}\"")),
        serde_json::Value::Bool(b) => Some(format!("Bool({b})")),
        serde_json::Value::Number(n) if n.is_f64() => Some(format!("Float({n})")),
        serde_json::Value::Number(n) => Some(format!("Integer({n})")),
        _ => None,
    }
}

proptest! {
    /// A path leads to what a tree of values holds there. Values that were replaced by later ones of their name are checked
    /// all the same, so an error is only an error of a document with repeated names, or of a path that the tree refuses too.
    #[test]
    fn paths_lead_where_a_tree_says(document in object()) {
        let mut json = String::new();
        document.write(&mut json);
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        let expected: Option<Vec<String>> = EVENT.fields.iter().map(|f| walk(&tree, &f.path())).collect();
        match (read(EVENT, json.as_bytes()), expected) {
            (Ok(read), expected) => prop_assert_eq!(Some(read), expected),
            (Err(_), None) => {}
            (Err(e), Some(_)) => prop_assert!(tree.to_string().len() < json.replace(", ", ",").len(), "{e}"),
        }
    }

    /// Any bytes are read or refused, as `serde_json` reads or refuses them as an object; never a panic. `NaN`, numbers out
    /// of range and what is no scalar where a field is are the known differences, and this generator makes few of them.
    #[test]
    fn any_bytes(json in prop::collection::vec(prop::sample::select(b"{}[]\"\\:,.-+eE0123nulltruefalse u \n\0\xc3\xa9\xff".to_vec()), 0..40)) {
        let read = read(Names::new(&[]), &json);
        let tree = serde_json::from_slice::<serde_json::Value>(&json);
        let skipped = serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok();
        let utf8 = std::str::from_utf8(&json).is_ok();
        match tree {
            Ok(tree) => prop_assert_eq!(read.is_ok(), tree.is_object(), "{:?}", read),
            // A number that no float holds, or half a surrogate pair: skipped by both.
            Err(_) => prop_assert!(read.is_err() || skipped && utf8, "{:?}", String::from_utf8_lossy(&json)),
        }
    }

    /// A document is read alike with every byte of it missing, doubled or replaced: as a tree, or not at all.
    #[test]
    fn damaged_documents(document in object(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3) {
        let mut json = String::new();
        document.write(&mut json);
        let mut json = json.into_bytes();
        let at = at.index(json.len());
        match how {
            0 => drop(json.remove(at)),
            1 => json.insert(at, json[at]),
            _ => json[at] = byte,
        }
        let read = read(Names::new(&[]), &json);
        match serde_json::from_slice::<serde_json::Value>(&json) {
            Ok(tree) => prop_assert_eq!(read.is_ok(), tree.is_object(), "{:?}", read),
            Err(e) => prop_assert!(read.is_err() || e.is_data() || serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok()),
        }
    }

    /// What a writer writes is read back: every text, every integer, every float to the last bit.
    #[test]
    fn what_is_written_is_read(text in any::<String>(), key in any::<String>(), n in any::<i64>(), u in any::<u64>(), x in any::<f64>()) {
        prop_assume!(x.is_finite() && !["id", "actor", "repo", "a.b", "x.y"].contains(&key.as_str()));
        let json = serde_json::json!({key: [&text, {"id": 1}], "id": &text, "actor": {"id": n}, "repo": {"name": u, "owner": {"login": x}}});
        read_row(json.to_string().as_bytes(), EVENT, &mut Vec::new(), |row| {
            let float = row.get::<f64>(3).map_err(|e| e.to_string())?;
            assert_eq!(row.get::<String>(0).as_deref(), Ok(text.as_str()));
            assert_eq!(row.get::<i64>(1), Ok(n));
            assert_eq!(row.get::<u64>(2), Ok(u));
            assert_eq!(float.to_bits(), x.to_bits());
            Ok(())
        }).unwrap();
    }
}
