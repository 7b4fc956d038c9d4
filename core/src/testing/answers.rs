//! What a run left behind, as plain data, and how two of them are compared.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use rufous_algebra::Codec;

use crate::Plan;
use crate::error::{Error, Result};
use crate::key;

/// Canonical key bytes to canonical value bytes.
pub type Cells = BTreeMap<Vec<u8>, Vec<u8>>;
/// Records as their `Debug` text, each with how often it was written. Sinks keep no order.
pub type Records = BTreeMap<String, u64>;

/// What is in the stores, sinks and counters of a job after a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By store name.
    pub stores: BTreeMap<String, Cells>,
    /// By sink name.
    pub sinks: BTreeMap<String, Records>,
    /// By counter name.
    pub counters: BTreeMap<String, u64>,
}

impl Answers {
    /// Of stores as a platform keeps them. Counters are a store of the job; here they are taken out of it.
    ///
    /// # Errors
    /// When the counters cannot be read.
    pub fn of_stores(stores: impl IntoIterator<Item = (impl Into<String>, Cells)>) -> Result<Self> {
        let mut answers = Self::default();
        for (name, cells) in stores {
            let name = name.into();
            if name != crate::COUNTERS.name() {
                answers.stores.insert(name, cells);
                continue;
            }
            for (counter, n) in cells {
                let read = |e| Error::corrupt(format!("store `{name}`: {e}"));
                let counter: String = key::decode_all(&counter).map_err(read)?;
                answers.counters.insert(counter, u64::decode(&n).map_err(read)?);
            }
        }
        Ok(answers)
    }
    /// With what was written to a sink.
    #[must_use]
    pub fn with_sink(mut self, name: impl Into<String>, records: Records) -> Self {
        self.sinks.insert(name.into(), records);
        self
    }
}

/// Counts equal records.
pub fn records<T: Debug>(all: impl IntoIterator<Item = T>) -> Records {
    let mut counted = Records::new();
    for record in all {
        *counted.entry(format!("{record:?}")).or_default() += 1;
    }
    counted
}

/// Checks the value bytes of one key against a promise.
pub(super) type Promise = Box<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// What a case expects.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) answers: Answers,
    /// Per store the bytes of its zero: a key with that value is as good as absent.
    pub(super) zeros: BTreeMap<String, Vec<u8>>,
    /// Stores of approximate values: their keys, and what each value must keep.
    pub(super) promises: BTreeMap<String, BTreeMap<Vec<u8>, Promise>>,
}

/// So many differences are shown.
const SHOWN: usize = 5;

impl Expected {
    /// The differences for people; empty when there are none.
    pub(super) fn differences(&self, plan: &Plan, got: &Answers) -> String {
        let mut lines = Vec::new();
        let no_cells = Cells::new();
        let names = |a: &Answers| a.stores.keys().cloned().collect::<Vec<_>>();
        let mut stores = [names(&self.answers), names(got)].concat();
        stores.extend(self.promises.keys().cloned());
        stores.sort();
        stores.dedup();
        for store in &stores {
            let show = Show { plan, store };
            let theirs = got.stores.get(store).unwrap_or(&no_cells);
            let zero = self.zeros.get(store);
            match self.promises.get(store) {
                Some(promises) => promised(&show, promises, theirs, &mut lines),
                None => {
                    let mine = self.answers.stores.get(store).unwrap_or(&no_cells);
                    exact(&show, zero, mine, theirs, &mut lines);
                }
            }
        }
        let no_records = Records::new();
        for sink in union(&self.answers.sinks, &got.sinks) {
            let side = |a: &'_ Answers| a.sinks.get(sink).unwrap_or(&no_records).clone();
            counts(
                &format!("sink {sink}, record "),
                &side(&self.answers),
                &side(got),
                &mut lines,
            );
        }
        counts("counter ", &self.answers.counters, &got.counters, &mut lines);
        let mut text = lines[..lines.len().min(SHOWN)].concat();
        if lines.len() > SHOWN {
            let _ = writeln!(text, "    and {} more", lines.len() - SHOWN);
        }
        text
    }
}

fn union<'a, V, W>(a: &'a BTreeMap<String, V>, b: &'a BTreeMap<String, W>) -> Vec<&'a String> {
    let mut all: Vec<&String> = a.keys().chain(b.keys()).collect();
    all.sort();
    all.dedup();
    all
}

/// Absent and 0 are the same number.
fn counts(what: &str, mine: &BTreeMap<String, u64>, theirs: &BTreeMap<String, u64>, lines: &mut Vec<String>) {
    for name in union(mine, theirs) {
        let of = |side: &BTreeMap<String, u64>| side.get(name).copied().unwrap_or_default();
        let (expected, got) = (of(mine), of(theirs));
        if expected != got {
            lines.push(format!("    {what}{name}: expected {expected}, got {got}\n"));
        }
    }
}

/// Absent and zero are the same value.
fn exact(show: &Show<'_>, zero: Option<&Vec<u8>>, mine: &Cells, theirs: &Cells, lines: &mut Vec<String>) {
    let mut keys: Vec<_> = mine.keys().chain(theirs.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let of = |side: &'_ Cells| side.get(key).filter(|v| Some(*v) != zero).cloned();
        let (expected, got) = (of(mine), of(theirs));
        if expected != got {
            let (expected, got) = (show.value(expected.as_deref()), show.value(got.as_deref()));
            lines.push(format!("    {}: expected {expected}, got {got}\n", show.key(key)));
        }
    }
}

fn promised(show: &Show<'_>, promises: &BTreeMap<Vec<u8>, Promise>, theirs: &Cells, lines: &mut Vec<String>) {
    for (key, promise) in promises {
        match theirs.get(key).map(|value| promise(value)) {
            Some(Ok(())) => {}
            Some(Err(broken)) => lines.push(format!("    {}: {broken}\n", show.key(key))),
            None => lines.push(format!("    {}: expected a value, got nothing\n", show.key(key))),
        }
    }
    for (key, value) in theirs.iter().filter(|(key, _)| !promises.contains_key(*key)) {
        let got = show.value(Some(value));
        lines.push(format!("    {}: expected nothing, got {got}\n", show.key(key)));
    }
}

/// Bytes of a store for people.
struct Show<'a> {
    plan: &'a Plan,
    store: &'a str,
}

/// So many characters of a key or a value are shown.
const WIDTH: usize = 160;

fn cut(text: String) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

impl Show<'_> {
    fn key(&self, bytes: &[u8]) -> String {
        let text = self.plan.store(self.store).and_then(|face| face.key.text(bytes).ok());
        let key = cut(text.unwrap_or_else(|| format!("{bytes:?}")));
        format!("store {}, key {key:?}", self.store)
    }
    fn value(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else {
            return "nothing".into();
        };
        let json = self.plan.store(self.store).and_then(|face| face.value.json(bytes).ok());
        cut(json.map_or_else(|| format!("{bytes:?}"), |v| v.to_string()))
    }
}
