//! What is declared of rows: the delimiter, the columns, or a header line that names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// How rows of delimited columns are written.
///
/// ```
/// use rufous_core::{Csv, Format};
///
/// const CLICKS: Format = Format::Csv(Csv::COMMA.columns(&["user", "", "page"]));   // the second is not read
/// assert_eq!("csv(user,,page)".parse::<Format>()?, CLICKS);
/// assert_eq!(CLICKS.to_string(), "csv(user,,page)");
/// assert_eq!("tsv-header".parse::<Format>()?, Format::Csv(Csv::TAB.header()));
/// # Ok::<(), rufous_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Csv {
    delimiter: u8,
    header: bool,
    columns: Option<&'static [&'static str]>,
}

impl Csv {
    /// Commas between the columns, which are the fields of the record type in their order.
    pub const COMMA: Self = Self {
        delimiter: b',',
        header: false,
        columns: None,
    };
    /// The same with tabs.
    pub const TAB: Self = Self {
        delimiter: b'\t',
        ..Self::COMMA
    };
    /// With another delimiter.
    ///
    /// # Panics
    /// At compile time for constants: when it is no ASCII character, or a quote, a line end or NUL.
    #[must_use]
    pub const fn delimiter(self, delimiter: u8) -> Self {
        assert!(
            can_delimit(delimiter),
            "the delimiter of columns is an ASCII character, and no quote or line end"
        );
        Self { delimiter, ..self }
    }
    /// The columns by name, in their order; those without a name, or with one that the record type does not have, are passed
    /// over.
    #[must_use]
    pub const fn columns(self, columns: &'static [&'static str]) -> Self {
        Self {
            columns: Some(columns),
            header: false,
            ..self
        }
    }
    /// The first line of each file names its columns. Payloads of a topic have no such line.
    #[must_use]
    pub const fn header(self) -> Self {
        Self {
            columns: None,
            header: true,
            ..self
        }
    }
    /// Whether the first line of each file names its columns.
    pub const fn has_header(&self) -> bool {
        self.header
    }
    pub(super) fn separator(&self) -> u8 {
        self.delimiter
    }
    pub(super) fn declared(&self) -> Option<&'static [&'static str]> {
        self.columns
    }

    pub(in crate::formats) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::invalid(format!(
                "format `{text}`: {why}: write text, jsonl, csv or tsv; csv-header where the first line of a file names the \
                 columns, csv(NAME,NAME,...) to name them here, csv(delimiter=;,NAME,...) for another delimiter"
            ))
        };
        let (word, arguments) = match text.split_once('(') {
            None => (text, None),
            Some((word, rest)) => {
                let inner = rest.strip_suffix(')').ok_or_else(|| bad("a bracket is not closed"))?;
                (word, Some(inner))
            }
        };
        let (word, header) = match word.strip_suffix("-header") {
            Some(word) => (word, true),
            None => (word, false),
        };
        let mut csv = match word {
            "csv" => Self::COMMA,
            "tsv" => Self::TAB,
            _ => return Err(bad("unknown format")),
        };
        if header {
            csv = csv.header();
        }
        let mut names = arguments;
        if let Some(rest) = arguments.and_then(|a| a.strip_prefix("delimiter=")) {
            // The delimiter may be a comma itself, so its word ends at the next comma behind it.
            let end = rest
                .bytes()
                .skip(1)
                .position(|b| b == b',')
                .map_or(rest.len(), |i| i + 1);
            let (delimiter, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            csv.delimiter = match (delimiter, delimiter.as_bytes()) {
                ("tab", _) => b'\t',
                (_, [one]) if can_delimit(*one) => *one,
                _ => return Err(bad("the delimiter is one ASCII character, or the word tab")),
            };
            names = after.strip_prefix(',');
        }
        if let Some(names) = names {
            if header {
                return Err(bad("columns are named either by the header line or here"));
            }
            csv = csv.columns(kept(names));
        }
        Ok(csv)
    }
}

/// As it is written behind a location.
impl fmt::Display for Csv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.delimiter == b'\t' { "tsv" } else { "csv" })?;
        if self.header {
            f.write_str("-header")?;
        }
        let delimiter = match self.delimiter {
            b'\t' | b',' => None,
            other => Some(format!("delimiter={}", char::from(other))),
        };
        let names = self.columns.map(|names| names.join(","));
        match (delimiter, names) {
            (None, None) => Ok(()),
            (Some(one), None) | (None, Some(one)) => write!(f, "({one})"),
            (Some(delimiter), Some(names)) => write!(f, "({delimiter},{names})"),
        }
    }
}

const fn can_delimit(byte: u8) -> bool {
    byte.is_ascii() && !matches!(byte, 0 | b'"' | b'\n' | b'\r')
}

/// The names of a setting, kept for the life of the process so that a format can be copied about: each list once.
fn kept(names: &str) -> &'static [&'static str] {
    static LISTS: Mutex<BTreeMap<Vec<String>, &'static [&'static str]>> = Mutex::new(BTreeMap::new());
    let list: Vec<String> = names.split(',').map(|name| name.trim().to_string()).collect();
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    lists.entry(list).or_insert_with_key(|list| {
        let names: Vec<&'static str> = list.iter().map(|name| &*name.clone().leak()).collect();
        names.leak()
    })
}
