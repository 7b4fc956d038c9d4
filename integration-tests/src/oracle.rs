//! Exact answers from plain collections.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Deserialize;

/// A flight as the JSON line says.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// `YYYY-MM-DDTHH:MM:SS`
    pub date: String,
    /// minutes
    pub delay: i64,
    /// miles
    pub distance: i64,
    /// IATA code
    pub origin: String,
    /// IATA code
    pub destination: String,
}

/// All that is asked of an airport and a day.
#[derive(Debug, Default)]
pub struct Stats {
    /// How many.
    pub flights: u64,
    /// Miles.
    pub distance: i64,
    /// Every delay.
    pub delays: Vec<i64>,
    /// Where to.
    pub destinations: BTreeSet<String>,
}

/// Per (origin, day).
pub fn flights<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<BTreeMap<(String, String), Stats>> {
    let mut all: BTreeMap<(String, String), Stats> = BTreeMap::new();
    for line in lines {
        let f: Flight = serde_json::from_str(line)?;
        let s = all.entry((f.origin, f.date[..10].to_string())).or_default();
        s.flights += 1;
        s.distance += f.distance;
        s.delays.push(f.delay);
        s.destinations.insert(f.destination);
    }
    all.values_mut().for_each(|s| s.delays.sort_unstable());
    Ok(all)
}

/// Words: maximal runs of alphabetic characters, in lower case.
pub fn words(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphabetic() {
            word.push(c);
        } else if !word.is_empty() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
            word.clear();
        }
    }
    counts
}
