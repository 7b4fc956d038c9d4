//! The cases as they lie in the files, and answers in the same form.
//!
//! A store is a map from the JSON text of a key to its value without what is zero, for the ancestor holds zero and
//! absent equal. A sink is a sorted list of JSON texts: what a sink holds has no order.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rufous_core::{Sink, Store};
use rufous_platform_memory::Totals;
use serde_json::{Value as Json, json};

use super::families::{Family, Item};

pub(crate) type StoreRows = BTreeMap<String, Json>;

/// What a job left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) stores: BTreeMap<String, StoreRows>,
    pub(crate) sinks: BTreeMap<String, Vec<String>>,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// A job over one family and one size.
pub(crate) struct Case {
    pub(crate) job: String,
    pub(crate) family: String,
    pub(crate) n: u64,
    pub(crate) initial: Json,
    json: Json,
}

fn directory() -> Option<PathBuf> {
    match std::env::var_os("RUFOUS_DATA") {
        Some(dir) => Some(PathBuf::from(dir).join("ancestor")),
        None => {
            eprintln!("RUFOUS_DATA is not set: the cases of the ancestor pass by");
            None
        }
    }
}

fn read(path: &std::path::Path) -> Json {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every case; `None` where the data is not at hand.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let directory = directory()?;
    let mut cases = Vec::new();
    for file in std::fs::read_dir(directory.join("cases")).expect("the directory of the cases") {
        let json = read(&file.expect("a file of cases").path());
        for json in json.as_array().expect("a list of cases") {
            let text = |name: &str| json[name].as_str().expect("a text").to_string();
            cases.push(Case {
                job: text("job"),
                family: text("family"),
                n: json["n"].as_u64().expect("a size"),
                initial: json["initial_stores"].clone(),
                json: json.clone(),
            });
        }
    }
    cases.sort_by(|a, b| (&a.job, &a.family, a.n).cmp(&(&b.job, &b.family, b.n)));
    Some(cases)
}

/// What the sources give at a size: `s1` to `s4`.
pub(crate) fn inputs(n: u64) -> BTreeMap<String, Vec<i64>> {
    let all = read(&directory().expect("the cases were found").join("inputs.json"));
    let source = |i: u32| {
        let items = all[format!("n{n}.s{i}")].as_array().expect("a list of integers");
        items.iter().map(|x| x.as_i64().expect("an integer")).collect()
    };
    (1..=4).map(|i| (format!("s{i}"), source(i))).collect()
}

fn is_zero<F: Family>(value: &Json) -> bool {
    *value == F::value_json(&rufous_algebra::Monoid::zero())
}

/// A store of the files.
pub(crate) fn store_rows<F: Family>(rows: &Json) -> StoreRows {
    let rows = rows.as_array().expect("a list of pairs").iter();
    rows.map(|row| (row[0].to_string(), F::sparse(row[1].clone())))
        .filter(|(_, value)| !is_zero::<F>(value))
        .collect()
}

impl Case {
    pub(crate) fn title(&self) -> String {
        format!("{} of {} at {}", self.job, self.family, self.n)
    }
    /// What the ancestor answered.
    pub(crate) fn answer<F: Family>(&self) -> Answer {
        let object = |name: &str| self.json[name].as_object().into_iter().flatten();
        Answer {
            stores: self.answer_stores::<F>(),
            sinks: object("sinks")
                .map(|(id, list)| (id.to_lowercase(), self.items::<F>(list)))
                .collect(),
            counters: object("counters")
                .map(|(id, n)| (id.clone(), n.as_u64().expect("a count")))
                .collect(),
        }
    }
    /// What the ancestor's stores held.
    pub(crate) fn answer_of_stores<F: Family>(&self) -> Answer {
        Answer {
            stores: self.answer_stores::<F>(),
            ..Answer::default()
        }
    }
    fn answer_stores<F: Family>(&self) -> BTreeMap<String, StoreRows> {
        let stores = self.json["stores"].as_object().into_iter().flatten();
        stores
            .map(|(id, rows)| (id.to_lowercase(), store_rows::<F>(rows)))
            .collect()
    }
    /// The items of a sink as they lie there.
    pub(crate) fn sink_items(&self, id: &str) -> Vec<Json> {
        let items = self.json["sinks"][id]["items"].as_array();
        items.cloned().unwrap_or_default()
    }
    /// The items of a list, sorted. Longer lists have digests in place of items; no sink is that long.
    fn items<F: Family>(&self, list: &Json) -> Vec<String> {
        let Some(items) = list["items"].as_array() else {
            panic!("{}: a sink without its items", self.title());
        };
        assert_eq!(list["count"], items.len(), "{}", self.title());
        let mut items: Vec<String> = items
            .iter()
            .map(|item| match item.as_array().map(Vec::as_slice) {
                Some([key, value]) if self.job == "lookup" => json!([key, value]).to_string(),
                Some([key, value]) => json!([key, F::sparse(value.clone())]).to_string(),
                Some([key, before, delta]) => json!([key, before, delta]).to_string(),
                _ => item.to_string(),
            })
            .collect();
        items.sort();
        items
    }
}

/// What a run of ours left of the named stores and sinks, in the same form.
pub(crate) fn ours<F: Family>(totals: &Totals, like: &Answer, job: &str) -> Answer {
    let mut answer = Answer::default();
    for id in like.stores.keys() {
        let rows = store_of::<F>(totals, id).into_iter();
        let rows = rows.map(|(k, v)| json!([F::key_json(&k), F::value_json(&v)]));
        answer.stores.insert(id.clone(), store_rows::<F>(&rows.collect()));
    }
    for id in like.sinks.keys() {
        let name = known(id);
        let mut items: Vec<String> = if job == "lookup" {
            let found = totals.written(Sink::<(i64, i64)>::new(name));
            let item = |x: i64| F::Item::of(x, 0).json();
            found
                .iter()
                .map(|(x, found)| json!([item(*x), found]).to_string())
                .collect()
        } else if job == "diamond" {
            let items = totals.written(Sink::<F::Item>::new(name));
            items.iter().map(|item| item.json().to_string()).collect()
        } else {
            let pairs = totals.written(Sink::<(F::Key, F::Value)>::new(name));
            pairs
                .iter()
                .map(|(k, v)| json!([F::key_json(k), F::value_json(v)]).to_string())
                .collect()
        };
        items.sort();
        answer.sinks.insert(id.clone(), items);
    }
    for id in like.counters.keys() {
        answer
            .counters
            .insert(id.clone(), totals.counter(super::jobs::counter(id)));
    }
    answer
}

pub(crate) fn store_of<F: Family>(totals: &Totals, id: &str) -> Vec<(F::Key, F::Value)> {
    totals.all(Store::<F::Key, F::Value>::new(known(id)))
}

/// Names of ports are constants.
fn known(id: &str) -> &'static str {
    let names = ["s", "t", "s1", "s2", "w", "w2", "a", "b"];
    names.into_iter().find(|name| *name == id).expect("a port of the jobs")
}
