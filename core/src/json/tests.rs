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

/// Errors say what was found and, on the way, which field cannot be reached.
#[test]
fn wrong_types() {
    let fails = |json: &str, why: &str| {
        let error = event(json).unwrap_err();
        assert!(
            error.starts_with("not a JSON object of this record: ") && error.contains(why),
            "{error}"
        );
    };
    fails(
        r#"{"repo":"x"}"#,
        r#"invalid type: string "x", expected an object on the way to `repo.name`"#,
    );
    fails(
        r#"{"repo":[1]}"#,
        "invalid type: sequence, expected an object on the way to `repo.name`",
    );
    fails(
        r#"{"repo":{"owner":7}}"#,
        "integer `7`, expected an object on the way to `repo.owner.login`",
    );
    fails(
        r#"{"actor":{"id":{}}}"#,
        "invalid type: map, expected a text, number, bool or null",
    );
    fails(
        r#"{"id":[]}"#,
        "invalid type: sequence, expected a text, number, bool or null",
    );
    fails("[]", "invalid type: sequence, expected a JSON object");
    fails("null", "invalid type: null, expected a JSON object");
    fails(r#"{"repo":{"name":"x""#, "EOF");
    fails(r#"{"repo":{"name":"x"}}}"#, "trailing characters");
    fails(r#"{"repo":{"name":"x"},}"#, "trailing comma");
}

/// Depth bombs in what is skipped cost a byte a level and no stack; where a field is wanted they are an error.
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
            assert!(event(&json).unwrap_err().contains("invalid type"));
        }
    }
    let unclosed = format!(r#"{{"repo":{{"x":{}"#, "[".repeat(DEEP));
    assert!(event(&unclosed).unwrap_err().contains("EOF"));
}

/// Bytes that are no UTF-8 are an error where they are read and where they are skipped on the way to a field.
#[test]
fn no_utf8() {
    assert!(read(EVENT, b"{\"repo\":{\"name\":\"\xff\"}}").is_err());
    assert!(read(EVENT, b"{\"repo\":{\"\xff\":1}}").is_err());
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
}
