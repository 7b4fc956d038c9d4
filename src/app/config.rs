//! `config`: every setting that was said, its value, and who said it; `--all`: every one that there is.

use serde_json::{Value, json};

use super::out;
use super::settings::{Around, Layers, NAMES, Origin, unheard};

/// A line a setting. With `all` those that nobody said follow, with their defaults. `event` where other lines follow.
pub(super) fn config(layers: &Layers, all: bool, event: Option<&str>) {
    let said = layers.all();
    if said.is_empty() && event.is_none() && !all {
        out::people(|| "nothing is said: every setting has its default, which `config --all` shows".into());
    }
    for (path, value, origin, name) in &said {
        let wanted = out::say(
            || format!("{path} = {value}  ({origin})"),
            || {
                let mut line = object(path, origin, name.about);
                let key = if value.is_secret() { "secret" } else { "value" };
                line[key] = value.json();
                if let Some(event) = event {
                    line["event"] = json!(event);
                }
                line
            },
        );
        if !wanted {
            return;
        }
    }
    if all {
        for name in NAMES {
            if said.iter().any(|(.., other)| std::ptr::eq(*other, name)) {
                continue;
            }
            let unsaid = if name.default.is_empty() {
                "(not said)"
            } else {
                name.default
            };
            let wanted = out::say(
                || {
                    let variable = name.variable.map_or_else(|| name.by_variable(), str::to_string);
                    let flag = name.flag.map_or_else(String::new, |flag| format!(", --{flag}"));
                    let (path, about, kind) = (name.show(), name.about, name.kind.show());
                    format!("{path} = {unsaid}  (default; {kind}; {variable}{flag})  {about}")
                },
                || {
                    let mut line = object(&name.show(), &Origin::Default, name.about);
                    line["value"] = if name.default.is_empty() {
                        Value::Null
                    } else {
                        json!(name.default)
                    };
                    line["kind"] = json!(name.kind.show());
                    line["variable"] = json!(name.variable.map_or_else(|| name.by_variable(), str::to_string));
                    line["flag"] = json!(name.flag.map(|flag| format!("--{flag}")));
                    line
                },
            );
            if !wanted {
                return;
            }
        }
    }
    for (name, meant) in unheard(&Around::process(None).variables) {
        if let Some(meant) = meant {
            out::people(|| format!("note: the variable {name} is no setting; {meant} would be one"));
        }
    }
}

fn object(path: &str, origin: &Origin, about: &str) -> Value {
    let mut line = json!({ "name": path, "origin": origin.word(), "about": about });
    match origin {
        Origin::File { path, line: at } => {
            line["file"] = json!(path);
            line["line"] = json!(at);
        }
        Origin::Variable(name) => line["variable"] = json!(name),
        Origin::Flag(flag) => line["flag"] = json!(flag),
        Origin::Default | Origin::Main => {}
    }
    line
}
