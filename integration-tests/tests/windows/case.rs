//! Cases as JSON: hops, records in the order in which they are logged, questions with their answers.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rufous::client::{End, Window};
use rufous::prelude::*;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What it is for.
    #[allow(dead_code, reason = "for readers")]
    pub(crate) about: String,
    /// `SIZE` or `SIZE keep Nd`.
    pub(crate) hops: Vec<String>,
    #[serde(default)]
    pub(crate) zone: Option<String>,
    #[serde(deserialize_with = "records")]
    pub(crate) records: Vec<Row>,
    pub(crate) questions: Vec<Question>,
}

/// A record: `["2021-06-01T00:00:00Z", "key", 7]`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    pub(crate) key: String,
    pub(crate) value: i64,
}

fn records<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<Row>, D::Error> {
    let rows: Vec<(String, String, i64)> = Deserialize::deserialize(d)?;
    let row = |(at, key, value): (String, String, i64)| {
        let at = Timestamp::parse(&at).map_err(serde::de::Error::custom)?;
        Ok(Row { at, key, value })
    };
    rows.into_iter().map(row).collect()
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) key: String,
    /// `7d` before `end`, or `3:month`, or the time `from`.
    #[serde(default)]
    last: Option<String>,
    #[serde(default)]
    from: Option<String>,
    end: String,
    #[serde(default)]
    pub(crate) covered: Option<[String; 2]>,
    #[serde(default)]
    pub(crate) resolution: Option<[String; 2]>,
    #[serde(default)]
    pub(crate) hops: Option<usize>,
    #[serde(default)]
    pub(crate) sum: Option<i64>,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

impl Question {
    pub(crate) fn window(&self) -> Result<Window> {
        let end = End::At(Timestamp::parse(&self.end)?);
        if let Some(from) = &self.from {
            return Ok(Window::since(Timestamp::parse(from)?, end));
        }
        let last = self.last.as_deref().context("`last` or `from`")?;
        if let Some((n, size)) = last.split_once(':') {
            return Ok(Window::last_hops(n.parse()?, HopSize::parse(size)?, end));
        }
        let ms = HopSize::parse(last)?.fixed_ms().context("a length")?;
        Ok(Window::last(std::time::Duration::from_millis(ms), end))
    }
}

impl Case {
    /// The hops as a port has them.
    pub(crate) fn sizes(&self) -> Result<&'static [HopSize]> {
        let size = |text: &String| -> Result<HopSize> {
            let Some((size, keep)) = text.split_once(" keep ") else {
                return Ok(HopSize::parse(text)?);
            };
            let days = keep.strip_suffix('d').context("days")?.parse()?;
            Ok(HopSize::parse(size)?.keep_days(days))
        };
        // A port is a constant; a test has few of them.
        Ok(Box::leak(self.hops.iter().map(size).collect::<Result<Box<[_]>>>()?))
    }
}

pub(crate) fn all() -> Result<Vec<Case>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/windows/cases");
    let mut files: Vec<_> = std::fs::read_dir(&dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let of_file: Vec<Case> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        ensure!(!of_file.is_empty());
        cases.extend(of_file);
    }
    Ok(cases)
}
